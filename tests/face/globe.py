"""A globe as a face model: its picture, its normals and its mirror image have closed forms."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from fewskin.face.model import N_LANDMARKS, FaceModel
from fewskin.functional.pose import View

RADIUS = 8.0  # cm
Ints = npt.NDArray[np.int64]
Array = npt.NDArray[np.floating]


def direction(u: Array, v: Array) -> Array:
    """(..., 3) unit vectors of texture coordinates: u runs around the y axis, u = .5 in front."""
    around, up = (u - 0.5) * 2 * np.pi, (v - 0.5) * np.pi
    return np.stack([np.sin(around) * np.cos(up), np.sin(up), np.cos(around) * np.cos(up)], -1)


def texel_directions(side: int) -> Array:
    """(S, S, 3) unit vectors of the texels' centres."""
    centres = (np.arange(side) + 0.5) / side
    return direction(*np.meshgrid(centres, 1.0 - centres))


def globe(columns: int = 96, rows: int = 48, *, bump_cm: float = 0.0) -> FaceModel:
    """A globe; with `bump_cm` a smaller globe of that radius floats before it."""
    vertices, triangles, uv, places_of = _ball(columns, rows)
    vertices, uv_triangles = vertices * RADIUS, places_of
    if bump_cm:
        uv = uv * np.array([1.0, 0.7])
        more, its, places, its_places = _ball(columns, rows)
        triangles = np.concatenate([triangles, its + len(vertices)])
        uv_triangles = np.concatenate([uv_triangles, its_places + len(uv)])
        vertices = np.concatenate([vertices, more * bump_cm + [0.0, 0.0, 14.0]])
        uv = np.concatenate([uv, places * np.array([1.0, 0.28]) + [0.0, 0.72]])
    none = np.zeros((0, len(vertices), 3), np.float32)
    return FaceModel(
        name="globe",
        vertices=vertices.astype(np.float32),
        triangles=triangles.astype(np.int32),
        uv=uv.astype(np.float32),
        uv_triangles=uv_triangles.astype(np.int32),
        region=np.zeros(len(triangles), np.uint8),
        identity=none,
        expression=none,
        expression_names=(),
        landmark_triangles=np.full(N_LANDMARKS, -1, np.int32),
        landmark_bary=np.zeros((N_LANDMARKS, 3), np.float32),
    )


def _ball(columns: int, rows: int) -> tuple[Array, Ints, Array, Ints]:
    """Vertices, triangles, texture coordinates, triangles of those; poles and seam are shared."""
    u, v = np.meshgrid(np.linspace(0, 1, columns + 1), np.linspace(0, 1, rows + 1))
    uv = np.stack([u.ravel(), v.ravel()], axis=1)
    first = (np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)).ravel()
    right, up = first + 1, first + columns + 1
    lower = np.stack([first, right, up + 1], axis=1)
    upper = np.stack([first, up + 1, up], axis=1)
    places = np.concatenate([lower, upper])
    vertices, same = np.unique(
        direction(uv[:, 0], uv[:, 1]).round(9) + 0.0, axis=0, return_inverse=True
    )
    return vertices, same.ravel()[places], uv, places


def picture(
    view: View, colour_of: Callable[[Array], Array], background: tuple[float, float, float]
) -> Array:
    """(H, W, 3) the globe seen in a view, by intersecting rays; colour by unit vector on it."""
    height, width = view.size
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = np.stack(
        [
            (x - view.centre_px[0]) / view.focal_px,
            (y - view.centre_px[1]) / view.focal_px,
            np.ones_like(x),
        ],
        axis=-1,
    )
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    along = rays @ view.translation
    inside = along**2 - (view.translation @ view.translation - RADIUS**2)
    hit = inside > 0
    place = rays * (along - np.sqrt(np.maximum(inside, 0)))[..., None] - view.translation
    unit = (place * [1.0, -1.0, -1.0] / RADIUS) @ view.rotation
    made = np.broadcast_to(np.asarray(background, float), (height, width, 3)).copy()
    made[hit] = colour_of(unit[hit])
    return made.astype(np.float32)
