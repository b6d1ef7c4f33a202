"""Hair, neck and background in a new pose: the photograph in two layers.

The head, with its hair, ears and neck, is a sheet that is bent to the depth of the fitted mesh
where that is seen, goes back from there to the plane of the ears, and turns with the head; neck and
hair below the chin do so the less the lower they are. What is behind it stands still: clothes and
background, made up where the head hid them. A turn that uncovers what the photograph does not show
stretches hair, and shows what was made up of the background. After "face profiling", Zhu et al.,
Face alignment across large poses, 2016, arXiv:1511.07212. Differs from the paper: two layers
instead of one sheet, so that straight lines behind a head stay straight.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fewskin.face.head_layers import PARTS, Frame, HeadLayers, frame_of, split
from fewskin.face.model import FaceModel
from fewskin.face.sheet_layers import Bent, Still
from fewskin.functional.lighting import Light
from fewskin.functional.pose import View
from fewskin.functional.pyramid import halved, push_pull
from fewskin.functional.raster import Kernel, zbuffer

__all__ = ["Sheet", "depth_sheet"]

Floats = npt.NDArray[np.float32]
Array = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]

_LIT_CM: Final = 2.0  # beyond the mesh, where a change of light ends
_CELLS: Final = 56  # of the grid along the longer side
_OPACITY: Final = 4  # channel of it, after linear RGB and skin likelihood
_HALVINGS: Final = 4  # sizes the photograph is kept at
_BEYOND: Final = 0.25  # of a side, how far the sheet goes past each border
_BACK: Final = (5.0, 1.0)  # cm behind the front of the ears that hair and ears go at their outline
_THICK_CM: Final = 1.5  # of hair or ear beyond the mesh, less than which goes back less
_FALLS: Final = (-2.0, 8.0)  # cm below the chin: moves with the head; stands still
_STILL: Final = (0.8, 2.0)  # distance from the face, in its radii: likewise
_EARS, _CHIN = (234, 454), 152  # landmarks


@dataclass(frozen=True, eq=False)
class Sheet:
    """A photograph in two layers.

    Attributes:
        rest: clothes and background, which stand still.
        head: face, hair, ears and neck.
    """

    rest: Still
    head: Bent

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
        behind = self.rest.draw(view, light=light, melanin=melanin)
        head = self.head.draw(view, light=light, melanin=melanin, kernel=kernel)
        return np.asarray(head.colour + (1.0 - head.coverage[..., None]) * behind)


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
    layers = split(image, skin, model, vertices, view, kernel=kernel)
    head = _head(layers, skin, model, vertices, view, kernel)
    return Sheet(_rest(layers, skin, head), head)


class _Cells(NamedTuple):
    """The points of a sheet's grid, each (r, c).

    Attributes:
        view: whose pixel centres they are.
        x, y: pixels of the photograph.
        cell: pixels between them.
        cm: between them, on the face.
        depth: cm of the face's mesh; inf beside it.
        right, below: cm from the chin.
    """

    view: View
    x: Array
    y: Array
    cell: float
    cm: float
    depth: Floats
    right: Array
    below: Array

    def look_up(self, image: Floats, beyond: int, step: int = 1) -> Floats:
        """Return (r, c, ...) of a picture with a border, `step` pixels wide each."""
        row = np.clip((self.y + beyond).astype(int) // step, 0, image.shape[0] - 1)
        column = np.clip((self.x + beyond).astype(int) // step, 0, image.shape[1] - 1)
        return np.asarray(image[row, column])


def _cells(model: FaceModel, vertices: Floats, view: View, frame: Frame, kernel: Kernel) -> _Cells:
    height, width = view.size
    cell = max(height, width) / _CELLS
    margin = int(np.ceil(_BEYOND * max(height, width) / cell))
    columns = (np.arange(-margin, np.ceil(width / cell) + margin + 1)) * cell
    rows = (np.arange(-margin, np.ceil(height / cell) + margin + 1)) * cell
    grid = _grid_view(view, columns, rows, cell)
    only = model.in_region(*PARTS)
    _, depth = zbuffer(grid.project(vertices), model.triangles, grid.size, kernel=kernel, only=only)
    cm = cell * float(np.median(depth[np.isfinite(depth)])) / view.focal_px
    x, y = np.meshgrid(columns, rows)
    return _Cells(grid, x, y, cell, cm, depth, *frame.places(x, y))


def _head(
    layers: HeadLayers, skin: Floats, model: FaceModel, vertices: Floats, view: View, kernel: Kernel
) -> Bent:
    from scipy.ndimage import distance_transform_edt

    frame = frame_of(model, vertices, view)
    cells = _cells(model, vertices, view, frame, kernel)
    planes = np.concatenate([layers.head, skin[..., None], layers.opacity[..., None]], axis=-1)
    levels, beyond = _continued(planes)
    opacities = tuple(np.ascontiguousarray(level[..., 4]) for level in levels)
    known = np.isfinite(cells.depth)
    away = distance_transform_edt(~known)
    shown = cells.look_up(opacities[0], beyond) > 0.5
    bare = cells.look_up(levels[3][..., 3], beyond, 8)
    depth = _depth(cells, away, shown | known, bare, frame, model.landmarks(vertices))
    far = away / np.sqrt(known.sum() / np.pi)
    moving = (1.0 - _smooth(far, *_STILL)) * (1.0 - _smooth(cells.below, *_FALLS))
    places = np.stack([cells.x, cells.y], -1)
    flat = (places - np.asarray(view.centre_px)) * (depth / view.focal_px)[..., None]
    triangles = _grid_triangles(*cells.view.size)
    return Bent(
        levels=tuple(np.ascontiguousarray(level[..., :4]) for level in levels),
        opacities=opacities,
        beyond=beyond,
        view=view,
        grid=cells.view.size,
        places=places.reshape(-1, 2),
        points=np.concatenate([flat, depth[..., None]], -1).reshape(-1, 3),
        moving=moving.ravel(),
        lit=(np.clip(1.0 - away * cells.cm / _LIT_CM, 0.0, 1.0) ** 2).ravel(),
        triangles=triangles[_needed(opacities[0], beyond, cells)[triangles].any(1)],
    )


def _smooth(values: Array, low: float, high: float) -> Array:
    """Return 0 to 1 as values go from low to high."""
    part = np.clip((values - low) / (high - low), 0.0, 1.0)
    return np.asarray(part * part * (3.0 - 2.0 * part))


def _depth(
    cells: _Cells, away: Array, shown: Mask, bare: Floats, frame: Frame, marks: Floats
) -> Array:
    """Return (r, c) cm of the head: the mesh's, then round to the outline of the hair.

    Args:
        cells: of the grid.
        away: (r, c) cells from the mesh.
        shown: (r, c) whether the head is there.
        bare: (r, c) skin likelihood: ears go back less than hair.
        frame: of the face.
        marks: (468, 3) landmarks, cm.
    """
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    known = np.isfinite(cells.depth)
    low, most = float(cells.depth[known].min()), float(cells.depth[known].max())

    def even(width: float) -> Array:
        weight = gaussian_filter(known.astype(np.float64), width, truncate=8.0)
        seen = gaussian_filter(np.where(known, cells.depth, 0.0), width, truncate=8.0)
        return np.clip(seen / np.maximum(weight, 1e-30), low, most)

    far = np.clip(away * cells.cm / 3.0, 0.0, 1.0)
    near = (1.0 - far) * even(1.5) + far * even(6.0)
    thick = gaussian_filter(away + np.maximum(distance_transform_edt(shown) - 0.5, 0.0), 1.0)
    way = np.clip(away / np.maximum(thick, 1e-6), 0.0, 1.0) ** 1.5
    way *= np.clip(thick * cells.cm / _THICK_CM, 0.0, 1.0)
    outer = np.clip(_outline(cells, bare, frame, marks), low, most + _BACK[0])
    made = near + gaussian_filter(way, 0.7) * np.maximum(outer - near, 0.0)
    return np.where(known, near, gaussian_filter(made, 1.0))


def _outline(cells: _Cells, bare: Floats, frame: Frame, marks: Floats) -> Array:
    """Return (r, c) cm of the head's outline, if it were here.

    At the sides of the skull that is behind the ears, for the round back of the head comes into
    sight as it turns; at the top and on long hair it is beside them; under the chin, a beard's.
    """
    right, below = abs(cells.right), cells.below
    up = np.minimum(below + 0.72 * frame.height, 0.0) * 1.3
    beside = right / np.maximum(np.hypot(right, up), 1e-6)
    high = np.clip((-below - 4.0) / 4.0, 0.0, 1.0)
    ears = float(np.nanmean(marks[list(_EARS), 2])) + 0.5
    back = ears - (_BACK[0] + (_BACK[1] - _BACK[0]) * bare) * high * beside**2
    beard = np.clip((6.0 - right) / 3.0, 0.0, 1.0) * np.clip(1.0 + below / 4.0, 0.0, 1.0)
    back += beard * (float(marks[_CHIN, 2]) - 2.0 - back)
    view = cells.view
    row, column = np.indices(view.size) + 0.5
    axis = np.asarray(view.rotation)[:, 2] * [1.0, -1.0, -1.0]  # out of the face, in camera axes
    x, y = column - view.centre_px[0], row - view.centre_px[1]
    along = (x * axis[0] + y * axis[1]) / view.focal_px + axis[2]
    return np.asarray((back + view.translation @ axis) / np.minimum(along, -0.2))


def _needed(opacity: Floats, beyond: int, cells: _Cells) -> Mask:
    """Return (N,) whether anything shows of the head around a point of the grid."""
    from scipy.ndimage import maximum_filter

    step = max(1, int(cells.cell / 4))
    width = 2 * int(np.ceil(0.5 * cells.cell / step)) + 1
    some = maximum_filter(opacity[::step, ::step], width)
    return (cells.look_up(some, beyond, step) > 0.01).ravel()


def _rest(layers: HeadLayers, skin: Floats, head: Bent) -> Still:
    level = np.concatenate([np.moveaxis(layers.rest, -1, 0), skin[None]])
    made = [level]
    for _ in range(_HALVINGS):
        even = level[:, : level.shape[1] // 2 * 2, : level.shape[2] // 2 * 2]
        if not even.size:
            break
        level = halved(even) * np.float32(0.25)
        made.append(level)
    return Still(tuple(np.ascontiguousarray(np.moveaxis(one, 0, -1)) for one in made), head)


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
    """Return a picture continued beyond its border at several sizes, and the border's width.

    Args:
        image: (h, w, C); a fifth channel is opacity.
    """
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
    if image.shape[2] > _OPACITY:
        # Straight on: averaged, a neck at the bottom would be a veil along the whole side.
        around = (
            (beyond, high - beyond - image.shape[0]),
            (beyond, wide - beyond - image.shape[1]),
        )
        level[_OPACITY] = np.pad(image[..., _OPACITY], around, mode="edge")
    made = [level]
    for _ in range(_HALVINGS):
        level = halved(level) * np.float32(0.25)
        made.append(level)
    return tuple(np.ascontiguousarray(np.moveaxis(one, 0, -1)) for one in made), beyond
