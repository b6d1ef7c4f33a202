"""How much sharper a render is than its photograph: the blur that makes their spectra alike.

Both show the same face in the same pose, so the ratio of their power spectra is that of their
cameras and nothing else: for a Gaussian point spread of sigma s, exp(-4 pi^2 s^2 f^2) at f cycles a
pixel, plus the photograph's noise, which is white. The two are fitted together, to radial means of
the power within a soft window on the face.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.errors import DataError
from fewskin.functional.colour import luminance

__all__ = ["excess_sharpness", "radial_power"]

Floats = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]

_BINS: Final = 24  # from 0 to .5 cycles a pixel
_LOWEST: Final = 0.06  # cycles a pixel; below is light and shape, not sharpness
_SIGMAS: Final = np.arange(0.0, 3.001, 0.05)  # pixels
_NOISES: Final = np.concatenate([[0.0], np.geomspace(1e-3, 3.0, 36)])  # of the power at .4 to .5
_LEAST: Final = 24  # pixels, of the window's height and width


def radial_power(brightness: Floats, window: Floats) -> tuple[Array, Array]:
    """Return frequencies and mean power of a picture within a window.

    Args:
        brightness: (H, W).
        window: (H, W) in [0, 1], falling to 0 smoothly.

    Returns:
        (n,) cycles a pixel, and (n,) power per pixel of the window's energy: the variance, where
        the picture is white noise.

    Raises:
        DataError: the window is empty, or of another size than the picture.

    Example:
        >>> noise = np.random.default_rng(0).normal(0.0, 2.0, (64, 64))
        >>> hann = np.hanning(64)
        >>> _, power = radial_power(noise, np.outer(hann, hann))
        >>> bool(abs(np.median(power) - 4.0) < 0.6)
        True
    """
    if brightness.shape != window.shape:
        raise DataError(f"a window of {window.shape} on a picture of {brightness.shape}.")
    part = _part(window)
    if part is None:
        raise DataError("the window is empty: the face lies outside the picture.")
    x, w = brightness[part].astype(np.float64), window[part].astype(np.float64)
    x = (x - (x * w).sum() / w.sum()) * w
    power = abs(np.fft.fft2(x)) ** 2 / (w * w).sum()
    f = np.hypot(np.fft.fftfreq(x.shape[0])[:, None], np.fft.fftfreq(x.shape[1]))
    place = np.floor(f * 2.0 * _BINS).astype(np.int64)
    inside = (place < _BINS) & (f > 0)
    count, sums, total = (
        np.bincount(place[inside], one[inside], _BINS) for one in (np.ones_like(f), power, f)
    )
    full = count > 0
    return total[full] / count[full], sums[full] / count[full]


def excess_sharpness(photograph: Floats, render: Floats, window: Floats) -> float:
    """Return the sigma of the Gaussian, in pixels, that makes a render as soft as its photograph.

    Args:
        photograph: (H, W, 3) linear RGB.
        render: (H, W, 3) linear RGB of the same face in the same pose.
        window: (H, W) in [0, 1] on the face, falling to 0 smoothly.

    Returns:
        0 to 3; 0 where the render is no sharper: it is never sharpened. 0 too where the window is
        under 24 pixels, which is too small to tell.

    Raises:
        DataError: the shapes differ.
    """
    part = _part(window)
    if part is None or min(one.stop - one.start for one in part) < _LEAST:
        return 0.0
    f, wanted = radial_power(luminance(photograph), window)
    _, own = radial_power(luminance(render), window)
    use = f >= _LOWEST
    f, wanted, own = f[use], np.maximum(wanted[use], 1e-12), np.maximum(own[use], 1e-12)
    floor = wanted[f > 0.4].mean()
    passed = np.exp(-4.0 * (np.pi * _SIGMAS[:, None] * f) ** 2)
    made = passed[:, None] * own + (_NOISES * floor)[:, None]
    # A wider ring holds more frequencies; where the noise is, there is little to learn.
    weight = f * (1.0 - 0.9 * np.minimum(floor / wanted, 1.0))
    error = weight * (np.log(made) - np.log(wanted)) ** 2
    at = np.unravel_index(error.sum(-1).argmin(), error.shape[:2])
    return float(_SIGMAS[at[0]])


def _part(window: Floats) -> tuple[slice, slice] | None:
    """Return the rows and columns that the window is not 0 on."""
    rows, columns = (np.flatnonzero((window > 0.02).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
