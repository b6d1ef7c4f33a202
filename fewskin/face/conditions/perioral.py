"""Perioral dermatitis: small uniform papules in groups around the mouth, on faint scaly redness.

A rim next to the lips is spared; the papules run along the nasolabial folds to the nose and over
the chin. No comedones, no telangiectasia.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.face.anatomy import Anatomy
from fewskin.face.canvas import soft
from fewskin.face.lesions import Dome, clusters, domes, erythema, onsets, patch, plates
from fewskin.face.presentation import Field, Spot

__all__ = ["USUAL", "parts"]

Floats = npt.NDArray[np.float32]

USUAL: Final = ("erythema", "papules", "scale")
_PAPULES: Final = (0, 18, 45, 85, 130)
_PAPULE: Final = Dome("papule", (0.55, 0.95), blood=(0.22, 0.34), halo=0.3, height=0.25, gloss=0.05)
_PUSTULE: Final = Dome(
    "pustule", (0.55, 0.9), blood=(0.22, 0.32), halo=0.3, height=0.3, pus=0.6, top=0.5
)


def parts(face: Anatomy, rng: np.random.Generator, extent: float) -> list[Field | Spot]:
    """Return all features of one person; arguments as in `rosacea.parts`."""
    canvas, zone = face.canvas, _zone(face, rng, extent)
    onset = onsets(_PAPULES)
    weight = zone * (0.12 + clusters(canvas, rng, 14.0))
    places = canvas.scatter(rng, len(onset), weight, apart_mm=1.8)
    kinds = ((0.88, _PAPULE), (0.12, _PUSTULE))
    flakes = zone * plates(canvas, rng, 0.9, cover=0.25)
    return [
        erythema(canvas, rng, zone, grade=0.6, coarse=0.12, fine=0.08),
        *domes(canvas, rng, "papules", places, onset, kinds),
        Field("scale", {"scale": 0.1 * flakes, "bump": 0.06 * flakes}, (0.0, 0.3, 0.6, 0.8, 1.0)),
    ]


def _zone(face: Anatomy, rng: np.random.Generator, extent: float) -> Floats:
    """Return (n,) in [0, 1]: a ring around the mouth, without a rim along the lips."""
    ring = 1.75 * extent + face.mouth
    folds = np.minimum(0.55 * extent - face.folds, 0.3 - face.canvas.place[:, 1])  # not up the nose
    zone = patch(
        face.canvas,
        rng,
        np.maximum(ring, folds),
        width_cm=0.45,
        wander_cm=0.25,
        wavelengths_mm=(9.0, 18.0),
    )
    return (
        zone
        * face.spared(lids_cm=1.2, mouth_cm=0.5, width_cm=0.15)
        * soft(face.nostrils - 0.35, 0.15)
        * soft(-face.nose - 0.05, 0.15)
    )
