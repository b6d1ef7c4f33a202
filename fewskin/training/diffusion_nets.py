"""A diffusion net, its moving average and the labels they know."""

import copy
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import nn

from fewskin.errors import PluginError
from fewskin.nets.diffusion_unet import DiffusionNet, DiffusionShape
from fewskin.paths import atomic_write
from fewskin.seeding import seed_for
from fewskin.training.predictor import load_tensors, save_tensors

__all__ = ["DiffusionNets", "load_net", "save_net", "still"]


@dataclass(frozen=True, eq=False)
class DiffusionNets:
    """Two nets and the labels they know.

    Attributes:
        classes: label of each embedding but the last, which says none.
        net: being trained.
        average: moving average of it, which is what is sampled from.
    """

    classes: tuple[str, ...]
    net: DiffusionNet
    average: DiffusionNet

    @property
    def shape(self) -> DiffusionShape:
        """What decides the layers."""
        return self.net.shape

    @classmethod
    def new(cls, shape: DiffusionShape, classes: Sequence[str], seed: int) -> "DiffusionNets":
        """Return nets with first weights of the seed; `shape` gets the number of classes."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_for(seed, "diffusion"))
            net = DiffusionNet(replace(shape, n_classes=len(classes)))
        return cls(tuple(classes), net, still(net))

    def with_classes(self, classes: Sequence[str]) -> "DiffusionNets":
        """Return a copy of the average for other labels: a new one is the mean of those known."""
        net = copy.deepcopy(self.average).requires_grad_(True)
        table = self.average.labels.detach()
        known = dict(zip(self.classes, table[:-1], strict=True))
        rows = [known.get(name, table[:-1].mean(0)) for name in classes]
        net.labels = nn.Parameter(torch.stack([*rows, table[-1]]).clone())
        net.shape = replace(self.shape, n_classes=len(classes))
        return DiffusionNets(tuple(classes), net, still(net))

    def save(self, folder: Path) -> None:
        """Write the average and the labels as safetensors and JSON."""
        save_net(self.average, self.classes, folder)

    @classmethod
    def load(cls, folder: Path) -> "DiffusionNets":
        """Return what `save` wrote; training goes on from the average.

        Raises:
            PluginError: the folder holds no such nets.
        """
        average, classes = load_net(folder)
        return cls(classes, copy.deepcopy(average).requires_grad_(True), average)


def still(net: DiffusionNet) -> DiffusionNet:
    """Return a copy that does not learn."""
    return copy.deepcopy(net).requires_grad_(False).eval()


def save_net(net: DiffusionNet, classes: Sequence[str], folder: Path) -> None:
    """Write a net and its labels as safetensors and JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(net, folder / "diffusion.safetensors")
    about = {"classes": list(classes), "shape": asdict(net.shape)}
    atomic_write(folder / "diffusion.json", json.dumps(about, indent=1) + "\n")


def load_net(folder: Path) -> tuple[DiffusionNet, tuple[str, ...]]:
    """Return the net and the labels that `save_net` wrote.

    Raises:
        PluginError: the folder holds none.
    """
    try:
        about = json.loads((folder / "diffusion.json").read_text())
    except (OSError, ValueError) as error:
        raise PluginError(f"{folder} holds no fitted diffusion net: {error}.") from error
    with torch.random.fork_rng(devices=[]):
        net = DiffusionNet(DiffusionShape(**about["shape"]))
    load_tensors(net, folder / "diffusion.safetensors")
    return net.requires_grad_(False).eval(), tuple(about["classes"])
