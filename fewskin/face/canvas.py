"""The skin of any face model in the places of one mean face, so that a condition is drawn once.

The landmarks carry each texel of a model to the mean face of `topology` (a thin-plate spline).
There the cheek is where the cheek is, whatever the model's texture looks like, and a millimetre is
a millimetre of skin. Zones are polygons of landmarks, folds are lines of landmarks.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fewskin.errors import DataError
from fewskin.face.model import FaceModel
from fewskin.face.per_model import per_model
from fewskin.face.texture import atlas_of, smooth_step
from fewskin.face.topology import topology
from fewskin.functional.mesh import triangle_normals, vertex_normals

__all__ = ["Canvas", "Near", "canvas_of", "mirrored", "soft"]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

_REGIONS: Final = ("face", "lips")
_AXIS_Z: Final = 4.5  # of the upright axis about which the mean face is unrolled, cm
_STEP_CM: Final = 0.05  # between points of a line
_FAR_CM: Final = 2.5  # beyond the landmarks nothing is drawn
_CUBE, _CELLS = 48, 6.0  # of a cube of noise, and how many of its cells a wavelength has


@dataclass(frozen=True, eq=False)
class Near:
    """The texels about a point, on the plane that touches the skin there.

    Attributes:
        at: (k,) positions in the canvas.
        x, y: (k,) mm to the subject's left and up.
        texel_mm: of the texture here.
    """

    at: Ints
    x: Floats
    y: Floats
    texel_mm: float


@dataclass(frozen=True, eq=False)
class Canvas:
    """The n texels of a texture that show the face or the lips.

    Attributes:
        side: S, texels.
        texel: (n,) flat position in the texture.
        place: (n, 3) on the mean face, cm.
        normal: (n, 3) unit.
        lips: (n,) whether it is of the lips.
        texel_mm: (n,) side of a texel on the mean face, mm.
    """

    side: int
    texel: Ints
    place: Floats
    normal: Floats
    lips: npt.NDArray[np.bool_]
    texel_mm: Floats

    @cached_property
    def _tree(self) -> Any:  # Any: scipy has no stubs
        from scipy.spatial import cKDTree

        return cKDTree(self.place, balanced_tree=False, compact_nodes=False)

    def image(self, values: npt.NDArray[np.floating]) -> Floats:
        """Return (S, S) float32 of (n,) values; 0 elsewhere."""
        made = np.zeros(self.side**2, np.float32)
        made[self.texel] = values
        return made.reshape(self.side, self.side)

    def to_line(self, *lines: Sequence[int], closed: bool = False) -> Floats:
        """Return (n,) cm from each texel to the nearest of some lines of landmarks."""
        from scipy.spatial import cKDTree

        points = np.concatenate([_along(line, closed) for line in lines])
        return np.asarray(cKDTree(points).query(self.place)[0], np.float32)

    def inside(self, *rings: Sequence[int]) -> Floats:
        """Return (n,) cm inside the nearest of some closed rings of landmarks; negative outside."""
        depth = np.full(len(self.place), -np.inf, np.float32)
        flat = _unrolled(self.place)
        for ring in rings:
            within = _in_ring(flat, _unrolled(topology().mean[list(ring)]))
            distance = self.to_line(ring, closed=True)
            depth = np.maximum(depth, np.where(within, distance, -distance))
        return depth

    def to_point(self, landmark: int) -> Floats:
        """Return (n,) cm from each texel to a landmark of the mean face."""
        return np.asarray(np.linalg.norm(self.place - topology().mean[landmark], axis=1))

    def noise(
        self, rng: np.random.Generator, *wavelengths_mm: float, mirrored: bool = False
    ) -> Floats:
        """Return (n,) Gaussian noise on the skin, about mean 0 and variance 1, of equal bands.

        Args:
            rng: of the noise.
            wavelengths_mm: one a band.
            mirrored: the same on both sides of the face.
        """
        bands = [self._band(rng, wavelength, mirrored) for wavelength in wavelengths_mm]
        return np.asarray(np.sum(bands, axis=0) / np.sqrt(len(bands)), np.float32)

    def _band(self, rng: np.random.Generator, wavelength_mm: float, mirrored: bool) -> Floats:
        from scipy.ndimage import map_coordinates

        cube = _noise_cube(rng)
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]  # so that its repeats do not line up
        place = np.abs(self.place) * [1, 0, 0] + self.place * [0, 1, 1] if mirrored else self.place
        cells = (place.astype(np.float32) @ turn.astype(np.float32)).T
        cells *= 10.0 * _CELLS / wavelength_mm
        return np.asarray(map_coordinates(cube, cells, order=1, mode="grid-wrap"))

    def near(self, point: Floats, radius_mm: float) -> Near:
        """Return the texels within a radius of a point on the skin, mm."""
        at = np.sort(np.asarray(self._tree.query_ball_point(point, radius_mm / 10.0), np.int64))
        if not len(at):
            at = np.asarray([self._tree.query(point)[1]], np.int64)
        off = self.place[at] - point
        up = self.normal[at[np.argmin((off * off).sum(1))]]
        across = np.cross(np.array([0.0, 1.0, 0.0], np.float32), up)
        across /= max(float(np.linalg.norm(across)), 1e-6)
        flat = 10.0 * off @ np.stack([across, np.cross(up, across)], axis=1)
        size = float(np.median(self.texel_mm[at]))
        return Near(at, flat[:, 0], flat[:, 1], size)

    def scatter(
        self, rng: np.random.Generator, n: int, weight: Floats, apart_mm: float = 0.0
    ) -> Floats:
        """Return (n, 3) places drawn by a weight per area; farther apart first, where they can be.

        Args:
            rng: of the places; draws the same amount whatever the weight.
            n: how many.
            weight: (n_texels,) 0 or more; where it is 0 nothing is placed.
            apart_mm: places nearer than this to an earlier one are moved, three times at most.

        Raises:
            DataError: the weight is 0 everywhere.
        """
        total = np.cumsum(weight.astype(np.float64) * self.texel_mm**2)
        if not len(total) or total[-1] <= 0.0:
            raise DataError("nowhere to place a lesion: its zone has no texel on this model.")
        draws = rng.uniform(size=(n, 3)) * total[-1]
        tries = self.place[np.minimum(np.searchsorted(total, draws), len(total) - 1)]
        made = np.empty((n, 3), np.float32)
        for k, options in enumerate(tries):
            clear = [np.linalg.norm(made[:k] - place, axis=1).min(initial=9.0) for place in options]
            good = [i for i, distance in enumerate(clear) if 10.0 * distance >= apart_mm]
            made[k] = options[good[0] if good else int(np.argmax(clear))]
        return made


def mirrored(*lines: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Return lines of landmarks and the same lines on the other side of the face.

    Example:
        >>> mirrored((33, 133))
        ((33, 133), (263, 362))
    """
    other = topology().mirror
    own = tuple(tuple(line) for line in lines)
    return own + tuple(tuple(int(other[i]) for i in line) for line in own)


@per_model
def canvas_of(model: FaceModel, side: int) -> Canvas:
    """Return the canvas of a model's texture; made once for each model and side.

    Args:
        model: face model.
        side: texels.

    Raises:
        DataError: the model has too few landmarks, or no face.
    """
    atlas = atlas_of(model, side)
    use = model.in_region(*_REGIONS)[atlas.triangle]
    vertices = _on_mean(model)
    normals = vertex_normals(vertices, model.triangles)
    place = atlas.at_texels(vertices)
    normal = atlas.at_texels(normals)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
    areas = np.linalg.norm(triangle_normals(vertices, model.triangles), axis=1)
    sizes = 10.0 * np.sqrt(areas / np.maximum(atlas.areas, 1e-9))
    use &= _reached(place)
    if not use.any():
        raise DataError(f"model {model.name!r} has no skin near its landmarks to draw on.")
    lips = model.in_region("lips")[atlas.triangle]
    return Canvas(
        side=side,
        texel=atlas.texel[use],
        place=place[use],
        normal=normal[use],
        lips=np.asarray(lips[use]),
        texel_mm=sizes[atlas.triangle[use]].astype(np.float32),
    )


def _on_mean(model: FaceModel) -> Floats:
    """Return (V, 3) vertices of the model's mean face, carried to the mean face of `topology`."""
    from scipy.interpolate import RBFInterpolator

    marks = model.landmarks(model.vertices) if len(model.landmark_triangles) else np.empty((0, 3))
    known = np.isfinite(marks).all(1)
    if known.sum() < 60:
        raise DataError(
            f"model {model.name!r} has {known.sum()} landmarks, expected 60 or more: conditions "
            "are placed by them."
        )
    warp = RBFInterpolator(
        marks[known], topology().mean[np.flatnonzero(known)], smoothing=1e-3, degree=1
    )
    return np.asarray(warp(model.vertices), np.float32)


def _reached(place: Floats) -> npt.NDArray[np.bool_]:
    from scipy.spatial import cKDTree

    distance = cKDTree(topology().mean).query(place, distance_upper_bound=_FAR_CM)[0]
    return np.isfinite(distance)


def _along(line: Sequence[int], closed: bool) -> Floats:
    """Return points at most _STEP_CM apart along a line of landmarks."""
    marks = topology().mean[[*line, line[0]] if closed else list(line)]
    lengths = np.linalg.norm(np.diff(marks, axis=0), axis=1)
    known = np.concatenate([[0.0], np.cumsum(lengths)])
    steps = np.linspace(0.0, known[-1], int(known[-1] / _STEP_CM) + 2)
    return np.stack([np.interp(steps, known, marks[:, k]) for k in range(3)], axis=1)


def _unrolled(place: Floats) -> Floats:
    around = np.arctan2(place[:, 0], place[:, 2] - _AXIS_Z)
    return np.stack([9.0 * around, place[:, 1]], axis=1)


def _in_ring(points: Floats, ring: Floats) -> npt.NDArray[np.bool_]:
    """Return whether (n, 2) points lie in a closed polygon, by the crossings of a ray."""
    inside = np.zeros(len(points), bool)
    x, y = points.T
    for (ax, ay), (bx, by) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        if ay == by:
            continue
        across = (ay > y) != (by > y)
        inside ^= across & (x < ax + (bx - ax) * (y - ay) / (by - ay))
    return inside


def _noise_cube(rng: np.random.Generator) -> Floats:
    """Return (48, 48, 48) periodic noise of variance 1, one octave about a wavelength of 6."""
    from scipy.fft import irfftn, rfftn

    white = rng.standard_normal((_CUBE,) * 3, dtype=np.float32)
    field = irfftn(rfftn(white) * _octave(), s=white.shape)
    return np.asarray((field - field.mean()) / field.std(), np.float32)


@functools.cache
def _octave() -> Floats:
    """Return (48, 48, 25) gain of each frequency of a cube."""
    line = np.fft.fftfreq(_CUBE)[:, None, None]
    half = np.fft.rfftfreq(_CUBE).reshape(1, 1, -1)
    frequency = np.sqrt(line**2 + line.reshape(1, -1, 1) ** 2 + half**2)
    frequency[0, 0, 0] = np.inf
    return np.exp(-0.5 * (np.log2(frequency * _CELLS) / 0.5) ** 2).astype(np.float32)


def soft(depth_cm: npt.NDArray[np.floating], width_cm: float) -> Floats:
    """Return 0 where a depth is below -`width_cm` and 1 above it, smooth between.

    Example:
        >>> soft(np.float32([-1.0, 0.0, 1.0]), 0.5).tolist()
        [0.0, 0.5, 1.0]
    """
    return smooth_step(depth_cm, -width_cm, width_cm)
