"""Which triangle of a mesh each pixel sees: a z-buffer.

Three kernels give the same picture: numba (the extra `fast`; one core, the quickest), numpy
(always there), and torch (batches, on a GPU if that is where the points are).
"""

import importlib.util
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from fewskin.errors import ConfigError, MissingExtra

__all__ = ["Kernel", "Raster", "raster", "zbuffer"]

Kernel = Literal["auto", "numba", "numpy", "torch"]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]


class Raster(NamedTuple):
    """What a picture of a mesh sees.

    Attributes:
        triangle: (H, W) int32, -1 where nothing is.
        bary: (H, W, 3) float32 barycentric coordinates on the surface, perspective taken into
            account; 0 where nothing is.
        depth: (H, W) float32, inf where nothing is.
    """

    triangle: Ints
    bary: Floats
    depth: Floats


def raster(
    points: npt.NDArray[np.floating],
    triangles: Ints,
    size: tuple[int, int],
    *,
    cull: bool = True,
    kernel: Kernel = "auto",
) -> Raster:
    """Return which triangle each pixel's centre sees, and where in it.

    Args:
        points: (V, 3) x and y in pixels, y down, and depth > 0, as of `View.project`.
        triangles: (T, 3) into `points`, counter-clockwise seen from outside.
        size: (height, width).
        cull: leave out triangles seen from behind.
        kernel: "auto" takes numba where it is installed, else numpy.

    Raises:
        ConfigError: unknown kernel.
        MissingExtra: numba asked for and absent.

    Example:
        >>> corners = np.array([[0.0, 0, 1], [0, 4, 1], [4, 0, 1]])
        >>> raster(corners, np.array([[0, 1, 2]]), (2, 2), kernel="numpy").triangle.tolist()
        [[0, 0], [0, 0]]
    """
    if kernel == "torch":
        return _by_torch(points, triangles, size, cull)
    found, depth = zbuffer(points, triangles, size, cull=cull, kernel=kernel)
    return Raster(found, _bary(points, triangles, found, _chosen(kernel)), depth)


def zbuffer(
    points: npt.NDArray[np.floating],
    triangles: Ints,
    size: tuple[int, int],
    *,
    cull: bool = True,
    kernel: Kernel = "auto",
    only: npt.NDArray[np.bool_] | None = None,
) -> tuple[Ints, Floats]:
    """Return the triangle (H, W) and the depth (H, W) of `raster`, without where in the triangle.

    Other arguments and errors are those of `raster`.

    Args:
        points: (V, 3).
        triangles: (T, 3).
        size: (height, width).
        cull: leave out triangles seen from behind.
        kernel: as there.
        only: (T,) triangles that are there; all by default.

    Example:
        >>> corners = np.array([[0.0, 0, 1], [0, 4, 1], [4, 0, 1]])
        >>> zbuffer(corners, np.array([[0, 1, 2]]), (1, 2), kernel="numpy")[1].tolist()
        [[1.0, 1.0]]
    """
    chosen = _chosen(kernel)
    if only is not None and chosen != "numba":
        number = np.flatnonzero(only)
        found, depth = zbuffer(points, triangles[number], size, cull=cull, kernel=kernel)
        return np.where(found < 0, -1, number[found]).astype(np.int32), depth
    if chosen == "torch":
        seen = _by_torch(points, triangles, size, cull)
        return seen.triangle, seen.depth
    points = np.ascontiguousarray(points, dtype=np.float64)
    triangles = np.ascontiguousarray(triangles, dtype=np.int32)
    if chosen == "numba":
        from fewskin.functional.raster_numba import zbuffer_numba

        there = np.zeros(0, bool) if only is None else np.ascontiguousarray(only, bool)
        found, depth = zbuffer_numba(points, triangles, *size, cull, there)
        return found, depth
    from fewskin.functional.raster_numpy import zbuffer_numpy

    return zbuffer_numpy(points, triangles, *size, cull)


def _by_torch(
    points: npt.NDArray[np.floating], triangles: Ints, size: tuple[int, int], cull: bool
) -> Raster:
    import torch

    from fewskin.functional.raster_torch import raster_torch

    batch = torch.from_numpy(np.ascontiguousarray(points, dtype=np.float64))[None]
    corners = torch.from_numpy(np.ascontiguousarray(triangles))
    return Raster(*(part[0].numpy() for part in raster_torch(batch, corners, size, cull=cull)))


def _bary(points: npt.NDArray[np.floating], triangles: Ints, found: Ints, chosen: str) -> Floats:
    points = np.ascontiguousarray(points, dtype=np.float64)
    if chosen == "numba":
        from fewskin.functional.raster_numba import bary_numba

        return np.asarray(bary_numba(points, np.ascontiguousarray(triangles, np.int32), found))
    from fewskin.functional.raster_numpy import bary_numpy

    made = np.zeros((found.size, 3), np.float32)
    hit = np.flatnonzero(found.ravel() >= 0)
    made[hit] = bary_numpy(points, triangles, found, hit)
    return made.reshape(*found.shape, 3)


def _chosen(kernel: str) -> str:
    if kernel not in get_args(Kernel):
        raise ConfigError(f"kernel={kernel!r}: expected {', '.join(get_args(Kernel))}.")
    present = importlib.util.find_spec("numba") is not None
    if kernel == "numba" and not present:
        raise MissingExtra("kernel=numba needs numba: pip install 'fewskin[fast]'.")
    if kernel != "auto":
        return kernel
    return "numba" if present else "numpy"
