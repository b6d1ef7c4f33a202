"""Drawing the parts of a patch of skin: textures, domes, plaques, vessels, flakes, folds.

Each function returns one float32 map on a square grid of skin, in millimetres. What a map means
(amount of haemoglobin, height, ...) is up to the caller.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = [
    "Grid",
    "blob",
    "domes",
    "fold",
    "furrows",
    "noise",
    "smooth_step",
    "vessels",
]

Map = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]

_REACH: Final = 2.6  # a dome is below .2 % of its height beyond this many radii


@dataclass(frozen=True)
class Grid:
    """A square of skin seen from above.

    Attributes:
        size: side in samples.
        px_per_mm: samples per millimetre.
    """

    size: int
    px_per_mm: float

    @property
    def extent_mm(self) -> float:
        """Side in millimetres."""
        return self.size / self.px_per_mm

    def axes(self) -> tuple[Map, Map]:
        """Return x (1, size) and y (size, 1) of the sample centres in mm, 0 in the middle."""
        line = (np.arange(self.size, dtype=np.float32) + 0.5 - self.size / 2) / self.px_per_mm
        return line[None, :], line[:, None]


def noise(rng: np.random.Generator, grid: Grid, wavelengths_mm: tuple[float, ...]) -> Map:
    """Return Gaussian noise with mean 0 and variance 1, a sum of equal bands.

    Args:
        rng: generator; one spectrum is drawn whatever the number of bands.
        grid: where.
        wavelengths_mm: centre of each band, one octave wide.

    Returns:
        (size, size) periodic noise.

    Example:
        >>> field = noise(np.random.default_rng(0), Grid(64, 2.0), (4.0,))
        >>> field.shape, float(field.std().round(3))
        ((64, 64), 1.0)
    """
    from scipy.fft import irfft2, rfft2

    fx = np.fft.rfftfreq(grid.size, 1.0 / grid.px_per_mm).astype(np.float32)[None, :]
    fy = np.fft.fftfreq(grid.size, 1.0 / grid.px_per_mm).astype(np.float32)[:, None]
    frequency = np.sqrt(fx**2 + fy**2)
    frequency[0, 0] = np.inf
    gain = np.zeros_like(frequency)
    for wavelength in wavelengths_mm:
        band = np.exp(-0.5 * (np.log2(frequency * wavelength) / 0.5) ** 2) / frequency
        gain += band / max(float(np.sqrt((band**2).sum())), 1e-9)
    white = rng.standard_normal((grid.size, grid.size), dtype=np.float32)
    field = irfft2(rfft2(white) * gain, s=white.shape)
    return ((field - field.mean()) / max(float(field.std()), 1e-9)).astype(np.float32)


def smooth_step(field: npt.NDArray[np.floating], width: float) -> Map:
    """Return 0 where `field` is far below 0 and 1 far above, over about 4 * `width`.

    Args:
        field: (...) signed distance or level.
        width: softness in the unit of `field`; small is a sharp border.

    Example:
        >>> smooth_step(np.array([-9.0, 0.0, 9.0]), 1.0).round(2).tolist()
        [0.0, 0.5, 1.0]
    """
    scaled = np.clip(field / width, -20.0, 20.0)
    return (1.0 / (1.0 + np.exp(-scaled))).astype(np.float32)


def domes(
    grid: Grid, centres_mm: Points, radii_mm: Points, heights: Points, power: float = 2.0
) -> Map:
    """Return a sum of round bumps ``height * exp(-(distance / radius)**power)``.

    Args:
        grid: where.
        centres_mm: (k, 2) x, y.
        radii_mm: (k,) distance at which a bump has 37 % of its height.
        heights: (k,) of the bumps, any unit.
        power: 2 is a Gaussian, 4 a flat-topped plug.

    Example:
        >>> one = domes(Grid(9, 1.0), np.zeros((1, 2)), np.ones(1), np.ones(1))
        >>> float(one[4, 4]), bool(one[0, 0] == 0)
        (1.0, True)
    """
    total = np.zeros((grid.size, grid.size), dtype=np.float32)
    line = grid.axes()[0][0]
    for (x, y), radius, height in zip(centres_mm, radii_mm, heights, strict=True):
        left, right = np.searchsorted(line, [x - _REACH * radius, x + _REACH * radius])
        top, bottom = np.searchsorted(line, [y - _REACH * radius, y + _REACH * radius])
        squared = (line[left:right] - x) ** 2 + ((line[top:bottom] - y) ** 2)[:, None]
        total[top:bottom, left:right] += height * np.exp(-((squared / radius**2) ** (power / 2)))
    return total


def blob(
    rng: np.random.Generator, grid: Grid, centre_mm: Points, radius_mm: float, wobble: float
) -> Map:
    """Return the signed depth inside a star-shaped plaque, in mm: positive inside, 0 on the border.

    Args:
        rng: generator of the outline.
        grid: where.
        centre_mm: (2,) x, y.
        radius_mm: mean radius.
        wobble: relative size of the outline's harmonics, 0 for a circle.

    Example:
        >>> depth = blob(np.random.default_rng(0), Grid(9, 1.0), np.zeros(2), 3.0, 0.0)
        >>> float(depth[4, 4]), float(depth[4, 8])
        (3.0, -1.0)
    """
    x, y = grid.axes()
    dx, dy = x - np.float32(centre_mm[0]), y - np.float32(centre_mm[1])
    angle = np.arctan2(dy, dx)
    radius = np.full_like(angle, radius_mm)
    for order in range(2, 7):
        phase, amount = rng.uniform(0, 2 * np.pi), wobble * radius_mm * rng.normal() / order
        radius += np.float32(amount) * np.cos(order * angle + np.float32(phase))
    return (radius - np.sqrt(dx**2 + dy**2)).astype(np.float32)


def fold(rng: np.random.Generator, grid: Grid) -> Map:
    """Return the signed distance, in mm, to a gently bent line across the grid.

    Example:
        >>> distance = fold(np.random.default_rng(0), Grid(32, 1.0))
        >>> bool((distance > 0).any() and (distance < 0).any())
        True
    """
    x, y = grid.axes()
    angle = rng.uniform(0, 2 * np.pi)
    along = (x * np.cos(angle) + y * np.sin(angle)).astype(np.float32)
    across = (y * np.cos(angle) - x * np.sin(angle)).astype(np.float32)
    bend = rng.uniform(0.004, 0.012) * rng.choice([-1.0, 1.0])
    offset = rng.uniform(-0.14, 0.14) * grid.extent_mm
    ripple = rng.uniform(0.3, 0.8) * np.sin(along / rng.uniform(4, 8) + rng.uniform(0, 6))
    return (across - offset - bend * along**2 + ripple).astype(np.float32)


def furrows(field: Map, sharpness: float = 3.0) -> Map:
    """Turn noise into a net of furrows: 0 in the furrow, towards 1 on the plateau between.

    Args:
        field: (...) noise of variance 1.
        sharpness: larger makes narrower furrows.

    Example:
        >>> furrows(np.array([0.0, 2.0])).round(2).tolist()
        [0.0, 1.0]
    """
    return (1.0 - np.exp(-((sharpness * field) ** 2))).astype(field.dtype)


def vessels(rng: np.random.Generator, grid: Grid, n: int, width_mm: float) -> Map:
    """Return thin branching lines (telangiectasia), 1 on the middle of a line.

    A line thinner than a sample keeps its area: it shows as a fainter, one sample wide line.

    Args:
        rng: generator of the courses.
        grid: where.
        n: number of stems; each may fork once.
        width_mm: full width, .1 to .6 for telangiectasia.

    Example:
        >>> lines = vessels(np.random.default_rng(0), Grid(64, 2.0), 3, 0.4)
        >>> bool(0 < lines.mean() < 0.2)
        True
    """
    from scipy.ndimage import gaussian_filter

    n_steps, step_mm = 60, 0.5 / grid.px_per_mm
    start = rng.uniform(-0.5, 0.5, (n, 2)) * grid.extent_mm
    turn = np.cumsum(rng.normal(0, 0.16, (2 * n, n_steps)), axis=1)
    heading = np.repeat(rng.uniform(0, 2 * np.pi, n), 2)[:, None] + turn
    steps = np.stack([np.cos(heading), np.sin(heading)], axis=-1) * step_mm
    courses = np.repeat(start, 2, axis=0)[:, None] + np.cumsum(steps, axis=1)
    places = np.floor((courses / grid.extent_mm + 0.5) * grid.size).astype(int).reshape(-1, 2)
    places = places[((places >= 0) & (places < grid.size)).all(axis=1)]
    drawn = np.zeros((grid.size, grid.size), dtype=np.float32)
    drawn[places[:, 1], places[:, 0]] = min(1.0, width_mm * grid.px_per_mm)
    spread: Map = gaussian_filter(drawn, max(0.35, 0.4 * width_mm * grid.px_per_mm), truncate=3.0)
    return np.minimum(spread * 1.5, 1.0).astype(np.float32)
