"""The predictor of transductive learners: all images of a call are classified together."""

from collections.abc import Mapping

from torch import Tensor

from fewskin.functional.transduction import membership
from fewskin.nets.backbones import Backbone
from fewskin.nets.reading import Reading
from fewskin.protocols import ImageTable
from fewskin.training import features as cache
from fewskin.training.heads import Transduced
from fewskin.training.on_base import Known, Placed
from fewskin.training.predictor import NetPredictor

__all__ = ["TransductivePredictor", "together"]


class TransductivePredictor(NetPredictor):
    """A `NetPredictor` whose head sees the features of all rows at once.

    The probabilities of an image depend on the images it comes with, and on nothing else about
    them than which they are: their order does not matter.
    """

    def predict(self, images: Tensor) -> Tensor:
        """Map (n, 3, H, W) uint8 sRGB to (n, C) float32 probabilities."""
        return self._together(self.features(images))

    def predict_table(self, table: ImageTable) -> Tensor:
        """Return (n, C) probabilities of the rows; features are computed once for all cells."""
        self._check_size(table.image_size)
        return self._together(cache.features(self.extractor, table))

    def _together(self, features: Tensor) -> Tensor:
        return self.head(features).softmax(1)


def together(
    net: Backbone,
    known: Known,
    placed: Placed,
    method: str,
    options: Mapping[str, float],
    reading: Reading,
) -> TransductivePredictor:
    """Return the predictor of one method of `transduction`.

    Args:
        net: frozen.
        known: the rows it was adapted to.
        placed: the same rows in the space they are compared in.
        method: name of the function.
        options: its keywords.
        reading: how features are read off the net.
    """
    member = membership(known.codes, len(known.classes), known.weights)
    head = placed.head(Transduced(placed.rows, member, method, options))
    return TransductivePredictor(
        net, head, known.classes, known.image_size, frozen="all", reading=reading
    )
