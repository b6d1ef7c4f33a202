"""The numba kernels of `functional.paint`.

They go from triangle to triangle, as the raster does, and fill the points that see each: its planes
are set up once, and what is read of the mesh and its texture lies together.
"""

from typing import Any

import numpy as np
from numba import njit

__all__ = ["paint_numba", "paint_parts_numba"]

_HALF, _ZERO, _ONE = np.float32(0.5), np.float32(0.0), np.float32(1.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _at(place: Any, length: int) -> Any:  # Any: float32 -> int, int, float32
    """Return the two texels beside a place along one side, and the share of the second."""
    clipped = min(max(place * np.float32(length) - _HALF, _ZERO), np.float32(length - 1))
    first = np.uint32(clipped)
    second = first + np.uint32(1) if first + 1 < length else first
    return first, second, clipped - np.float32(first)


@njit(cache=True, nogil=True, error_model="numpy")
def _mix(a: Any, b: Any, d: Any, e: Any, fx: Any, fy: Any) -> Any:  # Any: float32
    upper, lower = a + (b - a) * fx, d + (e - d) * fx
    return upper + (lower - upper) * fy


@njit(cache=True, nogil=True, error_model="numpy")
def _texel(plane: Any, place: Any) -> Any:  # Any: float32 (h, w), (u, v)
    left, right, fx = _at(place[0], plane.shape[1])
    top, down, fy = _at(place[1], plane.shape[0])
    return _mix(plane[top, left], plane[top, right], plane[down, left], plane[down, right], fx, fy)


@njit(cache=True, nogil=True, error_model="numpy")
def _layer(planes: Any, k: int, place: Any) -> Any:  # Any: float32 (L, h, w), (u, v)
    left, right, fx = _at(place[0], planes.shape[2])
    top, down, fy = _at(place[1], planes.shape[1])
    a, b = planes[k, top, left], planes[k, top, right]
    return _mix(a, b, planes[k, down, left], planes[k, down, right], fx, fy)


@njit(cache=True, nogil=True, error_model="numpy")
def _colour(image: Any, place: Any) -> Any:  # Any: float32 (h, w, 3 or more), (u, v)
    left, right, fx = _at(place[0], image.shape[1])
    top, down, fy = _at(place[1], image.shape[0])
    a, b, d, e = (top, left), (top, right), (down, left), (down, right)
    return (
        _channel(image, a, b, d, e, 0, fx, fy),
        _channel(image, a, b, d, e, 1, fx, fy),
        _channel(image, a, b, d, e, 2, fx, fy),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _channel(image: Any, a: Any, b: Any, d: Any, e: Any, k: int, fx: Any, fy: Any) -> Any:  # Any: -
    # No view of a pixel: numba counts references to each, and that takes longer than the rest.
    return _mix(
        image[a[0], a[1], k],
        image[b[0], b[1], k],
        image[d[0], d[1], k],
        image[e[0], e[1], k],
        fx,
        fy,
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _there(found: Any, n_triangles: int) -> Any:  # Any: int32 (H s, W s)
    """Return (T,) whether some point sees each triangle."""
    made = np.zeros(n_triangles, np.uint8)
    for y in range(found.shape[0]):
        for x in range(found.shape[1]):
            if found[y, x] >= 0:
                made[np.uint32(found[y, x])] = 1
    return made


@njit(cache=True, nogil=True, error_model="numpy")
def _span(a: Any, b: Any, c: Any, length: int) -> Any:  # Any: floats -> ints
    """Return the first and the last of `length` pixels whose centres lie between three places."""
    low, high = a if a < b else b, b if a < b else a
    low, high = c if c < low else low, c if c > high else high
    return max(int(np.ceil(low - 0.5)), 0), min(int(np.floor(high - 0.5)), length - 1)


@njit(cache=True, nogil=True, error_model="numpy")
def _edges(points: Any, a: Any, b: Any, c: Any, x: float, y: float) -> Any:  # Any: floats
    """Return planes over the picture of each corner's weight over its depth: at x, y, per px."""
    xa, ya, xb, yb = points[a, 0], points[a, 1], points[b, 0], points[b, 1]
    xc, yc = points[c, 0], points[c, 1]
    # Twice the area cancels; it is divided out so that small triangles are no special case.
    share = 1.0 / ((xb - xa) * (yc - ya) - (xc - xa) * (yb - ya))
    qa, qb, qc = share / points[a, 2], share / points[b, 2], share / points[c, 2]
    pa = ((xb - x) * (yc - y) - (xc - x) * (yb - y)) * qa, (yb - yc) * qa, (xc - xb) * qa
    pb = ((xc - x) * (ya - y) - (xa - x) * (yc - y)) * qb, (yc - ya) * qb, (xa - xc) * qb
    pc = ((xa - x) * (yb - y) - (xb - x) * (ya - y)) * qc, (ya - yb) * qc, (xb - xa) * qc
    return pa, pb, pc


@njit(cache=True, nogil=True, error_model="numpy")
def _plane(edges: Any, a: float, b: float, c: float) -> Any:  # Any: floats
    """Return the plane of a value at the corners, over the depth."""
    pa, pb, pc = edges
    return (
        pa[0] * a + pb[0] * b + pc[0] * c,
        pa[1] * a + pb[1] * b + pc[1] * c,
        pa[2] * a + pb[2] * b + pc[2] * c,
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _value(plane: Any, along: int, down: int) -> Any:  # Any: floats
    return plane[0] + along * plane[1] + down * plane[2]


@njit(cache=True, nogil=True, error_model="numpy")
def _places(places: Any, triangles: Any, t: int, edges: Any) -> Any:  # Any: float32, int32, floats
    """Return the planes of 1, u, and v downwards."""
    a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
    return (
        _plane(edges, 1.0, 1.0, 1.0),
        _plane(edges, places[a, 0], places[b, 0], places[c, 0]),
        _plane(edges, _ONE - places[a, 1], _ONE - places[b, 1], _ONE - places[c, 1]),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def paint_numba(
    found: Any,  # Any: int32 (H s, W s)
    points: Any,  # Any: float64 (V, 3)
    triangles: Any,  # Any: int32 (T, 3)
    places: Any,  # Any: float32 (U, 2)
    place_triangles: Any,  # Any: int32 (T, 3)
    texture: Any,  # Any: float32 (h, w, 3 or more)
    gain: Any,  # Any: float32 (V, 3), or (0, 3) for none
    opacity: Any,  # Any: float32 (h, w), or (0, 0) for none
    layers: Any,  # Any: float32 (L, h, w)
    s: int,
) -> Any:  # Any: float32 (H, W, 4), float32 (L, H, W)
    """Return colour times opacity, and opacity; and the layers; see `paint`."""
    made = np.zeros((found.shape[0] // s, found.shape[1] // s, 4), np.float32)
    masks = np.zeros((len(layers), made.shape[0], made.shape[1]), np.float32)
    share, side = np.float32(1.0 / (s * s)), np.uint32(s)
    there = _there(found, len(triangles))
    for t in range(len(triangles)):
        if not there[t]:
            continue
        a, b, c = np.uint32(triangles[t, 0]), np.uint32(triangles[t, 1]), np.uint32(triangles[t, 2])
        left, right = _span(points[a, 0], points[b, 0], points[c, 0], found.shape[1])
        top, bottom = _span(points[a, 1], points[b, 1], points[c, 1], found.shape[0])
        edges = _edges(points, a, b, c, left + 0.5, top + 0.5)
        one, across, below = _places(places, place_triangles, t, edges)
        red, green, blue = one, one, one
        if len(gain):
            red = _plane(edges, gain[a, 0], gain[b, 0], gain[c, 0])
            green = _plane(edges, gain[a, 1], gain[b, 1], gain[c, 1])
            blue = _plane(edges, gain[a, 2], gain[b, 2], gain[c, 2])
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                if found[y, x] != t:
                    continue
                i, j = x - left, y - top
                z = 1.0 / _value(one, i, j)
                place = np.float32(_value(across, i, j) * z), np.float32(_value(below, i, j) * z)
                cover = share
                if len(opacity):
                    cover *= _texel(opacity, place)
                r, g, b_ = _colour(texture, place)
                if len(gain):
                    r *= np.float32(_value(red, i, j) * z)
                    g *= np.float32(_value(green, i, j) * z)
                    b_ *= np.float32(_value(blue, i, j) * z)
                row, column = np.uint32(y) // side, np.uint32(x) // side
                made[row, column, 0] += cover * r
                made[row, column, 1] += cover * g
                made[row, column, 2] += cover * b_
                made[row, column, 3] += cover
                for k in range(len(layers)):
                    masks[k, row, column] += share * _layer(layers, k, place)
    return made, masks


@njit(cache=True, nogil=True, error_model="numpy")
def paint_parts_numba(found: Any, part: Any, n_parts: int, s: int) -> Any:  # Any: int32, uint8
    """Return (H, W, n_parts) float32 shares; see `paint_parts`."""
    made = np.zeros((found.shape[0] // s, found.shape[1] // s, n_parts), np.float32)
    share = np.float32(1.0 / (s * s))
    for row in range(made.shape[0]):
        for column in range(made.shape[1]):
            for y in range(row * s, (row + 1) * s):
                for x in range(column * s, (column + 1) * s):
                    t = found[y, x]
                    if t >= 0:
                        made[row, column, part[t]] += share
    return made
