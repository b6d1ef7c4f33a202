"""The three nets of a GAN: generator, discriminator and the generator's moving average."""

import copy
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from fewskin.errors import PluginError
from fewskin.nets.gan_discriminator import Discriminator
from fewskin.nets.gan_generator import GanShape, StyleGenerator
from fewskin.paths import atomic_write
from fewskin.seeding import seed_for
from fewskin.training.predictor import load_tensors, save_tensors

__all__ = ["GanNets", "load_generator", "save_generator"]


@dataclass(frozen=True, eq=False)
class GanNets:
    """Nets and the labels they know.

    Attributes:
        classes: label of each embedding.
        generator: being trained.
        discriminator: being trained.
        average: moving average of the generator, which is what is sampled from.
    """

    classes: tuple[str, ...]
    generator: StyleGenerator
    discriminator: Discriminator
    average: StyleGenerator

    @property
    def shape(self) -> GanShape:
        """What decides the layers."""
        return self.generator.shape

    @classmethod
    def new(cls, shape: GanShape, classes: Sequence[str], seed: int) -> "GanNets":
        """Return nets with first weights of the seed; `shape` gets the number of classes."""
        shape = replace(shape, n_classes=len(classes))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_for(seed, "gan"))
            generator, discriminator = StyleGenerator(shape), Discriminator(shape)
        return cls(tuple(classes), generator, discriminator, _still(generator))

    def with_classes(self, classes: Sequence[str]) -> "GanNets":
        """Return a copy for other labels: a new one starts from the mean of those known."""
        generator = copy.deepcopy(self.average).requires_grad_(True)
        discriminator = copy.deepcopy(self.discriminator)
        with torch.no_grad():
            generator.mapping.embedding = nn.Parameter(
                self._rows(self.average.mapping.embedding, classes)
            )
            discriminator.embedding = nn.Parameter(
                self._rows(self.discriminator.embedding, classes)
            )
        shape = replace(self.shape, n_classes=len(classes))
        generator.shape = discriminator.shape = shape
        return GanNets(tuple(classes), generator, discriminator, _still(generator))

    def _rows(self, table: Tensor, classes: Sequence[str]) -> Tensor:
        mean = table.mean(0)
        known = dict(zip(self.classes, table, strict=True))
        return torch.stack([known.get(name, mean) for name in classes]).detach().clone()

    def save(self, folder: Path) -> None:
        """Write safetensors and JSON."""
        save_generator(self.average, self.classes, folder)
        save_tensors(self.discriminator, folder / "discriminator.safetensors")

    @classmethod
    def load(cls, folder: Path) -> "GanNets":
        """Return what `save` wrote; training goes on from the average.

        Raises:
            PluginError: the folder holds no such nets.
        """
        average, classes = load_generator(folder)
        discriminator = Discriminator(average.shape)
        load_tensors(discriminator, folder / "discriminator.safetensors")
        generator = copy.deepcopy(average).requires_grad_(True)
        return cls(classes, generator, discriminator, average)


def _still(generator: StyleGenerator) -> StyleGenerator:
    return copy.deepcopy(generator).requires_grad_(False).eval()


def save_generator(net: StyleGenerator, classes: Sequence[str], folder: Path) -> None:
    """Write a generator and its labels as safetensors and JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(net, folder / "generator.safetensors")
    about = {"classes": list(classes), "shape": asdict(net.shape)}
    atomic_write(folder / "generator.json", json.dumps(about, indent=1) + "\n")


def load_generator(folder: Path) -> tuple[StyleGenerator, tuple[str, ...]]:
    """Return the generator and the labels that `save_generator` wrote.

    Raises:
        PluginError: the folder holds none.
    """
    try:
        about = json.loads((folder / "generator.json").read_text())
    except (OSError, ValueError) as error:
        raise PluginError(f"{folder} holds no fitted GAN: {error}.") from error
    with torch.random.fork_rng(devices=[]):
        net = StyleGenerator(GanShape(**about["shape"]))
    load_tensors(net, folder / "generator.safetensors")
    return net.requires_grad_(False).eval(), tuple(about["classes"])
