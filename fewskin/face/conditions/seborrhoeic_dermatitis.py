"""Seborrhoeic dermatitis: yellow greasy scale on dull redness, where sebum is.

Nasolabial folds, the creases of the nose's wings, between and in the brows; both sides alike. The
hairline, which is affected too, lies above the landmarks on most faces and is left out. On dark
skin the patches may be paler than the skin. No papules.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.face.anatomy import Anatomy
from fewskin.face.canvas import soft
from fewskin.face.lesions import erythema, patch, plates
from fewskin.face.presentation import Field, Spot

__all__ = ["USUAL", "parts"]

Floats = npt.NDArray[np.float32]

USUAL: Final = ("erythema", "scale")


def parts(face: Anatomy, rng: np.random.Generator, extent: float) -> list[Field | Spot]:
    """Return all features of one person; arguments as in `rosacea.parts`."""
    canvas = face.canvas
    zone = _zone(face, rng, extent)
    red = erythema(canvas, rng, zone, grade=0.95, coarse=0.15, fine=0.1)
    pale = {"melanin": -0.15 * red.maps["haemoglobin"], **red.maps}
    flakes = zone * np.maximum(
        plates(canvas, rng, 1.6, cover=0.3), 0.8 * plates(canvas, rng, 0.9, cover=0.3)
    )
    scale = {"scale": 0.14 * flakes, "pus": 0.24 * flakes, "bump": 0.1 * flakes}
    greasy = {"specular": 0.3 * zone * (1.0 - flakes)}
    return [
        Field("erythema", pale, red.curve),
        Field("scale", {**scale, **greasy}, (0.0, 0.3, 0.6, 0.85, 1.0)),
    ]


def _zone(face: Anatomy, rng: np.random.Generator, extent: float) -> Floats:
    """Return (n,) in [0, 1]: folds, creases, brows and glabella."""
    reach, canvas = 0.65 * extent, face.canvas
    height = canvas.place[:, 1]
    folds = reach + 0.15 - face.folds - 0.45 * np.maximum(-2.4 - height, 0.0)  # not past the mouth
    creases = reach - face.alar_creases
    brows = np.maximum(face.brows + 0.45 * extent, face.glabella + 0.1)
    found = np.zeros(len(height), np.float32)
    for amount, depth in ((1.0, folds), (1.0, creases), (0.8, brows)):
        part = patch(canvas, rng, depth, width_cm=0.5, wander_cm=0.2, wavelengths_mm=(7.0, 14.0))
        found = np.maximum(found, np.float32(amount) * part)
    return (
        found
        * face.spared(lids_cm=0.75, mouth_cm=0.3, width_cm=0.2)
        * soft(face.nostrils - 0.3, 0.1)
    )
