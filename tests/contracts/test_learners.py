from pathlib import Path

import pytest

from fewskin.plugins import find, keywords, list_plugins, make
from fewskin.testing import check_learner

# Whatever a learner is called, these keywords mean the same and are small in a test.
TINY = {"backbone": "conv4", "fit_steps": 20, "steps": 30, "batch_size": 8, "query": 3, "shot": 3}


@pytest.mark.parametrize("name", list_plugins("learners"))
def test_learner_keeps_the_contract(name: str, tmp_path: Path) -> None:
    known = keywords(find("learners", name))
    tiny = {key: value for key, value in TINY.items() if key in known}
    check_learner(make("learners", {"name": name, **tiny}), tmp_path)
