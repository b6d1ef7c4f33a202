"""The numba kernel of `functional.mesh`."""

from typing import Any

import numpy as np
from numba import njit

__all__ = ["vertex_normals_numba"]


@njit(cache=True, nogil=True)
def vertex_normals_numba(vertices: Any, triangles: Any) -> Any:  # Any: float32 (V, 3), int32 (T, 3)
    """Return (V, 3) float32; see `vertex_normals`."""
    total = np.zeros((len(vertices), 3), np.float64)
    for t in range(len(triangles)):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux, uy = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1]
        vx, vy = vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1]
        uz, vz = vertices[b, 2] - vertices[a, 2], vertices[c, 2] - vertices[a, 2]
        x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for k in (a, b, c):
            total[k, 0] += x
            total[k, 1] += y
            total[k, 2] += z
    made = np.empty((len(vertices), 3), np.float32)
    for i in range(len(vertices)):
        x, y, z = total[i, 0], total[i, 1], total[i, 2]
        length = max(np.sqrt(x * x + y * y + z * z), 1e-12)
        made[i, 0], made[i, 1], made[i, 2] = x / length, y / length, z / length
    return made
