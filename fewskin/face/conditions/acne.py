"""Acne: comedones, open and closed, with papules, pustules, nodules and the marks they leave.

Forehead, nose, chin, cheeks and jaw; no telangiectasia, no scale, little redness between lesions.
Counts follow the words of the IGA (FDA, Acne vulgaris: establishing effectiveness of drugs, 2018):
almost clear, few, some to many, many.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.face.anatomy import Anatomy
from fewskin.face.canvas import soft
from fewskin.face.lesions import Dome, clusters, domes, onsets
from fewskin.face.presentation import Field, Spot

__all__ = ["USUAL", "parts"]

Floats = npt.NDArray[np.float32]

USUAL: Final = ("comedones", "papules", "marks")
_COMEDONES: Final = (0, 18, 40, 75, 120)
_PAPULES: Final = (0, 3, 12, 30, 60)
_MARKS: Final = (0, 4, 12, 26, 44)
_OPEN: Final = Dome("comedone", (0.3, 0.6), brown=0.45, height=-0.2, wobble=0.15)
_CLOSED: Final = Dome("comedone", (0.5, 0.9), blood=(0.01, 0.03), height=0.3, gloss=0.08)
_PAPULE: Final = Dome("papule", (1.0, 2.2), blood=(0.2, 0.38), halo=0.35, height=0.22, gloss=0.08)
_PUSTULE: Final = Dome(
    "pustule", (1.1, 2.2), blood=(0.24, 0.38), halo=0.4, height=0.25, gloss=0.1, pus=0.8, top=0.5
)
_NODULE: Final = Dome("nodule", (2.8, 4.2), blood=(0.28, 0.4), halo=0.35, height=0.22, gloss=0.15)
_MARK: Final = Dome("", (1.0, 2.4), blood=(0.03, 0.12), brown=0.08, wobble=0.25)


def parts(face: Anatomy, rng: np.random.Generator, extent: float) -> list[Field | Spot]:
    """Return all features of one person; arguments as in `rosacea.parts`."""
    grow, canvas = 0.6 * (extent - 1.0), face.canvas
    away = face.spared(lids_cm=0.9, mouth_cm=0.25, width_cm=0.2) * (face.nostrils > 0.5)
    middle = np.maximum.reduce([face.forehead, face.nose, face.chin, face.cheeks - 0.8])
    sides = np.maximum.reduce([face.cheeks, face.jaws + 0.5, face.forehead - 0.4, face.chin + 0.2])
    plugged = soft(middle + grow, 0.4) * away
    inflamed = soft(sides + grow, 0.6) * away * (0.2 + clusters(canvas, rng))
    inflamed *= np.where(face.nose > 0.0, 0.35, 1.0)
    return [
        *_scattered(face, rng, "marks", inflamed, _MARKS, ((1.0, _MARK),), 2.5),
        *_scattered(face, rng, "comedones", plugged, _COMEDONES, ((0.5, _OPEN), (0.5, _CLOSED)), 2),
        *_scattered(
            face,
            rng,
            "papules",
            inflamed,
            _PAPULES,
            ((0.55, _PAPULE), (0.37, _PUSTULE), (0.08, _NODULE)),
            4.0,
        ),
    ]


def _scattered(
    face: Anatomy,
    rng: np.random.Generator,
    feature: str,
    weight: Floats,
    counts: tuple[int, ...],
    kinds: tuple[tuple[float, Dome], ...],
    apart_mm: float,
) -> list[Spot]:
    onset = onsets(counts)
    places = face.canvas.scatter(rng, len(onset), weight, apart_mm=apart_mm)
    return domes(face.canvas, rng, feature, places, onset, kinds)
