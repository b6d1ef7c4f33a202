"""Acute cutaneous lupus: the butterfly, a rash over cheekbones and the back of the nose.

Confluent, slightly swollen, dusky red with a border that is plain to see; the nasolabial folds and
the lids are spared, which tells it from rosacea and seborrhoeic dermatitis. No papules or pustules.
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

USUAL: Final = ("rash",)


def parts(face: Anatomy, rng: np.random.Generator, extent: float) -> list[Field | Spot]:
    """Return all features of one person; arguments as in `rosacea.parts`."""
    zone = _zone(face, rng, extent)
    red = erythema(face.canvas, rng, zone, feature="rash", grade=1.1, coarse=0.08, fine=0.08)
    blood = red.maps["haemoglobin"]
    fine = plates(face.canvas, rng, 0.9, cover=0.3) * zone
    maps = {"haemoglobin": blood, "melanin": 0.12 * blood, "scale": 0.12 * fine, "bump": 0.3 * zone}
    return [Field("rash", maps, red.curve)]


def _zone(face: Anatomy, rng: np.random.Generator, extent: float) -> Floats:
    """Return (n,) in [0, 1]: cheekbones and the back of the nose, without the folds."""
    grow, canvas = 0.7 * (extent - 1.0), face.canvas
    wings = patch(
        canvas,
        rng,
        face.malar + 0.25 + grow,
        width_cm=0.4,
        wander_cm=0.13,
        wavelengths_mm=(9.0, 18.0),
    )
    side = np.minimum(face.nose + 0.3, 1.2 * (canvas.place[:, 1] - 0.9))  # above the wings
    back = np.maximum(face.bridge + 0.25, side)
    bridge = patch(canvas, rng, back + 0.3 * grow, width_cm=0.25, wander_cm=0.1)
    found = np.maximum(wings, bridge) * soft(face.folds - 0.55, 0.2)
    found *= soft(face.alar_creases - 0.35, 0.15) * soft(-face.upper_lip - 0.2, 0.1)
    return found * face.spared(lids_cm=0.85, mouth_cm=1.2, width_cm=0.25)
