"""Regularised logistic regression on the features of a frozen backbone.

Chen et al., A closer look at few-shot classification, 2019, arXiv:1904.04232 (the baseline);
Tian et al., Rethinking few-shot image classification, 2020, arXiv:2003.11539.
Differs from the papers: features are standardised with the base set's mean and deviation, classes
weigh the same, support images are used as they are (not augmented), the same in every arm.
"""

import copy
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from fewskin.errors import ConfigError
from fewskin.protocols import ImageTable
from fewskin.seeding import rng_for
from fewskin.training.base import BaseFit, Fitted, fit_base, floored, load_fitted, save_fitted
from fewskin.training.features import features
from fewskin.training.fitted import row_weights
from fewskin.training.predictor import NetPredictor

__all__ = ["Probe"]

# Images' worth of trust in the average variance of all features, where there is no base set.
_PRIOR_ROWS = 10


class _Standard(NamedTuple):
    mean: Tensor  # (d,)
    std: Tensor  # (d,)


class Probe:
    """A linear classifier on frozen features.

    Args:
        backbone: name of the net, see `fewskin list backbones`.
        weights: None starts from scratch, else a file of weights or "pretrained".
        fit_steps: training steps on the base classes; 0 keeps the first weights.
        fit_batch_size: images a step of that training.
        fit_lr: learning rate of that training.
        c: inverse of the strength of the L2 penalty, each class weighing 1 in all; fixed, since a
            handful of support images cannot choose it.
        base_per_class: base images of a class at most, chosen by seed, in task=generalised.
    """

    transductive: ClassVar[bool] = False
    output: ClassVar[Literal["class", "mask", "boxes"]] = "class"
    fit_as: ClassVar[str] = "probe"

    def __init__(
        self,
        *,
        backbone: str = "conv4",
        weights: str | None = None,
        fit_steps: int = 1500,
        fit_batch_size: int = 32,
        fit_lr: float = 1e-3,
        c: float = 0.1,
        base_per_class: int = 100,
    ) -> None:
        self.backbone, self.weights = backbone, weights
        self.fit_steps, self.fit_batch_size, self.fit_lr = fit_steps, fit_batch_size, fit_lr
        self.c, self.base_per_class = c, base_per_class
        self._fitted = Fitted()

    def fit(self, base: ImageTable | None, *, seed: int, out: Path) -> "Probe":
        """Return a probe whose backbone is trained to tell the base classes apart.

        Without base it keeps the first weights and only remembers the seed.
        """
        fitted = copy.copy(self)
        fitted._fitted = fit_base(BaseFit.of(self), base, seed=seed, out=out)
        return fitted

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
        net = self._fitted.backbone(BaseFit.of(self), support.image_size)
        known = features(net, support)
        standard = self._standard(known)
        tables = [support]
        tables += [] if extra is None else [extra]
        tables += [] if base is None else [_at_most(base, self.base_per_class, seed)]
        rows = torch.cat([known, *(features(net, table) for table in tables[1:])])
        labels = [label for table in tables for label in table.labels]
        classes = sorted(set(labels))
        weights = np.concatenate([row_weights(table) for table in tables])
        head = _logistic(rows, np.searchsorted(classes, labels), weights, standard, self.c)
        return NetPredictor(net, head, classes, support.image_size, frozen="all")

    def _standard(self, known: Tensor) -> _Standard:
        mean, std = self._fitted.mean, self._fitted.std
        if mean is None or std is None:
            return _standard_of_support(known)
        return _Standard(mean, std)

    @property
    def pretrained_on(self) -> str:
        """What the fitted backbone has seen; "" before `fit` and from scratch."""
        return self._fitted.pretrained_on

    def save(self, folder: Path) -> None:
        """Write the fitted net and the base set's mean and deviation."""
        save_fitted(self._fitted, folder)

    def load(self, folder: Path) -> "Probe":
        """Return a probe with these hyper-parameters and the state written by `save`.

        Raises:
            PluginError: the folder holds none, or one of another backbone.
        """
        loaded = copy.copy(self)
        loaded._fitted = load_fitted(folder, self.backbone)
        return loaded


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
