"""What a skin condition is made of, texel by texel, and how it changes a skin's colour.

Blood and pigment are densities, so that they darken every tone by the same factor; pus and scale
lie on the skin and hide it; relief is a height that `face.relief` lights.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.errors import DataError
from fewskin.functional.colour import linear_to_lab
from fewskin.functional.pigment import HAEMOGLOBIN, MELANIN, light, tone_density
from fewskin.functional.sampling import bilinear

__all__ = [
    "DELTA_A_PER_GRADE",
    "Layers",
    "apply",
    "blank",
    "erythema_density",
    "resized",
]

Floats = npt.NDArray[np.float32]

# Rise of a* from one grade of erythema to the next on light skin, see `erythema_density`.
DELTA_A_PER_GRADE: Final = 2.0
_REFERENCE_TONE: Final = 0.2  # light skin, ITA 45
_SCALE: Final = np.array([0.72, 0.66, 0.58], dtype=np.float32)  # linear RGB on light skin
_PUS: Final = np.array([0.72, 0.58, 0.30], dtype=np.float32)
_LIGHT: Final = 0.36  # mean linear RGB of light skin
# How much they darken with the skin and the photograph: scale lies on the skin, pus under a thin
# roof of it, with its pigment.
_OWN_SHARE: Final = {"pus": 0.92, "scale": 0.75}


@dataclass(frozen=True, eq=False)
class Layers:
    """Maps of a texture, each (S, S) float32; 0 everywhere is no change.

    Attributes:
        haemoglobin: density along the haemoglobin vector, see `functional.pigment`.
        melanin: density along the melanin vector; negative where pigment is lost.
        bump: height of small relief, mm.
        displacement: height of thickened skin, mm; moves the mesh.
        specular: change of gloss; 0 is the gloss of the skin, negative is dull.
        pus: opacity of pus and yellow crust, in [0, 1].
        scale: opacity of white scale, in [0, 1].

    Raises:
        DataError: maps that are not square or not of one size.
    """

    haemoglobin: Floats
    melanin: Floats
    bump: Floats
    displacement: Floats
    specular: Floats
    pus: Floats
    scale: Floats

    def __post_init__(self) -> None:
        shapes = {values.shape for _, values in self}
        if shapes != {(len(self.haemoglobin),) * 2}:
            raise DataError(f"layers are (S, S) and of one size, not {sorted(shapes)}.")

    def __iter__(self) -> Iterator[tuple[str, Floats]]:
        """Yield name and map of each layer."""
        return ((field.name, getattr(self, field.name)) for field in fields(self))

    @property
    def side(self) -> int:
        """Texels of a side."""
        return int(self.haemoglobin.shape[0])

    def plus(self, other: "Layers") -> "Layers":
        """Return both together; opacities stay at most 1."""
        return _limited({name: values + getattr(other, name) for name, values in self})

    def scaled(self, factor: float) -> "Layers":
        """Return the layers, `factor` times as strong; opacities stay at most 1."""
        return _limited({name: (factor * values).astype(np.float32) for name, values in self})

    def on(self, skin: Floats) -> "Layers":
        """Return the layers where there is bare skin.

        Args:
            skin: (h, h) in [0, 1], of any size.
        """
        share = resized(skin, self.side)
        return Layers(**{name: values * share for name, values in self})


def _limited(maps: dict[str, Floats]) -> Layers:
    return Layers(**maps | {name: np.clip(maps[name], 0.0, 1.0) for name in ("pus", "scale")})


def blank(side: int) -> Layers:
    """Return layers of no condition.

    Example:
        >>> blank(8).haemoglobin.shape
        (8, 8)
    """
    return Layers(*(np.zeros((side, side), np.float32) for _ in fields(Layers)))


def resized(image: Floats, side: int) -> Floats:
    """Return (side, side) or (side, side, C) of a square texture; itself where it has that size.

    Example:
        >>> resized(np.ones((4, 4, 3), np.float32), 8).shape
        (8, 8, 3)
    """
    own = image.shape[0]
    if own == side:
        return image
    step = (np.arange(side, dtype=np.float32) + 0.5) * (own / side)
    planes = np.moveaxis(image, -1, 0) if image.ndim == 3 else image
    made = bilinear(np.ascontiguousarray(planes), np.tile(step, side), np.repeat(step, side))
    shaped = made.reshape(*planes.shape[:-2], side, side)
    return np.moveaxis(shaped, 0, -1) if image.ndim == 3 else shaped


def erythema_density(grade: npt.NDArray[np.floating] | float) -> Floats:
    """Return the haemoglobin of a grade of erythema, density units.

    The grades are those of the Clinician's Erythema Assessment, 0 clear to 4 severe. On light skin
    (ITA 45) grade g raises a* by 2 g, so that the dial is linear there; on every other skin the
    same blood is added. The step of 2 is ours: a* rises with the graded severity of
    erythematotelangiectatic rosacea (Skin Res Technol 2013, https://doi.org/10.1111/srt.12075), but
    no published table of grade against a* was found.

    =====  ========  ===  ===========
    grade  CEA       Δa*  haemoglobin
    =====  ========  ===  ===========
    0      clear     0    0
    1      almost    2    .082
    2      mild      4    .170
    3      moderate  6    .264
    4      severe    8    .367
    =====  ========  ===  ===========

    Args:
        grade: (...) 0 or more.

    Example:
        >>> erythema_density(np.array([0.0, 2.0])).astype(float).round(3).tolist()
        [0.0, 0.17]
    """
    amounts = np.linspace(0.0, 0.9, 181)
    skin = tone_density(_REFERENCE_TONE)
    a = linear_to_lab(light(skin + np.multiply.outer(amounts, HAEMOGLOBIN)))[:, 1]
    rise = np.maximum.accumulate(a - a[0])
    return np.interp(np.asarray(grade) * DELTA_A_PER_GRADE, rise, amounts).astype(np.float32)


def apply(albedo: Floats, layers: Layers) -> Floats:
    """Return the albedo of the skin with a condition, without its relief.

    Args:
        albedo: (h, h, 3) linear RGB; brought to the layers' size.
        layers: of the condition.

    Returns:
        (S, S, 3) linear RGB of the layers' size; the input's values, exactly, where every layer is
        0 and the sizes agree.
    """
    made = resized(albedo, layers.side).reshape(-1, 3).astype(np.float32, copy=True)
    blood, brown = layers.haemoglobin.ravel(), layers.melanin.ravel()
    at = np.flatnonzero((blood != 0.0) | (brown != 0.0))
    added = np.multiply.outer(blood[at], HAEMOGLOBIN.astype(np.float32))
    added += np.multiply.outer(brown[at], MELANIN.astype(np.float32))
    made[at] *= light(added)
    for name, colour in (("pus", _PUS), ("scale", _SCALE)):
        share = np.clip(getattr(layers, name).ravel(), 0.0, 1.0)
        at = np.flatnonzero(share)
        if len(at):
            own = made[at].mean(1, keepdims=True) / _LIGHT  # shadow and tone of the skin below
            tint = 1.0 + _OWN_SHARE[name] * (np.minimum(own, 1.3) - 1.0)
            made[at] += share[at, None] * (colour * tint - made[at])
    return made.reshape(layers.side, layers.side, 3)
