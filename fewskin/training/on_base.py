"""What learners on frozen features of the shared base fit have in common."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn

from fewskin.errors import ConfigError
from fewskin.functional import feature_space, transduction
from fewskin.functional.whitening import block_whitener
from fewskin.nets.backbones import Backbone
from fewskin.nets.reading import Reading
from fewskin.protocols import ImageTable
from fewskin.training.base import BaseFit, Fitted, fit_base, load_fitted, save_fitted
from fewskin.training.features import features
from fewskin.training.fitted import row_weights
from fewskin.training.heads import Spaced, Transduced, Whitened
from fewskin.training.predictor import NetPredictor
from fewskin.training.transductive import TransductivePredictor

__all__ = ["Known", "OnBaseFit", "Place", "Placed", "known_rows"]

Place = Literal["un", "l2n", "cl2n", "whitened"]
# Of the covariance within base classes; chosen on pseudo-novel pairs of base classes.
_SHRINKAGE = 0.7


@dataclass(frozen=True, eq=False)
class Known:
    """The rows that a predictor is made of, as features.

    Attributes:
        classes: distinct labels, sorted.
        features: (n, d) float32; rows of support, then of generated, then of base images.
        codes: (n,) int64 class of each row, a position in `classes`.
        weights: (n,) float32 weight of each row.
        counts: (C,) float32 real images of each class.
        image_size: side of the images, in pixels.
    """

    classes: tuple[str, ...]
    features: Tensor
    codes: Tensor
    weights: Tensor
    counts: Tensor
    image_size: int


def known_rows(
    net: nn.Module, support: ImageTable, extra: ImageTable | None, base: ImageTable | None
) -> Known:
    """Return the features, classes and weights of all rows that `adapt` was given.

    Args:
        net: a frozen backbone, or a reading of one; what it makes of named pixels is computed once.
        support: the few real images.
        extra: generated images, or None.
        base: rows of the common classes, or None.
    """
    tables = [table for table in (support, extra, base) if table is not None]
    labels = [label for table in tables for label in table.labels]
    real = [label for table in (support, base) if table is not None for label in table.labels]
    classes = tuple(sorted(set(labels)))
    weights = np.concatenate([row_weights(table) for table in tables])
    return Known(
        classes,
        torch.cat([features(net, table) for table in tables]),
        torch.from_numpy(np.searchsorted(classes, labels)),
        torch.from_numpy(weights).float(),
        torch.tensor([float(real.count(label)) for label in classes]),
        support.image_size,
    )


@dataclass(frozen=True, eq=False)
class Placed:
    """Known rows in the space where they are compared, and how features get there.

    Attributes:
        rows: (n, d) float32.
        head: returns a head that moves features here before the given one sees them.
    """

    rows: Tensor
    head: Callable[[nn.Module], nn.Module]


# An eigenvalue problem: one a fit, not one a draw. A tensor is hashed by what it is, not holds.
@lru_cache(maxsize=2)
def _whitening(within: Tensor, sizes: tuple[int, ...], shrinkage: float) -> Tensor:
    return block_whitener(within, sizes, shrinkage)


class OnBaseFit:
    """The half of a learner that only fits a backbone to tell the base classes apart.

    Learners of the same fit keywords share one such fit in an experiment.
    """

    transductive: ClassVar[bool] = False
    output: ClassVar[Literal["class", "mask", "boxes"]] = "class"
    fit_as: ClassVar[str] = "probe"

    backbone: str
    _fitted: Fitted = Fitted()

    def fit(self, base: ImageTable | None, *, seed: int, out: Path) -> Self:
        """Return a learner whose backbone is trained to tell the base classes apart.

        Without base it keeps the first weights and only remembers the seed.
        """
        fitted = copy.copy(self)
        fitted._fitted = fit_base(BaseFit.of(self), base, seed=seed, out=out)
        return fitted

    def save(self, folder: Path) -> None:
        """Write the fitted net and the base set's mean and deviation."""
        save_fitted(self._fitted, folder)

    def load(self, folder: Path) -> Self:
        """Return a learner with these hyper-parameters and the state written by `save`.

        Raises:
            PluginError: the folder holds none, or one of another backbone.
        """
        loaded = copy.copy(self)
        loaded._fitted = load_fitted(folder, self.backbone)
        return loaded

    @property
    def pretrained_on(self) -> str:
        """What the fitted backbone has seen; "" before `fit` and from scratch."""
        return self._fitted.pretrained_on

    def _net(self, image_size: int) -> Backbone:
        return self._fitted.backbone(BaseFit.of(self), image_size)

    @property
    def _reading(self) -> Reading:
        return BaseFit.of(self).reading

    def _reader(self, image_size: int) -> nn.Module:
        """Return what makes features of normalised images: the net, or a reading of it."""
        return self._reading.of(self._net(image_size), self._fitted.dictionary).eval()

    def _known(
        self, support: ImageTable, extra: ImageTable | None, base: ImageTable | None
    ) -> tuple[Backbone, Known]:
        read = self._reader(support.image_size)
        return self._net(support.image_size), known_rows(read, support, extra, base)

    def _predictor(self, net: Backbone, head: nn.Module, known: Known) -> NetPredictor:
        return NetPredictor(
            net,
            head,
            known.classes,
            known.image_size,
            frozen="all",
            reading=self._reading,
            dictionary=self._fitted.dictionary,
        )

    def _together(
        self, net: Backbone, known: Known, placed: Placed, method: str, options: Mapping[str, float]
    ) -> TransductivePredictor:
        """Return the predictor of one method of `transduction`, all rows of a call together."""
        member = transduction.membership(known.codes, len(known.classes), known.weights)
        head = placed.head(Transduced(placed.rows, member, method, options))
        made = self._predictor(net, head, known)
        return TransductivePredictor.of(made)

    def _place(self, known: Known, place: Place, shrinkage: float = _SHRINKAGE) -> Placed:
        """Return the known rows where they are compared.

        Raises:
            ConfigError: unknown place, or shrinkage not in (0, 1].
        """
        base = self._fitted.statistics
        head: Callable[[nn.Module], nn.Module]
        if place == "whitened" and base is not None:
            if not 0.0 < shrinkage <= 1.0:
                raise ConfigError(f"shrinkage={shrinkage}: expected more than 0, at most 1.")
            sizes = tuple(base.sizes.tolist())
            matrix = _whitening(base.within, sizes, shrinkage) / base.spread[:, None]
            moved = (base.mean, base.std, base.centre, matrix, sizes)
            head = partial(_around, Whitened, moved)
        else:
            # Without base rows nothing is known about the spread within classes.
            space: feature_space.Space = "cl2n" if place == "whitened" else place
            feature_space.check_space(space)
            zero = torch.zeros_like(known.features[0])
            shift = base.mean if base is not None and space == "cl2n" else zero
            head = partial(_around, Spaced, (shift, torch.ones_like(shift), space))
        return Placed(head(nn.Identity())(known.features), head)


def _around(kind: Callable[..., nn.Module], moved: tuple[Any, ...], inner: nn.Module) -> nn.Module:
    return kind(inner, *moved)
