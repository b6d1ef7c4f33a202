"""Soft k-means: prototypes refined with the images to be classified (transductive).

Ren et al., Meta-learning for semi-supervised few-shot classification, 2018, arXiv:1803.00676.
Differs from the paper: the unlabelled images are the queries themselves, as in its transductive
successors; features come from the base fit that other learners share.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from fewskin.nets.reading import Levels
from fewskin.protocols import ImageTable
from fewskin.training.on_base import OnBaseFit, Place
from fewskin.training.transductive import TransductivePredictor

__all__ = ["SoftKMeans"]


class SoftKMeans(OnBaseFit):
    """Nearest refined prototype on frozen features.

    Transductive: the probabilities of an image depend on the images it comes with. Classes need
    not be balanced, but a class with hardly any query images may be drawn into another.

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
        fit_also: descriptors beside the net, of colour, texture and patches.
        space: "un" compares features as they are, "l2n" at unit length, "cl2n" after subtracting
            the mean of the base features, "whitened" also after whitening by the spread within the
            base classes.
        scale: factor of the squared distance; how firmly a query image takes sides.
        refinements: rounds of soft k-means; the paper has 1.
    """

    transductive: ClassVar[bool] = True

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
        space: Place = "cl2n",
        scale: float = 5.0,
        refinements: int = 1,
    ) -> None:
        self.backbone, self.weights = backbone, weights
        self.fit_steps, self.fit_batch_size, self.fit_lr = fit_steps, fit_batch_size, fit_lr
        self.fit_contrast, self.fit_strength = fit_contrast, fit_strength
        self.fit_levels, self.fit_views, self.fit_also = fit_levels, fit_views, tuple(fit_also)
        self.space = space
        self.scale, self.refinements = scale, refinements

    def adapt(
        self,
        support: ImageTable,
        *,
        extra: ImageTable | None,
        base: ImageTable | None,
        seed: int,
        out: Path,
    ) -> TransductivePredictor:
        """Return a predictor for the classes of `support`, and of `base` when it is given.

        Raises:
            ConfigError: unknown space.
        """
        net, known = self._known(support, extra, base)
        options = {"scale": self.scale, "refinements": self.refinements}
        placed = self._place(known, self.space)
        return self._together(net, known, placed, "soft_kmeans", options)
