"""Continue colour over a face's surface: by distance in space, not on the texture.

Two texels that are neighbours on a texture may be far apart on a head, and the other way round.
What a photograph does not show is first guessed here, from a coarse net of points of the mean face;
scalp is continued from scalp, and all other skin from other skin, so that hair stays hair.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fewskin.face.model import REGIONS, FaceModel
from fewskin.face.per_model import per_model
from fewskin.face.texture import atlas_of
from fewskin.face.zones import zones_of
from fewskin.functional.mesh import vertex_normals
from fewskin.functional.pyramid import halved

__all__ = ["Surroundings", "surroundings_of"]

Floats = npt.NDArray[np.float32]

_NODE_SIDE: Final = 32  # nodes are the texels of a texture of this side
_NEAR_CM: Final = 0.5  # within this distance all weigh alike; beyond, by 1 / distance^4
_DIRECTION_CM: Final = 2.5  # what a normal counts beside a place
_LEAK: Final = 1e-4  # weight between scalp and other skin: counts only where a kind is not seen


@dataclass(frozen=True, eq=False)
class Surroundings:
    """How the skin of a topology hangs together.

    Attributes:
        side: of the images it continues.
        nodes: (N,) flat index of the nodes on an image of side `node_side`.
        node_side: `side`, halved a few times.
        kernel: (N, N) weight of one node's colour at another.
        spread: (side^2, N) sparse, from nodes to texels; those outside the skin's charts take what
            the nearest texel inside takes.
    """

    side: int
    nodes: npt.NDArray[np.int64]
    node_side: int
    kernel: Floats
    spread: Any  # Any: scipy has no stubs

    def continued(self, planes: Floats, weight: Floats) -> Floats:
        """Return (C, side, side): a smooth guess at every texel.

        Args:
            planes: (C, side, side), multiplied by their weight.
            weight: (side, side), 0 or more, not 0 everywhere.
        """
        coarse = np.concatenate([planes, weight[None]])
        while coarse.shape[1] > self.node_side:
            coarse = halved(coarse)
        sums = coarse.reshape(len(coarse), -1)[:, self.nodes] @ self.kernel
        values = sums[:-1] / np.maximum(sums[-1], 1e-20)
        made = np.stack([self.spread @ nodes for nodes in values])
        return made.reshape(planes.shape)


@per_model
def surroundings_of(model: FaceModel, side: int) -> Surroundings:
    """Return the surroundings of a model's texels; made once for each model and side."""
    from scipy.ndimage import distance_transform_edt
    from scipy.sparse import csr_matrix
    from scipy.spatial import cKDTree

    node_side = side
    while node_side > _NODE_SIDE and node_side % 2 == 0:
        node_side //= 2
    nodes, place, scalp = _skin_texels(model, node_side)
    texel, fine, _ = _skin_texels(model, side)
    squared = ((place[:, None] - place[None]) ** 2).sum(-1)
    same = np.multiply.outer(scalp, scalp) + np.multiply.outer(1 - scalp, 1 - scalp)
    kernel = (_LEAK + same) / (squared + _NEAR_CM**2) ** 2
    distance, near = cKDTree(place).query(fine, k=min(4, len(place)))
    distance, near = distance.reshape(len(fine), -1), near.reshape(len(fine), -1)
    share = 1.0 / (distance + 0.05) ** 2
    share /= share.sum(1, keepdims=True)
    inside = np.zeros(side**2, dtype=bool)
    inside[texel] = True
    row, column = distance_transform_edt(
        ~inside.reshape(side, side), return_distances=False, return_indices=True
    )
    nearest = np.searchsorted(texel, (row * side + column).ravel())
    starts = np.arange(side**2 + 1) * share.shape[1]
    entries = (share[nearest].ravel().astype(np.float32), near[nearest].ravel(), starts)
    spread = csr_matrix(entries, shape=(side**2, len(place)))
    return Surroundings(side, nodes, node_side, kernel.astype(np.float32), spread)


def _skin_texels(
    model: FaceModel, side: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.floating], npt.NDArray[np.floating]]:
    """Return flat index, (n, 6) place and direction, and scalp, of texels on face and head."""
    atlas = atlas_of(model, side)
    normals = vertex_normals(model.vertices, model.triangles) * _DIRECTION_CM
    place = atlas.at_texels(np.concatenate([model.vertices, normals], axis=1))
    kinds = [REGIONS.index("face"), REGIONS.index("head")]
    part = np.flatnonzero(np.isin(model.region[atlas.triangle], kinds))
    if not len(part):  # a model without skin regions: all of it
        part = np.arange(len(atlas.texel))
    texel = atlas.texel[part]
    scalp = zones_of(model, side).scalp.ravel()[texel].astype(np.float64)
    return texel, place[part].astype(np.float64), scalp
