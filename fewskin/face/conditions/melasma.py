"""Melasma: brown patches with a jagged border like a map, on both sides of the face alike.

Forehead, cheekbones, back of the nose, upper lip and chin (the centrofacial pattern). Pigment only:
no relief or scale. It deepens with the severity; the area is `extent`.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.face.anatomy import Anatomy
from fewskin.face.canvas import soft
from fewskin.face.lesions import browning, patch
from fewskin.face.presentation import Field, Spot

__all__ = ["USUAL", "parts"]

Floats = npt.NDArray[np.float32]

USUAL: Final = ("pigment",)
_MELANIN: Final = (0.0, 0.05, 0.1, 0.15, 0.2)
_JAGGED_MM: Final = (5.0, 9.0, 18.0)


def parts(face: Anatomy, rng: np.random.Generator, extent: float) -> list[Field | Spot]:
    """Return all features of one person; arguments as in `rosacea.parts`."""
    grow, canvas = 0.6 * (extent - 1.0), face.canvas
    found = np.zeros(len(canvas.place), np.float32)
    philtrum = soft(np.abs(canvas.place[:, 0]) - 0.45, 0.2)
    places = (
        (1.0, face.malar - 0.2),
        (0.85, face.mid_forehead - 0.3),
        (0.8, np.where(philtrum > 0.5, face.upper_lip - 0.1, -1.0)),
        (0.6, face.bridge - 0.15),
        (0.5, face.chin - 0.7),
    )
    for amount, depth in places:
        part = patch(
            canvas, rng, depth + grow, width_cm=0.35, wander_cm=0.22, wavelengths_mm=_JAGGED_MM
        )
        found = np.maximum(found, np.float32(amount) * part)
    net = np.clip(1.0 + 0.12 * canvas.noise(rng, 2.5, 5.0), 0.4, 1.5)
    zone = found * net * face.spared(lids_cm=0.8, mouth_cm=0.12, width_cm=0.12)
    return [Field("pigment", browning(np.asarray(zone, np.float32)), _MELANIN)]
