"""The mirror image of each texel of a face, x -> -x on the mean face."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fewskin.face.model import FaceModel
from fewskin.face.per_model import per_model
from fewskin.face.texture import atlas_of
from fewskin.functional.mesh import vertex_normals

__all__ = ["Mirror", "mirror_of"]

Floats = npt.NDArray[np.float32]

_REACH_CM: Final = 0.6  # a mirror image farther from the surface is none
_DIRECTION_CM: Final = 0.4  # what a normal counts beside a place: tells the sides of a lid apart


@dataclass(frozen=True, eq=False)
class Mirror:
    """Where the mirror image of each covered texel is.

    Attributes:
        side: of the texture.
        texel: (n,) flat index of the covered texels.
        x, y: (n,) of their mirror images, in texels.
        valid: (n,) there is one, of the same region.
    """

    side: int
    texel: npt.NDArray[np.int64]
    x: Floats
    y: Floats
    valid: npt.NDArray[np.bool_]

    @cached_property
    def _weights(self) -> Any:  # Any: scipy has no stubs
        from scipy.sparse import csr_matrix

        left = np.clip(self.x - 0.5, 0, self.side - 1.001)
        top = np.clip(self.y - 0.5, 0, self.side - 1.001)
        column, row = left.astype(np.int32), top.astype(np.int32)
        fx, fy = left - column, top - row
        first = row * self.side + column
        where = np.stack([first, first + 1, first + self.side, first + self.side + 1], axis=1)
        parts = [(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy]
        entries = (np.stack(parts, axis=1) * self.valid[:, None]).astype(np.float32)
        starts = np.arange(len(self.x) + 1, dtype=np.int32) * 4
        shape = (len(self.x), self.side**2)
        return csr_matrix((entries.ravel(), where.ravel(), starts), shape=shape)

    def of(self, planes: Floats, rows: npt.NDArray[np.integer] | None = None) -> Floats:
        """Return (C, n): a (C, S, S) image at the mirror images; 0 where there is none.

        Args:
            planes: values, best multiplied by a weight that is 0 outside the charts.
            rows: (m,) only these of the n texels.
        """
        weights = self._weights if rows is None else self._weights[rows]
        return np.stack([weights @ plane.ravel() for plane in planes])


@per_model
def mirror_of(model: FaceModel, side: int) -> Mirror:
    """Return the mirror images; made once for each model and side.

    The model's mesh and texture coordinates need not be symmetric: the nearest texel of the
    mirrored place and direction names a triangle, on which the place is then found exactly.
    """
    from scipy.spatial import cKDTree

    atlas = atlas_of(model, side)
    flip = np.array([-1.0, 1.0, 1.0], np.float32)
    place = atlas.at_texels(model.vertices)
    direction = atlas.at_texels(vertex_normals(model.vertices, model.triangles)) * _DIRECTION_CM
    tree = cKDTree(np.concatenate([place, direction], axis=1))
    target = place * flip
    distance, nearest = tree.query(np.concatenate([target, direction * flip], axis=1))
    bary = _bary_on(model.vertices[atlas.corners[nearest]], target)
    uv = (model.uv[model.uv_triangles[atlas.triangle[nearest]]] * bary[..., None]).sum(1)
    x, y = uv[:, 0] * side, (1.0 - uv[:, 1]) * side
    own_y, own_x = np.divmod(atlas.texel[nearest], side)
    near = (np.abs(x - own_x - 0.5) < 2.0) & (np.abs(y - own_y - 0.5) < 2.0)
    x, y = np.where(near, x, own_x + 0.5), np.where(near, y, own_y + 0.5)
    same = model.region[atlas.triangle] == model.region[atlas.triangle[nearest]]
    valid = (distance < _REACH_CM) & same
    return Mirror(side, atlas.texel, x.astype(np.float32), y.astype(np.float32), valid)


def _bary_on(corners: Floats, point: Floats) -> Floats:
    """Return (n, 3) barycentric coordinates of points projected on triangles."""
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    p = point - corners[:, 0]
    aa, ab, bb = (a * a).sum(1), (a * b).sum(1), (b * b).sum(1)
    pa, pb = (p * a).sum(1), (p * b).sum(1)
    scale = 1.0 / np.maximum(aa * bb - ab * ab, 1e-12)
    v, w = (bb * pa - ab * pb) * scale, (aa * pb - ab * pa) * scale
    return np.stack([1.0 - v - w, v, w], axis=1)
