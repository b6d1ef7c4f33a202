"""Nearest class mean where directions in which base classes vary within themselves count less.

Fisher 1936 (the discriminant); Mensink et al., Distance-based image classification, 2013 (nearest
class means under a learnt metric); Wang et al., SimpleShot, 2019, arXiv:1911.04623 (unit length).
Differs from the papers: features are the mean and deviation of the maps of every level of the net,
averaged over the flips and turns of an image, beside descriptors of colour and texture; the
covariance is that within the base classes, shrunk, since the few images have none worth taking;
tails are drawn in; each block of whitened features gets unit length.
"""

from collections.abc import Sequence
from pathlib import Path

from fewskin.functional.prototypes import centres
from fewskin.nets.reading import Levels
from fewskin.protocols import ImageTable
from fewskin.training.heads import Centres
from fewskin.training.on_base import OnBaseFit
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
            resolution, "none" leaves the net out.
        fit_views: 1, or 8 for features averaged over the flips and quarter turns of an image.
        fit_also: descriptors beside the net, of colour, texture and patches; each is a block of
            its own that counts as much as the net.
        shrinkage: how far the covariance is moved towards the same variance in every direction,
            in (0, 1]; 1 only standardises.
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
        fit_also: Sequence[str] = ("colour", "texture", "patches"),
        shrinkage: float = 0.7,
        scale: float = 5.0,
    ) -> None:
        self.backbone, self.weights = backbone, weights
        self.fit_steps, self.fit_batch_size, self.fit_lr = fit_steps, fit_batch_size, fit_lr
        self.fit_contrast, self.fit_strength = fit_contrast, fit_strength
        self.fit_levels, self.fit_views, self.fit_also = fit_levels, fit_views, tuple(fit_also)
        self.shrinkage, self.scale = shrinkage, scale

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
        net, known = self._known(support, extra, base)
        placed = self._place(known, "whitened", self.shrinkage)
        middle = centres(placed.rows, known.codes, len(known.classes), known.weights)
        return self._predictor(net, placed.head(Centres(middle, "euclidean", self.scale)), known)
