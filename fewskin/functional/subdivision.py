"""Loop's subdivision: a smooth surface from a coarse triangle mesh.

Loop, "Smooth subdivision surfaces based on triangles", master's thesis, University of Utah, 1987.
Weights of Warren, 1995. Borders follow the cubic B-spline of their own vertices.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix, csr_matrix

__all__ = ["Subdivided", "subdivided", "subdivided_where"]

Ints = npt.NDArray[np.int32]
_Cells = tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]  # indices of numpy's width


class Subdivided(NamedTuple):
    """A finer mesh.

    Attributes:
        weights: (V', V) sparse, the new vertices as means of the old; row i is old vertex i.
        triangles: (4T, 3) int32, counter-clockwise as before.
        parent: (4T,) int32, the old triangle of each.
    """

    weights: csr_matrix
    triangles: Ints
    parent: Ints


def subdivided(triangles: Ints, n_vertices: int, levels: int = 1) -> Subdivided:
    """Subdivide a mesh, each level into four times as many triangles.

    Args:
        triangles: (T, 3), counter-clockwise; every edge has one or two triangles.
        n_vertices: V.
        levels: 1 or more.

    Example:
        >>> corners = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]], dtype=np.int32)
        >>> made = subdivided(corners, 4)
        >>> made.triangles.shape, made.weights.shape
        ((16, 3), (10, 4))
        >>> bool(np.allclose(made.weights.sum(1), 1.0))
        True
    """
    made = _once(np.asarray(triangles, dtype=np.int32), n_vertices)
    for _ in range(levels - 1):
        more = _once(made.triangles, made.weights.shape[0])
        weights = more.weights @ made.weights
        made = Subdivided(weights, more.triangles, made.parent[more.parent])
    return made


def subdivided_where(triangles: Ints, n_vertices: int, wanted: npt.NDArray[np.bool_]) -> Subdivided:
    """Subdivide once, but keep triangles whole outside of a part.

    Next to the part triangles are cut in two or three, so that no vertex lies on an edge. All
    vertices are where `subdivided` puts them; unused ones are left out.

    Args:
        triangles: (T, 3).
        n_vertices: V.
        wanted: (T,) the part.

    Example:
        >>> strip = np.array([[0, 1, 2], [2, 1, 3]], dtype=np.int32)
        >>> len(subdivided_where(strip, 4, np.array([True, False])).triangles)
        6
    """
    whole = _once(np.asarray(triangles, dtype=np.int32), n_vertices)
    n = len(triangles)
    middles = whole.triangles[3 * n :]  # (T, 3): of the edges ab, bc, ca
    cut = np.isin(middles, middles[wanted])
    kept, parent = [], []
    for number in range(n):
        pieces = _cut(triangles[number].tolist(), middles[number].tolist(), cut[number].tolist())
        kept += pieces
        parent += [number] * len(pieces)
    corners = np.array(kept, dtype=np.int32)
    used = np.concatenate([np.arange(n_vertices), np.unique(corners[corners >= n_vertices])])
    place = np.full(whole.weights.shape[0], -1, dtype=np.int32)
    place[used] = np.arange(len(used), dtype=np.int32)
    return Subdivided(whole.weights[used], place[corners], np.array(parent, dtype=np.int32))


def _cut(corners: list[int], middles: list[int], cut: list[bool]) -> list[tuple[int, int, int]]:
    """A triangle after some of its edges ab, bc, ca got a vertex in the middle."""
    for _ in range(3):
        # Turn until the first edge is cut and the last is not, or all or none are.
        if all(cut) or not any(cut) or (cut[0] and not cut[2]):
            break
        corners, middles = corners[1:] + corners[:1], middles[1:] + middles[:1]
        cut = cut[1:] + cut[:1]
    (a, b, c), (ab, bc, ca) = corners, middles
    if all(cut):
        return [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    if not any(cut):
        return [(a, b, c)]
    if cut[1]:
        return [(ab, b, bc), (a, ab, bc), (a, bc, c)]
    return [(a, ab, c), (ab, b, c)]


def _once(triangles: Ints, n: int) -> Subdivided:
    ends = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    opposite = np.concatenate([triangles[:, 2], triangles[:, 0], triangles[:, 1]])
    edges, which, count = np.unique(
        np.sort(ends, axis=1), axis=0, return_inverse=True, return_counts=True
    )
    which = which.ravel()
    border = count == 1
    # New vertices: on a border the middle, else 3/8 of the ends and 1/8 of the corners beside.
    row = n + np.arange(len(edges))
    by_end = np.where(border, 0.5, 0.375)
    inner = ~border[which]
    cells: list[_Cells] = [(row, edges[:, 0], by_end), (row, edges[:, 1], by_end)]
    cells.append((n + which[inner], opposite[inner], np.full(int(inner.sum()), 0.125)))
    cells += _old_vertices(edges, border, n)
    rows, columns, values = (np.concatenate(part) for part in zip(*cells, strict=True))
    weights = coo_matrix((values, (rows, columns)), shape=(n + len(edges), n)).tocsr()
    ab, bc, ca = (n + which).reshape(3, -1)
    a, b, c = triangles.T
    four = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    finer = np.concatenate([np.stack(part, 1) for part in four]).astype(np.int32)
    return Subdivided(weights, finer, np.tile(np.arange(len(triangles), dtype=np.int32), 4))


def _old_vertices(
    edges: npt.NDArray[np.integer], border: npt.NDArray[np.bool_], n: int
) -> list[_Cells]:
    """Rows of the old vertices: a mean of themselves and their neighbours."""
    on_border = np.zeros(n, dtype=bool)
    on_border[edges[border]] = True
    both = np.concatenate([edges, edges[:, ::-1]])
    along = np.concatenate([border, border])
    use = along | ~on_border[both[:, 0]]  # a border vertex listens to the border only
    here, there = both[use].T
    degree = np.bincount(here, minlength=n)
    each = np.where(degree == 3, 3.0 / 16.0, 3.0 / (8.0 * np.maximum(degree, 1)))
    each = np.where(on_border, 1.0 / 8.0, each)
    own = 1.0 - each * degree
    return [(here, there, each[here]), (np.arange(n), np.arange(n), own)]
