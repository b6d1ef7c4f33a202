"""Which texels show bare skin, and how much pigment they hold, by the person's own skin.

The reference is fitted to each picture, on patches of the cheeks, the nose and the forehead, in
optical density: there is no trained colour model, whose tones would be the tones it was trained on.
What may differ from the reference without ceasing to be skin is what skin does: more or less light,
more haemoglobin (erythema), a little more or less melanin. Hair, brows, beards, glasses and
background differ in other ways, or are rougher than skin.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.errors import DataError
from fewskin.face.model import FaceModel
from fewskin.face.texture import Texture, smooth_step
from fewskin.face.zones import zones_of
from fewskin.functional.pigment import HAEMOGLOBIN, MELANIN, decompose, density
from fewskin.functional.pyramid import doubled, halved

__all__ = [
    "Pigments",
    "SkinReference",
    "likelihood",
    "pigments",
    "skin_likelihood",
    "skin_reference",
]

Floats = npt.NDArray[np.floating]
Map = npt.NDArray[np.float32]

_LOG_10: Final = np.float32(np.log(10.0))
_CHROMA_SD: Final = 0.035  # least spread of a person's skin, density
_SHADE_SD: Final = 0.08
_ROUGH: Final = (0.1, 0.22)  # standard deviation of density: skin; hair
_ROUGH_COUNTS: Final = 0.8  # deep wrinkles are rough too
_BLOOD: Final = (-0.05, 0.4)  # haemoglobin that still is skin: erythema up to a deep red
_BROWN: Final = (-0.06, 0.12)
_MOST: Final = 1500  # texels that the reference is fitted to


@dataclass(frozen=True, eq=False)
class SkinReference:
    """The skin of one picture, in optical density.

    Attributes:
        centre: (3,) typical density, RGB.
        chroma_sd: spread of the two density differences G - R and B - R, at least .035.
        shade_sd: spread of the mean density, at least .08.
    """

    centre: Floats
    chroma_sd: float
    shade_sd: float


@dataclass(frozen=True, eq=False)
class Pigments:
    """A texture split into pigments, relative to the person's own skin.

    Attributes:
        melanin, haemoglobin, shading: (S, S) density; 0 = as the reference.
        base: (3,) density of the reference.
    """

    melanin: Map
    haemoglobin: Map
    shading: Map
    base: Floats


def skin_reference(texture: Texture, model: FaceModel) -> SkinReference:
    """Return the robust colour of a face's skin.

    The patches' texels are pooled and re-weighted by Tukey's biweight around their median, so that
    a fringe over the forehead, a beard on a cheek or a lens over it costs texels, not the fit.

    Args:
        texture: unwrapped; its `skin` is not used.
        model: face model. Where none of its patches is seen, all seen texels of the face are one.

    Raises:
        DataError: no texel of the face is seen.
    """
    zones = zones_of(model, texture.side)
    weight = texture.confidence * zones.patch
    if weight.sum() < 1.0:
        weight = texture.confidence * zones.of("face")
    use = np.flatnonzero(weight > 0.05)
    if not len(use):
        raise DataError("no texel of the face is seen, so its skin has no reference colour.")
    use = use[:: max(1, len(use) // _MOST)]
    od = density(texture.colour.reshape(-1, 3)[use]).astype(np.float64)
    return _robust(od, weight.ravel()[use].astype(np.float64))


def _robust(od: Floats, weight: Floats) -> SkinReference:
    centre = np.median(od, axis=0)
    scale = np.array([0.2, 0.12, 0.12])  # mean density, G - R, B - R
    for _ in range(6):
        off = _axes(od - centre)
        reach = np.sqrt(((off / (4.0 * scale)) ** 2).sum(1))
        biweight = weight * np.clip(1.0 - reach**2, 0.0, 1.0) ** 2
        total = max(float(biweight.sum()), 1e-6)
        centre = (od * biweight[:, None]).sum(0) / total
        spread = np.sqrt((biweight[:, None] * off**2).sum(0) / total)
        scale = np.clip(1.2 * spread, [_SHADE_SD, _CHROMA_SD, _CHROMA_SD], [0.2, 0.12, 0.12])
    return SkinReference(centre, float(scale[1:].max()), float(scale[0]))


def _axes(od: Floats) -> Floats:
    """Return (n, 3): mean density and the two differences that light of any strength leaves."""
    red, green, blue = od[:, 0], od[:, 1], od[:, 2]
    return np.stack([(red + green + blue) / 3, green - red, blue - red], axis=1)


def likelihood(od: Floats, reference: SkinReference, *, shade_range: float = 1.0) -> Map:
    """Return how likely colours are those of the person's bare skin.

    Args:
        od: (n, 3) density.
        reference: the person's skin.
        shade_range: 1 for a photograph, whose shading varies; smaller once light is taken out.

    Returns:
        (n,) in [0, 1].

    Example:
        >>> skin = SkinReference(np.array([0.3, 0.5, 0.6]), 0.04, 0.1)
        >>> red = skin.centre + 0.2 * HAEMOGLOBIN
        >>> blue = skin.centre + np.array([0.3, 0.1, -0.3])
        >>> likelihood(np.stack([skin.centre, red, blue]), skin).round(1).tolist()
        [1.0, 1.0, 0.0]
    """
    off = np.asarray(od, np.float32) - reference.centre.astype(np.float32)
    return _likelihood(off[:, 0], off[:, 1], off[:, 2], reference, shade_range)


def _likelihood(red: Map, green: Map, blue: Map, skin: SkinReference, shade_range: float) -> Map:
    """Return (...) likelihood of (...) planes of density relative to the reference."""
    shade, first, second = (red + green + blue) / np.float32(3.0), green - red, blue - red
    # Erythema and tan move colour along their vectors and cost nothing within these amounts.
    for vector, limits in ((HAEMOGLOBIN, _BLOOD), (MELANIN, _BROWN)):
        mean, a, b = _axes(vector[None])[0].astype(np.float32)
        amount = np.clip((first * a + second * b) / (a * a + b * b), *limits)
        shade, first, second = shade - amount * mean, first - amount * a, second - amount * b
    far = (first * first + second * second) / np.float32((2.0 * skin.chroma_sd) ** 2)
    dark = np.maximum(shade, 0) / np.float32((0.18 + 1.5 * skin.shade_sd) * shade_range)
    bright = np.maximum(-shade, 0) / np.float32(0.25)
    squared = dark * dark + bright * bright  # one of the two is 0
    return np.exp(-0.5 * far - 0.25 * squared * squared).astype(np.float32)


def skin_likelihood(
    texture: Texture,
    model: FaceModel,
    *,
    reference: SkinReference | None = None,
    shade_range: float = 1.0,
) -> Map:
    """Return (S, S) likelihood that each texel shows bare skin; 0 where nothing is seen.

    Made at half the side where that is at least 64: the likelihood is smooth.

    Args:
        texture: unwrapped, or delighted; its `skin` is not used.
        model: face model.
        reference: the person's skin; fitted to the texture if not given.
        shade_range: see `likelihood`.
    """
    reference = reference or skin_reference(texture, model)
    seen = (texture.confidence > 0).astype(np.float32)
    planes = np.empty((6, texture.side, texture.side), np.float32)
    np.log(np.maximum(np.moveaxis(texture.colour, -1, 0), 1e-4), out=planes[:3])
    planes[:3] *= -1.0 / _LOG_10
    np.divide(planes[0] + planes[1] + planes[2], 3.0, out=planes[3])
    np.multiply(planes[3], planes[3], out=planes[4])
    planes[5] = 1.0
    planes *= seen
    half = texture.side % 2 == 0 and texture.side >= 128
    sums = halved(planes) if half else planes
    count = np.maximum(sums[5], 1e-6)
    off = [sums[k] / count - np.float32(reference.centre[k]) for k in range(3)]
    found = _likelihood(off[0], off[1], off[2], reference, shade_range)
    found *= zones_of(model, len(count)).prior * (
        1.0 - _ROUGH_COUNTS * smooth_step(_roughness(sums[3:]), *_ROUGH)
    )
    weight = (sums[5] > 0).astype(np.float32)
    smooth = np.asarray(_box(found * weight, 3) / np.maximum(_box(weight, 3), 1e-4), np.float32)
    return np.clip((doubled(smooth) if half else smooth) * seen, 0.0, 1.0)


def _roughness(sums: Map) -> Map:
    """Return (s, s) standard deviation of density within about 3 mm: hair is rough."""
    size = 2 * max(1, sums.shape[-1] // 128) + 1
    first, second, count = (_box(plane, size) for plane in sums)
    count = np.maximum(count, 1e-4)
    return np.asarray(np.sqrt(np.maximum(second / count - (first / count) ** 2, 0.0)))


def _box(image: Map, size: int) -> Map:
    from scipy.ndimage import uniform_filter1d

    once = uniform_filter1d(image, size, axis=0, mode="constant")
    return np.asarray(uniform_filter1d(once, size, axis=1, mode="constant"))


def pigments(
    texture: Texture, model: FaceModel, *, reference: SkinReference | None = None
) -> Pigments:
    """Return the pigment maps of a texture, best of an albedo.

    Source of the split: Tsumura et al., SIGGRAPH 2003, see `functional.pigment`.

    Args:
        texture: delighted, so that `shading` holds only what the light fit left.
        model: face model.
        reference: 0 of the maps; the person's own skin if not given. Where erythema covers the
            cheeks, the nose and the forehead alike the own reference hides it: give a healthy
            photograph's.
    """
    reference = reference or skin_reference(texture, model)
    parts = decompose(density(texture.colour), reference.centre)
    melanin, haemoglobin, shading = (np.asarray(part, np.float32) for part in parts)
    return Pigments(melanin, haemoglobin, shading, reference.centre)
