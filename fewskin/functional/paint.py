"""Pictures of a mesh from what each of their points sees: colour, masks and parts.

A picture is seen at s x s points a pixel, and a pixel is their mean. So the share of a pixel that
something covers is what its edge says, colours mix in linear light, and an edge over a background
has neither a bright nor a dark rim.
"""

import importlib.util
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fewskin.functional.raster import Kernel
from fewskin.functional.raster_numpy import bary_numpy
from fewskin.functional.sampling import bilinear, blend, means

__all__ = ["Painted", "Seen", "paint", "paint_parts"]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]


class Seen(NamedTuple):
    """What the points of a picture see of a mesh with texture coordinates.

    Attributes:
        triangle: (H s, W s) int32, of `functional.raster.zbuffer`.
        points: (V, 3) float64 that it was made of.
        triangles: (T, 3) int32 into `points`.
        uv: (U, 2) float32 in [0, 1], v up.
        uv_triangles: (T, 3) int32 into `uv`.
        s: points along a pixel's side.
        kernel: numpy, or numba by default where it is installed.
    """

    triangle: Ints
    points: npt.NDArray[np.floating]
    triangles: Ints
    uv: Floats
    uv_triangles: Ints
    s: int
    kernel: Kernel = "auto"

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the picture."""
        height, width = self.triangle.shape
        return height // self.s, width // self.s


class Painted(NamedTuple):
    """A picture.

    Attributes:
        colour: (H, W, 3) float32 linear RGB times coverage; 0 where nothing is.
        coverage: (H, W) float32 in [0, 1].
        layers: (L, H, W) float32, share of each pixel, whatever the opacity.
    """

    colour: Floats
    coverage: Floats
    layers: Floats


def paint(
    seen: Seen,
    texture: Floats,
    *,
    gain: Floats | None = None,
    opacity: Floats | None = None,
    layers: Floats | None = None,
) -> Painted:
    """Return a picture of a texture, and of masks that are given as textures.

    Args:
        seen: what the picture sees.
        texture: (h, w, 3) linear RGB; further channels are left alone.
        gain: (V, 3) by which the colour is multiplied, at vertices.
        opacity: (h, w) in [0, 1]; may differ in size from the texture, as may the layers.
        layers: (L, h, w) masks.

    Example:
        >>> corners = np.array([[0.0, 0, 1], [0, 8, 1], [8, 0, 1]])
        >>> one, uv = np.array([[0, 1, 2]], np.int32), np.zeros((3, 2), np.float32)
        >>> seen = Seen(np.zeros((2, 2), np.int32), corners, one, uv, one, 2)
        >>> made = paint(seen, np.full((4, 4, 3), 0.5, np.float32))
        >>> made.colour.round(6).tolist(), made.coverage.tolist()
        ([[[0.5, 0.5, 0.5]]], [[1.0]])
    """
    rows = np.ascontiguousarray(texture, np.float32)
    planes = np.zeros((0, 1, 1), np.float32)
    if layers is not None:
        planes = np.ascontiguousarray(layers, np.float32)
    if _compiled(seen.kernel):
        from fewskin.functional.paint_numba import paint_numba

        none = np.zeros((0, 3), np.float32)
        by = none if gain is None else np.ascontiguousarray(gain, np.float32)
        cover = none if opacity is None else np.ascontiguousarray(opacity, np.float32)
        made, masks = paint_numba(*seen[:5], rows, by, cover, planes, seen.s)
        return Painted(made[..., :3], made[..., 3], masks)
    return _painted(seen, rows, gain, opacity, planes)


def _painted(
    seen: Seen, texture: Floats, gain: Floats | None, opacity: Floats | None, layers: Floats
) -> Painted:
    hit = np.flatnonzero(seen.triangle.ravel() >= 0)
    triangle = seen.triangle.ravel()[hit]
    bary = bary_numpy(seen.points, seen.triangles, seen.triangle, hit)
    uv = blend(seen.uv, seen.uv_triangles, triangle, bary)
    colour = _look_up(np.moveaxis(texture[..., :3], -1, 0), uv)
    if gain is not None:
        colour *= blend(gain, seen.triangles, triangle, bary)
    cover = np.ones((len(hit), 1), np.float32)
    if opacity is not None:
        cover = _look_up(opacity[None], uv)
    masks = _look_up(layers, uv)
    made = means(np.concatenate([colour * cover, cover, masks], 1), hit, seen.size, seen.s)
    return Painted(made[..., :3], made[..., 3], np.moveaxis(made[..., 4:], -1, 0))


def paint_parts(seen: Seen, part: npt.NDArray[np.uint8], n_parts: int) -> Floats:
    """Return (H, W, n_parts) float32: the share of each pixel that each part of the mesh covers.

    Args:
        seen: what the picture sees.
        part: (T,) of each triangle, less than n_parts.
        n_parts: how many there are.
    """
    if _compiled(seen.kernel):
        from fewskin.functional.paint_numba import paint_parts_numba

        return np.asarray(paint_parts_numba(seen.triangle, part, n_parts, seen.s))
    hit = np.flatnonzero(seen.triangle.ravel() >= 0)
    member = part[seen.triangle.ravel()[hit]][:, None] == np.arange(n_parts)
    return means(member.astype(np.float32), hit, seen.size, seen.s)


def _look_up(planes: Floats, uv: Floats) -> Floats:
    """Return (n, C) of (C, h, w) at texture coordinates."""
    height, width = planes.shape[1:]
    planes = np.ascontiguousarray(planes, np.float32)
    return bilinear(planes, uv[:, 0] * width, (1.0 - uv[:, 1]) * height).T


def _compiled(kernel: str) -> bool:
    return kernel in ("auto", "numba") and importlib.util.find_spec("numba") is not None
