"""Baseline++: a linear classifier by cosine, trained on the few images' frozen features.

Chen et al., A closer look at few-shot classification, 2019, arXiv:1904.04232.
Differs from the paper: only the few images' head is cosine, the base fit is the one that other
learners share; training starts from the class means and takes all rows at every step, so that
nothing is drawn; classes weigh the same; features are centred with the base's mean.
"""

from pathlib import Path

from fewskin.errors import ConfigError
from fewskin.functional.cosine_head import cosine_directions
from fewskin.functional.feature_space import Space
from fewskin.protocols import ImageTable
from fewskin.training.heads import Centres
from fewskin.training.on_base import OnBaseFit, known_rows
from fewskin.training.predictor import NetPredictor

__all__ = ["BaselinePP"]


class BaselinePP(OnBaseFit):
    """A cosine classifier trained on frozen features.

    Args:
        backbone: name of the net, see `fewskin list backbones`.
        weights: None starts from scratch, else a file of weights or "pretrained".
        fit_steps: training steps on the base classes; 0 keeps the first weights.
        fit_batch_size: images a step of that training.
        fit_lr: learning rate of that training.
        space: "l2n" compares features at unit length, as the paper does, "cl2n" after subtracting
            the mean of the base features; "un" is "l2n" here, since a cosine has no length.
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
        space: Space = "cl2n",
        scale: float = 10.0,
        steps: int = 100,
        lr: float = 0.02,
    ) -> None:
        self.backbone, self.weights = backbone, weights
        self.fit_steps, self.fit_batch_size, self.fit_lr = fit_steps, fit_batch_size, fit_lr
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
        net = self._net(support.image_size)
        known = known_rows(net, support, extra, base)
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
        return NetPredictor(net, head, known.classes, support.image_size, frozen="all")
