"""A cheap classifier of a few numbers that may relate to the class in any smooth way.

Linear discriminant analysis (Fisher, The use of multiple measurements in taxonomic problems, 1936)
of ranks, their squares and products, so that a class of middling, or of very low or high values is
found as well, and no outlier counts for much. All classes have the same prior. The covariance
within classes is pulled towards a multiple of the identity, the more the fewer rows there are.
"""

import numpy as np
import numpy.typing as npt

__all__ = ["class_scores", "expanded", "ranks"]

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_RIDGE = 1e-6  # of the mean variance, so that a constant column is no error
_MOST_PRODUCTS = 8  # columns, above which only squares are added


def ranks(known: Array, values: Array) -> Array:
    """Return where values lie among known ones, in [-1, 1]; ties lie in their middle.

    Args:
        known: (n, d), n >= 1.
        values: (m, d).

    Returns:
        (m, d).

    Example:
        >>> ranks(np.array([[1.0], [2.0], [2.0], [9.0]]), np.array([[2.0], [5.0], [100.0]])).T
        array([[0. , 0.5, 1. ]])
    """
    placed = np.empty(values.shape)
    for column, ordered in enumerate(np.sort(known, axis=0).T):
        below = np.searchsorted(ordered, values[:, column], "left")
        up_to = np.searchsorted(ordered, values[:, column], "right")
        placed[:, column] = (below + up_to) / len(ordered) - 1.0
    return placed


def expanded(columns: Array) -> Array:
    """Return columns with their squares, and with their products where they are few.

    Args:
        columns: (n, d).

    Returns:
        (n, d + d (d + 1) / 2) for d <= 8, else (n, 2 d).

    Example:
        >>> expanded(np.array([[2.0, 3.0]])).tolist()
        [[2.0, 3.0, 4.0, 6.0, 9.0]]
    """
    d = columns.shape[1]
    first, second = np.triu_indices(d) if d <= _MOST_PRODUCTS else (np.arange(d),) * 2
    return np.hstack([columns, columns[:, first] * columns[:, second]])


def class_scores(known: Array, labels: Index, values: Array, n_classes: int) -> Array:
    """Return the log odds of each class against all others together.

    Args:
        known: (n, d) rows of known class.
        labels: (n,) class of each, 0..n_classes-1, every class present.
        values: (m, d) rows to classify.
        n_classes: number of classes C, 2 or more.

    Returns:
        (m, C) log odds where all classes are equally frequent.

    Example:
        >>> known = np.array([[0.0], [0.2], [1.0], [1.2]])
        >>> scores = class_scores(known, np.array([0, 0, 1, 1]), np.array([[0.1], [1.1]]), 2)
        >>> (scores.argmax(1)).tolist()
        [0, 1]
    """
    n, d = known.shape
    size = np.bincount(labels, minlength=n_classes)
    member = (labels[:, None] == np.arange(n_classes)) / size  # (n, C)
    centres = member.T @ known
    apart = (known - centres[labels]) * np.sqrt(1.0 / (n_classes * size[labels]))[:, None]
    spread = apart.T @ apart
    level = max(float(np.trace(spread)) / d, 1e-12)
    share = d / (n + d)
    spread = (1.0 - share) * spread + (share + _RIDGE) * level * np.eye(d)
    towards = np.linalg.solve(spread, centres.T)  # (d, C)
    logits = values @ towards - 0.5 * (centres.T * towards).sum(0)
    return _against_others(logits)


def _against_others(logits: Array) -> Array:
    from scipy.special import logsumexp

    # logits: (m, C); the others are summed without the class itself, lest its odds saturate.
    others = np.empty_like(logits)
    for k in range(logits.shape[1]):
        others[:, k] = logsumexp(np.delete(logits, k, axis=1), axis=1)
    return np.asarray(logits - others)
