"""What is watched while a diffusion net trains: its loss by noise level, and what it makes."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fewskin.nets.diffusion_unet import DiffusionNet
from fewskin.seeding import seed_for
from fewskin.training.diffusion_sample import Drawing
from fewskin.training.gan_watch import Reference, sheet

__all__ = ["DiffusionProgress", "DiffusionWatch", "scores", "write_sheet"]

_SHARE = 0.02  # of the newest step in running means
_EDGES = (0.2, 1.0)  # of sigma, between little, middling and much noise
# Prediction and target have variance 1: a net that says nothing loses 1.
_WORSE_THAN_NOTHING = 1.5
_STEPS, _SCORED, _COLUMNS = 12, 64, 8


@dataclass
class DiffusionProgress:
    """Numbers that training carries from step to step; all of them go into a checkpoint.

    Attributes:
        step: steps done.
        loss: running mean of the loss.
        bands: running mean of it at little, middling and much noise.
        rate: factor of the learning rate, halved by each return to the last good state.
        stopped: whether it has given up there.
        events: what went wrong and what was done, one line each.
        history: rows of the log.
    """

    step: int = 0
    loss: float = 1.0
    bands: list[float] = field(default_factory=lambda: [1.0, 1.0, 1.0])
    rate: float = 1.0
    stopped: bool = False
    events: list[str] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)

    def note(self, losses: Tensor, sigma: Tensor) -> None:
        """Take in the losses (n,) of one step and their noise levels (n,)."""
        self.loss += _SHARE * (float(losses.mean()) - self.loss)
        place = torch.bucketize(sigma, torch.tensor(_EDGES, device=sigma.device))
        for band in range(len(self.bands)):
            mine = losses[place == band]
            if len(mine):
                self.bands[band] += _SHARE * (float(mine.mean()) - self.bands[band])

    def trouble(self) -> str:
        """Return what is wrong, or "" when training is well."""
        if not math.isfinite(self.loss):
            return "the loss is not a number"
        if self.loss > _WORSE_THAN_NOTHING:
            return f"the loss is {self.loss:.1f}, more than a net that says nothing has"
        return ""

    def row(self) -> dict[str, float]:
        """Return the numbers of a row of the log."""
        names = ("loss_little_noise", "loss_middling_noise", "loss_much_noise")
        made = {"step": float(self.step), "loss": self.loss, "rate": self.rate}
        return made | dict(zip(names, self.bands, strict=True))

    def state(self) -> dict[str, Any]:
        """Return plain values for a checkpoint."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class DiffusionWatch:
    """What is written while training.

    Attributes:
        every: steps between rows of the log, samples, and snapshots to go back to.
        out: folder of `diffusion.csv` and `samples/`; None writes nothing.
        reference: of the quality figures; None leaves them out.
        seed: of the samples.
    """

    every: int = 1000
    out: Path | None = None
    reference: Reference | None = None
    seed: int = 0


def scores(net: DiffusionNet, reference: Reference, seed: int) -> dict[str, float]:
    """Return KID and diversity of some samples, in the class shares of the reference."""
    n = min(_SCORED, len(reference.features))
    counts = (reference.shares * n).round().astype(int)
    labels = [i for i, count in enumerate(counts) for _ in range(max(1, count))]
    kid, diversity = reference.score(_made(net, labels, seed))
    return {"kid": kid, "diversity": diversity}


def write_sheet(net: DiffusionNet, file: Path, seed: int) -> None:
    """Write a row of samples for each label."""
    labels = [i for i in range(net.shape.n_classes) for _ in range(_COLUMNS)]
    sheet(_made(net, labels, seed), _COLUMNS, file)


def _made(net: DiffusionNet, labels: Sequence[int], seed: int) -> Tensor:
    seeds = [seed_for(seed, "watched", i) for i in range(len(labels))]
    return Drawing(net, steps=_STEPS).new(labels, seeds)
