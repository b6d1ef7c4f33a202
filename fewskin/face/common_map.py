"""A small map of the face that is the same for every face model: the mean face, unrolled.

What is learned about skin once must serve every model and every size of texture. The map is a
texture of the landmarks' mesh (`face.topology`): upright, mirrored left to right about its middle,
32 cells a side of about 6 mm.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fewskin.face.canvas import canvas_of
from fewskin.face.landmark_model import landmark_model
from fewskin.face.model import FaceModel
from fewskin.face.per_model import per_model
from fewskin.face.texture import atlas_of
from fewskin.face.topology import topology
from fewskin.face.zones import zones_of

__all__ = ["COMMON_SIDE", "CommonMap", "common_map"]

Floats = npt.NDArray[np.float32]

COMMON_SIDE: Final = 32
_BLUR_CM: Final = 0.3  # of a cell's mean: pores and single lesions are not its colour
_NEAR: Final = 6  # cells that a texel's value comes from
_SOFT_CM: Final = 0.2
_FAR_CM: Final = 1.5  # from the nearest cell: no value


@dataclass(frozen=True, eq=False)
class CommonMap:
    """How a model's texture and the common map belong together.

    Attributes:
        side: of the texture.
        cells: (k,) flat index of the map's cells that lie on the face.
        texels: (n,) flat index of the texture's texels that are near the face.
    """

    side: int
    cells: npt.NDArray[np.int64]
    texels: npt.NDArray[np.int64]
    _into: Any  # Any: scipy has no stubs
    _onto: Any

    def of(self, planes: Floats, weight: Floats) -> tuple[Floats, Floats]:
        """Return (C, 32, 32) weighted means of a texture about the cells, and their mean weight.

        Args:
            planes: (C, S, S).
            weight: (S, S), 0 or more.
        """
        share = weight.ravel()[self.texels]
        seen = self._into @ share
        values = planes.reshape(len(planes), -1)[:, self.texels] * share
        means = np.stack([self._into @ one for one in values]) / np.maximum(seen, 1e-6)
        return self._square(means), self._square(seen[None])[0]

    def onto(self, values: Floats) -> Floats:
        """Return (S, S) a smooth texture through the cells of a (32, 32) map; 0 off the face."""
        made = np.zeros(self.side**2, np.float32)
        made[self.texels] = self._onto @ values.ravel()[self.cells]
        return made.reshape(self.side, self.side)

    def _square(self, values: npt.NDArray[np.floating]) -> Floats:
        made = np.zeros((len(values), COMMON_SIDE**2), np.float32)
        made[:, self.cells] = values
        return made.reshape(-1, COMMON_SIDE, COMMON_SIDE)


@per_model
def common_map(model: FaceModel, side: int) -> CommonMap:
    """Return the common map of a model's texture; made once for each model and side.

    Args:
        model: face model.
        side: texels.

    Raises:
        DataError: the model has too few landmarks.
    """
    from scipy.sparse import csr_matrix
    from scipy.spatial import cKDTree

    canvas, cells, middle = canvas_of(model, side), *_cells()
    skin = np.flatnonzero(zones_of(model, side).of("face", "head").ravel()[canvas.texel])
    near = cKDTree(canvas.place[skin]).query_ball_point(middle, 2.0 * _BLUR_CM)
    rows = np.repeat(np.arange(len(cells)), [len(one) for one in near])
    columns = skin[np.concatenate([np.asarray(one, np.int64) for one in near])]
    apart = np.linalg.norm(canvas.place[columns] - middle[rows], axis=1)
    # A texel counts by its area: charts are stretched here and there.
    share = np.exp(-0.5 * (apart / _BLUR_CM) ** 2) * canvas.texel_mm[columns] ** 2
    share /= np.maximum(np.bincount(rows, share, len(cells)), 1e-9)[rows]
    shape = (len(cells), len(canvas.texel))
    into = csr_matrix((share.astype(np.float32), (rows, columns)), shape)
    apart, near = cKDTree(middle).query(canvas.place, k=_NEAR)
    share = 1.0 / (apart + _SOFT_CM) ** 2
    share *= (apart[:, :1] < _FAR_CM) / share.sum(1, keepdims=True)
    starts = np.arange(len(canvas.texel) + 1) * _NEAR
    onto = csr_matrix((share.ravel().astype(np.float32), near.ravel(), starts), shape[::-1])
    return CommonMap(side, cells, canvas.texel, into, onto)


def _cells() -> tuple[npt.NDArray[np.int64], Floats]:
    """Return flat index, and place on the mean face, of the map's cells on the face."""
    atlas = atlas_of(landmark_model(), COMMON_SIDE)
    face = atlas.values(zones_of(landmark_model(), COMMON_SIDE).of("face"))
    return atlas.texel[face], atlas.at_texels(topology().mean)[face]
