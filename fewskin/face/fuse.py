"""Join the textures of several photographs of one person."""

from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.errors import DataError
from fewskin.face.texture import Texture

__all__ = ["exposure_gains", "fuse"]

Floats = npt.NDArray[np.float32]

_SHARP: Final = 3.0  # power of the weights: the best photograph of a texel counts most, or a small
# error of alignment blurs; not the best alone, or there would be seams
_LEAST: Final = 30.0  # texels of common skin that an exposure can be compared on


def fuse(textures: list[Texture]) -> Texture:
    """Return one texture of several photographs of one person, each brought to one exposure.

    A texel's photographs count by confidence and by density, cubed: sharp and head-on wins.

    Args:
        textures: unwrapped and delighted, of one side; not completed, or guesses would count.

    Returns:
        The texture. `confidence` is that at least one photograph is right, `density` and `skin`
        are weighted means.

    Raises:
        DataError: no texture, sides that differ, or two groups of photographs without common skin.
    """
    if not textures:
        raise DataError("fuse needs at least one texture, not 0.")
    if len({texture.side for texture in textures}) > 1:
        sides = sorted({texture.side for texture in textures})
        raise DataError(f"fuse needs textures of one side, not {sides}.")
    gains = exposure_gains(textures)
    total = np.zeros(textures[0].confidence.shape, np.float32)
    sums = np.zeros((5, *total.shape), np.float32)
    doubt = np.ones_like(total)
    for texture, gain in zip(textures, gains, strict=True):
        weight = (texture.confidence * np.minimum(texture.density, 1.0)) ** _SHARP
        weight = weight + 1e-6 * texture.confidence
        layers = [*np.moveaxis(texture.colour * np.float32(gain), -1, 0)]
        sums += np.stack([*layers, texture.skin, texture.density]) * weight
        total += weight
        doubt *= 1.0 - texture.confidence
    mean = np.asarray(sums / np.maximum(total, 1e-12), np.float32)
    colour = np.ascontiguousarray(np.moveaxis(mean[:3], 0, -1))
    sure = np.asarray(1.0 - doubt, np.float32)
    return Texture(colour, sure, mean[3], mean[4])


def exposure_gains(textures: list[Texture]) -> npt.NDArray[np.float64]:
    """Return (k,) factors that bring k textures to one exposure, of geometric mean 1.

    One number a photograph, from the median ratio of common skin, pair by pair, and least squares
    over all pairs. Colour is left alone: balancing channels would remove a flush that one visit
    shows and another does not.

    Raises:
        DataError: two groups of photographs without common skin.
    """
    n = len(textures)
    rows, ratios = [np.ones(n)], [0.0]
    linked = np.eye(n, dtype=bool)
    for i in range(n):
        for j in range(i):
            ratio = _log_ratio(textures[i], textures[j])
            if ratio is None:
                continue
            row = np.zeros(n)
            row[i], row[j] = 1.0, -1.0
            rows.append(row)
            ratios.append(-ratio)
            group = linked[i] | linked[j]
            linked[group] = group
    if not linked[0].all():
        apart = int(np.flatnonzero(~linked[0])[0])
        raise DataError(
            f"texture {apart} shares no skin with texture 0: their exposures cannot be compared. "
            "Add a photograph between the two, or leave one out."
        )
    return np.exp(np.linalg.lstsq(np.array(rows), np.array(ratios), rcond=None)[0])


def _log_ratio(first: Texture, second: Texture) -> float | None:
    """Return the median log ratio of brightness over common skin; None if there is too little."""
    weight = first.confidence * first.skin * second.confidence * second.skin
    use = np.flatnonzero(weight > 0.2)
    if len(use) < _LEAST:
        return None
    a, b = (t.colour.reshape(-1, 3)[use].sum(1) for t in (first, second))
    return float(np.median(np.log(np.maximum(a, 1e-4)) - np.log(np.maximum(b, 1e-4))))
