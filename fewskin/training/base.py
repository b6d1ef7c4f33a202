"""The base fit that learners share: a backbone trained on the common classes."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from fewskin.functional.augment import Policy
from fewskin.functional.whitening import within_covariance
from fewskin.nets.backbones import Backbone, make_backbone
from fewskin.nets.reading import Levels, Reading
from fewskin.protocols import ImageTable
from fewskin.training.batches import class_positions
from fewskin.training.features import features
from fewskin.training.fitted import load_backbone, save_backbone
from fewskin.training.pretrain import fit_classifier

__all__ = ["BaseFit", "Fitted", "fit_base", "floored", "load_fitted", "save_fitted"]

_STATISTICS = "features.safetensors"


@dataclass(frozen=True)
class BaseFit:
    """What a base fit does. Learners whose settings are equal share one fit in an experiment.

    Attributes:
        backbone: name of the net, see `fewskin list backbones`.
        weights: None starts from scratch, else a file of weights or "pretrained".
        steps: batches; 0 keeps the first weights.
        batch_size: images a batch.
        lr: highest learning rate.
        contrast: weight of a second aim, that two views of an image are near each other and far
            from other images; 0 is none.
        strength: of the augmentation, a factor of the ranges of the disease-safe policy.
        levels: "last" takes the net's features, "all" mean and deviation of the maps at every
            resolution.
        views: 1, or 8 for features averaged over the flips and quarter turns of an image.
    """

    # The keywords of a learner that say the same, and so the ones that decide its fit.
    KEYWORDS: ClassVar[tuple[str, ...]] = (
        "backbone",
        "weights",
        "fit_steps",
        "fit_batch_size",
        "fit_lr",
        "fit_contrast",
        "fit_strength",
        "fit_levels",
        "fit_views",
    )
    backbone: str
    weights: str | None
    steps: int
    batch_size: int
    lr: float
    contrast: float = 0.0
    strength: float = 1.0
    levels: Levels = "last"
    views: int = 1

    @property
    def reading(self) -> Reading:
        """How features are read off the backbone."""
        return Reading(self.levels, self.views)

    @classmethod
    def of(cls, learner: object) -> "BaseFit":
        """Return the fit that the attributes named KEYWORDS of a learner describe."""
        found = {name: getattr(learner, name) for name in cls.KEYWORDS if hasattr(learner, name)}
        return cls(**{name.removeprefix("fit_"): value for name, value in found.items()})


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a base fit leaves.

    Attributes:
        net: the fitted backbone in eval mode; None without base rows.
        mean: (d,) mean of the base rows' features; None without base rows.
        std: (d,) their standard deviation, floored: a feature that hardly moves on base may move
            on a new class and must not outweigh all others.
        within: (d, d) covariance within the base classes, their mean; None without base rows.
        seed: of the fit; without base rows it decides the first weights.
    """

    net: Backbone | None = None
    mean: Tensor | None = None
    std: Tensor | None = None
    within: Tensor | None = None
    seed: int = 0

    @property
    def pretrained_on(self) -> str:
        """What the net has seen; "" from scratch and before a fit."""
        return self.net.pretrained_on if self.net else ""

    def backbone(self, fit: BaseFit, image_size: int) -> Backbone:
        """Return the fitted net, or without one the first net of the seed; in eval mode."""
        return self.net or _first_net(fit, image_size, self.seed).eval()


def fit_base(fit: BaseFit, base: ImageTable | None, *, seed: int, out: Path) -> Fitted:
    """Train a backbone to tell the base classes apart, and measure their features.

    Args:
        fit: what to do.
        base: rows of two or more classes; None only remembers the seed.
        seed: of everything random.
        out: folder of checkpoints.

    Raises:
        DataError: fewer than two base classes.
    """
    if base is None:
        return Fitted(seed=seed)
    net = _first_net(fit, base.image_size, seed)
    if fit.steps:
        net = fit_classifier(
            net,
            base,
            steps=fit.steps,
            batch_size=fit.batch_size,
            lr=fit.lr,
            contrast=fit.contrast,
            policy=Policy().scaled(fit.strength),
            seed=seed,
            out=out,
        )
    known = features(fit.reading.of(net.eval()).eval(), base)
    codes = torch.from_numpy(class_positions(base.labels, base.classes))
    within = within_covariance(known, codes, len(base.classes))
    return Fitted(net, known.mean(0), floored(known.std(0, correction=0)), within, seed)


def floored(std: Tensor) -> Tensor:
    """Return standard deviations of at least a tenth of their mean.

    Example:
        >>> floored(torch.tensor([0.0, 1.0])).tolist()
        [0.05000000074505806, 1.0]
    """
    return std.clamp_min(max(0.1 * float(std.mean()), 1e-6))


def _first_net(fit: BaseFit, image_size: int, seed: int) -> Backbone:
    return make_backbone(fit.backbone, weights=fit.weights, image_size=image_size, seed=seed)


def save_fitted(fitted: Fitted, folder: Path) -> None:
    """Write what `load_fitted` reads: safetensors and JSON."""
    save_backbone(fitted.net, folder, seed=fitted.seed)
    if fitted.mean is not None:
        known = {"mean": fitted.mean, "std": fitted.std, "within": fitted.within}
        save_file({name: x for name, x in known.items() if x is not None}, folder / _STATISTICS)


def load_fitted(folder: Path, backbone: str) -> Fitted:
    """Return what `save_fitted` wrote.

    Args:
        folder: what it wrote to.
        backbone: the backbone that is expected.

    Raises:
        PluginError: the folder holds none, or one of another backbone.
    """
    net, seed = load_backbone(folder, backbone)
    if net is None:
        return Fitted(seed=seed)
    return Fitted(net, **load_file(folder / _STATISTICS), seed=seed)
