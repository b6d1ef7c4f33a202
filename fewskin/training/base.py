"""The base fit that learners share: a backbone trained on the common classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from safetensors.torch import load_file, save_file
from torch import Tensor

from fewskin.data.orientation import policy_of
from fewskin.functional.patches import Dictionary, fit_dictionary
from fewskin.nets.backbones import Backbone, make_backbone
from fewskin.nets.reading import Levels, Reading
from fewskin.protocols import ImageTable
from fewskin.seeding import seed_for
from fewskin.training.fitted import load_backbone, save_backbone
from fewskin.training.pretrain import fit_classifier
from fewskin.training.statistics import Statistics, measure

__all__ = ["BaseFit", "Fitted", "fit_base", "load_fitted", "save_fitted"]

_STATISTICS, _DICTIONARY = "statistics.safetensors", "dictionary.safetensors"


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
            resolution, "none" leaves the net out.
        views: 1, or 8 for features averaged over the flips and quarter turns of an image.
        also: descriptors beside the net: colour, texture, patches.
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
        "fit_also",
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
    also: Sequence[str] = ()

    @property
    def reading(self) -> Reading:
        """How features are read."""
        return Reading(self.levels, self.views, tuple(self.also))

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
        dictionary: of the descriptor "patches"; None where it is not read.
        statistics: of the base rows' features; None without base rows.
        seed: of the fit; without base rows it decides the first weights.
    """

    net: Backbone | None = None
    dictionary: Dictionary | None = None
    statistics: Statistics | None = None
    seed: int = 0

    @property
    def mean(self) -> Tensor | None:
        """The (d,) mean of base features; None without base rows."""
        return self.statistics.mean if self.statistics else None

    @property
    def std(self) -> Tensor | None:
        """The (d,) floored standard deviation of base features; None without base rows."""
        return self.statistics.std if self.statistics else None

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
        ConfigError: levels, views or descriptors that do not exist.
    """
    reading = fit.reading  # refused before the training, not after it
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
            policy=policy_of(base).scaled(fit.strength),
            seed=seed,
            out=out,
        )
    dictionary = None
    if "patches" in fit.also:
        dictionary = fit_dictionary(base.images(), seed=seed_for(seed, "patches"))
    extractor = reading.of(net.eval(), dictionary).eval()
    return Fitted(net, dictionary, measure(extractor, base), seed)


def _first_net(fit: BaseFit, image_size: int, seed: int) -> Backbone:
    return make_backbone(fit.backbone, weights=fit.weights, image_size=image_size, seed=seed)


def save_fitted(fitted: Fitted, folder: Path) -> None:
    """Write what `load_fitted` reads: safetensors and JSON."""
    save_backbone(fitted.net, folder, seed=fitted.seed)
    for part, name in ((fitted.statistics, _STATISTICS), (fitted.dictionary, _DICTIONARY)):
        if part is not None:
            tensors = {key: value.contiguous() for key, value in part._asdict().items()}
            save_file(tensors, folder / name)


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
    file = folder / _DICTIONARY
    dictionary = Dictionary(**load_file(file)) if file.is_file() else None
    return Fitted(net, dictionary, Statistics(**load_file(folder / _STATISTICS)), seed)
