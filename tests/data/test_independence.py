"""Weights of unknown origin, or that saw the test data set, are said in the verdict."""

import json
from pathlib import Path

import pytest

from fewskin.data.independence import outside_training, unknown_independence


@pytest.mark.parametrize(
    ("pretrained_on", "noted"),
    [
        ("", False),
        ("1870 base images of ham10000", False),
        ("1870 base images", False),
        ("imagenet-1k, 1870 base images of ham10000", False),
        ("unknown", True),
        ("unknown, 1870 base images of ham10000", True),
        ("HAM10000 and others, 12 base images of clinic", True),
    ],
)
def test_only_what_cannot_be_told_is_noted(pretrained_on: str, noted: bool, tmp_path: Path) -> None:
    cell = {"learner": "probe", "pretrained_on": pretrained_on}
    (tmp_path / "cell.json").write_text(json.dumps(cell))
    notes = unknown_independence([tmp_path], ["ham10000"])
    assert ("probe" in notes) is noted


def test_the_own_base_fit_is_no_outside_training() -> None:
    assert outside_training("unknown, 30 base images of a, b") == "unknown"
