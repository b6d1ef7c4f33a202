"""ICT-FaceKit as a face model: 100 modes of identity and 53 of expression.

Li et al., "Learning formation of physically-based face attributes", 2020,
https://arxiv.org/abs/2004.03458; the model is at https://github.com/ICT-VGL/ICT-FaceKit under the
MIT licence. It is read from your own copy: none of its data are in this package.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components, dijkstra

from fewskin.errors import StageError
from fewskin.face.correspondence import ANCHORS_68, Correspondence, correspond, in_oval
from fewskin.face.ict_files import IctFiles, read_ict
from fewskin.face.model import N_LANDMARKS, REGIONS, FaceModel, save_model
from fewskin.paths import assets_dir

__all__ = ["import_ict", "load_ict"]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]


class _Part(NamedTuple):
    """Faces of one material, and where its texture tile goes: left, bottom, width, height."""

    first: int
    last: int
    region: str
    tile: int
    box: tuple[float, float, float, float]


# In the order of the file. Left out: the irises behind the corneas, and the shells of tears, lids'
# shadow and lashes, which are transparent and would hide the eyes in a picture.
_PARTS = (
    _Part(0, 9230, "head", 0, (0.0, 0.21, 0.79, 0.79)),
    _Part(9230, 14034, "head", 1, (0.0, 0.0, 0.79, 0.20)),
    _Part(14034, 17006, "mouth", 2, (0.80, 0.21, 0.20, 0.20)),
    _Part(17006, 21496, "mouth", 3, (0.80, 0.0, 0.20, 0.20)),
    _Part(21496, 22296, "eyes", 0, (0.80, 0.42, 0.20, 0.20)),
    _Part(23094, 23894, "eyes", 0, (0.80, 0.63, 0.20, 0.20)),
)
_MARGIN = 0.004  # of the texture, around each tile

# Vertices of the 68 landmarks of iBUG's 300-W ("idx_to_landmark_verts" of vertex_indices.json).
_VERTICES_68 = (
    *(1225, 1888, 1052, 367, 1719, 1722, 2199, 1447, 966, 3661, 4390, 3927, 3924, 2608, 3272),
    *(4088, 3443, 268, 493, 1914, 2044, 1401, 3615, 4240, 4114, 2734, 2509, 978, 4527, 4942),
    *(4857, 1140, 2075, 1147, 4269, 3360, 1507, 1542, 1537, 1528, 1518, 1511, 3742, 3751, 3756),
    *(3721, 3725, 3732, 5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518, 5957, 5841),
    *(5702, 5711, 5533, 6216, 6207, 6470, 5517, 5966),
)
_OUTER_LIPS, _INNER_LIPS = _VERTICES_68[48:60], _VERTICES_68[60:68]
_OVAL_GROWTH = 1.04  # the face ends a little outside the landmarks' oval


def import_ict(source: Path, out: Path, *, n_identity: int = 100) -> Path:
    """Convert ICT-FaceKit to a face model file.

    Args:
        source: the folder `FaceXModel` of ICT-FaceKit with its .obj (or .obj.gz) files, or an
            .npz of it; see `fewskin.face.ict_files.read_ict`.
        out: the .npz to write; a folder gets `ict.npz`.
        n_identity: modes of identity to keep, the strongest first.

    Returns:
        The file written.

    Raises:
        DataError: files are missing, damaged, or not of ICT-FaceKit's light mesh.
    """
    file = out if out.suffix == ".npz" else out / "ict.npz"
    save_model(load_ict(source, n_identity=n_identity), file)
    return file


def load_ict(source: Path, *, n_identity: int = 100, learned: bool = True) -> FaceModel:
    """Return ICT-FaceKit as a model; see `import_ict`.

    Axes and origin are the files' own: cm, the origin in the head, between the ears. Modes that
    move no part that is kept (the pupils') are left out.

    Args:
        source: as of `import_ict`.
        n_identity: modes of identity to keep.
        learned: landmarks where `assets/face/ict_landmarks.npz` has them, learned from faces;
            False registers the mean face onto the mesh.

    Raises:
        DataError: as of `import_ict`.
        StageError: the asset is missing or damaged.
    """
    raw = read_ict(source, n_identity=n_identity)
    triangles, uv, uv_triangles, region = _mesh(raw)
    skin = region == REGIONS.index("head")
    front = skin & (np.arange(len(region)) < _n_triangles(raw.faces[: _PARTS[0].last]))
    region[front] = _with_lips(raw.neutral, triangles[front], region[front])
    usable = front & (region != REGIONS.index("mouth"))
    at = _learned(triangles) if learned else _registered(raw.neutral, triangles, usable)
    inside = front & in_oval(uv, uv_triangles, at, _OVAL_GROWTH)
    region[inside & (region == REGIONS.index("head"))] = REGIONS.index("face")
    kept = np.unique(triangles)
    place = np.zeros(len(raw.neutral), dtype=np.int32)
    place[kept] = np.arange(len(kept), dtype=np.int32)
    identity, expression = raw.identity[:, kept], raw.expression[:, kept]
    moving = np.abs(expression).max((1, 2)) > 1e-3
    return FaceModel(
        name="ict",
        vertices=raw.neutral[kept],
        triangles=place[triangles],
        uv=uv,
        uv_triangles=uv_triangles,
        region=region,
        identity=identity,
        expression=expression[moving],
        expression_names=tuple(np.array(raw.names)[moving].tolist()),
        landmark_triangles=at.triangle,
        landmark_bary=at.bary,
        licence="MIT, USC Institute for Creative Technologies, ICT-FaceKit",
    )


def _registered(vertices: Floats, triangles: Ints, usable: npt.NDArray[np.bool_]) -> Correspondence:
    """Landmarks by laying the mean face onto the mesh."""
    anchors = np.full((N_LANDMARKS, 3), np.nan)
    for landmark, vertex in zip(ANCHORS_68, _VERTICES_68, strict=True):
        if landmark >= 0:
            anchors[landmark] = vertices[vertex]
    return correspond(vertices, triangles, anchors, usable=usable)


def _learned(triangles: Ints) -> Correspondence:
    """Landmarks where the asset has them: corners of their triangles, and weights."""
    file = assets_dir() / "face" / "ict_landmarks.npz"
    try:
        with np.load(file, allow_pickle=False) as found:
            corners, bary = found["corners"].astype(np.int32), found["bary"].astype(np.float32)
    except (OSError, KeyError, ValueError) as error:
        raise StageError(
            f"cannot read {file}: {error}. Reinstall fewskin, or restore it from the repository."
        ) from error
    numbers = {tuple(row): number for number, row in enumerate(triangles.tolist())}
    at = np.array([numbers[tuple(row)] for row in corners.tolist()], dtype=np.int32)
    return Correspondence(at, bary / bary.sum(1, keepdims=True), np.zeros(len(at), np.float32))


def _n_triangles(faces: Ints) -> int:
    return int(len(faces) + (faces[:, 3] >= 0).sum())


def _split(faces: Ints) -> Ints:
    """Triangles of quads and triangles, (T, 3): the first halves, then the second of quads."""
    return np.concatenate([faces[:, :3], faces[faces[:, 3] >= 0][:, [0, 2, 3]]])


def _mesh(raw: IctFiles) -> tuple[Ints, Floats, Ints, npt.NDArray[np.uint8]]:
    """Triangles, texture coordinates packed into one tile, triangles into those, regions."""
    triangles, uvs, uv_triangles, regions, n_uv = [], [], [], [], 0
    for part in _PARTS:
        rows = slice(part.first, part.last)
        used, made = np.unique(_split(raw.uv_faces[rows]), return_inverse=True)
        left, bottom, width, height = part.box
        inner = np.array([width, height]) - 2 * _MARGIN
        at = (raw.uv[used] - [part.tile, 0]) * inner + [left + _MARGIN, bottom + _MARGIN]
        triangles.append(_split(raw.faces[rows]))
        uv_triangles.append(made.reshape(-1, 3) + n_uv)
        uvs.append(at)
        regions.append(np.full(len(triangles[-1]), REGIONS.index(part.region), dtype=np.uint8))
        n_uv += len(used)
    return (
        np.concatenate(triangles),
        np.concatenate(uvs).astype(np.float32),
        np.concatenate(uv_triangles).astype(np.int32),
        np.concatenate(regions),
    )


def _with_lips(
    vertices: Floats, triangles: Ints, region: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """Regions with the lips between their two rings, and the mouth behind the inner one."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    length = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    graph = coo_matrix((length, (edges[:, 0], edges[:, 1])), shape=(len(vertices),) * 2).tocsr()
    outer, inner = _ring(graph, _OUTER_LIPS), _ring(graph, _INNER_LIPS)
    cut = {(min(a, b), max(a, b)) for a, b in [*outer, *inner]}
    pairs = np.sort(edges, axis=1)
    code = pairs[:, 0].astype(np.int64) * len(vertices) + pairs[:, 1]
    whole = ~np.isin(code, [a * len(vertices) + b for a, b in cut])
    owner = np.tile(np.arange(len(triangles)), 3)[whole]
    order = np.argsort(code[whole], kind="stable")
    same = np.flatnonzero(np.diff(code[whole][order]) == 0)
    joined = coo_matrix(
        (np.ones(len(same)), (owner[order[same]], owner[order[same + 1]])),
        shape=(len(triangles),) * 2,
    )
    _, piece = connected_components(joined, directed=False)
    on_outer = np.asarray(np.isin(triangles, [a for a, _ in outer]).any(1))
    on_inner = np.isin(triangles, [a for a, _ in inner]).any(1)
    made = region.copy()
    for number in np.unique(piece[on_inner]):
        mine = piece == number
        made[mine] = REGIONS.index("lips" if on_outer[mine].any() else "mouth")
    return made


def _ring(graph: coo_matrix, corners: tuple[int, ...]) -> list[tuple[int, int]]:
    """Edges of the closed ring along the mesh through some vertices."""
    found = []
    for start, end in zip(corners, corners[1:] + corners[:1], strict=True):
        _, before = dijkstra(graph, directed=False, indices=start, return_predecessors=True)
        while end != start:
            found.append((int(before[end]), int(end)))
            end = int(before[end])
    return found
