"""Nearest class mean where directions in which base classes vary within themselves count less.

Fisher 1936 (the discriminant); Mensink et al., Distance-based image classification, 2013 (nearest
class means under a learnt metric); Wang et al., SimpleShot, 2019, arXiv:1911.04623 (unit length).
Differs from the papers: features are the mean and deviation of the maps of every level of the net,
averaged over the flips and turns of an image; the covariance is that within the base classes,
shrunk, since the few images have none worth taking; the whitened features get unit length.
"""

from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from fewskin.errors import ConfigError
from fewskin.functional.prototypes import centres
from fewskin.functional.whitening import shrink, whitener
from fewskin.nets.reading import Levels
from fewskin.protocols import ImageTable
from fewskin.training.base import Fitted
from fewskin.training.heads import Centres, Mapped
from fewskin.training.on_base import OnBaseFit, known_rows
from fewskin.training.predictor import NetPredictor

__all__ = ["Whitened"]


class Whitened(OnBaseFit):
    """Nearest class mean in a space whitened by the spread within the base classes.

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
            resolution.
        fit_views: 1, or 8 for features averaged over the flips and quarter turns of an image.
        shrinkage: how far the covariance is moved towards the same variance in every direction,
            in (0, 1]; 1 only standardises.
        unit_length: compare whitened features at unit length.
        scale: factor of the squared distance; it changes how sure predictions are, not which
            class is nearest.
    """

    def __init__(
        self,
        *,
        backbone: str = "resnet10",
        weights: str | None = None,
        fit_steps: int = 1500,
        fit_batch_size: int = 64,
        fit_lr: float = 2e-3,
        fit_contrast: float = 0.5,
        fit_strength: float = 1.5,
        fit_levels: Levels = "all",
        fit_views: int = 8,
        shrinkage: float = 0.5,
        unit_length: bool = True,
        scale: float = 5.0,
    ) -> None:
        self.backbone, self.weights = backbone, weights
        self.fit_steps, self.fit_batch_size, self.fit_lr = fit_steps, fit_batch_size, fit_lr
        self.fit_contrast, self.fit_strength = fit_contrast, fit_strength
        self.fit_levels, self.fit_views = fit_levels, fit_views
        self.shrinkage, self.unit_length, self.scale = shrinkage, unit_length, scale

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
            ConfigError: shrinkage is not in (0, 1].
        """
        if not 0.0 < self.shrinkage <= 1.0:
            raise ConfigError(f"shrinkage={self.shrinkage}: expected more than 0 and at most 1.")
        net = self._net(support.image_size)
        known = known_rows(self._reading.of(net), support, extra, base)
        shift, matrix = self._map(known.features)
        head = Mapped(torch.nn.Identity(), shift, matrix, "l2n" if self.unit_length else "un")
        rows = head(known.features)
        middle = centres(rows, known.codes, len(known.classes), known.weights)
        head.head = Centres(middle, "euclidean", self.scale)
        return NetPredictor(
            net,
            head,
            known.classes,
            support.image_size,
            frozen="all",
            reading=self._reading,
        )

    def _map(self, known: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is subtracted, (d,), and the matrix, (d, d)."""
        if self._fitted.mean is None:
            # No base rows: nothing is known about the spread within classes.
            return known.mean(0), torch.eye(known.shape[1])
        return self._fitted.mean, _matrix(self._fitted, self.shrinkage)


# An eigenvalue problem: one a fit, not one a draw.
@lru_cache(maxsize=2)
def _matrix(fitted: Fitted, shrinkage: float) -> Tensor:
    assert fitted.std is not None  # fitted together with the mean
    assert fitted.within is not None
    scale = 1.0 / fitted.std
    standard = fitted.within * scale[:, None] * scale
    return scale[:, None] * whitener(shrink(standard, shrinkage))
