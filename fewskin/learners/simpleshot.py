"""SimpleShot: the nearest class mean among centred features of unit length.

Wang et al., SimpleShot: revisiting nearest-neighbor classification for few-shot learning, 2019,
arXiv:1911.04623.
Differs from the paper: probabilities are the softmax of the scaled negative squared distances, so
that they can be calibrated and drawn as curves; generated images enter a mean by their weight.
"""

from pathlib import Path

from fewskin.functional.feature_space import Space
from fewskin.functional.prototypes import centres
from fewskin.protocols import ImageTable
from fewskin.training.heads import Centres
from fewskin.training.on_base import OnBaseFit, known_rows
from fewskin.training.predictor import NetPredictor

__all__ = ["SimpleShot"]


class SimpleShot(OnBaseFit):
    """Nearest class mean on frozen features.

    Args:
        backbone: name of the net, see `fewskin list backbones`.
        weights: None starts from scratch, else a file of weights or "pretrained".
        fit_steps: training steps on the base classes; 0 keeps the first weights.
        fit_batch_size: images a step of that training.
        fit_lr: learning rate of that training.
        space: "un" compares features as they are, "l2n" at unit length, "cl2n" after subtracting
            the mean of the base features.
        scale: factor of the squared distance; it changes how sure predictions are, not which
            class is nearest.
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
        scale: float = 5.0,
    ) -> None:
        self.backbone, self.weights = backbone, weights
        self.fit_steps, self.fit_batch_size, self.fit_lr = fit_steps, fit_batch_size, fit_lr
        self.space, self.scale = space, scale

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
            ConfigError: unknown space.
        """
        net = self._net(support.image_size)
        known = known_rows(net, support, extra, base)
        placed = self._place(known, self.space)
        middle = centres(placed.rows, known.codes, len(known.classes), known.weights)
        head = placed.head(Centres(middle, "euclidean", self.scale))
        return NetPredictor(net, head, known.classes, support.image_size, frozen="all")
