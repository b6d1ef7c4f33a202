"""Give a render the fine grain of its photograph, which averaging has taken away.

A render averages several points a pixel, so it has less sensor noise than the photograph: a cue
that tells the two apart. Grain is measured by the mask of Immerkaer, Fast noise variance
estimation, 1996, https://doi.org/10.1006/cviu.1996.0060. Differs from the paper: the median of
the answers in place of their mean, so that edges and pores hardly count.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["grain", "with_grain_of"]

Pixels = npt.NDArray[np.uint8]

_NORM: Final = 6.0  # root of the sum of squares of the mask
_MEDIAN: Final = 0.6745  # of |x| where x is normal of variance 1


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
    x = pixels.astype(np.float64)
    across = x[:, :-2] - 2.0 * x[:, 1:-1] + x[:, 2:]
    answer = across[:-2] - 2.0 * across[1:-1] + across[2:]
    return np.asarray(np.median(abs(answer), axis=(0, 1)) / (_MEDIAN * _NORM))


def with_grain_of(photograph: Pixels, render: Pixels, rng: np.random.Generator) -> Pixels:
    """Return a render with noise added until its grain is the photograph's, if that has more.

    Args:
        photograph: (H, W, 3) uint8 sRGB, at the size of the render or near it.
        render: (h, w, 3) uint8 sRGB.
        rng: of this picture.
    """
    lack = np.sqrt(np.maximum(grain(photograph) ** 2 - grain(render) ** 2, 0.0))
    noise = rng.standard_normal(render.shape, dtype=np.float32) * lack
    return np.clip(np.round(render + noise), 0, 255).astype(np.uint8)
