"""Regularised logistic regression on the features of a frozen backbone.

Chen et al., A closer look at few-shot classification, 2019, arXiv:1904.04232 (the baseline);
Tian et al., Rethinking few-shot image classification, 2020, arXiv:2003.11539.
Differs from the papers: features are standardised with the base set's mean and deviation, classes
weigh the same, support images are used as they are (not augmented), the same in every arm.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from fewskin.errors import ConfigError
from fewskin.nets.reading import Levels
from fewskin.protocols import ImageTable
from fewskin.seeding import rng_for
from fewskin.training.features import features
from fewskin.training.fitted import row_weights
from fewskin.training.on_base import OnBaseFit
from fewskin.training.predictor import NetPredictor
from fewskin.training.statistics import floored

__all__ = ["Probe"]

# Images' worth of trust in the average variance of all features, where there is no base set.
_PRIOR_ROWS = 10


class _Standard(NamedTuple):
    mean: Tensor  # (d,)
    std: Tensor  # (d,)


class Probe(OnBaseFit):
    """A linear classifier on frozen features.

    Args:
        backbone: name of the net, see `fewskin list backbones`.
        weights: None starts from scratch, else a file of weights or "pretrained".
        fit_steps: training steps on the base classes; 0 keeps the first weights.
        fit_batch_size: images a step of that training, views counted.
        fit_lr: highest learning rate of that training.
        fit_contrast: weight of telling images apart whatever the view, beside telling classes
            apart; 0 is none.
        fit_strength: of the augmentation, a factor of the ranges of the disease-safe policy.
        fit_levels: "last" takes the net's features, "all" mean and deviation of the maps at every
            resolution, "none" leaves the net out.
        fit_views: 1, or 8 for features averaged over the flips and quarter turns of an image.
        fit_also: descriptors beside the net, of colour, texture and patches.
        c: inverse of the strength of the L2 penalty, each class weighing 1 in all; fixed, since a
            handful of support images cannot choose it.
        base_per_class: base images of a class at most, chosen by seed, in task=generalised.
    """

    def __init__(
        self,
        *,
        backbone: str = "conv4",
        weights: str | None = None,
        fit_steps: int = 1500,
        fit_batch_size: int = 32,
        fit_lr: float = 1e-3,
        fit_contrast: float = 0.0,
        fit_strength: float = 1.0,
        fit_levels: Levels = "last",
        fit_views: int = 1,
        fit_also: Sequence[str] = (),
        c: float = 0.1,
        base_per_class: int = 100,
    ) -> None:
        self.backbone, self.weights = backbone, weights
        self.fit_steps, self.fit_batch_size, self.fit_lr = fit_steps, fit_batch_size, fit_lr
        self.fit_contrast, self.fit_strength = fit_contrast, fit_strength
        self.fit_levels, self.fit_views, self.fit_also = fit_levels, fit_views, tuple(fit_also)
        self.c, self.base_per_class = c, base_per_class

    def adapt(
        self,
        support: ImageTable,
        *,
        extra: ImageTable | None,
        base: ImageTable | None,
        seed: int,
        out: Path,
    ) -> NetPredictor:
        """Return a predictor for the classes of `support`, and of `base` when it is given.

        Raises:
            ConfigError: c is not positive.
        """
        if self.c <= 0:
            raise ConfigError(f"probe c={self.c}: expected more than 0.")
        net = self._net(support.image_size)
        read = self._reader(support.image_size)
        known = features(read, support)
        standard = self._standard(known)
        tables = [support]
        tables += [] if extra is None else [extra]
        tables += [] if base is None else [_at_most(base, self.base_per_class, seed)]
        rows = torch.cat([known, *(features(read, table) for table in tables[1:])])
        labels = [label for table in tables for label in table.labels]
        classes = sorted(set(labels))
        weights = np.concatenate([row_weights(table) for table in tables])
        head = _logistic(rows, np.searchsorted(classes, labels), weights, standard, self.c)
        return NetPredictor(
            net,
            head,
            classes,
            support.image_size,
            frozen="all",
            reading=self._reading,
            dictionary=self._fitted.dictionary,
        )

    def _standard(self, known: Tensor) -> _Standard:
        mean, std = self._fitted.mean, self._fitted.std
        if mean is None or std is None:
            return _standard_of_support(known)
        return _Standard(mean, std)


def _standard_of_support(known: Tensor) -> _Standard:
    variance = known.var(0, correction=0)
    trusted = len(known) / (len(known) + _PRIOR_ROWS)
    shrunk = trusted * variance + (1 - trusted) * variance.mean()
    return _Standard(known.mean(0), floored(shrunk.sqrt()))


def _at_most(base: ImageTable, n: int, seed: int) -> ImageTable:
    """Return at most `n` rows a class; each weighs for the rows of its class that were left out."""
    keep: list[int] = []
    weights: list[float] = []
    for label in base.classes:
        rows = np.flatnonzero([own == label for own in base.labels])
        chosen = rng_for(seed, "probe base", label).permutation(rows)[:n]
        keep += chosen.tolist()
        weights += [len(rows) / len(chosen)] * len(chosen)
    return replace(base.take(keep), weights=np.array(weights))


def _logistic(
    known: Tensor,
    codes: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float64],
    standard: _Standard,
    c: float,
) -> nn.Linear:
    """Return the regression on standardised features, as a layer on the features themselves."""
    # Each class weighs 1 in all, so that neither K nor a generated share changes the penalty.
    total = np.bincount(codes, weights=weights)
    model = LogisticRegression(C=c, tol=1e-6, max_iter=2000)
    rows = ((known - standard.mean) / standard.std).double().numpy()
    model.fit(rows, codes, sample_weight=weights / total[codes])
    weight, bias = model.coef_, model.intercept_
    if len(total) == 2:
        # scikit-learn keeps one logit z for two classes; softmax of (-z/2, z/2) is its sigmoid.
        weight, bias = (np.concatenate([-half, half]) for half in (weight / 2, bias / 2))
    scaled = torch.from_numpy(weight) / standard.std
    shift = torch.from_numpy(bias) - scaled @ standard.mean.double()
    head = nn.Linear(known.shape[1], len(total))
    with torch.no_grad():
        head.weight.copy_(scaled)
        head.bias.copy_(shift)
    return head
