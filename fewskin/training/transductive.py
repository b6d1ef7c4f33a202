"""The predictor of transductive learners: all images of a call are classified together."""

from torch import Tensor

from fewskin.protocols import ImageTable
from fewskin.training import features as cache
from fewskin.training.predictor import NetPredictor

__all__ = ["TransductivePredictor"]


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

    @classmethod
    def of(cls, made: NetPredictor) -> "TransductivePredictor":
        """Return a predictor with the parts of another."""
        return cls(
            made.backbone,
            made.head,
            made.classes,
            made.image_size,
            frozen=made.frozen,
            reading=made.reading,
            dictionary=made.dictionary,
        )

    def _together(self, features: Tensor) -> Tensor:
        return self.head(features).softmax(1)
