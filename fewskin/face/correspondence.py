"""Where MediaPipe's 468 landmarks lie on the surface of a face model.

A mean face of 468 points is laid onto the model in three moves: a similarity from anchors (points
known on both), a smooth warp that carries the anchors along, and rounds of closest points with
the warp's bending held down, as in Amberg, Romdhani, Vetter, "Optimal step nonrigid ICP algorithms
for surface registration", 2007, https://doi.org/10.1109/CVPR.2007.383165. Differs from the paper:
each point has a shift of its own instead of an affine map, and is drawn to the tangent plane of its
closest point.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve
from scipy.spatial import cKDTree

from fewskin.errors import DataError
from fewskin.face.topology import FACE_OVAL, topology
from fewskin.functional.procrustes import similarity

__all__ = ["ANCHORS_68", "Correspondence", "closest_on_mesh", "correspond", "in_oval"]

Array = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

# Landmark of the 468 for each of the 68 of iBUG's 300-W, -1 where the two schemes mark other
# places (the line of the jaw, the brows' height, the slope and the wings of the nose).
ANCHORS_68 = (
    *(-1, -1, -1, -1, -1, -1, -1, -1, 152, -1, -1, -1, -1, -1, -1, -1, -1),
    *(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1),
    *(168, -1, -1, 4, -1, -1, 2, -1, -1),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(61, 40, 37, 0, 267, 270, 291, 321, 405, 17, 181, 91),
    *(78, 81, 13, 311, 308, 402, 14, 178),
)


class Correspondence(NamedTuple):
    """Landmarks on a mesh.

    Attributes:
        triangle: (n,) int32, the triangle that holds each.
        bary: (n, 3) float32, where in it.
        residual: (n,) float32, how far the warped mean face was from the surface, cm.
    """

    triangle: npt.NDArray[np.int32]
    bary: npt.NDArray[np.float32]
    residual: npt.NDArray[np.float32]


def correspond(
    vertices: Array,
    triangles: Ints,
    anchors: Array,
    *,
    mean: Array | None = None,
    usable: npt.NDArray[np.bool_] | None = None,
    stiffness: float = 1.0,
    rounds: int = 15,
) -> Correspondence:
    """Return where the landmarks lie on a mesh.

    Args:
        vertices: (V, 3) of the neutral face, model axes, cm.
        triangles: (T, 3), counter-clockwise seen from outside.
        anchors: (468, 3) landmarks whose place on the mesh is known, NaN elsewhere; six or more,
            of both sides, eyes, nose and mouth.
        mean: (468, 3) mean face, model axes; None is that of `topology`.
        usable: (T,) triangles that may hold a landmark, None for all.
        stiffness: weight of the warp's smoothness at the last round, over that of the surface.
        rounds: of closest points.

    Raises:
        DataError: fewer than six anchors, or no usable triangle.
    """
    known = np.asarray(np.isfinite(anchors).all(1))
    if known.sum() < 6:
        raise DataError(f"{known.sum()} anchors, expected six or more: eyes, nose, mouth, chin.")
    keep = np.arange(len(triangles)) if usable is None else np.flatnonzero(usable)
    if not len(keep):
        raise DataError("no triangle of the mesh may hold a landmark; expected a face region.")
    corners = np.asarray(vertices, dtype=np.float64)[triangles[keep]]
    mesh = topology()
    start = np.asarray(mesh.mean if mean is None else mean, dtype=np.float64)
    scale, turn, shift = similarity(np.where(known[:, None], start, np.nan), anchors)
    start = scale * start @ turn.T + shift
    laplacian = _laplacian(mesh.triangles, len(start))
    points = _carried(start, anchors, known, laplacian)
    tree = cKDTree(corners.mean(1))
    outward = _unit(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    for share in np.linspace(0.0, 1.0, rounds):
        found, _, near = _closest(points, corners, tree, outward, _normals(points, mesh.triangles))
        soft = stiffness * 10.0 ** (2.0 * (1.0 - share))
        points = _pulled(points, start, near, outward[found], anchors, known, laplacian, soft)
    found, bary, near = _closest(points, corners, tree, outward, _normals(points, mesh.triangles))
    far = np.linalg.norm(points - near, axis=1)
    return Correspondence(
        keep[found].astype(np.int32), bary.astype(np.float32), far.astype(np.float32)
    )


def closest_on_mesh(points: Array, vertices: Array, triangles: Ints) -> Correspondence:
    """Return the closest point of a mesh for each of (n, 3) points.

    Example:
        >>> square = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
        >>> found = closest_on_mesh(np.array([[0.25, 0.25, 2.0]]), square, np.array([[0, 1, 2]]))
        >>> found.bary.round(2).tolist(), float(found.residual[0])
        ([[0.5, 0.25, 0.25]], 2.0)
    """
    corners = np.asarray(vertices, dtype=np.float64)[triangles]
    found, bary, near = _closest(points, corners, cKDTree(corners.mean(1)), None, None)
    far = np.linalg.norm(points - near, axis=1)
    return Correspondence(found.astype(np.int32), bary.astype(np.float32), far.astype(np.float32))


def in_oval(
    uv: Array, uv_triangles: Ints, at: Correspondence, growth: float = 1.0
) -> npt.NDArray[np.bool_]:
    """Return (T,) whether a triangle's middle is inside the oval of the face, in the texture.

    Args:
        uv: (U, 2) texture coordinates, of one chart around the oval.
        uv_triangles: (T, 3) into `uv`.
        at: of the 468 landmarks.
        growth: of the oval about its middle.
    """
    flat = (uv[uv_triangles[at.triangle]] * at.bary[..., None]).sum(1)
    oval = flat[list(FACE_OVAL)]
    oval = (oval - oval.mean(0)) * growth + oval.mean(0)
    x, y = uv[uv_triangles].mean(1).T
    inside = np.zeros(len(x), dtype=bool)
    # An odd number of edges lies to the right of a point inside.
    for (x1, y1), (x2, y2) in zip(oval, np.roll(oval, -1, axis=0), strict=True):
        if y1 != y2:
            crosses = (y1 > y) != (y2 > y)
            inside ^= crosses & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return inside


def _closest(
    points: Array,
    corners: Array,
    tree: cKDTree,
    outward: Array | None,
    normals: Array | None,
    n_near: int = 40,
) -> tuple[Ints, Array, Array]:
    """Triangle, weights and place of the closest points, of triangles that face the same way."""
    _, near = tree.query(points, k=min(n_near, len(corners)))
    near = near.reshape(len(points), -1)  # (n, k)
    bary = _bary_of_closest(points[:, None], corners[near])  # (n, k, 3)
    at = (bary[..., None] * corners[near]).sum(2)
    far = ((at - points[:, None]) ** 2).sum(-1)
    if outward is not None and normals is not None:
        # The inside of lips and lids is as near as the outside but faces away.
        far = far + 4.0 * ((outward[near] * normals[:, None]).sum(-1) < 0.3)
    rows, best = np.arange(len(points)), far.argmin(1)
    return near[rows, best], bary[rows, best], at[rows, best]


def _bary_of_closest(points: Array, corners: Array) -> Array:
    """Barycentric coordinates (..., 3) of the closest points of triangles (..., 3, 3)."""
    a, b, c = corners[..., 0, :], corners[..., 1, :], corners[..., 2, :]

    def on_edge(p: Array, q: Array) -> Array:
        along = ((points - p) * (q - p)).sum(-1) / np.maximum(((q - p) ** 2).sum(-1), 1e-20)
        return np.clip(along, 0.0, 1.0)

    ab, bc, ca = on_edge(a, b), on_edge(b, c), on_edge(c, a)
    zero = np.zeros_like(ab)
    edges = np.stack(
        [
            np.stack([1 - ab, ab, zero], -1),
            np.stack([zero, 1 - bc, bc], -1),
            np.stack([ca, zero, 1 - ca], -1),
        ],
        -2,
    )  # (..., 3, 3)
    at = edges @ corners
    nearest = ((at - points[..., None, :]) ** 2).sum(-1).argmin(-1)
    best = np.take_along_axis(edges, nearest[..., None, None], -2)[..., 0, :]
    normal = np.cross(b - a, c - a)
    area = np.maximum((normal**2).sum(-1), 1e-20)
    v = (np.cross(points - a, c - a) * normal).sum(-1) / area
    w = (np.cross(b - a, points - a) * normal).sum(-1) / area
    inner = np.stack([1 - v - w, v, w], -1)
    within = np.asarray((inner >= 0).all(-1))
    return np.where(within[..., None], inner, best)


def _laplacian(triangles: Ints, n: int) -> Array:
    """The (n, n) graph Laplacian, rows divided by the number of neighbours."""
    joined = np.zeros((n, n))
    for i, j in ((0, 1), (1, 2), (2, 0)):
        joined[triangles[:, i], triangles[:, j]] = joined[triangles[:, j], triangles[:, i]] = 1.0
    return np.asarray(np.eye(n) - joined / joined.sum(1, keepdims=True))


def _carried(start: Array, anchors: Array, known: npt.NDArray[np.bool_], laplacian: Array) -> Array:
    """Anchors go where they belong and take the rest along, with the least bending."""
    system = laplacian.T @ laplacian @ laplacian.T @ laplacian + 1e-9 * np.eye(len(start))
    system = system + 1e3 * np.diag(known.astype(float))
    wanted = np.where(known[:, None], np.nan_to_num(anchors) - start, 0.0)
    return np.asarray(start + np.linalg.solve(system, 1e3 * wanted))


def _pulled(
    points: Array,
    start: Array,
    near: Array,
    outward: Array,
    anchors: Array,
    known: npt.NDArray[np.bool_],
    laplacian: Array,
    soft: float,
) -> Array:
    """One step: to tangent planes and anchors, with the shift from `start` kept smooth."""
    n = len(points)
    bend = laplacian.T @ laplacian
    bend = soft * (bend @ bend + 0.01 * bend)
    # Directions along the plane count a little, so that a point does not drift on the surface.
    plane = outward[:, :, None] * outward[:, None, :] + 1e-3 * np.eye(3)
    hold = 10.0 * known[:, None, None] * np.eye(3)
    system = np.zeros((n, 3, n, 3))
    rows = np.arange(n)
    system[rows, :, rows, :] = plane + hold
    for axis in range(3):
        system[:, axis, :, axis] += bend
    wanted = np.einsum("nij,nj->ni", plane, near - start)
    wanted += np.einsum("nij,nj->ni", hold, np.nan_to_num(anchors) - start)
    made = solve(system.reshape(3 * n, 3 * n), wanted.ravel(), assume_a="pos")
    return np.asarray(start + made.reshape(n, 3))


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12))


def _normals(points: Array, triangles: Ints) -> Array:
    """Unit normals (n, 3) of the vertices of a small mesh."""
    a, b, c = np.moveaxis(points[triangles], 1, 0)
    each = np.cross(b - a, c - a)
    total = np.zeros_like(points)
    for corner in range(3):
        np.add.at(total, triangles[:, corner], each)
    return _unit(total)
