"""Melasma: brown patches with a lacy border that comes apart, on both sides of the face alike.

Forehead, cheekbones, back of the nose, upper lip and chin (the centrofacial pattern). Pigment only:
no relief or scale. It deepens with the severity; the area is `extent`.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.face.anatomy import Anatomy
from fewskin.face.canvas import soft
from fewskin.face.lesions import browning, ragged
from fewskin.face.presentation import Field, Spot
from fewskin.face.texture import smooth_step

__all__ = ["USUAL", "parts"]

Floats = npt.NDArray[np.float32]

USUAL: Final = ("pigment",)
_MELANIN: Final = (0.0, 0.05, 0.1, 0.15, 0.2)
_BOTH_SIDES: Final = 0.7  # share of the border that is symmetrical


def parts(face: Anatomy, rng: np.random.Generator, extent: float) -> list[Field | Spot]:
    """Return all features of one person; arguments as in `rosacea.parts`."""
    grow, canvas = 0.6 * (extent - 1.0), face.canvas
    found = np.zeros(len(canvas.place), np.float32)
    philtrum = soft(0.45 - np.abs(canvas.place[:, 0]), 0.2) * soft(face.upper_lip + 0.2, 0.2)
    places = (
        (1.0, face.malar - 0.35, 0.8, 0.35),
        (0.8, face.forehead - 0.9, 0.9, 0.6),
        (0.8, face.upper_lip - 0.05, 0.4, 0.25),
        (0.45, face.bridge - 0.3, 0.6, 0.3),
        (0.4, face.chin - 0.8, 0.6, 0.3),
    )
    for amount, depth, width, wander in places:
        part = ragged(
            canvas, rng, depth + grow, width_cm=width, wander_cm=wander, alike=_BOTH_SIDES
        )
        found = np.maximum(found, np.float32(amount) * part)
    net = np.clip(1.0 + 0.15 * canvas.noise(rng, 2.5, 5.0, 11.0), 0.3, 1.5)
    found *= (1.0 - philtrum) * smooth_step(face.below_top, 0.0, 2.0)
    zone = found * net * face.spared(lids_cm=0.8, mouth_cm=0.2, width_cm=0.2)
    return [Field("pigment", browning(np.asarray(zone, np.float32)), _MELANIN)]
