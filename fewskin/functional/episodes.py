"""Prototypes of many episodes at once: one matrix product over tasks instead of a loop.

Snell et al., Prototypical networks for few-shot learning, 2017, arXiv:1703.05175. The maths of one
episode is in `prototypes`.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from fewskin.errors import ConfigError
from fewskin.functional.prototypes import Metric

__all__ = ["centres", "classify", "logits"]

_CHUNK = 2**20  # numbers of one chunk of tasks; 4 MB stay in a core's cache


def centres(
    features: Tensor, labels: Tensor, n_classes: int, weights: Tensor | None = None
) -> Tensor:
    """Return the weighted mean of the features of each class of each episode.

    Args:
        features: (t, s, d) float.
        labels: (t, s) integers in [0, n_classes).
        n_classes: the largest number of classes of an episode.
        weights: (t, s) weight of each row, >= 0, 0 for padding; equal when None.

    Returns:
        (t, n_classes, d); 0 where an episode has no row of a class.

    Example:
        >>> rows = torch.tensor([[[0.0], [2.0], [5.0]], [[1.0], [4.0], [6.0]]])
        >>> centres(rows, torch.tensor([[0, 0, 1], [0, 1, 1]]), 2).squeeze(2).tolist()
        [[1.0, 5.0], [1.0, 5.0]]
    """
    member = one_hot(labels, n_classes).to(features.dtype)  # (t, s, c)
    if weights is not None:
        member = member * weights.to(features)[..., None]
    total = member.sum(1)  # (t, c)
    share = member / torch.where(total > 0, total, 1.0)[:, None]
    return share.mT @ features  # (t, c, s) @ (t, s, d) -> (t, c, d)


def logits(
    features: Tensor,
    centres: Tensor,
    way: Tensor | None = None,
    *,
    metric: Metric = "euclidean",
    scale: float | Tensor = 1.0,
) -> Tensor:
    """Return how near each row is to each centre of its episode.

    Args:
        features: (t, q, d) float.
        centres: (t, c, d) float.
        way: (t,) number of classes of each episode; the logits of the others are -inf.
        metric: "euclidean" is minus the squared distance, "cosine" the cosine of the angle.
        scale: factor, the inverse of the temperature.

    Returns:
        (t, q, c).

    Raises:
        ConfigError: unknown metric.

    Example:
        >>> rows, middle = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[1.0, 0.0], [0.0, 2.0]]])
        >>> logits(rows, middle).tolist()
        [[[-0.0, -5.0]]]
    """
    if metric == "euclidean":
        # |a - b|^2 = |a|^2 - 2ab + |b|^2, about the middle of the centres so that digits last.
        middle = centres.mean(1, keepdim=True)
        a, b = features - middle, centres - middle
        squares = a.square().sum(2)[..., None] + b.square().sum(2)[:, None]  # (t, q, c)
        near = -scale * torch.baddbmm(squares, a, b.mT, alpha=-2.0).clamp(min=0.0)
    elif metric == "cosine":
        near = scale * (normalize(features, dim=2) @ normalize(centres, dim=2).mT)
    else:
        raise ConfigError(f"metric={metric!r}: expected euclidean or cosine.")
    if way is None:
        return near
    absent = torch.arange(near.shape[2], device=near.device) >= way[:, None]  # (t, c)
    return near.masked_fill(absent[:, None], float("-inf"))


def classify(
    features: Tensor,
    support: Tensor,
    labels: Tensor,
    query: Tensor,
    n_classes: int,
    *,
    weights: Tensor | None = None,
    metric: Metric = "euclidean",
    scale: float | Tensor = 1.0,
) -> Tensor:
    """Return the logits of many episodes drawn from one table of features.

    Args:
        features: (n, d) float, of all rows.
        support: (t, s) rows.
        labels: (t, s) class of each support row, in [0, n_classes).
        query: (t, q) rows.
        n_classes: classes of an episode.
        weights: (t, s) weight of each support row, >= 0; equal when None.
        metric: as for `logits`.
        scale: as for `logits`.

    Returns:
        (t, q, n_classes).

    Raises:
        ConfigError: unknown metric.

    Example:
        >>> table = torch.tensor([[0.0], [2.0], [5.0], [1.0]])
        >>> classify(table, torch.tensor([[0, 2]]), torch.tensor([[0, 1]]),
        ...          torch.tensor([[1, 3]]), 2).tolist()
        [[[-4.0, -9.0], [-1.0, -16.0]]]
    """
    if metric not in ("euclidean", "cosine"):
        raise ConfigError(f"metric={metric!r}: expected euclidean or cosine.")
    # What depends on a row alone is done once: the shift, which keeps digits, and the squares.
    known = features - features.mean(0) if metric == "euclidean" else features
    asked = known if metric == "euclidean" else normalize(features, dim=1)
    squares = asked.square().sum(1)  # (n,)
    step = max(1, _CHUNK // ((support.shape[1] + query.shape[1]) * features.shape[1]))
    made = []
    for start in range(0, len(support), step):
        chunk = slice(start, start + step)
        own = None if weights is None else weights[chunk]
        middle = centres(_gather(known, support[chunk]), labels[chunk], n_classes, own)
        rows = _gather(asked, query[chunk])
        if metric == "cosine":
            made.append(scale * (rows @ normalize(middle, dim=2).mT))
            continue
        apart = squares[query[chunk], None] + middle.square().sum(2)[:, None]  # (t, q, c)
        near = torch.baddbmm(apart, rows, middle.mT, alpha=-2.0).clamp(min=0.0)
        made.append(-scale * near)
    return torch.cat(made)


def _gather(features: Tensor, rows: Tensor) -> Tensor:
    # index_select copies whole rows, five times as fast as features[rows].
    return features.index_select(0, rows.flatten()).reshape(*rows.shape, -1)
