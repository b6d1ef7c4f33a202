"""Zones of the face that conditions prefer or spare, by landmarks of the mean face."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.face.canvas import Canvas, mirrored, soft
from fewskin.face.topology import (
    FACE_OVAL,
    FOREHEAD,
    LEFT_BROW,
    LEFT_EYE,
    LIPS_OUTER,
    RIGHT_BROW,
    RIGHT_EYE,
    topology,
)

__all__ = ["Anatomy"]

Floats = npt.NDArray[np.float32]

# The subject's right; the left is its mirror image.
_CHEEK: Final = (117, 118, 119, 100, 142, 36, 203, 206, 207, 187, 147, 123, 116)
_MALAR: Final = (116, 117, 118, 119, 120, 100, 142, 36, 203, 205, 50, 123)
_FOLD: Final = (129, 203, 206, 216, 212)  # nasolabial, from the wing of the nose past the mouth
_ALA: Final = (129, 102, 48, 115, 131, 49, 209)
_ALAR_CREASE: Final = (209, 49, 129, 98)
_NOSE: Final = (6, 351, 412, 343, 277, 355, 429, 358, 327, 326, 2, 97, 98, 129, 209, 126, 47, 114,
                188, 122)  # fmt: skip
_BRIDGE: Final = (168, 193, 122, 196, 236, 134, 220, 45, 4, 275, 440, 363, 456, 419, 351, 417)
_TIP: Final = (5, 281, 363, 360, 279, 358, 327, 326, 2, 97, 98, 129, 49, 131, 134, 51)
_CHIN: Final = (18, 421, 418, 262, 369, 396, 175, 171, 140, 32, 194, 201)
_MID_FOREHEAD: Final = (107, 9, 336, 296, 299, 338, 10, 109, 69, 66)
_FOREHEAD: Final = (9, 336, 296, 334, 293, 333, 332, 297, 338, 10, 109, 67, 103, 104, 63, 105, 66,
                    107)  # fmt: skip
_GLABELLA: Final = (8, 285, 336, 9, 107, 55)
_UPPER_LIP: Final = (2, 326, 391, 322, 410, 287, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185, 61,
                     57, 186, 92, 165, 97)  # fmt: skip
_JAW: Final = (212, 216, 207, 187, 147, 213, 192, 138, 135, 169, 170, 211, 204, 202)
_HAIRLINE: Final = (127, 162, 21, 54, 103, 67, 109, 10, 338, 297, 332, 284, 251, 389, 356)
_LIDS: Final = ((RIGHT_EYE, RIGHT_BROW), (LEFT_EYE, LEFT_BROW))
_NASAL_WALL: Final = (122, 188, 114, 47)
_NOSTRILS: Final = ((60, 75, 20, 166), (290, 305, 250, 392))


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Distances of a canvas's texels to parts of the face, (n,) cm.

    Zones are positive inside and negative outside; lines are 0 on the line.

    Attributes:
        canvas: whose texels.
    """

    canvas: Canvas

    @cached_property
    def cheeks(self) -> Floats:
        """Zone: the convex cheeks, from below the eye's socket to the nasolabial fold."""
        return self.canvas.inside(*mirrored(_CHEEK))

    @cached_property
    def malar(self) -> Floats:
        """Zone: the cheekbones, the wings of the butterfly."""
        return self.canvas.inside(*mirrored(_MALAR))

    @cached_property
    def nose(self) -> Floats:
        """Zone: the nose below its root."""
        return self.canvas.inside(_NOSE)

    @cached_property
    def bridge(self) -> Floats:
        """Zone: the back of the nose, from its root to its tip."""
        return self.canvas.inside(_BRIDGE)

    @cached_property
    def tip(self) -> Floats:
        """Zone: tip and wings of the nose."""
        return self.canvas.inside(_TIP)

    @cached_property
    def wings(self) -> Floats:
        """Zone: the wings of the nose."""
        return self.canvas.inside(*mirrored(_ALA))

    @cached_property
    def chin(self) -> Floats:
        """Zone: the chin below the fold under the lip."""
        return self.canvas.inside(_CHIN)

    @cached_property
    def forehead(self) -> Floats:
        """Zone: from the brows to the hairline."""
        return self.canvas.inside(_FOREHEAD)

    @cached_property
    def mid_forehead(self) -> Floats:
        """Zone: the forehead's middle third."""
        return self.canvas.inside(_MID_FOREHEAD)

    @cached_property
    def glabella(self) -> Floats:
        """Zone: between the brows."""
        return self.canvas.inside(_GLABELLA)

    @cached_property
    def upper_lip(self) -> Floats:
        """Zone: the skin between nose and mouth."""
        return self.canvas.inside(_UPPER_LIP)

    @cached_property
    def jaws(self) -> Floats:
        """Zone: the lower cheeks to the jaw."""
        return self.canvas.inside(*mirrored(_JAW))

    @cached_property
    def brows(self) -> Floats:
        """Zone: the brows."""
        rings = ((*brow[:5], *brow[:4:-1]) for brow in (RIGHT_BROW, LEFT_BROW))
        return self.canvas.inside(*rings)

    @cached_property
    def eyes(self) -> Floats:
        """Zone: the eyes between the lids' edges."""
        return self.canvas.inside(RIGHT_EYE, LEFT_EYE)

    @cached_property
    def mouth(self) -> Floats:
        """Zone: the lips and what is between them."""
        return self.canvas.inside(LIPS_OUTER)

    @cached_property
    def folds(self) -> Floats:
        """Line: the nasolabial folds."""
        return self.canvas.to_line(*mirrored(_FOLD))

    @cached_property
    def alar_creases(self) -> Floats:
        """Line: around the wings of the nose."""
        return self.canvas.to_line(*mirrored(_ALAR_CREASE))

    @cached_property
    def hairline(self) -> Floats:
        """Line: from temple to temple over the forehead."""
        return self.canvas.to_line(_HAIRLINE)

    @cached_property
    def below_top(self) -> Floats:
        """Depth below the upper end of the skin that the model shows.

        That is the landmarks' hairline, or above it where a model has skin there (2.5 cm at most).
        """
        above = np.where(self.oval > 0.0, self.hairline, -self.hairline)
        middle = np.abs(self.canvas.place[:, 0]) < 1.0
        top = self.canvas.place[middle, 1].max(initial=0.0) - topology().mean[FOREHEAD, 1]
        return np.asarray(above + max(float(top), 0.0), np.float32)

    @cached_property
    def nasal_walls(self) -> Floats:
        """Line: the creases between cheek and nose, above its wings."""
        return self.canvas.to_line(*mirrored(_NASAL_WALL))

    @cached_property
    def nostrils(self) -> Floats:
        """Line: the nostrils."""
        return self.canvas.to_line(*_NOSTRILS)

    @cached_property
    def oval(self) -> Floats:
        """Zone: the face as seen from the front."""
        return self.canvas.inside(FACE_OVAL)

    @cached_property
    def lids(self) -> Floats:
        """Zone: between the upper lid's edge and the brow."""
        rings = ((*eye[:9], *brow[9:4:-1]) for eye, brow in _LIDS)
        return self.canvas.inside(*rings)

    def spared(self, lids_cm: float, mouth_cm: float, width_cm: float = 0.4) -> Floats:
        """Return (n,) 0 on the eyes' and the mouth's surroundings and on the lips, 1 elsewhere.

        Args:
            lids_cm: from the lids' edges to the middle of the border.
            mouth_cm: from the lips to the middle of the border.
            width_cm: half the width over which the border fades.
        """
        away = soft(-self.eyes - lids_cm, width_cm) * soft(-self.mouth - mouth_cm, width_cm)
        return np.asarray(away * ~self.canvas.lips, np.float32)
