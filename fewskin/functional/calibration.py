"""Probabilities judged as probabilities: Brier score and expected calibration error.

Both are functions of sums over rows, so that the same code gives the score, its value a draw, and
its value with one patient left out. scikit-learn and torchmetrics are the references in the tests.
"""

import numpy as np
import numpy.typing as npt

__all__ = ["brier_sums", "calibration_bins", "calibration_edges", "ece", "mean_of_sums", "row_sums"]

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


def _weights(weights: Array | None, n: int) -> Array:
    return np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)


def _divide(top: Array, bottom: Array) -> Array:
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)


def row_sums(values: Array, weights: Array | None = None) -> Array:
    """Return what each row adds to a weighted mean: weight x value, and weight.

    Args:
        values: (..., n).
        weights: (n,) weight of each row; 1 by default.

    Returns:
        (..., n, 2); sums of it over rows are what `mean_of_sums` takes.

    Example:
        >>> float(mean_of_sums(row_sums(np.array([1.0, 3.0])).sum(axis=0)))
        2.0
    """
    weight = _weights(weights, values.shape[-1])
    return np.stack([values * weight, np.broadcast_to(weight, values.shape)], axis=-1)


def mean_of_sums(sums: Array) -> Array:
    """Return the weighted mean of sums of `row_sums`: (..., 2) -> (...); nan of nothing.

    Example:
        >>> float(mean_of_sums(np.array([3.0, 2.0])))
        1.5
    """
    return _divide(sums[..., 0], sums[..., 1])


def brier_sums(probs: Array, labels: Index, weights: Array | None = None) -> Array:
    """Return what each row adds to the Brier score; `mean_of_sums` of its sum is the score.

    The score is the squared distance of the probabilities to the truth, summed over classes: 0 to 2
    (scikit-learn's `brier_score_loss(scale_by_half=False)`).

    Args:
        probs: (..., n, C) probabilities.
        labels: (n,) true class of each row.
        weights: (n,) weight of each row; 1 by default.

    Returns:
        (..., n, 2).

    Example:
        >>> sums = brier_sums(np.array([[0.8, 0.2], [0.5, 0.5]]), np.array([0, 1])).sum(axis=0)
        >>> round(float(mean_of_sums(sums)), 3)
        0.29
    """
    truth = labels[:, None] == np.arange(probs.shape[-1])
    return row_sums(((probs - truth) ** 2).sum(axis=-1), weights)


def calibration_edges(n_bins: int) -> Array:
    """Return the n_bins + 1 edges k / n_bins of the confidence bins."""
    return np.arange(n_bins + 1) / n_bins


def calibration_bins(
    probs: Array, labels: Index, n_bins: int = 10, weights: Array | None = None
) -> Array:
    """Return what each row adds to its confidence bin: weight, weight x confidence, weight x right.

    The confidence is the largest probability. Edge rule: a bin is [low, high), the last [low, 1].
    (torchmetrics cuts the same way but gives a confidence of exactly 1 a bin of its own.)

    Args:
        probs: (..., n, C) probabilities.
        labels: (n,) true class of each row.
        n_bins: number B of bins of equal width on [0, 1].
        weights: (n,) weight of each row; 1 by default.

    Returns:
        (..., n, B, 3); sums of it over rows are what `ece` takes.

    Example:
        >>> bins = calibration_bins(np.array([[0.9, 0.1], [0.3, 0.7]]), np.array([0, 0]), n_bins=2)
        >>> bins.sum(axis=0).round(3).tolist()
        [[0.0, 0.0, 0.0], [2.0, 1.6, 1.0]]
    """
    weight = _weights(weights, len(labels))
    confidence = probs.max(axis=-1)
    right = probs.argmax(axis=-1) == labels
    bins = np.searchsorted(calibration_edges(n_bins), confidence, "right") - 1
    inside = (np.clip(bins, 0, n_bins - 1)[..., None] == np.arange(n_bins)) * weight[
        :, None
    ]  # (..., n, B)
    return np.stack([inside, inside * confidence[..., None], inside * right[..., None]], axis=-1)


def ece(bins: Array) -> Array:
    """Return the expected calibration error: the mean gap between confidence and accuracy of a bin.

    Args:
        bins: (..., B, 3) sums of `calibration_bins`.

    Returns:
        (...) in [0, 1].

    Example:
        >>> round(float(ece(np.array([[0.0, 0.0, 0.0], [2.0, 1.6, 1.0]]))), 3)
        0.3
    """
    gaps = np.abs(bins[..., 1] - bins[..., 2]).sum(axis=-1)
    return _divide(gaps, bins[..., 0].sum(axis=-1))
