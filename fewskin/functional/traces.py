"""Traces that a camera and a file format leave in pixels: noise, and the rounding of JPEG.

Noise is measured by the mask of Immerkaer, Fast noise variance estimation, 1996,
https://doi.org/10.1006/cviu.1996.0060; differs from the paper: the median of the answers in place
of their mean, so that edges and pores hardly count.

JPEG rounds each frequency of its 8 x 8 blocks to multiples of a step, and the decoded pixels still
show it: Fan and de Queiroz, Identification of bitmap compression history, IEEE TIP 2003,
https://doi.org/10.1109/TIP.2002.807361. Differs from the paper: one quality of the tables of ITU-T
T.81 Annex K is sought, in all low frequencies of brightness together, by how near the multiples the
rounded values lie; and only on the picture's own grid. A picture that was scaled, or cropped off
the grid, shows none. So be it: its blocks are gone as well.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.functional.camera import jpeg_steps

__all__ = ["grain", "jpeg_quality", "quality_of_table"]

Pixels = npt.NDArray[np.uint8]
Array = npt.NDArray[np.floating]

_NORM: Final = 6.0  # root of the sum of squares of the mask
_MEDIAN: Final = 0.6745  # of |x| where x is normal of variance 1
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)
_LOW: Final = np.array([(u, v) for u in range(5) for v in range(5 - u) if u + v])
_QUALITIES: Final = range(10, 96)  # above, the steps of the low frequencies are those of 8 bits
_FINEST: Final = 2.0  # step; finer ones drown in the rounding of the pixels
_ENOUGH: Final = 0.35  # mean of the cosine: 1 on multiples, 0 for other pixels, .5 for like tables
_LEAST: Final = (100, 10, 4)  # values; of one frequency; such frequencies
_ALIKE: Final = 0.01  # of the mean: of two such qualities the lower is meant


def grain(pixels: Pixels) -> npt.NDArray[np.float64]:
    """Return the sigma of the noise of each channel, (3,), in units of 1 / 255.

    Args:
        pixels: (H, W, 3) uint8 sRGB, 3 or more on a side.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> noisy = np.clip(rng.normal(128.0, 4.0, (64, 64, 3)), 0, 255).astype(np.uint8)
        >>> bool((abs(grain(noisy) - 4.0) < 0.3).all())
        True
    """
    # Whole numbers up to 16 x 255: exact, and faster than floats.
    x = pixels.astype(np.int16)
    across = x[:, :-2] - 2 * x[:, 1:-1] + x[:, 2:]
    answer = across[:-2] - 2 * across[1:-1] + across[2:]
    return np.asarray(np.median(abs(answer), axis=(0, 1)) / (_MEDIAN * _NORM))


def quality_of_table(steps: Sequence[int]) -> int:
    """Return the quality, 1 to 100, whose brightness table has the most similar sum.

    Args:
        steps: the 64 steps of a file's brightness table, in any order.

    Example:
        >>> quality_of_table(jpeg_steps(73)[0].astype(int).ravel().tolist())
        73
    """
    return 1 + int(np.abs(_table_sums() - float(np.sum(steps))).argmin())


@lru_cache(maxsize=1)
def _table_sums() -> Array:
    return np.array([jpeg_steps(quality)[0].sum() for quality in range(1, 101)])


def jpeg_quality(pixels: Pixels, most_blocks: int = 4096) -> int:
    """Return the quality of the last JPEG that the pixels came through, 10 to 95; 0 if none shows.

    Args:
        pixels: (H, W, 3) uint8 sRGB, at the size of the file.
        most_blocks: blocks to look at, spread over the picture; 64 take a millisecond.

    Example:
        >>> from fewskin.functional.camera import compress
        >>> rng = np.random.default_rng(0)
        >>> rough = np.kron(rng.random((32, 32, 3)), np.ones((4, 4, 1)))
        >>> jpeg_quality(np.round(compress(rough, 70) * 255.0).astype(np.uint8))
        70
        >>> jpeg_quality(np.round(rough * 255.0).astype(np.uint8))
        0
    """
    shown = _evidence(_low_frequencies(pixels, most_blocks))
    if shown.max() < _ENOUGH:
        return 0
    return _QUALITIES[int(np.flatnonzero(shown > shown.max() - _ALIKE)[0])]


def _low_frequencies(pixels: Pixels, most_blocks: int) -> Array:
    """Return (n, k) coefficients of the brightness of whole blocks, spread over the picture."""
    from scipy.fft import dctn

    rows, columns = pixels.shape[0] // 8, pixels.shape[1] // 8
    blocks = pixels[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8, 3).swapaxes(1, 2)
    blocks = blocks.reshape(-1, 8, 8, 3)
    part = blocks[:: -(-len(blocks) // most_blocks)] if len(blocks) else blocks
    brightness = part.astype(np.float32) @ _LUMA
    return np.asarray(dctn(brightness, axes=(1, 2), norm="ortho")[:, _LOW[:, 0], _LOW[:, 1]])


@lru_cache(maxsize=1)
def _steps() -> Array:
    # (qualities, k)
    return np.stack([jpeg_steps(quality)[0, _LOW[:, 0], _LOW[:, 1]] for quality in _QUALITIES])


def _evidence(values: Array) -> Array:
    """Return how near multiples of its steps the values lie that each quality keeps, -1 to 1.

    A value below half a step would have been rounded to 0: it is left out, and says nothing. 0 if
    there are few others, or of few frequencies: a plain ramp has the same value everywhere.

    Args:
        values: (n, k).

    Returns:
        (qualities,).
    """
    steps = _steps()[:, None]  # (q, 1, k)
    kept = (abs(values) > 0.5 * steps) & (steps >= _FINEST)
    counts = kept.sum(1)  # (q, k)
    near = np.where(kept, np.cos(np.float32(2.0 * np.pi) * (values / steps)), np.float32(0.0))
    enough = (counts.sum(1) >= _LEAST[0]) & ((counts >= _LEAST[1]).sum(1) >= _LEAST[2])
    return np.where(enough, near.sum((1, 2)) / np.maximum(counts.sum(1), 1), 0.0)
