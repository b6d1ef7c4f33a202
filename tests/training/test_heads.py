import json

import pytest
import torch
from torch import nn

from fewskin.errors import PluginError
from fewskin.training.heads import (
    Centres,
    Clusters,
    Spaced,
    Transduced,
    head_settings,
    make_head,
)

ROWS = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
MIDDLE = torch.eye(4)[:3]
HEADS = {
    "linear": nn.Linear(4, 3),
    "centres": Centres(MIDDLE, "cosine", 3.0),
    "clusters": Clusters(MIDDLE, torch.tensor([0, 0, 1]), "euclidean", 2.0),
    "spaced": Spaced(Centres(MIDDLE, "euclidean"), torch.ones(4), torch.full((4,), 2.0), "l2n"),
    "transduced": Transduced(MIDDLE, torch.eye(3), "tim", {"steps": 3}),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_is_its_settings_as_json_and_its_tensors(name: str) -> None:
    head = HEADS[name]
    settings = json.loads(json.dumps(head_settings(head)))
    assert settings["kind"] == name
    assert torch.equal(make_head(settings, head.state_dict())(ROWS), head(ROWS))


@pytest.mark.parametrize("settings", [{"kind": "forest"}, {"kind": "centres", "metric": "cosine"}])
def test_settings_that_make_no_head_are_refused(settings: dict) -> None:
    with pytest.raises(PluginError, match="cannot be made"):
        make_head(settings, {"edges": MIDDLE})
