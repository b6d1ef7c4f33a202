"""A flush: transient, blotchy, borderless redness of cheeks, forehead and chin on healthy skin.

After heat, exercise, alcohol or a feeling. No papules, vessels or scale; lids and lips stay pale.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.face.anatomy import Anatomy
from fewskin.face.lesions import erythema, patch
from fewskin.face.presentation import Field, Spot
from fewskin.face.texture import smooth_step

__all__ = ["USUAL", "parts"]

Floats = npt.NDArray[np.float32]

USUAL: Final = ("erythema",)


def parts(face: Anatomy, rng: np.random.Generator, extent: float) -> list[Field | Spot]:
    """Return all features of one person; arguments as in `rosacea.parts`."""
    grow, canvas = 0.9 * (extent - 1.0), face.canvas
    found = np.zeros(len(canvas.place), np.float32)
    places = (
        (1.0, np.maximum(face.cheeks, face.jaws - 0.9) + 0.1),
        (0.55, face.forehead - 0.3),
        (0.6, face.chin + 0.2),
        (0.5, face.nose - 0.1),
    )
    for amount, depth in places:
        part = patch(canvas, rng, depth + grow, width_cm=1.7, wander_cm=0.3)
        found = np.maximum(found, np.float32(amount) * part)
    found *= smooth_step(face.below_top, 0.2, 2.5)  # no line where the texture ends
    zone = found * face.spared(lids_cm=0.9, mouth_cm=0.5, width_cm=0.5)
    return [erythema(canvas, rng, zone, grade=0.75, coarse=0.07, fine=0.03)]
