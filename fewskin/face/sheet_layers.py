"""Layers of a photograph: one is bent to its depth and turns with the head, one stands still."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.face.delight import shading
from fewskin.functional.lighting import Light
from fewskin.functional.paint import Painted, Seen, paint
from fewskin.functional.pigment import MELANIN
from fewskin.functional.pose import View
from fewskin.functional.raster import Kernel, zbuffer

__all__ = ["Bent", "Still"]

Floats = npt.NDArray[np.float32]
Array = npt.NDArray[np.floating]

_POINTS: Final = 2  # along a pixel's side
_EVEN: Final = 2.0  # cells over which the normals are evened out


@dataclass(frozen=True, eq=False)
class Bent:
    """A layer of a photograph on a bent grid.

    Attributes:
        levels: the photograph, (h, w, 4): linear RGB and skin likelihood, continued smoothly beyond
            its border; at full size, at half of it, and so on.
        beyond: pixels of that border at full size.
        view: of the photograph.
        grid: (rows, columns) of its points.
        places: (N, 2) where the points are in the photograph, pixels; beyond its border too.
        points: (N, 3) of them in camera axes, cm.
        moving: (N,) share of the head's movement that each takes part in.
        lit: (N,) share of a change of light: 1 on the mesh, 0 well outside, where a wall may be.
        triangles: (T, 3).
        opacities: (h, w) in [0, 1] at the sizes of `levels`; empty where all is opaque.
    """

    levels: tuple[Floats, ...]
    beyond: int
    view: View
    grid: tuple[int, int]
    places: Array
    points: Array
    moving: Array
    lit: Array
    triangles: npt.NDArray[np.int32]
    opacities: tuple[Floats, ...] = ()

    def draw(
        self,
        view: View,
        *,
        light: tuple[Light, Light] | None = None,
        melanin: float = 0.0,
        kernel: Kernel = "auto",
    ) -> Painted:
        """Return the layer as the head takes another pose.

        Args:
            view: of the same camera in another pose, and maybe of another size.
            light: of the photograph, and the new one; what moves with the head is relit.
            melanin: density that is added along the melanin vector where there is skin.
            kernel: of `functional.raster`.
        """
        share = self.moving[:, None]
        turned = self._turned(view)
        points = share * _flat(turned, view) + (1.0 - share) * _flat(self.points, view)
        points[:, :2] *= _POINTS
        fine = (view.size[0] * _POINTS, view.size[1] * _POINTS)
        found, _ = zbuffer(points, self.triangles, fine, cull=False, kernel=kernel)
        triangles = self.triangles
        seen = Seen(found, points, triangles, self._uv, triangles, _POINTS, kernel)
        gain = self._gain(view, *light) if light else None
        level = level_of(self.levels, self.view.focal_px / view.focal_px)
        opacity = self.opacities[level] if self.opacities else None
        return paint(seen, toned(self.levels[level], melanin), gain=gain, opacity=opacity)

    @cached_property
    def _uv(self) -> Floats:
        """(N, 2): where the points are on the continued photograph, v up."""
        height, width = self.levels[0].shape[:2]
        u, v = ((self.places + self.beyond) / (width, height)).T
        return np.stack([u, 1.0 - v], axis=1).astype(np.float32)

    @cached_property
    def own_normals(self) -> Floats:
        """(r, c, 3) unit normals in the photograph's pose, in the scene's axes."""
        return _normals(self.points.reshape(*self.grid, 3))

    def _turned(self, view: View) -> Array:
        """Return (N, 3) the points in camera axes as the head moves to a view."""
        head = ((self.points - self.view.translation) * [1.0, -1.0, -1.0]) @ self.view.rotation
        return view.to_camera(head)

    def _gain(self, view: View, before: Light, after: Light) -> Floats:
        """Return (N, 3) by which the light of the points changes."""
        turn = np.asarray(view.rotation @ np.asarray(self.view.rotation).T, np.float32)
        new = self.own_normals @ turn.T
        new *= np.where(new[..., 2:] < 0, np.float32(-1.0), np.float32(1.0))
        ratio = shading(after, new) / shading(before, self.own_normals)
        return np.asarray(1.0 + (ratio.reshape(-1, 3) - 1.0) * self.lit[:, None], np.float32)


@dataclass(frozen=True, eq=False)
class Still:
    """A layer of a photograph that does not move.

    Attributes:
        levels: (h, w, 4) linear RGB and skin likelihood, at full size, at half of it, and so on.
        head: the layer before it, whose shape near the face takes part in changes of light.
    """

    levels: tuple[Floats, ...]
    head: Bent

    def draw(
        self, view: View, *, light: tuple[Light, Light] | None = None, melanin: float = 0.0
    ) -> Floats:
        """Return (H, W, 3) linear RGB; the arguments are those of `Bent.draw`."""
        own = self.head.view
        ratio = own.focal_px / view.focal_px
        level = level_of(self.levels, ratio)
        made = toned(self.levels[level], melanin)
        # The same camera at another size: what stands still is moved and scaled alone.
        x, y = (own.centre_px[k] - view.centre_px[k] * ratio for k in (0, 1))
        part = 2.0**level
        image = _cut(made, (x / part, y / part), ratio / part, view.size)
        if light is None or light[0] is light[1]:
            return image
        first, cell = self.head.places[0], float(np.ptp(self.head.places[:2, 0]))
        normals = self.head.own_normals
        gain = shading(light[1], normals) / shading(light[0], normals)
        gain = 1.0 + (gain - 1.0) * self.head.lit.reshape(*self.head.grid, 1)
        start = ((x - first[0]) / cell + 0.5, (y - first[1]) / cell + 0.5)
        return image * _cut(gain.astype(np.float32), start, ratio / cell, view.size)


def level_of(levels: tuple[Floats, ...], shrink: float) -> int:
    """Return which of a picture's sizes suits one `shrink` times as small."""
    return min(max(int(np.log2(max(shrink, 1.0)) + 0.4), 0), len(levels) - 1)


def toned(level: Floats, melanin: float) -> Floats:
    """Return (h, w, 3 or 4) colour, with more melanin where there is skin."""
    if melanin == 0.0:
        return level
    amount = level[..., 3:] * (melanin * MELANIN).astype(np.float32)
    return np.asarray(level[..., :3] * np.power(np.float32(10.0), -amount))


def _flat(points: Array, view: View) -> Array:
    """Return (N, 3) x px, y px, depth of points in camera axes."""
    depth = np.maximum(points[:, 2:], 1.0)
    flat = points[:, :2] * (view.focal_px / depth) + np.asarray(view.centre_px)
    return np.concatenate([flat, depth], axis=1)


def _normals(points: Array) -> Floats:
    """Return (r, c, 3) unit normals, in the scene's axes, of a grid of points in camera axes."""
    from scipy.ndimage import gaussian_filter

    even = gaussian_filter(points * [1.0, -1.0, -1.0], (_EVEN, _EVEN, 0.0))
    normals = np.cross(np.gradient(even, axis=0), np.gradient(even, axis=1))
    normals *= np.where(normals[..., 2:] < 0, -1.0, 1.0)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return (normals / np.maximum(length, 1e-12)).astype(np.float32)


def _cut(image: Floats, start: tuple[float, float], scale: float, size: tuple[int, int]) -> Floats:
    """Return (H, W, 3): pixels of a picture `scale` of its pixels large, from `start` on."""
    from PIL import Image

    box = np.array([*start, start[0] + size[1] * scale, start[1] + size[0] * scale])
    high, wide = image.shape[:2]
    out = np.ceil(np.maximum([-box[0], -box[1], box[2] - wide, box[3] - high], 0.0) - 1e-6)
    left, top, right, bottom = (int(one) for one in np.maximum(out, 0.0))
    if left or top or right or bottom:
        image = np.pad(image, ((top, bottom), (left, right), (0, 0)), mode="edge")
    ends = np.array([image.shape[1], image.shape[0]] * 2)
    moved = box + np.array([left, top, left, top])
    edges = tuple(np.clip(moved, 0.0, ends).tolist())
    made = np.empty((*size, 3), np.float32)
    for k in range(3):
        plane = Image.fromarray(np.ascontiguousarray(image[..., k], np.float32))
        made[..., k] = np.asarray(plane.resize(size[::-1], Image.Resampling.BILINEAR, box=edges))
    return made
