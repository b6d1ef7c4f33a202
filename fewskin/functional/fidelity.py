"""How near generated images are to real ones, from features of small samples.

Binkowski et al., Demystifying MMD GANs, 2018, arXiv:1801.01401 (KID, unbiased); Kynkaanniemi et
al., Improved precision and recall metric for assessing generative models, 2019, arXiv:1904.06991;
Naeem et al., Reliable fidelity and diversity metrics for generative models, 2020, arXiv:2002.09797
(density, coverage).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fewskin.errors import DataError

__all__ = ["Fidelity", "diversity", "fidelity", "kid", "kid_jackknife"]

Array = npt.NDArray[np.float64]


class Fidelity(NamedTuple):
    """Precision, recall, density and coverage of generated features."""

    precision: float
    recall: float
    density: float
    coverage: float


def _kernel(a: Array, b: Array) -> Array:
    return np.asarray((a @ b.T / a.shape[1] + 1.0) ** 3)


def _check(real: Array, made: Array, least: int) -> tuple[Array, Array]:
    real, made = np.asarray(real, dtype=np.float64), np.asarray(made, dtype=np.float64)
    if min(len(real), len(made)) < least:
        raise DataError(
            f"{len(real)} real and {len(made)} generated images: expected {least} or more of each."
        )
    return real, made


def kid(real: Array, made: Array) -> float:
    """Return the kernel inception distance: the unbiased squared MMD of a cubic kernel.

    Unbiased, so it is below 0 half of the time when both come from the same images.

    Args:
        real: (n, d) features.
        made: (m, d) features.

    Raises:
        DataError: fewer than two of either.

    Example:
        >>> kid(np.array([[0.0], [2.0]]), np.array([[0.0], [2.0]]))  # 1 + 1 - (1 + 1 + 1 + 125) / 2
        -62.0
    """
    real, made = _check(real, made, 2)
    within = _off_diagonal(_kernel(real, real)) + _off_diagonal(_kernel(made, made))
    return float(within - 2.0 * _kernel(real, made).mean())


def _off_diagonal(square: Array) -> float:
    n = len(square)
    return float((square.sum() - np.trace(square)) / (n * (n - 1)))


def kid_jackknife(real: Array, made: Array) -> tuple[float, float]:
    """Return KID and its standard error, by leaving out each real and each generated image.

    Args:
        real: (n, d) features, n >= 3.
        made: (m, d) features, m >= 3.

    Raises:
        DataError: fewer than three of either.
    """
    real, made = _check(real, made, 3)
    rr, mm, rm = _kernel(real, real), _kernel(made, made), _kernel(real, made)
    whole = _off_diagonal(rr) + _off_diagonal(mm) - 2.0 * float(rm.mean())
    variance = 0.0
    for within, other, cross in ((rr, mm, rm), (mm, rr, rm.T)):
        n = len(within)
        left = within.sum() - np.trace(within) - 2.0 * (within.sum(1) - np.diag(within))
        between = (cross.sum() - cross.sum(1)) / ((n - 1) * cross.shape[1])
        without = left / ((n - 1) * (n - 2)) + _off_diagonal(other) - 2.0 * between  # (n,)
        variance += (n - 1) / n * float(((without - without.mean()) ** 2).sum())
    return whole, float(np.sqrt(variance))


def _distances(a: Array, b: Array) -> Array:
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2.0 * a @ b.T
    return np.asarray(np.sqrt(np.maximum(squared, 0.0)))


def _radii(points: Array, k: int) -> Array:
    # The nearest of all is the point itself.
    return np.asarray(np.partition(_distances(points, points), k, axis=1)[:, k])


def fidelity(real: Array, made: Array, k: int = 5) -> Fidelity:
    """Return precision, recall, density and coverage from balls of the k nearest neighbours.

    Args:
        real: (n, d) features, n > k.
        made: (m, d) features, m > k.
        k: neighbour whose distance is the radius of a ball.

    Raises:
        DataError: too few images.

    Example:
        >>> points = np.arange(8.0)[:, None]
        >>> fidelity(points, points + 100.0, k=2)
        Fidelity(precision=0.0, recall=0.0, density=0.0, coverage=0.0)
    """
    real, made = _check(real, made, k + 1)
    apart = _distances(real, made)  # (n, m)
    in_real = apart <= _radii(real, k)[:, None]
    in_made = apart <= _radii(made, k)
    return Fidelity(
        precision=float(in_real.any(0).mean()),
        recall=float(in_made.any(1).mean()),
        density=float(in_real.sum(0).mean() / k),
        coverage=float(in_real.any(1).mean()),
    )


def diversity(features: Array) -> float:
    """Return the mean distance between two different images, of features (n, d).

    Example:
        >>> diversity(np.array([[0.0], [1.0], [2.0]]))
        1.3333333333333333
    """
    features, _ = _check(features, features, 2)
    n = len(features)
    return float(_distances(features, features).sum() / (n * (n - 1)))
