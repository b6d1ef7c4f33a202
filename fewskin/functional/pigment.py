"""Skin colour as layers of pigment, added in optical density.

Optical density is ``-log10`` of linear light. A layer of pigment multiplies light and so adds
density: melanin and haemoglobin are two directions of the three-dimensional density space, and a
neutral direction carries shading. Source: Tsumura et al., "Image-based skin color and texture
analysis/synthesis by extracting hemoglobin and melanin information", SIGGRAPH 2003.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.functional.colour import lab_to_linear

__all__ = [
    "HAEMOGLOBIN",
    "MELANIN",
    "SHADING",
    "compose",
    "decompose",
    "density",
    "light",
    "tone_density",
    "tone_lab",
]

Array = npt.NDArray[np.floating]

MELANIN: Final = np.array([0.4143, 0.3570, 0.8372])  # unit density vectors, RGB
HAEMOGLOBIN: Final = np.array([0.2988, 0.6838, 0.6657])
SHADING: Final = np.array([1.0, 1.0, 1.0])
_VECTORS: Final = np.stack([MELANIN, HAEMOGLOBIN, SHADING])
_FLOOR: Final = 1e-4  # darkest light that has a density: 4 decades

# A smooth path through the middle of the six ITA categories, from very light to dark: L*, a*, b*.
# The path bends (L*, a*, b* are no straight line in density): skin colour is a curved manifold,
# and melanin along the Tsumura vector alone would turn dark skin olive.
_TONE_KNOTS: Final = np.linspace(0.0, 1.0, 6)
_TONE_LAB: Final = np.array(
    [
        [71.0, 8.0, 13.0],
        [66.0, 9.0, 16.0],
        [62.0, 10.0, 18.0],
        [57.0, 11.0, 19.0],
        [45.0, 12.0, 17.0],
        [33.0, 10.0, 12.0],
    ]
)


def density(linear: Array) -> Array:
    """Return the optical density of linear light.

    Args:
        linear: (..., 3) linear RGB; below 1e-4 counts as 1e-4.

    Returns:
        (..., 3) density, -log10, 0 for white.

    Example:
        >>> density(np.array([1.0, 0.1, 0.0])).round(3).tolist()
        [0.0, 1.0, 4.0]
    """
    return -np.log10(np.maximum(linear, _FLOOR)) + 0.0  # + 0.0 turns -0 into 0


def light(od: Array) -> Array:
    """Return linear light of an optical density, the inverse of `density`.

    Args:
        od: (..., 3) optical density; negative is brighter than white.

    Example:
        >>> light(np.array([0.0, 1.0, 2.0])).round(3).tolist()
        [1.0, 0.1, 0.01]
    """
    return np.power(10.0, -od).astype(od.dtype)


def compose(base: Array, melanin: Array, haemoglobin: Array, shading: Array | float = 0.0) -> Array:
    """Add pigment to skin.

    A given amount of haemoglobin adds the same density on every tone, so that erythema is as strong
    on dark skin as on light skin although its RGB difference is smaller.

    Args:
        base: (..., 3) density of the skin without the added pigment.
        melanin: (...) amount along `MELANIN`, density units; negative removes.
        haemoglobin: (...) amount along `HAEMOGLOBIN`; .1 is faint, .4 a deep red.
        shading: (...) neutral density; positive is darker.

    Returns:
        (..., 3) density.

    Example:
        >>> compose(np.zeros(3), np.array(0.0), np.array(1.0)).round(4).tolist()
        [0.2988, 0.6838, 0.6657]
    """
    dtype = np.result_type(base, melanin, haemoglobin)
    pigments = np.multiply.outer(melanin, MELANIN) + np.multiply.outer(haemoglobin, HAEMOGLOBIN)
    return (base + pigments + np.multiply.outer(shading, SHADING)).astype(dtype)


def decompose(od: Array, base: Array) -> tuple[Array, Array, Array]:
    """Split density into melanin, haemoglobin and shading, the inverse of `compose`.

    Args:
        od: (..., 3) density.
        base: (..., 3) density of a reference skin; (3,) broadcasts.

    Returns:
        melanin, haemoglobin, shading, each (...).

    Example:
        >>> od = compose(np.zeros(3), np.array(0.2), np.array(0.3), np.array(-0.1))
        >>> [float(part.round(4)) for part in decompose(od, np.zeros(3))]
        [0.2, 0.3, -0.1]
    """
    parts = (od - base) @ np.linalg.inv(_VECTORS)
    return parts[..., 0], parts[..., 1], parts[..., 2]


def tone_lab(tone: Array | float) -> Array:
    """Return the CIELAB colour of unblemished skin of a tone.

    Args:
        tone: (...) 0 very light to 1 dark, passing the middles of the six ITA categories.

    Returns:
        (..., 3) L*, a*, b*.

    Example:
        >>> tone_lab(0.0).tolist()
        [71.0, 8.0, 13.0]
    """
    parts = [np.interp(tone, _TONE_KNOTS, _TONE_LAB[:, channel]) for channel in range(3)]
    return np.stack(parts, axis=-1)


def tone_density(tone: Array | float) -> Array:
    """Return the density of unblemished skin of a tone.

    Args:
        tone: (...) 0 very light to 1 dark.

    Returns:
        (..., 3) density.

    Example:
        >>> bool((tone_density(1.0) > tone_density(0.0)).all())
        True
    """
    return density(lab_to_linear(tone_lab(tone)))
