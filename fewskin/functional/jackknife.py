"""Leave one group (patient) out, exactly and for all groups at once.

A metric that is a function of sums over rows loses a group by subtraction; an AUC loses a group
through the placements of its rows. `influence` turns both into pseudo-values whose spread is the
patients' part of the variance, with groups resampled within their class.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from fewskin.functional.metrics import placements

__all__ = ["auc_leave_out", "group_sums", "influence", "strata_of", "sums_leave_out"]

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def group_sums(values: Array, groups: Index, axis: int = -1) -> Array:
    """Sum `values` over the rows of each group.

    Args:
        values: (..., n, ...) with the rows on `axis`.
        groups: (n,) group of each row, 0..G-1, every group present.
        axis: the axis of rows.

    Returns:
        (..., G, ...).

    Example:
        >>> group_sums(np.array([1.0, 2.0, 4.0]), np.array([0, 1, 0])).tolist()
        [5.0, 2.0]
    """
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(int(groups.max()) + 1))
    return np.add.reduceat(np.take(values, order, axis=axis), starts, axis=axis)


def sums_leave_out(
    metric: Callable[[Array], Array], rows: Array, groups: Index, axis: int
) -> tuple[Array, Array]:
    """Return a metric of sums over rows, and its value with each group left out.

    Args:
        metric: function of sums with the axis of rows summed away, for example `balanced_accuracy`.
        rows: (D, n, ...) what each row adds, D draws.
        groups: (n,) group of each row, 0..G-1.
        axis: the axis of rows in `rows`.

    Returns:
        (D, ...) and (D, G, ...).

    Example:
        >>> mean = lambda sums: sums[..., 0] / sums[..., 1]
        >>> rows = np.array([[[1.0, 1.0], [0.0, 1.0], [0.0, 1.0]]])
        >>> value, left = sums_leave_out(mean, rows, np.array([0, 1, 2]), axis=1)
        >>> value.round(3).tolist(), left.tolist()
        ([0.333], [[0.0, 0.5, 0.5]])
    """
    sums = group_sums(rows, groups, axis)
    total = sums.sum(axis=axis, keepdims=True)
    return metric(total.squeeze(axis)), metric(total - sums)


def auc_leave_out(
    scores: Array, positive: Mask, groups: Index, weights: Array
) -> tuple[Array, Array]:
    """Return the AUC of each draw, and its value with each group left out.

    Args:
        scores: (D, n) finite scores, D draws.
        positive: (n,) which rows are positive.
        groups: (n,) group of each row, 0..G-1, every group present.
        weights: (n,) weight of each row.

    Returns:
        (D,) and (D, G); nan where a side is empty.

    Example:
        >>> scores = np.array([[0.1, 0.6, 0.4, 0.8]])
        >>> positive = np.array([False, False, True, True])
        >>> value, left = auc_leave_out(scores, positive, np.arange(4), np.ones(4))
        >>> value.tolist(), left.tolist()
        ([0.75], [[0.5, 1.0, 1.0, 0.5]])
    """
    won = _won(scores, positive, weights)  # (D, n): weighted pairs won by the row's positive side
    plus, minus = np.where(positive, weights, 0.0), np.where(positive, 0.0, weights)
    total = (won * plus).sum(axis=1)
    lost = group_sums(won * weights, groups) - _within(scores, positive, groups, weights)
    area = (plus.sum() - group_sums(plus, groups)) * (minus.sum() - group_sums(minus, groups))
    with np.errstate(divide="ignore", invalid="ignore"):
        value = total / (plus.sum() * minus.sum())
        left = np.where(area > 0, (total[:, None] - lost) / area, np.nan)
    return value, left


def _won(scores: Array, positive: Mask, weights: Array) -> Array:
    won = np.zeros(scores.shape)
    plus, minus = weights[positive], weights[~positive]
    for row, out in zip(scores, won, strict=True):
        out[positive] = placements(row[positive], row[~positive], minus)
        out[~positive] = plus.sum() - placements(row[~positive], row[positive], plus)
    return won


def _within(scores: Array, positive: Mask, groups: Index, weights: Array) -> Array:
    # Pairs inside one group were taken away twice: once from each side.
    n_groups = int(groups.max()) + 1
    within = np.zeros((len(scores), n_groups))
    both = np.intersect1d(groups[positive], groups[~positive])
    for group in both:
        plus = np.flatnonzero((groups == group) & positive)
        minus = np.flatnonzero((groups == group) & ~positive)
        gap = scores[:, plus, None] - scores[:, None, minus]  # (D, p, q)
        share = (gap > 0) + 0.5 * (gap == 0)
        within[:, group] = np.einsum("dpq,p,q->d", share, weights[plus], weights[minus])
    return within


def strata_of(labels: Index, groups: Index) -> Index:
    """Return the class each group is resampled in: its commonest label, ties to the first.

    A class with a single such group joins the largest one, since one group has no spread.

    Args:
        labels: (n,) class of each row, 0..C-1.
        groups: (n,) group of each row, 0..G-1, every group present.

    Returns:
        (G,).

    Example:
        >>> strata_of(np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 2, 3])).tolist()
        [0, 0, 1, 1]
    """
    n_groups, n_classes = int(groups.max()) + 1, int(labels.max()) + 1
    table = np.zeros((n_groups, n_classes))
    np.add.at(table, (groups, labels), 1)
    strata = table.argmax(axis=1)
    sizes = np.bincount(strata, minlength=n_classes)
    return np.where(sizes[strata] == 1, sizes.argmax(), strata).astype(np.int64)


def influence(values: Array, left_out: Array, strata: Index) -> Array:
    """Return each group's centred pseudo-value.

    It is (size of its class - 1) x (value - value without the group). For a mean over one class it
    is the group's own mean minus the mean of all groups.

    Args:
        values: (D,) metric of each draw.
        left_out: (D, G) metric without each group.
        strata: (G,) class within which each group is resampled.

    Returns:
        (D, G).

    Example:
        >>> influence(np.array([0.5]), np.array([[0.0, 1.0]]), np.array([0, 0])).tolist()
        [[0.5, -0.5]]
    """
    size = np.bincount(strata)[strata]
    return (size - 1) * (values[:, None] - left_out)
