"""Which JPEG quality a picture's pixels show, if any.

JPEG rounds each frequency of its 8 x 8 blocks to multiples of a step, and the decoded pixels still
show it: Fan and de Queiroz, Identification of bitmap compression history, IEEE TIP 2003,
https://doi.org/10.1109/TIP.2002.807361. Differs from the paper: one quality of the tables of ITU-T
T.81 Annex K is sought, in all low frequencies of brightness together, by how near the multiples the
rounded values lie; and only on the picture's own grid. A picture that was scaled, or cropped off
the grid, shows none. So be it: its blocks are gone as well.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.functional.camera import jpeg_steps

__all__ = ["jpeg_quality"]

Pixels = npt.NDArray[np.uint8]
Array = npt.NDArray[np.floating]

_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)
_LOW: Final = np.array([(u, v) for u in range(5) for v in range(5 - u) if u + v])
_QUALITIES: Final = range(10, 96)  # above, the steps of the low frequencies are those of 8 bits
_FINEST: Final = 2.0  # step; finer ones drown in the rounding of the pixels
_ENOUGH: Final = 0.35  # mean of the cosine: 1 on multiples, 0 for other pixels, .5 for like tables
_LEAST: Final = (100, 10, 4)  # values; of one frequency; such frequencies
_ALIKE: Final = 0.01  # of the mean: of two such qualities the lower is meant
_MOST_BLOCKS: Final = 4096


def jpeg_quality(pixels: Pixels) -> int:
    """Return the quality of the last JPEG that the pixels came through, 10 to 95; 0 if none shows.

    Args:
        pixels: (H, W, 3) uint8 sRGB, at the size of the file.

    Example:
        >>> from fewskin.functional.camera import compress
        >>> rng = np.random.default_rng(0)
        >>> rough = np.kron(rng.random((32, 32, 3)), np.ones((4, 4, 1)))
        >>> jpeg_quality(np.round(compress(rough, 70) * 255.0).astype(np.uint8))
        70
        >>> jpeg_quality(np.round(rough * 255.0).astype(np.uint8))
        0
    """
    values = _low_frequencies(pixels)
    shown = [(_evidence(values, quality), quality) for quality in _QUALITIES]
    best = max((mean for mean, _ in shown), default=0.0)
    if best < _ENOUGH:
        return 0
    return min(quality for mean, quality in shown if mean > best - _ALIKE)


def _low_frequencies(pixels: Pixels) -> Array:
    """Return (n, k) coefficients of the brightness of whole blocks, those in the middle first."""
    from scipy.fft import dctn

    rows, columns = pixels.shape[0] // 8, pixels.shape[1] // 8
    brightness = pixels[: rows * 8, : columns * 8].astype(np.float32) @ _LUMA
    blocks = brightness.reshape(rows, 8, columns, 8).swapaxes(1, 2).reshape(-1, 8, 8)
    part = blocks[:: -(-len(blocks) // _MOST_BLOCKS)] if len(blocks) else blocks
    return np.asarray(dctn(part, axes=(1, 2), norm="ortho")[:, _LOW[:, 0], _LOW[:, 1]])


def _evidence(values: Array, quality: int) -> float:
    """Return how near multiples of its steps the values lie that a quality keeps, -1 to 1.

    A value below half a step would have been rounded to 0: it is left out, and says nothing. 0 if
    there are few others, or of few frequencies: a plain ramp has the same value everywhere.
    """
    steps = jpeg_steps(quality)[0, _LOW[:, 0], _LOW[:, 1]]
    steps, values = steps[steps >= _FINEST], values[:, steps >= _FINEST]
    kept = abs(values) > 0.5 * steps
    often = kept.sum(0) >= _LEAST[1]
    if kept.sum() < _LEAST[0] or often.sum() < _LEAST[2]:
        return 0.0
    return float(np.cos(2.0 * np.pi * (values / steps)[kept]).mean())
