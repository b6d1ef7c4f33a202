"""Hair, neck and background in a new pose: the photograph as a sheet that is bent to its depth.

The sheet has the depth of the fitted mesh where that is seen, falls back behind it, and turns with
the head near the head, not at all far from it. It has no holes, so nothing is invented: what a turn
uncovers is stretched from what is beside it. After "face profiling", Zhu et al., Face alignment
across large poses, 2016, arXiv:1511.07212. Differs from the paper: depth of the background follows
from the distance to the head; the sheet fades into one that stands still, so that the picture's
border stays where it is.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.face.delight import shading
from fewskin.face.model import FaceModel
from fewskin.functional.lighting import Light
from fewskin.functional.paint import Seen, paint
from fewskin.functional.pigment import MELANIN
from fewskin.functional.pose import View
from fewskin.functional.pyramid import halved, push_pull
from fewskin.functional.raster import Kernel, zbuffer

__all__ = ["Sheet", "depth_sheet"]

Floats = npt.NDArray[np.float32]
Array = npt.NDArray[np.floating]

_POINTS: Final = 2  # along a pixel's side
_LIT_CM: Final = 2.0  # beyond the mesh, where a change of light ends
_EVEN: Final = 2.0  # cells over which the sheet's normals are evened out
_CELLS: Final = 56  # of the grid along the longer side
_HALVINGS: Final = 4  # sizes the photograph is kept at
_BEYOND: Final = 0.25  # of a side, how far the sheet goes past each border
_SLOPE: Final = 0.5  # cm the sheet falls back per cm away from the mesh
_DEEPEST_CM: Final = 8.0  # behind the mesh's edge
_STILL: Final = (0.2, 1.1)  # distance from the head, in its radii: moves with it; stands still


@dataclass(frozen=True, eq=False)
class Sheet:
    """A photograph on a bent grid.

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

    def draw(
        self,
        view: View,
        *,
        light: tuple[Light, Light] | None = None,
        melanin: float = 0.0,
        kernel: Kernel = "auto",
    ) -> Floats:
        """Return (H, W, 3) linear RGB: the sheet as the head takes another pose.

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
        gain = self._gain(turned, *light) if light else None
        colour = self._colour(self.view.focal_px / view.focal_px, melanin)
        return paint(seen, colour, gain=gain).colour

    @cached_property
    def _uv(self) -> Floats:
        """(N, 2): where the points are on the continued photograph, v up."""
        height, width = self.levels[0].shape[:2]
        u, v = ((self.places + self.beyond) / (width, height)).T
        return np.stack([u, 1.0 - v], axis=1).astype(np.float32)

    @cached_property
    def _own_normals(self) -> Floats:
        return _normals(self.points.reshape(*self.grid, 3))

    def _colour(self, shrink: float, melanin: float) -> Floats:
        """Return the photograph at the size that suits a picture `shrink` times as small."""
        level = min(max(int(np.log2(max(shrink, 1.0)) + 0.4), 0), len(self.levels) - 1)
        made = self.levels[level]
        if melanin == 0.0:
            return made
        amount = made[..., 3:] * (melanin * MELANIN).astype(np.float32)
        return np.asarray(made[..., :3] * np.power(np.float32(10.0), -amount))

    def _turned(self, view: View) -> Array:
        """Return (N, 3) the points in camera axes as the head moves to a view."""
        head = ((self.points - self.view.translation) * [1.0, -1.0, -1.0]) @ self.view.rotation
        return view.to_camera(head)

    def _gain(self, turned: Array, before: Light, after: Light) -> Floats:
        """Return (N, 3) by which the light of the points changes."""
        new = _normals(turned.reshape(*self.grid, 3))
        ratio = shading(after, new) / shading(before, self._own_normals)
        return np.asarray(1.0 + (ratio.reshape(-1, 3) - 1.0) * self.lit[:, None], np.float32)


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


def depth_sheet(
    image: Floats,
    skin: Floats,
    model: FaceModel,
    vertices: Floats,
    view: View,
    *,
    kernel: Kernel = "auto",
) -> Sheet:
    """Return the sheet of a photograph.

    Args:
        image: (H, W, 3) linear RGB.
        skin: (H, W) in [0, 1], likelihood that a pixel shows bare skin.
        model: face model.
        vertices: (V, 3) of the person, cm.
        view: of the photograph; `view.size` is its size.
        kernel: of `functional.raster`.
    """
    from scipy.ndimage import distance_transform_edt

    height, width = view.size
    cell = max(height, width) / _CELLS
    margin = int(np.ceil(_BEYOND * max(height, width) / cell))
    columns = (np.arange(-margin, np.ceil(width / cell) + margin + 1)) * cell
    rows = (np.arange(-margin, np.ceil(height / cell) + margin + 1)) * cell
    grid = _grid_view(view, columns, rows, cell)
    _, depth = zbuffer(grid.project(vertices), model.triangles, grid.size, kernel=kernel)
    known = np.isfinite(depth)
    away = distance_transform_edt(~known)
    cm = away * cell * float(np.median(depth[known])) / view.focal_px
    filled = _filled(np.where(known, depth, 0.0), known, cm)
    radius = np.sqrt(known.sum() / np.pi)
    part = np.clip((away / radius - _STILL[0]) / (_STILL[1] - _STILL[0]), 0.0, 1.0)
    x, y = np.meshgrid(columns, rows)
    flat = (np.stack([x, y], -1) - np.asarray(view.centre_px)) * (filled / view.focal_px)[..., None]
    levels, beyond = _continued(np.concatenate([image, skin[..., None]], axis=-1))
    return Sheet(
        levels=levels,
        beyond=beyond,
        view=view,
        grid=grid.size,
        places=np.stack([x, y], -1).reshape(-1, 2),
        points=np.concatenate([flat, filled[..., None]], -1).reshape(-1, 3),
        moving=(1.0 - part * part * (3.0 - 2.0 * part)).ravel(),
        lit=(np.clip(1.0 - cm / _LIT_CM, 0.0, 1.0) ** 2).ravel(),
        triangles=_grid_triangles(len(rows), len(columns)),
    )


def _filled(depth: Array, known: npt.NDArray[np.bool_], cm: Array) -> Array:
    """Return the depth of the mesh continued backwards, the more evenly the further away.

    Args:
        depth: (h, w) cm, 0 where unknown.
        known: (h, w).
        cm: (h, w) distance from what is known.
    """
    from scipy.ndimage import gaussian_filter

    def even(width: float) -> Array:
        weight = gaussian_filter(known.astype(np.float64), width, truncate=8.0)
        return gaussian_filter(depth, width, truncate=8.0) / np.maximum(weight, 1e-30)

    near, far = even(1.5), even(6.0)
    share = np.clip(cm / 3.0, 0.0, 1.0)
    back = _DEEPEST_CM * (1.0 - np.exp(-_SLOPE * cm / _DEEPEST_CM))
    behind = np.maximum(far, np.quantile(depth[known], 0.75))
    return np.where(known, near, (1.0 - share) * near + share * behind + back)


def _grid_view(view: View, columns: Array, rows: Array, cell: float) -> View:
    """Return a view whose pixel centres are the grid's points."""
    centre = (
        (view.centre_px[0] - columns[0]) / cell + 0.5,
        (view.centre_px[1] - rows[0]) / cell + 0.5,
    )
    return View(
        view.rotation, view.translation, view.focal_px / cell, centre, (len(rows), len(columns))
    )


def _grid_triangles(n_rows: int, n_columns: int) -> npt.NDArray[np.int32]:
    number = np.arange(n_rows * n_columns, dtype=np.int32).reshape(n_rows, n_columns)
    a, b = number[:-1, :-1].ravel(), number[:-1, 1:].ravel()
    c, d = number[1:, :-1].ravel(), number[1:, 1:].ravel()
    return np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)])


def _continued(image: Floats) -> tuple[tuple[Floats, ...], int]:
    """Return a picture continued beyond its border at several sizes, and the border's width."""
    unit = 1 << _HALVINGS
    beyond = -(-int(_BEYOND * max(image.shape[:2])) // unit) * unit
    high, wide = (side + 2 * beyond + -side % unit for side in image.shape[:2])
    planes, weight = (
        np.zeros((image.shape[2], high, wide), np.float32),
        np.zeros((high, wide), np.float32),
    )
    inside = (slice(beyond, beyond + image.shape[0]), slice(beyond, beyond + image.shape[1]))
    planes[:, *inside], weight[inside] = np.moveaxis(image, -1, 0), 1.0
    level = push_pull(planes, weight)
    made = [level]
    for _ in range(_HALVINGS):
        level = halved(level) * np.float32(0.25)
        made.append(level)
    return tuple(np.ascontiguousarray(np.moveaxis(one, 0, -1)) for one in made), beyond
