"""Which rows fill a batch, and how two of them are mixed; pure functions of seed and step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fewskin.errors import ConfigError
from fewskin.functional.augment import uniforms
from fewskin.seeding import rng_for, seed_for

__all__ = ["BalancedRows", "Mix", "class_positions", "mixed"]

Mix = Literal["none", "mixup", "cutmix"]
Rows = npt.NDArray[np.int64]
Mixer = Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]]


def class_positions(labels: Sequence[str], classes: Sequence[str]) -> Rows:
    """Return the position in `classes` of each label, (n,)."""
    position = {name: i for i, name in enumerate(classes)}
    return np.array([position[label] for label in labels], dtype=np.int64)


@dataclass(frozen=True)
class BalancedRows:
    """Draws the rows of batch t: classes in turn, then a row of the class by its weight.

    A slot's draw depends on seed, t and its place only, so arms that differ in their rows still
    use the same random numbers.

    Attributes:
        targets: (n,) class of each row, every class in [0, n_classes) at least once.
        weights: (n,) >= 0.
        n_classes: number of classes.
        batch_size: slots of a batch.
        seed: of the draws.
    """

    targets: Rows
    weights: npt.NDArray[np.float64]
    n_classes: int
    batch_size: int
    seed: int

    def __call__(self, step: int) -> Rows:
        """Return (batch_size,) rows of batch `step`."""
        slots = step * self.batch_size + np.arange(self.batch_size)
        wanted = slots % self.n_classes
        u = uniforms([seed_for(self.seed, "slots", step)], self.batch_size)[0]
        chosen = np.empty(self.batch_size, dtype=np.int64)
        for label in np.unique(wanted):
            rows = np.flatnonzero(self.targets == label)
            total = np.cumsum(self.weights[rows])
            here = wanted == label
            place = np.searchsorted(total, u[here] * total[-1], side="right")
            chosen[here] = rows[np.minimum(place, len(rows) - 1)]
        return chosen

    def seeds(self, step: int) -> Rows:
        """Return (batch_size,) seeds in [0, 2**62) for the augmentation of batch `step`."""
        return rng_for(self.seed, "views", step).integers(2**62, size=self.batch_size)


def mixed(
    kind: Mix, alpha: float, seed: int
) -> Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return a function of (step, inputs, targets) that mixes rows across classes.

    MixUp: Zhang et al. 2018, arXiv:1710.09412. CutMix: Yun et al. 2019, arXiv:1905.04899.

    Args:
        kind: "none", "mixup", or "cutmix" (a box of the other image; needs (n, c, h, w)).
        alpha: both parameters of the Beta distribution of the share, > 0.
        seed: of shares, partners and boxes.

    Raises:
        ConfigError: unknown kind, or alpha not above 0.
    """
    if kind not in ("none", "mixup", "cutmix"):
        raise ConfigError(f"mix={kind!r}: expected none, mixup or cutmix.")
    if alpha <= 0:
        raise ConfigError(f"mix_alpha={alpha}: expected a number above 0.")

    def apply(step: int, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        if kind == "none":
            return inputs, targets
        rng = rng_for(seed, "mix", step)
        partner = torch.from_numpy(rng.permutation(len(inputs)))
        share = float(rng.beta(alpha, alpha))
        if kind == "mixup":
            made = share * inputs + (1.0 - share) * inputs[partner]
        else:
            top, bottom, left, right = _box(rng, inputs.shape[-2], inputs.shape[-1], share)
            made = inputs.clone()
            made[:, :, top:bottom, left:right] = inputs[partner][:, :, top:bottom, left:right]
            share = 1.0 - (bottom - top) * (right - left) / (inputs.shape[-2] * inputs.shape[-1])
        return made, share * targets + (1.0 - share) * targets[partner]

    return apply


def _box(
    rng: np.random.Generator, height: int, width: int, share: float
) -> tuple[int, int, int, int]:
    side = np.sqrt(1.0 - share) / 2
    y, x = rng.random() * height, rng.random() * width
    top, bottom = np.clip([y - side * height, y + side * height], 0, height).round().astype(int)
    left, right = np.clip([x - side * width, x + side * width], 0, width).round().astype(int)
    return int(top), int(bottom), int(left), int(right)
