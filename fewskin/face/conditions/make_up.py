"""Healthy skin with make-up: rouge, lipstick, eye shadow and a line along the lashes.

Its red is laid as haemoglobin and its browns as melanin: to a camera they are nearly that. What
tells it from a rash is where it is: rouge rises over the cheekbone towards the ear, and lips and
lids are painted. Severity is how heavy it is.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.face.anatomy import Anatomy
from fewskin.face.canvas import mirrored, soft
from fewskin.face.lesions import browning
from fewskin.face.presentation import Field, Spot

__all__ = ["USUAL", "parts"]

Floats = npt.NDArray[np.float32]

USUAL: Final = ("rouge", "lipstick", "eye_make_up")
_ROUGE: Final = (50, 117, 116)  # from the apple of the cheek towards the ear
_LIKE: Final = (0.0, 0.3, 0.55, 0.8, 1.0)


def parts(face: Anatomy, rng: np.random.Generator, extent: float) -> list[Field | Spot]:
    """Return all features of one person; arguments as in `rosacea.parts`."""
    canvas = face.canvas
    rouge = np.exp(-((canvas.to_line(*mirrored(_ROUGE)) / (1.15 * extent)) ** 2))
    rouge = np.maximum(rouge - 0.02, 0.0) * face.spared(lids_cm=0.7, mouth_cm=0.6)
    lips = canvas.lips * soft(face.mouth + 0.03, 0.06)
    lids = soft(face.lids + 0.05, 0.3) * soft(-face.brows - 0.1, 0.15)
    line = np.exp(-((np.maximum(-face.eyes, 0.0) / 0.13) ** 2)) * (face.eyes > -0.4)
    line = np.maximum(line - 0.02, 0.0)
    hue, deep, shade = rng.uniform(-0.5, 1.0), rng.uniform(0.7, 1.2), rng.uniform(0.5, 1.2)
    return [
        Field("rouge", _float32(haemoglobin=0.2 * rouge, melanin=0.03 * hue * rouge), _LIKE),
        Field(
            "lipstick",
            _float32(
                haemoglobin=0.4 * deep * lips, melanin=-0.12 * hue * lips, specular=0.5 * lips
            ),
            _LIKE,
        ),
        Field(
            "eye_make_up", browning((0.16 * shade * lids + 0.4 * line).astype(np.float32)), _LIKE
        ),
    ]


def _float32(**maps: npt.NDArray[np.floating]) -> dict[str, Floats]:
    return {name: values.astype(np.float32) for name, values in maps.items()}
