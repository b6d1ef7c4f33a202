"""The outer border of a face's mesh, and how far from it each texel is."""

import numpy as np
import numpy.typing as npt

from fewskin.errors import DataError
from fewskin.face.model import FaceModel
from fewskin.face.per_model import per_model
from fewskin.face.texture import atlas_of

__all__ = ["border_distance", "border_edges", "hanging"]

_NOSE_TIP = 4  # landmark
_STEP_CM = 0.1  # between points of a border
_ANGLES, _RADII, _REACH_CM = 120, 48, 16.0

Floats = npt.NDArray[np.float32]


def border_edges(model: FaceModel, only: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return the (n, 2) edges of the longest border of a part of a mesh; holes have shorter ones.

    Args:
        model: face model.
        only: (T,) triangles of the part.

    Raises:
        DataError: the part has no border.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    triangles = model.triangles[only]
    edges = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    pairs, counts = np.unique(edges, axis=0, return_counts=True)
    open_ = pairs[counts == 1]
    if not len(open_):
        raise DataError(f"model {model.name!r}: this part of its mesh has no border.")
    n = len(model.vertices)
    graph = coo_matrix((np.ones(len(open_)), (open_[:, 0], open_[:, 1])), shape=(n, n))
    _, loop = connected_components(graph, directed=False)
    lengths = np.linalg.norm(np.diff(model.vertices[open_], axis=1)[:, 0], axis=1)
    longest = np.bincount(loop[open_[:, 0]], lengths, n).argmax()
    return np.asarray(open_[loop[open_[:, 0]] == longest], dtype=np.int64)


def _along(ends: Floats) -> Floats:
    """Return points at most _STEP_CM apart along (n, 2, 3) edges."""
    lengths = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    n = int(np.ceil(lengths.max() / _STEP_CM)) + 1
    shares = np.linspace(0.0, 1.0, n, dtype=np.float32)[:, None, None]
    return np.asarray(ends[:, 0] + shares * (ends[:, 1] - ends[:, 0])).reshape(-1, 3)


@per_model
def border_distance(model: FaceModel, side: int, *regions: str) -> Floats:
    """Return (S, S) cm from each texel to the outer border of these `REGIONS`, on the mean face.

    0 outside the charts and outside the regions. Made once for each model, side and regions; not to
    be changed.

    Args:
        model: face model.
        side: texels of the texture.
        regions: names.
    """
    from scipy.spatial import cKDTree

    only = model.in_region(*regions)
    atlas = atlas_of(model, side)
    border = cKDTree(_along(model.vertices[border_edges(model, only)]))
    distance = border.query(atlas.at_texels(model.vertices))[0].astype(np.float32)
    return atlas.image(distance * only[atlas.triangle])


def hanging(model: FaceModel, values: Floats, known: Floats, side: int) -> Floats:
    """Return (S, S) in [0, 1]: the part of a map that hangs over the face from its border.

    On every way from the nose outwards it is where the map is 1 from there to the border, and all
    that lies further out; what the map shows inside a ring of 0, a mole or a fold, is left out. On
    the mean face seen from the front, in a polar grid that evens out specks.

    Args:
        model: face model.
        values: (S, S) in [0, 1].
        known: (S, S) in [0, 1]; where the map is unknown it breaks nothing and starts nothing.
        side: S.
    """
    from scipy.ndimage import map_coordinates

    atlas = atlas_of(model, side)
    angle, radius = _polar(model, side)
    there, sure = atlas.values(values * known), atlas.values(known)
    even = _cells(angle, radius, there, empty=0.0)
    unbroken = _cells(angle, radius, np.maximum(there, 1.0 - sure), empty=1.0)
    to_border = np.minimum.accumulate(_clear(unbroken)[:, ::-1], axis=1)[:, ::-1]
    most = np.maximum.accumulate(_clear(even) * to_border, axis=1)
    # Angles go round; the radius does not, or the rim would meet the nose.
    places = [angle - 0.5, np.clip(radius - 0.5, 0.0, _RADII - 1.0)]
    return atlas.image(map_coordinates(most, places, order=1, mode="grid-wrap").astype(np.float32))


def _cells(angle: Floats, radius: Floats, values: Floats, *, empty: float) -> Floats:
    """Return (angles, radii) means of texels' values, smooth; `empty` where there is no texel."""
    from scipy.ndimage import gaussian_filter

    bins = angle.astype(int) % _ANGLES * _RADII + radius.astype(int)
    counts = np.bincount(bins, minlength=_ANGLES * _RADII)
    totals = np.bincount(bins, values, _ANGLES * _RADII)
    grid = np.where(counts > 0, totals / np.maximum(counts, 1), empty).reshape(_ANGLES, _RADII)
    return np.asarray(gaussian_filter(grid, (1.2, 0.8), mode=("wrap", "nearest")), np.float32)


def _clear(cells: Floats) -> Floats:
    return np.clip(1.6 * cells - 0.35, 0.0, 1.0)


@per_model
def _polar(model: FaceModel, side: int) -> tuple[Floats, Floats]:
    """Return (n,) angle and distance of each texel from the tip of the nose, in cells of a grid."""
    flat = atlas_of(model, side).at_texels(model.vertices)
    flat = flat - model.landmarks(model.vertices)[_NOSE_TIP]
    angle = (np.arctan2(flat[:, 1], flat[:, 0]) / (2.0 * np.pi) % 1.0) * _ANGLES
    radius = np.minimum(np.linalg.norm(flat, axis=1) / _REACH_CM, 0.999) * _RADII
    return angle.astype(np.float32), radius.astype(np.float32)
