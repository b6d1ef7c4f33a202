"""Look-ups in pictures and on meshes, and means over pixels."""

import numpy as np
import numpy.typing as npt

__all__ = ["bilinear", "blend", "means"]

Floats = npt.NDArray[np.float32]


def bilinear(image: Floats, x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> Floats:
    """Return (..., n) of a (..., H, W) image at (n,) pixel coordinates.

    Pixel (0, 0) has its centre at (.5, .5); beyond the border the border is repeated.

    Example:
        >>> ramp = np.arange(4, dtype=np.float32)[None].repeat(2, axis=0)
        >>> bilinear(ramp, np.array([0.5, 2.0, 9.0]), np.array([1.0, 1.0, 1.0])).tolist()
        [0.0, 1.5, 3.0]
    """
    *more, height, width = image.shape
    left = np.clip(np.asarray(x, np.float32) - np.float32(0.5), 0, width - 1)
    top = np.clip(np.asarray(y, np.float32) - np.float32(0.5), 0, height - 1)
    column = np.minimum(left.astype(np.int32), max(width - 2, 0))
    row = np.minimum(top.astype(np.int32), max(height - 2, 0))
    fx, fy = left - column, top - row
    first = row.astype(np.intp) * width + column
    beside = first + int(width > 1)
    down = width * int(height > 1)
    planes = image.reshape(-1, height * width)
    made = np.empty((len(planes), len(first)), np.float32)
    for plane, result in zip(planes, made, strict=True):
        upper, lower = plane.take(first), plane[down:].take(first)
        upper += (plane.take(beside) - upper) * fx
        lower += (plane[down:].take(beside) - lower) * fx
        np.add(upper, (lower - upper) * fy, out=result)
    return made.reshape(*more, len(first))


def blend(
    values: npt.NDArray[np.floating],
    corners: npt.NDArray[np.int32],
    triangle: npt.NDArray[np.int32],
    bary: Floats,
) -> Floats:
    """Return (n, C) float32 of values at vertices, at points of triangles.

    Args:
        values: (V, C).
        corners: (T, 3) vertices of each triangle.
        triangle: (n,) of each point.
        bary: (n, 3) barycentric coordinates.

    Example:
        >>> corners, bary = np.array([[0, 1, 2]], np.int32), np.array([[0.5, 0.5, 0.0]], np.float32)
        >>> blend(np.array([[0.0], [4.0], [9.0]]), corners, np.array([0], np.int32), bary).tolist()
        [[2.0]]
    """
    own = corners[triangle]
    made = np.asarray(values, np.float32)[own[:, 0]] * bary[:, :1]
    for i in (1, 2):
        made += values[own[:, i]] * bary[:, i : i + 1]
    return made


def means(values: Floats, hit: npt.NDArray[np.int64], size: tuple[int, int], s: int) -> Floats:
    """Return (H, W, C) float32 means over each pixel's s x s points, 0 where a point has no value.

    Args:
        values: (n, C) at points.
        hit: (n,) flat positions of the points in a picture of (H s, W s).
        size: (H, W).
        s: points along a pixel's side.

    Example:
        >>> means(np.ones((2, 1), np.float32), np.array([0, 1]), (1, 1), 2).tolist()
        [[[0.5]]]
    """
    height, width = size
    fine = np.zeros((height * s * width * s, values.shape[1]), dtype=np.float32)
    fine[hit] = values
    fine = fine.reshape(height, s, width, s, values.shape[1])
    total = np.zeros((height, width, values.shape[1]), dtype=np.float32)
    for i in range(s):
        for j in range(s):
            total += fine[:, i, :, j]
    return total / np.float32(s * s)
