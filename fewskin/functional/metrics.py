"""Classification metrics over many draws at once.

Every function takes a leading axis of draws (or none) and optional row weights, so that the same
code gives a metric, its value a draw, and its value with one patient left out. scikit-learn and
torchmetrics are the references in the tests: equal to 1e-9, ties and missing classes included.

Conventions: the predicted class is the first of the largest probabilities; the precision of a class
that is never predicted is 0 (as in both references); a class without test rows has no recall and no
AUC (nan) and is left out of the macro means.
"""

import numpy as np
import numpy.typing as npt

__all__ = [
    "accuracy",
    "auc",
    "balanced_accuracy",
    "class_auc",
    "class_counts",
    "confusion",
    "f1",
    "macro",
    "pair_probs",
    "placements",
    "precision",
    "recall",
]

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def _weights(weights: Array | None, n: int) -> Array:
    return np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)


def _divide(top: Array, bottom: Array, empty: float) -> Array:
    return np.divide(
        top, bottom, out=np.full(np.broadcast(top, bottom).shape, empty), where=bottom > 0
    )


def class_counts(
    predicted: Index, labels: Index, n_classes: int, weights: Array | None = None
) -> Array:
    """Return what each row adds to a class's counts: hits, times predicted, times true.

    Sums of it over rows are what `recall`, `precision`, `f1` and `accuracy` take.

    Args:
        predicted: (..., n) class of each row, 0..n_classes-1.
        labels: (n,) true class of each row.
        n_classes: number of classes C.
        weights: (n,) weight of each row; 1 by default.

    Returns:
        (..., n, C, 3).

    Example:
        >>> counts = class_counts(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).sum(axis=0)
        >>> counts.tolist()
        [[1.0, 1.0, 2.0], [1.0, 2.0, 1.0]]
    """
    weight = _weights(weights, len(labels))[:, None]
    classes = np.arange(n_classes)
    said = (predicted[..., None] == classes) * weight  # (..., n, C)
    true = (labels[:, None] == classes) * weight  # (n, C)
    hits = said * (labels[:, None] == classes)
    return np.stack([hits, said, np.broadcast_to(true, said.shape)], axis=-1)


def recall(counts: Array) -> Array:
    """Return each class's recall (sensitivity); nan for a class without rows.

    Args:
        counts: (..., C, 3) sums of `class_counts`.

    Returns:
        (..., C) in [0, 1].

    Example:
        >>> recall(np.array([[1.0, 1.0, 2.0], [1.0, 2.0, 1.0]])).tolist()
        [0.5, 1.0]
    """
    return _divide(counts[..., 0], counts[..., 2], np.nan)


def precision(counts: Array) -> Array:
    """Return each class's precision; 0 if it is never predicted, nan if it is never true either.

    Args:
        counts: (..., C, 3) sums of `class_counts`.

    Example:
        >>> precision(np.array([[1.0, 1.0, 2.0], [1.0, 2.0, 1.0]])).tolist()
        [1.0, 0.5]
    """
    value = _divide(counts[..., 0], counts[..., 1], 0.0)
    return np.where(counts[..., 1] + counts[..., 2] > 0, value, np.nan)


def f1(counts: Array) -> Array:
    """Return each class's F1 = 2 hits / (predicted + true); nan if it is neither.

    Args:
        counts: (..., C, 3) sums of `class_counts`.

    Example:
        >>> f1(np.array([[1.0, 1.0, 2.0], [0.0, 1.0, 1.0]])).round(3).tolist()
        [0.667, 0.0]
    """
    return _divide(2 * counts[..., 0], counts[..., 1] + counts[..., 2], np.nan)


def accuracy(counts: Array) -> Array:
    """Return the share of rows whose predicted class is right.

    Args:
        counts: (..., C, 3) sums of `class_counts`.

    Returns:
        (...) in [0, 1].

    Example:
        >>> float(accuracy(np.array([[1.0, 1.0, 2.0], [1.0, 2.0, 1.0]])).round(3))
        0.667
    """
    return _divide(counts[..., 0].sum(axis=-1), counts[..., 2].sum(axis=-1), np.nan)


def macro(per_class: Array) -> Array:
    """Return the mean over the classes that have a value; nan when none has.

    Args:
        per_class: (..., C), nan where a class has no value.

    Example:
        >>> float(macro(np.array([0.5, np.nan, 1.0])))
        0.75
    """
    there = ~np.isnan(per_class)
    return _divide(
        np.where(there, per_class, 0.0).sum(axis=-1), there.sum(axis=-1).astype(float), np.nan
    )


def balanced_accuracy(counts: Array) -> Array:
    """Return the mean recall of the classes that have rows.

    Args:
        counts: (..., C, 3) sums of `class_counts`.

    Example:
        >>> float(balanced_accuracy(np.array([[1.0, 1.0, 2.0], [1.0, 2.0, 1.0]])))
        0.75
    """
    return macro(recall(counts))


def confusion(predicted: Index, labels: Index, n_classes: int) -> Index:
    """Count rows by true class and predicted class, summed over draws.

    Args:
        predicted: (..., n) class of each row.
        labels: (n,) true class of each row.
        n_classes: number of classes C.

    Returns:
        (C, C): true class by predicted class.

    Example:
        >>> confusion(np.array([[0, 1], [1, 1]]), np.array([0, 1]), 2).tolist()
        [[1, 1], [0, 2]]
    """
    true = np.broadcast_to(labels, predicted.shape)
    flat = np.bincount((true * n_classes + predicted).ravel(), minlength=n_classes**2)
    return flat.reshape(n_classes, n_classes).astype(np.int64)


def placements(scores: Array, others: Array, weights: Array) -> Array:
    """Return the weight of the others that each score beats, ties counting one half.

    Args:
        scores: (m,) finite scores.
        others: (k,) finite scores.
        weights: (k,) weight of each other.

    Returns:
        (m,).

    Example:
        >>> placements(np.array([0.2, 0.5]), np.array([0.5, 0.1]), np.ones(2)).tolist()
        [1.0, 1.5]
    """
    order = np.argsort(others, kind="stable")
    ranked = others[order]
    below = np.concatenate([[0.0], np.cumsum(weights[order])])
    left, right = np.searchsorted(ranked, scores, "left"), np.searchsorted(ranked, scores, "right")
    return (below[left] + below[right]) / 2


def auc(scores: Array, positive: Mask, weights: Array | None = None) -> Array:
    """Return the area under the ROC curve: the chance that a positive row outscores a negative one.

    Args:
        scores: (..., n) finite scores.
        positive: (n,) which rows are positive.
        weights: (n,) weight of each row; 1 by default.

    Returns:
        (...) in [0, 1]; nan when a side is empty.

    Example:
        >>> float(auc(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, True, False, True])))
        0.875
    """
    weight = _weights(weights, len(positive))
    plus, minus = weight[positive], weight[~positive]
    area = plus.sum() * minus.sum()
    flat = scores.reshape(-1, scores.shape[-1])
    if area <= 0:
        return np.full(scores.shape[:-1], np.nan)
    values = [plus @ placements(row[positive], row[~positive], minus) / area for row in flat]
    return np.array(values).reshape(scores.shape[:-1])


def class_auc(probs: Array, labels: Index, weights: Array | None = None) -> Array:
    """Return the one-vs-rest AUC of each class; nan for a class without rows or without a rest.

    Args:
        probs: (..., n, C) probabilities.
        labels: (n,) true class of each row.
        weights: (n,) weight of each row; 1 by default.

    Returns:
        (..., C); `macro` of it is the macro AUC.

    Example:
        >>> class_auc(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 1])).tolist()
        [1.0, 1.0]
    """
    each = [auc(probs[..., k], labels == k, weights) for k in range(probs.shape[-1])]
    return np.stack(each, axis=-1)


def pair_probs(probs: Array, first: int, second: int) -> Array:
    """Return the probabilities of two classes alone, renormalised; one half each when both are 0.

    Args:
        probs: (..., C) probabilities.
        first: position of one class.
        second: position of the other.

    Returns:
        (..., 2), rows sum to 1.

    Example:
        >>> pair_probs(np.array([0.2, 0.5, 0.3]), 0, 2).round(3).tolist()
        [0.4, 0.6]
    """
    two = probs[..., [first, second]]
    share = _divide(two[..., 0], two.sum(axis=-1), 0.5)
    return np.stack([share, 1 - share], axis=-1)
