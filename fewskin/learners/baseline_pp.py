"""Baseline++: a linear classifier by cosine, trained on the few images' frozen features.

Chen et al., A closer look at few-shot classification, 2019, arXiv:1904.04232.
Differs from the paper: only the few images' head is cosine, the base fit is the one that other
learners share; training starts from the class means and takes all rows at every step, so that
nothing is drawn; classes weigh the same; features are centred with the base's mean.
"""

from collections.abc import Sequence
from pathlib import Path

from fewskin.errors import ConfigError
from fewskin.functional.cosine_head import cosine_directions
from fewskin.nets.reading import Levels
from fewskin.protocols import ImageTable
from fewskin.training.heads import Centres
from fewskin.training.on_base import OnBaseFit, Place
from fewskin.training.predictor import NetPredictor

__all__ = ["BaselinePP"]


class BaselinePP(OnBaseFit):
    """A cosine classifier trained on frozen features.

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
        space: "l2n" compares features at unit length, as the paper does, "cl2n" after subtracting
            the mean of the base features, "whitened" also after whitening by the spread within the
            base classes; "un" is "l2n" here, since a cosine has no length.
        scale: factor of the cosine.
        steps: of gradient descent over all support rows; 0 leaves the class means.
        lr: its learning rate.
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
        space: Place = "cl2n",
        scale: float = 10.0,
        steps: int = 100,
        lr: float = 0.02,
    ) -> None:
        self.backbone, self.weights = backbone, weights
        self.fit_steps, self.fit_batch_size, self.fit_lr = fit_steps, fit_batch_size, fit_lr
        self.fit_contrast, self.fit_strength = fit_contrast, fit_strength
        self.fit_levels, self.fit_views, self.fit_also = fit_levels, fit_views, tuple(fit_also)
        self.space, self.scale = space, scale
        self.steps, self.lr = steps, lr

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
            ConfigError: unknown space, or fewer than 0 steps.
        """
        if self.steps < 0:
            raise ConfigError(f"baseline_pp steps={self.steps}: expected 0 or more.")
        net, known = self._known(support, extra, base)
        placed = self._place(known, self.space)
        directions = cosine_directions(
            placed.rows,
            known.codes,
            len(known.classes),
            known.weights,
            scale=self.scale,
            steps=self.steps,
            lr=self.lr,
        )
        head = placed.head(Centres(directions, "cosine", self.scale))
        return self._predictor(net, head, known)
