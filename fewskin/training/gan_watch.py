"""What is watched while a GAN trains: is it well, how good is it, what does it make."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fewskin.functional.descriptors import colour, texture
from fewskin.functional.fidelity import diversity, kid
from fewskin.nets.gan_generator import StyleGenerator
from fewskin.paths import atomic_write
from fewskin.protocols import ImageTable
from fewskin.seeding import rng_for, seed_for

__all__ = ["Progress", "Reference", "as_pixels", "reference", "sheet", "write_history"]

Array = npt.NDArray[np.float64]
_CLIP = 5.0
_SHARE = 0.05  # of the newest step in running means
# The discriminator has won: it is sure of real and of generated images alike, and what the
# generator loses is far beyond the log 2 of a fair game.
_SURE, _LOSS = 0.95, 10.0
_PATIENCE = 100
MAX_ROLLBACKS = 3


@dataclass
class Progress:
    """Numbers that training carries from step to step; all of them go into a checkpoint.

    Attributes:
        step: steps done.
        p: probability of adaptive augmentation.
        signs: signs of logits of real images since p last moved: sum and number.
        real_sign: running mean of that sign.
        fake_sign: running mean of the sign for generated images.
        loss_g: running mean of the generator's loss.
        loss_d: running mean of the discriminator's loss.
        r1: latest mean of R1 before its weight.
        path_mean: running mean of path lengths.
        bad: steps in a row in which the discriminator has won.
        rate: factor of the learning rates, halved by each rollback.
        events: what went wrong and what was done, one line each.
        history: rows of the log.
    """

    step: int = 0
    p: float = 0.0
    signs: tuple[float, int] = (0.0, 0)
    real_sign: float = 0.0
    fake_sign: float = 0.0
    loss_g: float = math.log(2.0)
    loss_d: float = 2.0 * math.log(2.0)
    r1: float = 0.0
    path_mean: float = 0.0
    bad: int = 0
    rate: float = 1.0
    stopped: bool = False
    events: list[str] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)

    def note(self, loss_g: float, loss_d: float, real: Tensor, fake: Tensor) -> None:
        """Take in the losses and logits of one step."""
        real_sign, fake_sign = float(real.sign().mean()), float(fake.sign().mean())
        self.signs = (self.signs[0] + real_sign * len(real), self.signs[1] + len(real))
        new = (real_sign, fake_sign, loss_g, loss_d)
        for name, value in zip(("real_sign", "fake_sign", "loss_g", "loss_d"), new, strict=True):
            setattr(self, name, (1 - _SHARE) * getattr(self, name) + _SHARE * value)
        won = self.real_sign > _SURE and self.fake_sign < -_SURE and self.loss_g > _LOSS
        self.bad = self.bad + 1 if won else 0

    def trouble(self) -> str:
        """Return what is wrong, or "" when training is well."""
        if not all(map(math.isfinite, (self.loss_g, self.loss_d, self.r1))):
            return "a loss is not a number"
        if self.bad >= _PATIENCE:
            return f"the discriminator has won (generator's loss {self.loss_g:.1f})"
        return ""

    def state(self) -> dict[str, Any]:
        """Return plain values for a checkpoint."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Reference:
    """Features of some real images, to score generated ones as they train.

    Attributes:
        features: (n, d) standardised, and clipped at five deviations: no odd one rules.
        mean: (d,) of the raw features.
        std: (d,) of the raw features.
        shares: (C,) share of each class among the real images.
    """

    features: Array
    mean: Array
    std: Array
    shares: Array

    def place(self, images: Tensor) -> Array:
        """Return standardised features of (n, 3, S, S) uint8 images."""
        return _placed(_described(images), self.mean, self.std)

    def score(self, images: Tensor) -> tuple[float, float]:
        """Return KID, and diversity as a share of that of the real images."""
        made = self.place(images)
        return kid(self.features, made), diversity(made) / diversity(self.features)


def _placed(raw: Array, mean: Array, std: Array) -> Array:
    return np.asarray(np.clip((raw - mean) / std, -_CLIP, _CLIP))


def _described(images: Tensor) -> Array:
    plain = images.float() / 255.0
    return torch.cat([colour(plain), texture(plain)], 1).double().numpy()


def reference(table: ImageTable, classes: Sequence[str], *, n: int = 256, seed: int) -> Reference:
    """Return the reference of at most `n` rows of a table: colour and texture descriptors.

    No trained net: one small enough for a CPU would have to be trained first, and these cost
    milliseconds an image.

    Args:
        table: real images.
        classes: order of `shares`.
        n: rows at most.
        seed: of the choice.
    """
    chosen = np.sort(rng_for(seed, "reference").permutation(len(table))[:n])
    labels = [table.labels[i] for i in chosen]
    raw = _described(table.images(chosen))
    mean, std = raw.mean(0), raw.std(0) + 1e-3
    shares = np.array([labels.count(name) for name in classes], dtype=np.float64)
    return Reference(_placed(raw, mean, std), mean, std, shares / shares.sum())


@torch.inference_mode()
def made_images(net: StyleGenerator, labels: Sequence[int], seed: int) -> Tensor:
    """Return (n, 3, S, S) uint8 images of class positions, the same for the same seed."""
    device = net.mapping.embedding.device
    rng = torch.Generator().manual_seed(seed_for(seed, "watched"))
    made = []
    for start in range(0, len(labels), 16):
        mine = torch.tensor(labels[start : start + 16], device=device)
        z = torch.randn(len(mine), net.shape.latent, generator=rng).to(device)
        noise = [one.to(device) for one in net.noise(len(mine), rng)]
        made.append(as_pixels(net.synthesis(net.mapping(z, mine), noise)).cpu())
    return torch.cat(made)


def as_pixels(images: Tensor) -> Tensor:
    """Return images in [-1, 1] as uint8, rounded and clipped.

    Example:
        >>> as_pixels(torch.tensor([-2.0, 0.0, 1.0])).tolist()
        [0, 128, 255]
    """
    return ((images.float() + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)


def sheet(images: Tensor, columns: int, file: Path) -> None:
    """Write (n, 3, S, S) uint8 images as one PNG, `columns` a row; n is a multiple of it."""
    from PIL import Image

    n, _, side, _ = images.shape
    grid = images.reshape(n // columns, columns, 3, side, side)
    grid = grid.permute(0, 3, 1, 4, 2).reshape(n // columns * side, columns * side, 3)
    buffer = io.BytesIO()
    Image.fromarray(grid.contiguous().numpy()).save(buffer, "PNG")
    atomic_write(file, buffer.getvalue())


def write_history(rows: Sequence[dict[str, float]], file: Path) -> None:
    """Write the rows of the log as CSV."""
    if not rows:
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    atomic_write(file, text.getvalue())
