"""Normals of triangle meshes; compiled where numba is installed, the same to rounding without."""

import importlib.util

import numpy as np
import numpy.typing as npt

__all__ = ["triangle_normals", "vertex_normals"]

Floats = npt.NDArray[np.float32]


def triangle_normals(
    vertices: npt.NDArray[np.floating], triangles: npt.NDArray[np.integer]
) -> Floats:
    """Return (T, 3) outward normals whose length is twice the triangle's area.

    Args:
        vertices: (V, 3).
        triangles: (T, 3), counter-clockwise seen from outside.

    Example:
        >>> corners = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
        >>> triangle_normals(corners, np.array([[0, 1, 2]])).tolist()
        [[0.0, 0.0, 1.0]]
    """
    a, b, c = (np.asarray(vertices, np.float32)[triangles[:, i]] for i in range(3))
    return np.cross(b - a, c - a).astype(np.float32)


def vertex_normals(
    vertices: npt.NDArray[np.floating], triangles: npt.NDArray[np.integer]
) -> Floats:
    """Return (V, 3) unit normals, the area-weighted mean of the triangles around each vertex.

    A vertex of no triangle has 0.

    Args:
        vertices: (V, 3).
        triangles: (T, 3), counter-clockwise seen from outside.
    """
    if importlib.util.find_spec("numba") is None:
        return vertex_normals_numpy(vertices, triangles)
    from fewskin.functional.mesh_numba import vertex_normals_numba

    rows = np.ascontiguousarray(vertices, np.float32), np.ascontiguousarray(triangles, np.int32)
    return np.asarray(vertex_normals_numba(*rows))


def vertex_normals_numpy(
    vertices: npt.NDArray[np.floating], triangles: npt.NDArray[np.integer]
) -> Floats:
    """Return `vertex_normals` without numba."""
    faces = triangle_normals(vertices, triangles)
    corners = triangles.ravel()
    total = np.stack(
        [np.bincount(corners, np.repeat(faces[:, i], 3), len(vertices)) for i in range(3)], 1
    )
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return (total / np.maximum(length, 1e-12)).astype(np.float32)
