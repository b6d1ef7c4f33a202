"""A face's texture, and which point of the mesh each of its texels is.

Row r and column c of a texture of side S have their centre at u = (c + .5) / S and
v = 1 - (r + .5) / S.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fewskin.errors import ConfigError, DataError
from fewskin.face.model import FaceModel
from fewskin.face.per_model import per_model
from fewskin.functional.mesh import vertex_normals
from fewskin.functional.raster import raster

__all__ = ["Atlas", "Texture", "atlas_of", "flat_areas", "smooth_step", "texel_normals"]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

_GUTTER = 4  # texels around a chart that repeat its border, so that bilinear look-ups stay clean


@dataclass(frozen=True, eq=False)
class Texture:
    """What is known of a face's colour, texel by texel.

    Attributes:
        colour: (S, S, 3) linear RGB; 0 where nothing is known.
        confidence: (S, S) in [0, 1]; 0 = not seen.
        skin: (S, S) in [0, 1], likelihood that the texel shows bare skin.
        density: (S, S) photograph pixels per texel side; below 1 the texture is enlarged and holds
            less detail than its side says. 0 = not seen.
    """

    colour: Floats
    confidence: Floats
    skin: Floats
    density: Floats

    def __post_init__(self) -> None:
        side = self.colour.shape[0]
        if self.colour.shape != (side, side, 3):
            raise DataError(f"a texture's colour is (S, S, 3), not {self.colour.shape}.")
        for name in ("confidence", "skin", "density"):
            if getattr(self, name).shape != (side, side):
                found = getattr(self, name).shape
                raise DataError(
                    f"a texture's {name} is {(side, side)} like its colour, not {found}."
                )

    @property
    def side(self) -> int:
        """Texels of a side."""
        return int(self.colour.shape[0])


@dataclass(frozen=True, eq=False)
class Atlas:
    """Where the texels of a texture lie on a topology; independent of a person's shape.

    Attributes:
        side: S, texels.
        texel: (n,) flat index, row * S + column, of the texels that a triangle covers.
        triangle: (n,) of each.
        bary: (n, 3) where in it.
        gutter: (g,) flat index of the uncovered texels next to a covered one.
        gutter_from: (g,) position in `texel` of the covered texel nearest to each.
        corners: (n, 3) vertices of each texel's triangle.
        areas: (T,) twice the area of each triangle on the texture, texels.
        n_vertices: of the model.
    """

    side: int
    texel: Ints
    triangle: npt.NDArray[np.int32]
    bary: Floats
    gutter: Ints
    gutter_from: Ints
    corners: npt.NDArray[np.int32]
    areas: Floats
    n_vertices: int

    @cached_property
    def _weights(self) -> Any:  # Any: scipy has no stubs
        from scipy.sparse import csr_matrix

        starts = np.arange(len(self.texel) + 1, dtype=np.int32) * 3
        entries = (self.bary.ravel(), self.corners.ravel(), starts)
        return csr_matrix(entries, shape=(len(self.texel), self.n_vertices))

    def at_texels(self, values: npt.NDArray[np.floating]) -> Floats:
        """Return (n, C) float32 of (V, C) values at vertices, interpolated."""
        return np.asarray(self._weights @ values.astype(np.float32, copy=False))

    def image(self, values: npt.NDArray[np.floating], *, gutter: bool = True) -> Floats:
        """Return (S, S, C), or (S, S), of (n, C) or (n,) values at texels; 0 elsewhere.

        Args:
            values: at the covered texels.
            gutter: repeat a chart's border in the texels around it.
        """
        made = np.zeros((self.side**2, *values.shape[1:]), dtype=np.float32)
        made[self.texel] = values
        if gutter:
            made[self.gutter] = values[self.gutter_from]
        return made.reshape(self.side, self.side, *values.shape[1:])

    def values(self, image: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return (n, C) or (n,) values at the covered texels of an (S, S, C) or (S, S) image."""
        return image.reshape(self.side**2, *image.shape[2:])[self.texel]

    @cached_property
    def covered(self) -> npt.NDArray[np.bool_]:
        """(S, S): texels that a triangle covers."""
        made = np.zeros(self.side**2, dtype=bool)
        made[self.texel] = True
        return made.reshape(self.side, self.side)


@per_model
def atlas_of(model: FaceModel, side: int) -> Atlas:
    """Return the atlas of a model's texture coordinates; made once for each model and side.

    Args:
        model: face model.
        side: texels, at least 8.

    Raises:
        ConfigError: the side is too small.
        DataError: no triangle covers a texel.
    """
    if side < 8:
        raise ConfigError(f"a texture has a side of at least 8 texels, not {side}.")
    from scipy.ndimage import distance_transform_edt

    flat = np.stack([model.uv[:, 0], 1.0 - model.uv[:, 1]], axis=1) * side
    points = np.concatenate([flat, np.ones((len(flat), 1), np.float32)], axis=1)
    seen = raster(points, model.uv_triangles, (side, side), cull=False)
    covered = seen.triangle >= 0
    if not covered.any():
        raise DataError(
            f"no triangle of model {model.name!r} covers a texel: its `uv` should lie in [0, 1]."
        )
    texel = np.flatnonzero(covered)
    triangle = seen.triangle.ravel()[texel]
    distance, nearest = distance_transform_edt(~covered, return_indices=True)
    gutter = np.flatnonzero((distance > 0) & (distance <= _GUTTER))
    source = (nearest[0] * side + nearest[1]).ravel()[gutter]
    return Atlas(
        side=side,
        texel=texel,
        triangle=triangle,
        bary=seen.bary.reshape(-1, 3)[texel],
        gutter=gutter,
        gutter_from=np.searchsorted(texel, source),
        corners=model.triangles[triangle].astype(np.int32),
        areas=flat_areas(flat, model.uv_triangles),
        n_vertices=len(model.vertices),
    )


def flat_areas(points: npt.NDArray[np.floating], triangles: npt.NDArray[np.integer]) -> Floats:
    """Return (T,) twice the area of triangles of (V, 2) points, whichever way round.

    Example:
        >>> flat_areas(np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 3.0]]), np.array([[0, 1, 2]]))
        array([6.], dtype=float32)
    """
    (ax, bx, cx), (ay, by, cy) = (
        (np.ascontiguousarray(points[:, k], np.float32)[triangles.T]) for k in range(2)
    )
    return np.abs((bx - ax) * (cy - ay) - (by - ay) * (cx - ax))


def texel_normals(
    model: FaceModel, vertices: Floats, rotation: npt.NDArray[np.floating], side: int
) -> Floats:
    """Return (S, S, 3) unit normals of a texture's texels, turned with the head.

    Axes are the model's after the turn: x to image right, y up, z towards the viewer, so that light
    belongs to the scene and stays where it is when the head turns. 0 outside the charts.

    Args:
        model: face model.
        vertices: (V, 3) of the person, cm.
        rotation: (3, 3) of the head; the identity for normals of the head itself.
        side: texels.
    """
    atlas = atlas_of(model, side)
    normals = vertex_normals(vertices, model.triangles) @ np.asarray(rotation, np.float32).T
    return atlas.image(_unit(atlas.at_texels(normals)))


def _unit(vectors: Floats) -> Floats:
    length = np.sqrt(np.einsum("nc,nc->n", vectors, vectors))
    return np.asarray(vectors / np.maximum(length, 1e-9)[:, None])


def smooth_step(values: npt.NDArray[np.floating], low: float, high: float) -> Floats:
    """Return 0 at `low` and below, 1 at `high` and above, smooth between.

    Example:
        >>> smooth_step(np.array([0.0, 1.0, 2.0, 3.0]), 0.0, 2.0).tolist()
        [0.0, 0.5, 1.0, 1.0]
    """
    part = np.clip((values - low) / (high - low), 0.0, 1.0).astype(np.float32)
    return np.asarray(part * part * (3.0 - 2.0 * part))
