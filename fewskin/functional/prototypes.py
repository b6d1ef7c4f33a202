"""Prototypes: a class is the weighted mean of its features, a query goes to the nearest one.

Snell et al., Prototypical networks for few-shot learning, 2017, arXiv:1703.05175.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from fewskin.errors import ConfigError

__all__ = ["Metric", "centres", "logits"]

Metric = Literal["euclidean", "cosine"]


def centres(
    features: Tensor, labels: Tensor, n_classes: int, weights: Tensor | None = None
) -> Tensor:
    """Return the weighted mean of the features of each class; equation 1 of the paper.

    Args:
        features: (n, d) float.
        labels: (n,) integers in [0, n_classes); every class at least once.
        n_classes: number of classes.
        weights: (n,) weight of each row, >= 0; equal when None.

    Returns:
        (n_classes, d).

    Example:
        >>> rows, label = torch.tensor([[0.0], [2.0], [5.0]]), torch.tensor([0, 0, 1])
        >>> centres(rows, label, 2).flatten().tolist()
        [1.0, 5.0]
        >>> centres(rows, label, 2, torch.tensor([1.0, 3.0, 1.0])).flatten().tolist()
        [1.5, 5.0]
    """
    member = torch.zeros(n_classes, len(features), dtype=features.dtype, device=features.device)
    rows = torch.arange(len(features), device=features.device)
    member[labels, rows] = 1.0 if weights is None else weights.to(features)
    return (member / member.sum(1, keepdim=True)) @ features  # (c, n) @ (n, d) -> (c, d)


def logits(
    features: Tensor, centres: Tensor, *, metric: Metric = "euclidean", scale: float | Tensor = 1.0
) -> Tensor:
    """Return how near each row is to each centre; softmax over it is equation 2 of the paper.

    Args:
        features: (n, d) float.
        centres: (c, d) float.
        metric: "euclidean" is minus the squared distance, "cosine" the cosine of the angle.
        scale: factor, the inverse of the temperature.

    Returns:
        (n, c).

    Raises:
        ConfigError: unknown metric.

    Example:
        >>> logits(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 2.0]])).tolist()
        [[-0.0, -5.0]]
    """
    if metric == "euclidean":
        # Differences rather than |a|^2 - 2ab + |b|^2, which loses digits and rounds by batch size.
        return -scale * (features[:, None] - centres[None]).square().sum(2)  # (n, c, d) -> (n, c)
    if metric == "cosine":
        return scale * (normalize(features, dim=1) @ normalize(centres, dim=1).T)
    raise ConfigError(f"metric={metric!r}: expected euclidean or cosine.")
