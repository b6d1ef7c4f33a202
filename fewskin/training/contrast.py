"""A classifier that is also asked to tell its images from each other, whatever the view."""

from typing import cast

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fewskin.functional.contrast import nt_xent
from fewskin.nets.backbones import Backbone
from fewskin.training.modules import Classifier, Recipe

__all__ = ["TwoViews"]

_HIDDEN, _PROJECTED = 128, 64


class TwoViews(Classifier):
    """Cross-entropy, and `nt_xent` between two views of each image through a small projection.

    Args:
        net: a backbone and a linear layer.
        recipe: how to train them.
        contrast: weight of `nt_xent`, > 0.
        temperature: of `nt_xent`.
    """

    def __init__(
        self, net: nn.Sequential, recipe: Recipe, contrast: float, temperature: float = 0.2
    ) -> None:
        super().__init__(net, recipe)
        n_features = cast(Backbone, net[0]).feature_dim
        self.projection = nn.Sequential(
            nn.Linear(n_features, _HIDDEN),
            nn.BatchNorm1d(_HIDDEN),
            nn.ReLU(inplace=True),
            nn.Linear(_HIDDEN, _PROJECTED),
        )
        self.contrast, self.temperature = contrast, temperature

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the loss of images (2 n, 3, H, W), row i and n + i of one image, and targets."""
        images, targets = batch
        backbone, head = cast(nn.Sequential, self.net).children()
        features = backbone(images)
        loss = cross_entropy(head(features), targets, label_smoothing=self.recipe.label_smoothing)
        first, second = self.projection(features).chunk(2)
        return loss + self.contrast * nt_xent(first, second, self.temperature)

    @property
    def trained(self) -> list[nn.Parameter]:
        """The parameters that the optimiser moves."""
        return [*self.net.parameters(), *self.projection.parameters()]
