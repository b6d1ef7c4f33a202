"""Imports that need a hand: torchvision beside a torch of another build, and what imports it."""

import functools
import importlib
import sys
from types import ModuleType

from fewskin.errors import MissingExtra

__all__ = [
    "fallback_needed",
    "import_learn2learn",
    "import_lightning",
    "import_timm",
    "import_torchvision",
]

_MISSING_OPERATOR = "operator torchvision::"
_OPERATORS = ("nms", "qnms")


@functools.cache
def import_torchvision() -> ModuleType:
    """Return torchvision, also where it was built for CUDA and torch for the CPU.

    There its compiled operators do not load, and the import fails on registering their shapes.
    Declared without a body they let models, transforms and box_iou work; `nms` itself stays absent.

    Raises:
        ImportError: torchvision is not installed.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if _MISSING_OPERATOR not in str(error):
            raise
    _declare_operators()
    return importlib.import_module("torchvision")


@functools.cache
def _declare_operators() -> object:
    import torch

    # Cached, so that it is never collected: the operators vanish with their library.
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in _OPERATORS:
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def fallback_needed() -> bool:
    """Return whether `import_torchvision` had to declare the operators."""
    import_torchvision()
    return _declare_operators.cache_info().currsize > 0


@functools.cache
def import_timm() -> ModuleType:
    """Return timm, which imports torchvision."""
    import_torchvision()
    return importlib.import_module("timm")


@functools.cache
def import_lightning() -> ModuleType:
    """Return pytorch_lightning, which imports torchvision through torchmetrics."""
    import_torchvision()
    return importlib.import_module("pytorch_lightning")


@functools.cache
def import_learn2learn() -> ModuleType:
    """Return learn2learn without its reinforcement learning, which needs the retired gym.

    Raises:
        MissingExtra: learn2learn is not installed.
    """
    import_torchvision()
    sys.modules.setdefault("learn2learn.gym", ModuleType("learn2learn.gym"))
    try:
        return importlib.import_module("learn2learn")
    except ImportError as error:
        # pip cannot build its sdist on Python >= 3.11 as it stands.
        raise MissingExtra(f"cannot import learn2learn ({error}); run `scripts/setup`.") from error
