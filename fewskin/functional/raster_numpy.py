"""The numpy kernel of `functional.raster`: pairs of triangle and pixel, in blocks."""

import numpy as np
import numpy.typing as npt

__all__ = ["bary_numpy", "zbuffer_numpy"]

_PAIRS = 1 << 21  # of triangle and pixel at a time
_EDGE = 1e-9  # a point this far outside is inside, so that no rounding opens a seam


def zbuffer_numpy(
    points: npt.NDArray[np.floating],
    triangles: npt.NDArray[np.int32],
    height: int,
    width: int,
    cull: bool,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Return the triangle (H, W) and the depth (H, W); see `zbuffer`."""
    found = np.full(height * width, -1, np.int32)
    depth = np.full(height * width, np.inf, np.float32)
    corners = points[triangles]  # (T, 3, 3)
    number, low, counts = _boxes(corners, height, width, cull)
    n_pixels = counts.prod(1)
    ends = np.cumsum(n_pixels)
    start = 0
    while start < len(number):
        base = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, base + _PAIRS, side="right")), start + 1)
        rows = slice(start, stop)
        own = np.repeat(np.arange(start, stop), n_pixels[rows])
        nth = np.arange(len(own)) - np.repeat(ends[rows] - n_pixels[rows] - base, n_pixels[rows])
        x = low[own, 0] + nth % counts[own, 0]
        y = low[own, 1] + nth // counts[own, 0]
        _draw(corners, number[own], x, y, width, found, depth)
        start = stop
    return found.reshape(height, width), depth.reshape(height, width)


def _boxes(
    corners: npt.NDArray[np.floating], height: int, width: int, cull: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the triangles that matter, the first pixel (x, y) of their boxes, and their sizes."""
    flat = corners[..., :2]
    area = _cross(flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0])
    keep = (corners[..., 2].min(1) > 0.0) & (area != 0.0)
    keep &= (area < 0.0) | (not cull)
    number = np.flatnonzero(keep)
    flat = flat[number]
    limits = np.array([width, height])
    low = np.clip(np.ceil(flat.min(1) - 0.5), 0, limits).astype(np.int64)
    high = np.clip(np.floor(flat.max(1) - 0.5), -1, limits - 1).astype(np.int64)
    counts = np.maximum(high - low + 1, 0)
    some = counts.prod(1) > 0
    return number[some], low[some], counts[some]


def _cross(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    return np.asarray(a[..., 0] * b[..., 1] - b[..., 0] * a[..., 1])


def _draw(
    corners: npt.NDArray[np.floating],
    number: npt.NDArray[np.int64],
    x: npt.NDArray[np.int64],
    y: npt.NDArray[np.int64],
    width: int,
    found: npt.NDArray[np.int32],
    depth: npt.NDArray[np.float32],
) -> None:
    """Write the nearest of these pairs where they are nearer than what is there."""
    own = corners[number]
    weights = _weights(own, x, y)
    weights /= weights.sum(1, keepdims=True)
    inside = np.flatnonzero((weights >= -_EDGE).all(1))
    z = (1.0 / (weights[inside] / own[inside, :, 2]).sum(1)).astype(np.float32)
    place = y[inside] * width + x[inside]
    # The nearest pair of each pixel, the first triangle where two are equally near.
    order = np.lexsort((number[inside], z, place))
    first = order[np.flatnonzero(np.diff(place[order], prepend=-1))]
    first = first[z[first] < depth[place[first]]]
    where = place[first]
    depth[where], found[where] = z[first], number[inside][first]


def _weights(
    own: npt.NDArray[np.floating], x: npt.NDArray[np.int64], y: npt.NDArray[np.int64]
) -> npt.NDArray[np.floating]:
    """Return (n, 3) twice the areas between pixels' centres and the sides of (n, 3, 3) corners."""
    centre = np.stack([x, y], 1) + 0.5
    a, b, c = (own[:, i, :2] - centre for i in range(3))
    return np.stack([_cross(b, c), _cross(c, a), _cross(a, b)], 1)


def bary_numpy(
    points: npt.NDArray[np.floating],
    triangles: npt.NDArray[np.int32],
    found: npt.NDArray[np.int32],
    hit: npt.NDArray[np.int64],
) -> npt.NDArray[np.float32]:
    """Return (n, 3) barycentric coordinates on the surface at flat positions of a picture.

    Args:
        points: (V, 3), as of `raster`.
        triangles: (T, 3).
        found: (H, W) triangle of each pixel.
        hit: (n,) flat positions where there is one.
    """
    own = points[triangles[found.ravel()[hit]]]
    y, x = np.divmod(hit, found.shape[1])
    shares = _weights(own, x, y) / own[..., 2]
    return (shares / shares.sum(1, keepdims=True)).astype(np.float32)
