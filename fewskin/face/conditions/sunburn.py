"""Sunburn: even redness of all that faces the sky, with sharp edges where glasses shaded.

Forehead, nose, cheekbones and chin; it fades towards the hairline, where hair shades. Shaded skin
under brows, nose, lip and jaw is pale, as is what sunglasses covered, where they were worn. Later
it peels. No papules, no vessels.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.face.anatomy import Anatomy
from fewskin.face.canvas import soft
from fewskin.face.lesions import erythema, patch, plates
from fewskin.face.presentation import Field, Spot
from fewskin.face.texture import smooth_step

__all__ = ["USUAL", "parts"]

Floats = npt.NDArray[np.float32]

USUAL: Final = ("erythema",)
_SKY: Final = np.array([0.0, 0.55, 0.84], dtype=np.float32)  # where most ultraviolet comes from
_SHADE_OF_HAIR_CM: Final = (0.2, 3.4)  # from the upper end of the skin: none burnt, all burnt
_WITH_GLASSES: Final = 0.5  # share of people


def parts(face: Anatomy, rng: np.random.Generator, extent: float) -> list[Field | Spot]:
    """Return all features of one person: erythema, and peeling of what was burnt most.

    Arguments as in `rosacea.parts`.
    """
    canvas = face.canvas
    facing = np.maximum(canvas.normal @ _SKY, 0.0)
    sides = soft(face.nose, 0.3) * soft(canvas.normal[:, 1] + 0.3, 0.3)  # light comes round it
    facing = np.maximum(facing, 0.8 * sides)
    zone = soft(facing - 0.55 + 0.25 * (extent - 1.0), 0.4) * soft(face.oval + 0.4, 0.5)
    zone *= smooth_step(face.below_top, *_SHADE_OF_HAIR_CM)
    worn = rng.uniform() < _WITH_GLASSES
    glasses = soft(-(face.eyes + 1.35), 0.12)
    lids = soft(-face.eyes - 0.45, 0.3)
    zone *= (glasses if worn else lids) * ~canvas.lips * soft(face.nostrils - 0.3, 0.15)
    red = erythema(canvas, rng, zone, grade=1.0, coarse=0.04, fine=0.04)
    most = (
        patch(
            canvas, rng, np.maximum(face.nose, face.mid_forehead) - 0.2, width_cm=0.5, wander_cm=0.3
        )
        * zone
    )
    flakes = most * plates(canvas, rng, 2.4, cover=0.35)
    peeling = {"scale": 0.55 * flakes, "bump": 0.15 * flakes}
    gloss = {"specular": np.asarray(0.6 * red.maps["haemoglobin"], np.float32)}
    return [
        Field("erythema", {**red.maps, **gloss}, red.curve),
        Field("peeling", peeling, (0.0, 0.25, 0.5, 0.75, 1.0)),
    ]
