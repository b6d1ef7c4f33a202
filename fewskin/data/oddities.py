"""Photographs unlike the others in size, sharpness or exposure: to look at, all are kept."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["odd_photographs"]

Array = npt.NDArray[np.float64]

_SIZE: Final = 2.0  # powers of two: a quarter or four times the pixels
_SHAPE: Final = 1.0  # powers of two: twice as wide or half as wide
_BLUR: Final = (4.0, 0.5)  # robust deviations under the median; powers of ten under it
_SPREAD: Final = 1.4826  # of a normal, over its median absolute deviation
_CLIPPED: Final = 0.3  # share of the picture, black or white borders not counted
_SHADES: Final = (12.0, 97.0)  # mean L* under and over which nothing is seen


def odd_photographs(cues: "pd.DataFrame") -> Iterator[tuple[int, str, str]]:
    """Yield (row, kind, detail) of each oddity.

    Kinds: `odd_size` (a quarter or four times the usual number of pixels, or twice or half the
    usual width for its height), `blurred` (a third of the usual contrast of edges or less, and far
    outside the usual spread), `exposure` (nearly black or white, or over 30 % of it clipped).

    Args:
        cues: `data.cues.measure_cues`.
    """
    yield from _sizes(cues["log2_pixels"].to_numpy(), cues["aspect"].to_numpy())
    yield from _blurred(cues["sharpness"].to_numpy())
    yield from _exposed(cues)


def _sizes(size: Array, shape: Array) -> Iterator[tuple[int, str, str]]:
    usual = np.median(size), np.median(shape)
    odd = (abs(size - usual[0]) > _SIZE) | (abs(shape - usual[1]) > _SHAPE)
    for i in np.flatnonzero(odd):
        detail = f"{_written(size[i], shape[i])} pixels; usual are {_written(*usual)}"
        yield int(i), "odd_size", detail


def _written(size: float, shape: float) -> str:
    # log2 of the pixels and of width over height -> "width x height"
    return f"{2 ** ((size + shape) / 2):.0f} x {2 ** ((size - shape) / 2):.0f}"


def _blurred(sharpness: Array) -> Iterator[tuple[int, str, str]]:
    under = np.median(sharpness) - sharpness
    spread = _SPREAD * np.median(abs(under))
    for i in np.flatnonzero(under > max(_BLUR[0] * spread, _BLUR[1])):
        share = 100 * 10 ** -float(under[i])
        yield int(i), "blurred", f"edges have {share:.1f} % of the usual contrast, squared"


def _exposed(cues: "pd.DataFrame") -> Iterator[tuple[int, str, str]]:
    lightness = cues["lightness"].to_numpy()
    dark, bright = cues["clipped_dark"].to_numpy(), cues["clipped_bright"].to_numpy()
    for i in range(len(cues)):
        if dark[i] > _CLIPPED or lightness[i] < _SHADES[0]:
            found = f"mean L* {lightness[i]:.0f}, {100 * dark[i]:.0f} % black"
        elif bright[i] > _CLIPPED or lightness[i] > _SHADES[1]:
            found = f"mean L* {lightness[i]:.0f}, {100 * bright[i]:.0f} % white"
        else:
            continue
        yield i, "exposure", f"{found} besides borders"
