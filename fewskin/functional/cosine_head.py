"""A linear classifier by cosine, trained on a few rows in closed steps.

Chen et al., A closer look at few-shot classification, 2019, arXiv:1904.04232 (Baseline++).
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from fewskin.functional.prototypes import centres

__all__ = ["cosine_directions", "cosine_loss"]


def cosine_loss(
    directions: Tensor, features: Tensor, labels: Tensor, weights: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Return the cross-entropy of scaled cosines and its gradient along the sphere.

    Args:
        directions: (c, d) unit rows.
        features: (n, d) unit rows.
        labels: (n,) integers in [0, c).
        weights: (n,) weight of each row, summing to 1.
        scale: factor of the cosine.

    Returns:
        () loss and (c, d) gradient, orthogonal to each direction.

    Example:
        >>> row, label = torch.tensor([[1.0, 0.0]]), torch.tensor([0])
        >>> loss, _ = cosine_loss(torch.eye(2), row, label, torch.ones(1), 1.0)
        >>> round(float(loss), 4)  # log(1 + 1/e)
        0.3133
    """
    log_prob = (scale * (features @ directions.T)).log_softmax(1)  # (n, c)
    wanted = one_hot(labels, len(directions)).to(features)
    loss = -(weights[:, None] * wanted * log_prob).sum()
    gradient = scale * ((log_prob.exp() - wanted) * weights[:, None]).T @ features
    along = (gradient * directions).sum(1, keepdim=True)
    return loss, gradient - along * directions


def cosine_directions(
    features: Tensor,
    labels: Tensor,
    n_classes: int,
    weights: Tensor,
    *,
    scale: float,
    steps: int,
    lr: float,
) -> Tensor:
    """Return the direction of each class after gradient descent from the class means.

    Args:
        features: (n, d) float, of any length.
        labels: (n,) integers in [0, n_classes); every class at least once.
        n_classes: number of classes.
        weights: (n,) weight of each row, > 0; each class weighs the same in all.
        scale: factor of the cosine.
        steps: over all rows at once; 0 keeps the means.
        lr: length of a step for a gradient of length 1.

    Returns:
        (n_classes, d) unit rows.

    Example:
        >>> rows, labels = torch.tensor([[3.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 1])
        >>> made = cosine_directions(rows, labels, 2, torch.ones(2), scale=5.0, steps=0, lr=0.1)
        >>> made.tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    unit = normalize(features.double(), dim=1)
    total = torch.bincount(labels, weights=weights.double(), minlength=n_classes)
    share = weights.double() / total[labels] / n_classes
    directions = normalize(centres(unit, labels, n_classes, share), dim=1)
    for _ in range(steps):
        _, gradient = cosine_loss(directions, unit, labels, share, scale)
        directions = normalize(directions - lr * gradient, dim=1)
    return directions.to(features)
