"""The numba kernels of `functional.raster`."""

from typing import Any

import numpy as np
from numba import njit

__all__ = ["bary_numba", "zbuffer_numba"]

_EDGE = 1e-9  # a point this far outside is inside, so that no rounding opens a seam


@njit(cache=True, nogil=True, error_model="numpy")
def zbuffer_numba(
    points: Any,  # Any: compiled for float64 (V, 3)
    triangles: Any,  # Any: int32 (T, 3)
    height: int,
    width: int,
    cull: bool,
    only: Any,  # Any: bool (T,), or (0,) for all
) -> Any:  # Any: (H, W) int32, (H, W) float32
    """Return the triangle and the depth; see `zbuffer`."""
    found = np.full((height, width), -1, np.int32)
    near = np.zeros((height, width), np.float32)  # 1 / depth
    for t in range(len(triangles)):
        if len(only) and not only[t]:
            continue
        a, b, c = np.uint32(triangles[t, 0]), np.uint32(triangles[t, 1]), np.uint32(triangles[t, 2])
        xa, ya, xb, yb = points[a, 0], points[a, 1], points[b, 0], points[b, 1]
        xc, yc = points[c, 0], points[c, 1]
        # y points down, so counter-clockwise from outside has a negative area here.
        area = (xb - xa) * (yc - ya) - (xc - xa) * (yb - ya)
        if not (area < 0.0 or (area > 0.0 and not cull)):
            continue
        za, zb, zc = points[a, 2], points[b, 2], points[c, 2]
        if not (za > 0.0 and zb > 0.0 and zc > 0.0):
            continue
        low, high = xa, xa
        low, high = xb if xb < low else low, xb if xb > high else high
        low, high = xc if xc < low else low, xc if xc > high else high
        left, right = max(int(np.ceil(low - 0.5)), 0), min(int(np.floor(high - 0.5)), width - 1)
        low, high = ya, ya
        low, high = yb if yb < low else low, yb if yb > high else high
        low, high = yc if yc < low else low, yc if yc > high else high
        top, bottom = max(int(np.ceil(low - 0.5)), 0), min(int(np.floor(high - 0.5)), height - 1)
        if left > right or top > bottom:
            continue
        share, x, y = 1.0 / area, left + 0.5, top + 0.5
        wa = ((xb - x) * (yc - y) - (xc - x) * (yb - y)) * share
        wb = ((xc - x) * (ya - y) - (xa - x) * (yc - y)) * share
        ax, ay, bx, by = (yb - yc) * share, (xc - xb) * share, (yc - ya) * share, (xa - xc) * share
        qa, qb, qc = 1.0 / za, 1.0 / zb, 1.0 / zc
        for row in range(top, bottom + 1):
            down = row - top
            for column in range(left, right + 1):
                along = column - left
                ua = wa + down * ay + along * ax
                ub = wb + down * by + along * bx
                uc = 1.0 - ua - ub
                if ua < -_EDGE or ub < -_EDGE or uc < -_EDGE:
                    continue
                q = np.float32(ua * qa + ub * qb + uc * qc)
                if q > near[row, column]:
                    near[row, column] = q
                    found[row, column] = t
    return found, np.float32(1.0) / near


@njit(cache=True, nogil=True, error_model="numpy")
def corner_weights(
    points: Any,  # Any: float64 (V, 3)
    a: Any,  # Any: uint32 or int32
    b: Any,  # Any: likewise
    c: Any,  # Any: likewise
    x: float,
    y: float,
) -> Any:  # Any: three float32
    """Return a triangle's barycentric coordinates on the surface at a point of the picture."""
    xa, ya, xb, yb = points[a, 0], points[a, 1], points[b, 0], points[b, 1]
    xc, yc = points[c, 0], points[c, 1]
    za, zb, zc = points[a, 2], points[b, 2], points[c, 2]
    # Weights on the picture, each over its corner's depth; the area and all depths cancel.
    qa = ((xb - x) * (yc - y) - (xc - x) * (yb - y)) * zb * zc
    qb = ((xc - x) * (ya - y) - (xa - x) * (yc - y)) * zc * za
    qc = ((xa - x) * (yb - y) - (xb - x) * (ya - y)) * za * zb
    share = 1.0 / (qa + qb + qc)
    return np.float32(qa * share), np.float32(qb * share), np.float32(qc * share)


@njit(cache=True, nogil=True, error_model="numpy")
def bary_numba(points: Any, triangles: Any, found: Any) -> Any:  # Any: as of `zbuffer_numba`
    """Return (H, W, 3) float32 barycentric coordinates on the surface; see `raster`."""
    height, width = found.shape
    bary = np.zeros((height, width, 3), np.float32)
    for row in range(height):
        for column in range(width):
            t = found[row, column]
            if t < 0:
                continue
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            wa, wb, wc = corner_weights(points, a, b, c, column + 0.5, row + 0.5)
            bary[row, column, 0], bary[row, column, 1], bary[row, column, 2] = wa, wb, wc
    return bary
