"""Rosacea: redness, papules and vessels of the convex central face; skin thickens on the nose.

Phenotypes of the global ROSCO panel, 2019 (PMC7317217): persistent centrofacial erythema and phyma
are diagnostic; papules and pustules, flushing and telangiectasia are major features. The skin
around eyes and mouth is spared. There are no comedones.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.face.anatomy import Anatomy
from fewskin.face.canvas import soft
from fewskin.face.lesions import Dome, clusters, domes, erythema, onsets, patch, vessels
from fewskin.face.presentation import Field, Spot
from fewskin.face.texture import smooth_step

__all__ = ["USUAL", "parts"]

Floats = npt.NDArray[np.float32]

USUAL: Final = ("erythema", "papules", "telangiectasia")
_PAPULES: Final = (0, 3, 10, 24, 46)  # with pustules, by severity
_VESSELS: Final = (0, 14, 36, 70, 110)
_FOLLICLES: Final = (0, 25, 60, 110, 160)
_PAPULE: Final = Dome("papule", (0.9, 2.1), blood=(0.2, 0.36), halo=0.3, height=0.22, gloss=0.08)
_PUSTULE: Final = Dome(
    "pustule", (0.9, 1.8), blood=(0.22, 0.36), halo=0.4, height=0.25, gloss=0.08, pus=0.65, top=0.45
)
_FOLLICLE: Final = Dome("", (0.25, 0.5), blood=(0.05, 0.1), brown=0.12, height=-0.35, wobble=0.2)


def parts(face: Anatomy, rng: np.random.Generator, extent: float) -> list[Field | Spot]:
    """Return all features of one person: erythema, papules, telangiectasia and phyma.

    Args:
        face: to draw on.
        rng: of the person's lesions.
        extent: 1 is usual, 0.5 a smaller area, 1.5 a larger one.
    """
    zone = _zone(face, rng, extent)
    return [
        erythema(face.canvas, rng, zone),
        *_papules(face, rng, zone),
        *_telangiectasia(face, rng, zone),
        *_phyma(face, rng),
    ]


def _zone(face: Anatomy, rng: np.random.Generator, extent: float) -> Floats:
    """Return (n,) in [0, 1]: convex central face without the skin around eyes and mouth."""
    grow, canvas = 0.9 * (extent - 1.0), face.canvas
    sides = np.float32(0.25 * rng.normal()) * np.sign(canvas.place[:, 0])  # one cheek is redder
    found = np.zeros(len(canvas.place), np.float32)
    places = (
        (1.0, face.cheeks - 0.1 + sides, 1.25),
        (0.9, face.nose + 0.3, 1.1),
        (0.75, face.chin - 0.1, 1.0),
        (0.6, face.mid_forehead - 0.2, 1.5),
    )
    for amount, depth, width in places:
        part = patch(canvas, rng, depth + grow, width_cm=width, wander_cm=0.3)
        found = np.maximum(found, np.float32(amount) * part)
    found *= smooth_step(face.below_top, 0.2, 2.5)  # no line where the texture ends
    return found * face.spared(lids_cm=1.05, mouth_cm=0.85, width_cm=0.45)


def _papules(face: Anatomy, rng: np.random.Generator, zone: Floats) -> list[Spot]:
    onset = onsets(_PAPULES)
    weight = zone * (0.25 + clusters(face.canvas, rng))
    places = face.canvas.scatter(rng, len(onset), weight, apart_mm=4.0)
    kinds = ((0.75, _PAPULE), (0.25, _PUSTULE))
    return domes(face.canvas, rng, "papules", places, onset, kinds)


def _telangiectasia(face: Anatomy, rng: np.random.Generator, zone: Floats) -> list[Spot]:
    onset = onsets(_VESSELS)
    weight = zone * (0.2 + 2.0 * np.exp(-face.alar_creases / 1.2) + soft(face.cheeks - 0.6, 0.6))
    weight *= (face.forehead < 0.0) & (face.chin < 0.0) & (face.nostrils > 0.35)
    places = face.canvas.scatter(rng, len(onset), weight, apart_mm=1.5)
    return vessels(
        face.canvas,
        rng,
        "telangiectasia",
        places,
        onset,
        width_mm=(0.18, 0.45),
        length_mm=(4.0, 10.0),
        blood=0.6,
    )


def _phyma(face: Anatomy, rng: np.random.Generator) -> list[Field | Spot]:
    """Return the thickened, lobed, red nose with wide follicles (rhinophyma)."""
    where = soft(face.tip + 0.15, 0.65) * soft(face.nostrils - 0.3, 0.15)
    lobes = np.clip(face.canvas.noise(rng, 13.0, 18.0), -1.5, 2.0)
    maps = {
        "displacement": where * np.maximum(1.0 + 0.22 * lobes, 0.3),
        "bump": 0.05 * where * lobes,
        "haemoglobin": 0.05 * where * (1.0 + 0.2 * face.canvas.noise(rng, 6.0)),
        "specular": 0.1 * where,
    }
    thick = Field("phyma", maps, (0.0, 0.7, 1.6, 2.7, 4.0))
    onset = onsets(_FOLLICLES)
    places = face.canvas.scatter(rng, len(onset), where, apart_mm=1.0)
    return [thick, *domes(face.canvas, rng, "phyma", places, onset, ((1.0, _FOLLICLE),))]
