"""Acute cutaneous lupus: the butterfly, a rash over cheekbones and the back of the nose.

Confluent, slightly swollen, dusky red, with a ragged border; the nasolabial folds and the lids are
spared, which tells it from rosacea and seborrhoeic dermatitis. No papules or pustules.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.face.anatomy import Anatomy
from fewskin.face.canvas import soft
from fewskin.face.lesions import erythema, plates, ragged
from fewskin.face.presentation import Field, Spot

__all__ = ["USUAL", "parts"]

Floats = npt.NDArray[np.float32]

USUAL: Final = ("rash",)


def parts(face: Anatomy, rng: np.random.Generator, extent: float) -> list[Field | Spot]:
    """Return all features of one person; arguments as in `rosacea.parts`."""
    zone = _zone(face, rng, extent)
    red = erythema(face.canvas, rng, zone, feature="rash", grade=1.1, coarse=0.08, fine=0.08)
    blood = red.maps["haemoglobin"]
    fine = plates(face.canvas, rng, 0.9, cover=0.3) * zone
    swollen = {"bump": 0.15 * zone**2}  # rises well inside the border, or it has a bright rim
    maps = {"haemoglobin": blood, "melanin": 0.12 * blood, "scale": 0.12 * fine, **swollen}
    return [Field("rash", maps, red.curve)]


def _zone(face: Anatomy, rng: np.random.Generator, extent: float) -> Floats:
    """Return (n,) in [0, 1]: cheekbones and the back of the nose, without the folds."""
    grow, canvas = 0.7 * (extent - 1.0), face.canvas
    side = np.minimum(face.nose + 0.3, 1.2 * (canvas.place[:, 1] - 0.9))  # above the wings
    walls = np.minimum(0.9 - face.nasal_walls, canvas.place[:, 1] - 0.6)  # so that the wings join
    butterfly = np.maximum.reduce([face.malar + 0.2 + grow, face.bridge + 0.15 + 0.3 * grow])
    butterfly = np.maximum.reduce([butterfly, side, walls])
    found = ragged(canvas, rng, butterfly, width_cm=0.85, wander_cm=0.16, alike=0.4)
    found *= soft(face.folds - 0.65, 0.35)
    found *= soft(face.alar_creases - 0.4, 0.3) * soft(-face.upper_lip - 0.2, 0.15)
    return found * face.spared(lids_cm=0.9, mouth_cm=1.2, width_cm=0.3)
