"""Prototypes: a class is one or several means of its features, a query goes to the nearest.

Snell et al., Prototypical networks for few-shot learning, 2017, arXiv:1703.05175; several means
as in the paper named at `mixture_logits`.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from fewskin.errors import ConfigError

__all__ = ["Metric", "centres", "clusters", "logits", "mixture_logits"]

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


def clusters(
    features: Tensor,
    labels: Tensor,
    n_classes: int,
    k: int,
    weights: Tensor | None = None,
    *,
    rounds: int = 10,
) -> tuple[Tensor, Tensor]:
    """Return at most `k` centres of each class, by k-means inside the class.

    The first centre is the row nearest to the class mean, each further one the row farthest from
    those before: nothing is drawn, and the order of the rows does not matter. The assignment is
    not differentiated, the means are.

    Args:
        features: (n, d) float.
        labels: (n,) integers in [0, n_classes); every class at least once with weight > 0.
        n_classes: number of classes.
        k: centres a class, at most; fewer where a class has fewer distinct rows.
        weights: (n,) weight of each row, >= 0; equal when None. Rows of weight 0 are left out.
        rounds: of assignment and mean.

    Returns:
        (m, d) centres and (m,) the class of each, sorted by class.

    Example:
        >>> rows, label = torch.tensor([[0.0], [1.0], [9.0], [5.0]]), torch.tensor([0, 0, 0, 1])
        >>> middle, owner = clusters(rows, label, 2, 2)
        >>> middle.flatten().tolist(), owner.tolist()
        ([0.5, 9.0, 5.0], [0, 0, 1])
    """
    weights = torch.ones_like(features[:, 0]) if weights is None else weights.to(features)
    middles, owners = [], []
    for label in range(n_classes):
        mine = (labels == label) & (weights > 0)
        rows, weight = features[mine], weights[mine]
        assigned = _assigned(rows.detach(), weight, k, rounds)
        middles.append(centres(rows, assigned, int(assigned.max()) + 1, weight))
        owners += [label] * len(middles[-1])
    return torch.cat(middles), torch.tensor(owners, device=features.device)


def _assigned(rows: Tensor, weights: Tensor, k: int, rounds: int) -> Tensor:
    """Return (n,) cluster of each row, numbered from 0 without gaps."""
    mean = (weights @ rows / weights.sum())[None]
    middle = rows[logits(rows, mean)[:, 0].argmax()][None]
    while len(middle) < k:
        apart = -logits(rows, middle).amax(1)  # (n,) squared distance to the nearest
        if apart.amax() <= 1e-12 * rows.square().sum(1).amax():
            break
        middle = torch.cat([middle, rows[apart.argmax()][None]])
    assigned = torch.zeros(len(rows), dtype=torch.long, device=rows.device)
    for _ in range(rounds):
        assigned = logits(rows, middle).argmax(1)
        used = torch.bincount(assigned, minlength=len(middle)) > 0
        assigned = (used.cumsum(0) - 1)[assigned]
        middle = centres(rows, assigned, int(assigned.max()) + 1, weights)
    return assigned


def mixture_logits(
    features: Tensor,
    centres: Tensor,
    owners: Tensor,
    n_classes: int,
    *,
    metric: Metric = "euclidean",
    scale: float | Tensor = 1.0,
) -> Tensor:
    """Return how near each row is to the combination of each class's centres that suits it best.

    The weights of the combination are the responsibilities: the softmax, over the centres of one
    class, of how near the row is to each. With one centre a class this is `logits`.

    Prabhu et al., Prototypical clustering networks for dermatological disease diagnosis, 2018,
    arXiv:1811.03066.

    Args:
        features: (n, d) float.
        centres: (m, d) float.
        owners: (m,) class of each centre, in [0, n_classes); every class at least once.
        n_classes: number of classes.
        metric: as for `logits`.
        scale: as for `logits`.

    Returns:
        (n, n_classes).

    Example:
        >>> middle, owner = torch.tensor([[0.0], [10.0], [5.0]]), torch.tensor([0, 0, 1])
        >>> mixture_logits(torch.tensor([[10.0], [5.0]]), middle, owner, 2).tolist()
        [[-0.0, -25.0], [-0.0, -0.0]]
    """
    near = logits(features, centres, metric=metric, scale=scale)  # (n, m)
    columns = []
    for label in range(n_classes):
        mine = owners == label
        mixed = near[:, mine].softmax(1) @ centres[mine]  # (n, m_c) @ (m_c, d) -> (n, d)
        if metric == "euclidean":
            columns.append(-scale * (features - mixed).square().sum(1))
        else:
            columns.append(scale * cosine_similarity(features, mixed, dim=1))
    return torch.stack(columns, dim=1)
