"""Similarity transforms between two sets of corresponding points, in closed form."""

import numpy as np
import numpy.typing as npt

__all__ = ["align", "similarity"]

Array = npt.NDArray[np.floating]


def similarity(moving: Array, fixed: Array) -> tuple[float, Array, Array]:
    """Return scale, rotation (3, 3) and shift (3,) with `fixed ~ scale * moving @ R.T + shift`.

    Least squares, without reflections: Umeyama, "Least-squares estimation of transformation
    parameters between two point patterns", 1991, https://doi.org/10.1109/34.88573.

    Args:
        moving: (n, 3), at least three points that are not on a line; NaN rows do not count.
        fixed: (n, 3) the same points elsewhere; NaN rows do not count.

    Example:
        >>> square = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
        >>> scale, turn, shift = similarity(square, 2.0 * square + 1.0)
        >>> round(scale, 6), turn.round(6).tolist()[0], shift.round(6).tolist()
        (2.0, [1.0, 0.0, 0.0], [1.0, 1.0, 1.0])
    """
    known = np.isfinite(moving).all(1) & np.isfinite(fixed).all(1)
    a = np.asarray(moving[known], dtype=np.float64)
    b = np.asarray(fixed[known], dtype=np.float64)
    middle_a, middle_b = a.mean(0), b.mean(0)
    a, b = a - middle_a, b - middle_b
    u, stretch, vt = np.linalg.svd(b.T @ a)
    flip = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * flip) @ vt
    scale = float((stretch * flip).sum() / (a**2).sum())
    return scale, rotation, np.asarray(middle_b - scale * rotation @ middle_a)


def align(moving: Array, fixed: Array) -> Array:
    """Return (n, 3) `moving` after the similarity that brings it nearest to `fixed`.

    Example:
        >>> corner = np.eye(3)
        >>> bool(np.allclose(align(5.0 * corner - 1.0, corner), corner))
        True
    """
    scale, rotation, shift = similarity(moving, fixed)
    return np.asarray(scale * moving @ rotation.T + shift)
