"""Trivial cues of a photograph: what can be told of it without looking at the skin.

Colour, borders, sharpness, noise and exposure say more about the camera, the room and the collector
than about the disease. Where they predict the label, a learner may learn them in its place: Zech et
al., Variable generalization performance of a deep learning model to detect pneumonia in chest
radiographs, 2018, https://doi.org/10.1371/journal.pmed.1002683; Winkler et al., Association between
surgical skin markings in dermoscopic images and diagnostic performance, 2019,
https://doi.org/10.1001/jamadermatol.2019.1735.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.functional.colour import linear_to_lab, srgb_to_linear
from fewskin.functional.traces import grain

__all__ = ["CUES", "MEASURES", "UNITS", "picture_cues"]

Pixels = npt.NDArray[np.uint8]
Array = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]

# A cue is one or several numbers that are seen together.
CUES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "mean colour": ("lightness", "redness", "yellowness"),
        "spread of colour": ("lightness_spread", "redness_spread", "yellowness_spread"),
        "border": ("black_border", "white_border", "even_border"),
        "sharpness": ("sharpness",),
        "noise": ("noise",),
        "exposure": ("clipped_dark", "clipped_bright"),
    }
)
MEASURES: Final = tuple(name for names in CUES.values() for name in names)
# What is plain to the eye: units of CIELAB, shares of the image, powers of ten.
UNITS: Final = np.array([10.0] * 6 + [0.1, 0.1, 0.3] + [0.3, 0.3] + [0.05, 0.05])

_LINEAR: Final = srgb_to_linear(np.arange(256, dtype=np.float32) / np.float32(255))
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)
_SMALL: Final = 64  # pixels of the longer side for colours and borders
_FIXED: Final = 128  # pixels of the longer side for sharpness
_CROP: Final = 128  # pixels of the file's middle for noise
_DARK: Final = 26  # of 255, all channels at most: 10 %
_BRIGHT: Final = 243  # of 255, all channels at least: 95 %
_CLIPPED: Final = (2, 253)  # of 255, all channels
_EVEN: Final = 8  # of 255: as near as this to the edge's median colour is the same colour
_FLOOR: Final = 0.1  # of the grey levels squared, and of the sigma of noise: below what 8 bits hold


def picture_cues(pixels: Pixels) -> npt.NDArray[np.float64]:
    """Return the trivial cues of one photograph, in the order of `MEASURES`.

    - lightness, redness, yellowness and their spreads: mean and deviation of L*, a* and b*;
    - black_border, white_border: share of the picture that is black or white and reaches its edge;
      even_border: share of the edge that has one colour;
    - sharpness: log10 of the variance of the Laplacian of brightness, longer side at 128 pixels;
    - noise: log10 of the noise of the green channel in the middle of the file, in 1 / 255;
    - clipped_dark, clipped_bright: share of pixels black or white in every channel, borders aside.

    Args:
        pixels: (H, W, 3) uint8 sRGB, at the size of the file, any size.

    Returns:
        (13,) finite.

    Example:
        >>> framed = np.zeros((40, 40, 3), np.uint8)
        >>> framed[4:-4, 4:-4] = 128
        >>> found = dict(zip(MEASURES, picture_cues(framed).round(2).tolist(), strict=True))
        >>> found["black_border"], found["white_border"], found["even_border"]  # 1 - (32 / 40)^2
        (0.36, 0.0, 1.0)
    """
    fixed = _scaled(pixels, _FIXED)
    small = _scaled(fixed, _SMALL)
    lab = np.ascontiguousarray(linear_to_lab(_LINEAR[small.reshape(-1, 3)]).T)  # (3, n)
    mean = lab.mean(1)
    spread = np.sqrt(np.square(lab - mean[:, None]).mean(1))
    darkest, brightest = _extremes(small)
    black, white = _from_edge(brightest <= _DARK), _from_edge(darkest >= _BRIGHT)
    borders = [black.mean(), white.mean(), _even_edge(small)]
    detail = [_sharpness(fixed), _noise(pixels)]
    exposed = _clipped(pixels, _widened(black | white))
    return np.concatenate([mean, spread, borders, detail, exposed]).astype(np.float64)


def _scaled(pixels: Pixels, side: int, *, enlarge: bool = False) -> Pixels:
    """Return the picture with a longer side of `side` pixels, or as it is if smaller."""
    from PIL import Image

    height, width = pixels.shape[:2]
    if max(height, width) == side or (max(height, width) < side and not enlarge):
        return pixels
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))


def _extremes(pixels: Pixels) -> tuple[Pixels, Pixels]:
    # The least and the greatest channel; over a last axis of 3, min and max are slow.
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    least = np.minimum(np.minimum(red, green), blue)
    return least, np.maximum(np.maximum(red, green), blue)


def _even_edge(small: Pixels) -> float:
    ring = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]]).astype(np.int16)
    middle = np.partition(ring, len(ring) // 2, axis=0)[len(ring) // 2]
    return float((abs(ring - middle) <= _EVEN).all(-1).mean())


def _from_edge(mask: Mask) -> Mask:
    """Return the parts of the mask that reach the edge."""
    from scipy.ndimage import label

    if not (mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()):
        return np.zeros_like(mask)
    parts, n = label(mask)
    at_edge = np.zeros(n + 1, bool)
    for line in (parts[0], parts[-1], parts[:, 0], parts[:, -1]):
        at_edge[line] = True
    at_edge[0] = False
    return np.asarray(at_edge[parts])


def _widened(mask: Mask) -> Mask:
    # By a pixel to each side: the rim of a border is half border.
    wide = mask.copy()
    wide[1:] |= mask[:-1]
    wide[:-1] |= mask[1:]
    down = wide.copy()
    wide[:, 1:] |= down[:, :-1]
    wide[:, :-1] |= down[:, 1:]
    return wide


def _clipped(pixels: Pixels, border: Mask) -> list[float]:
    """Return the shares of black and of white pixels outside the border, of all pixels.

    One pixel of the file is looked at for each of the border's mask.
    """
    at = [
        ((np.arange(few) + 0.5) * many / few).astype(int)
        for few, many in zip(border.shape, pixels.shape[:2], strict=True)
    ]
    darkest, brightest = _extremes(pixels[at[0]][:, at[1]])
    dark, bright = brightest <= _CLIPPED[0], darkest >= _CLIPPED[1]
    return [float((dark & ~border).mean()), float((bright & ~border).mean())]


def _sharpness(pixels: Pixels) -> float:
    x = _scaled(pixels, _FIXED, enlarge=True).astype(np.float32) @ _LUMA
    if min(x.shape) < 3:
        return float(np.log10(_FLOOR))
    around = x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:]
    edges = (around - 4 * x[1:-1, 1:-1]).ravel()
    return float(np.log10(np.vdot(edges, edges) / edges.size - edges.mean() ** 2 + _FLOOR))


def _noise(pixels: Pixels) -> float:
    top, left = (max(0, (length - _CROP) // 2) for length in pixels.shape[:2])
    middle = pixels[top : top + _CROP, left : left + _CROP, 1:2]
    if min(middle.shape[:2]) < 3:
        return float(np.log10(_FLOOR))
    return float(np.log10(grain(middle)[0] + _FLOOR))
