"""Whether a found face can be used: one judgement for all providers of landmarks.

The measures are plain and their limits were set on 111 photographs and fakes made from them; see
`Limits`. What they cannot see is said there too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fewskin.face.landmarks import LandmarkProvider, Landmarks, Reason, face_side, pose_of
from fewskin.face.topology import LEFT_EYE, RIGHT_EYE
from fewskin.functional.colour import luminance, srgb_to_linear

__all__ = ["Limits", "checked_image", "eye_light", "flat_share", "from_function", "judge"]

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

# Cheeks and forehead; the second ring of landmarks round each eye, on bare skin.
_SKIN = (50, 101, 205, 36, 280, 330, 425, 266, 151, 9, 108, 337, 118, 347)
_ROUND_RIGHT_EYE = (31, 113, 189, 221, 222, 223, 224, 225, 226, 228, 229, 230, 231, 232, 233, 244)
_ROUND_LEFT_EYE = (261, 342, 413, 441, 442, 443, 444, 445, 446, 448, 449, 450, 451, 452, 453, 464)


@dataclass(frozen=True)
class Limits:
    """When a face is used.

    Attributes:
        max_yaw_deg: a face turned further is a profile: half of it is not seen.
        min_face_px: the longer side of the face's box.
        other_face: a second face with at least this share of the first one's size makes it
            unclear who is meant; smaller ones, in the background, are left alone.
        eye_light: the skin round an eye is at least this share as light as the rest of the face;
            less on both sides is a dark cover. Of 111 faces the least was 0.17; 107 of 111 painted
            dark glasses were noticed, clear and mirrored ones are not.
        max_flat_eye: share of an eye's pixels that equal their neighbours; more on both sides is a
            bar or a mosaic. Of 111 faces the most was 0.11, and 0.22 after JPEG at quality 30; a
            bar has 0.3 to 1, a mosaic after JPEG 0 to 0.9.
        max_flat: the same share of a whole face; more is a drawing. Of 111 faces the most was
            0.07, and 0.20 at quality 30; a drawing on a computer has 0.6, a scanned one passes.
    """

    max_yaw_deg: float = 50.0
    min_face_px: float = 64.0
    other_face: float = 0.4
    eye_light: float = 0.1
    max_flat_eye: float = 0.3
    max_flat: float = 0.3


def checked_image(image: npt.NDArray[np.generic]) -> Reason | None:
    """Return why an array is no picture, if it is none: it must be (H, W, 3) uint8, 16 px or more.

    Example:
        >>> checked_image(np.zeros((20, 20, 4), np.uint8)).code
        'unreadable'
    """
    kind = f"{image.dtype} {image.shape}"
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        return Reason("unreadable", f"the picture is {kind}; expected uint8 (height, width, 3).")
    if min(image.shape[:2]) < 16:
        return Reason("unreadable", f"the picture is {kind}: under 16 pixels on a side.")
    return None


def judge(
    image: Pixels, faces: Sequence[Landmarks], limits: Limits | None = None
) -> Landmarks | Reason:
    """Return the face of a picture, or why none of those found can be used.

    Args:
        image: (H, W, 3) uint8, sRGB.
        faces: all that were found in it.
        limits: when a face is used; the defaults of `Limits`.
    """
    limits = limits or Limits()
    if not faces:
        height, width = image.shape[:2]
        return Reason("no_face", f"no face was found in {width} x {height} pixels.")
    first, *others = sorted(faces, key=face_side, reverse=True)
    for check in (_several, _small, _turned, _flat, _covered):
        reason = check(image, first, others, limits)
        if reason:
            return reason
    return first


def _several(
    image: Pixels, face: Landmarks, others: list[Landmarks], limits: Limits
) -> Reason | None:
    least = limits.other_face * face_side(face)
    n = 1 + sum(face_side(other) >= least for other in others)
    if n == 1:
        return None
    return Reason("several_faces", f"{n} faces of like size; crop the picture to one.")


def _small(
    image: Pixels, face: Landmarks, others: list[Landmarks], limits: Limits
) -> Reason | None:
    side = face_side(face)
    if side >= limits.min_face_px:
        return None
    return Reason(
        "small_face", f"the face is {side:.0f} pixels long, under {limits.min_face_px:g}."
    )


def _turned(
    image: Pixels, face: Landmarks, others: list[Landmarks], limits: Limits
) -> Reason | None:
    yaw = pose_of(face.points)[0]
    if not abs(yaw) > limits.max_yaw_deg:  # NaN: not known, so not refused
        return None
    return Reason(
        "profile", f"the face is turned by {yaw:+.0f} degrees, over {limits.max_yaw_deg:g}."
    )


def _flat(image: Pixels, face: Landmarks, others: list[Landmarks], limits: Limits) -> Reason | None:
    share = flat_share(image, face.points, _step(face))
    if not share > limits.max_flat:
        return None
    return Reason(
        "not_a_photograph",
        f"{share:.0%} of the face is of even colour, over {limits.max_flat:.0%}: a drawing?",
    )


def _covered(
    image: Pixels, face: Landmarks, others: list[Landmarks], limits: Limits
) -> Reason | None:
    light = max(eye_light(image, face.points))
    if light < limits.eye_light:
        return Reason(
            "covered_eyes",
            f"round both eyes there is {light:.0%} of the face's light, under "
            f"{limits.eye_light:.0%}: sunglasses, or a bar?",
        )
    flat = min(
        flat_share(image, face.points[list(ring)], _step(face), 1) for ring in (RIGHT_EYE, LEFT_EYE)
    )
    if flat > limits.max_flat_eye:
        return Reason(
            "covered_eyes",
            f"{flat:.0%} of both eyes is of even colour, over {limits.max_flat_eye:.0%}: a bar, "
            "or a mosaic?",
        )
    return None


def _step(face: Landmarks) -> int:
    # An enlarged photograph has equal neighbours too: look at faces as if 200 pixels long.
    return max(1, round(face_side(face) / 200.0))


def flat_share(image: Pixels, points: Floats, step: int = 1, tolerance: int = 0) -> float:
    """Return the share of pixels in the points' box that equal their right and lower neighbours.

    Args:
        image: (H, W, 3) uint8.
        points: (n, 2 or 3) pixels; NaN rows do not count. None, or a box of under two pixels,
            gives NaN.
        step: how far a neighbour is; in an enlarged picture the next pixel says nothing.
        tolerance: difference of channel values that still counts as equal.
    """
    points = points[np.isfinite(points[:, :2]).all(1), :2]
    if not len(points):
        return float("nan")
    left, top = np.maximum(points.min(0).astype(int), 0)
    right, bottom = np.maximum(points.max(0).astype(int) + 1, 0)
    part = image[top:bottom:step, left:right:step].astype(np.int16)
    if min(part.shape[:2], default=0) < 2:
        return float("nan")
    same = [np.abs(part[:-1, :-1] - other) <= tolerance for other in (part[1:, :-1], part[:-1, 1:])]
    return float((same[0] & same[1]).all(-1).mean())


def eye_light(image: Pixels, points: Floats) -> tuple[float, float]:
    """Return how light the skin round the right and the left eye is, the rest of the face being 1.

    Linear light: upper quartile two landmarks off the lids, over the median of cheeks and forehead.

    Args:
        image: (H, W, 3) uint8, sRGB.
        points: (468, 3) pixels; NaN where these landmarks are not known.
    """
    skin = np.maximum(np.median(_light_at(image, points[list(_SKIN)])), 1e-4)
    right, left = (
        np.quantile(_light_at(image, points[list(ring)]), 0.75) / skin
        for ring in (_ROUND_RIGHT_EYE, _ROUND_LEFT_EYE)
    )
    return float(right), float(left)


def _light_at(image: Pixels, points: Floats) -> npt.NDArray[np.float64]:
    if not np.isfinite(points[:, :2]).all():
        return np.full(len(points), np.nan)
    last = np.array(image.shape[1::-1]) - 1
    x, y = np.clip(points[:, :2].astype(int), 0, last).T
    return np.asarray(luminance(srgb_to_linear(image[y, x] / 255.0)), dtype=np.float64)


def from_function(
    find: Callable[[Pixels], Landmarks | None], limits: Limits | None = None
) -> LandmarkProvider:
    """Return a provider of a function that takes a picture and returns its face or None."""
    return _OfFunction(find, limits)


@dataclass(frozen=True)
class _OfFunction:
    find: Callable[[Pixels], Landmarks | None]
    limits: Limits | None

    def detect(self, images: Sequence[Pixels]) -> list[Landmarks | Reason]:
        made = list[Landmarks | Reason]()
        for image in images:
            bad = checked_image(image)
            face = None if bad else self.find(image)
            made.append(bad or judge(image, [face] if face else [], self.limits))
        return made
