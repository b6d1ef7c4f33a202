"""The packages our users named are on main paths: they must be there and import."""

import importlib
import sys

import pytest

from fewskin import compat


@pytest.mark.parametrize(
    "name",
    ["torch", "diffusers", "pytorch_lightning", "torchmetrics", "trimesh", "hydra", "timm"],
)
def test_a_named_package_imports(name: str) -> None:
    compat.import_torchvision()
    assert importlib.import_module(name).__version__


def test_learn2learn_imports_and_adapts_a_clone() -> None:
    import torch

    learn2learn = compat.import_learn2learn()
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, 2.0)
    clone = learn2learn.algorithms.MAML(model, lr=0.5).clone()
    clone.adapt(clone(torch.ones(1, 1)).square().sum())
    # w - lr * d(w^2)/dw = 2 - 0.5 * 4 = 0, and the model itself keeps its 2.
    assert clone.module.weight.item() == 0.0
    assert model.weight.item() == 2.0


def test_torchvision_models_and_transforms_work() -> None:
    import torch

    vision = compat.import_torchvision()
    importlib.import_module("torchvision.transforms.v2")
    importlib.import_module("torchvision.models")
    boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
    assert float(vision.ops.box_iou(boxes, boxes)) == 1.0


def test_a_missing_learn2learn_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    from fewskin.errors import MissingExtra

    monkeypatch.setitem(sys.modules, "learn2learn", None)
    compat.import_learn2learn.cache_clear()
    try:
        with pytest.raises(MissingExtra, match="scripts/setup"):
            compat.import_learn2learn()
    finally:
        compat.import_learn2learn.cache_clear()
