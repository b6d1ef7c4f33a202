"""What base-fitted learners share: the backbone's files, its history, and the weights of rows."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fewskin.errors import PluginError
from fewskin.nets.backbones import Backbone, make_backbone
from fewskin.paths import atomic_write
from fewskin.protocols import ImageTable
from fewskin.training.predictor import load_tensors, save_tensors

__all__ = ["load_backbone", "row_weights", "save_backbone", "seen"]


def save_backbone(net: Backbone | None, folder: Path, *, seed: int = 0) -> None:
    """Write a fitted backbone, or that there is none, and the seed of `fit`."""
    folder.mkdir(parents=True, exist_ok=True)
    about: dict[str, object] = {"backbone": None, "seed": seed}
    if net is not None:
        about |= {"backbone": net.name, "image_size": net.image_size}
        about |= {"pretrained_on": net.pretrained_on}
        save_tensors(net, folder / "backbone.safetensors")
    atomic_write(folder / "fitted.json", json.dumps(about, indent=1) + "\n")


def load_backbone(folder: Path, name: str) -> tuple[Backbone | None, int]:
    """Return the backbone written by `save_backbone`, in eval mode, and the seed of `fit`.

    Args:
        folder: what `save_backbone` wrote to.
        name: the backbone that is expected.

    Raises:
        PluginError: the folder holds none, or one of another architecture.
    """
    try:
        about = json.loads((folder / "fitted.json").read_text())
    except (OSError, ValueError) as error:
        raise PluginError(f"{folder} holds no fitted learner: {error}.") from error
    if about["backbone"] is None:
        return None, about["seed"]
    if about["backbone"] != name:
        raise PluginError(f"{folder} holds backbone {about['backbone']}, expected {name}.")
    net = make_backbone(name, image_size=about["image_size"])
    load_tensors(net, folder / "backbone.safetensors")
    net.pretrained_on = about["pretrained_on"]
    return net.eval(), about["seed"]


def seen(before: str, base: ImageTable) -> str:
    """Return `pretrained_on` after a base fit: what the weights had seen, then the base rows."""
    names = sorted(set(base.rows["dataset"]) - {""}) if "dataset" in base.rows else []
    mine = f"{len(base)} base images" + (f" of {', '.join(names)}" if names else "")
    return f"{before}, {mine}" if before else mine


def row_weights(table: ImageTable) -> npt.NDArray[np.float64]:
    """Return (n,) weights of a table's rows; 1 where it names none."""
    return np.ones(len(table)) if table.weights is None else table.weights
