"""Facial landmarks of photographs: what a provider gives, and why a picture has none.

A provider finds; `landmark_checks.judge` decides, in the same way for all of them, whether what was
found can be used. Providers: `mediapipe_provider` (also for a .task file), `landmark_files`, and
any function by `landmark_checks.from_function`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from fewskin.face.topology import LEFT_EYE_CORNERS, RIGHT_EYE_CORNERS, topology
from fewskin.functional.pose import angles_of
from fewskin.functional.procrustes import similarity

__all__ = [
    "CODES",
    "Code",
    "LandmarkProvider",
    "Landmarks",
    "Reason",
    "face_side",
    "inter_ocular",
    "pose_of",
]

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

Code = Literal[
    "no_face",
    "several_faces",
    "small_face",
    "profile",
    "covered_eyes",
    "not_a_photograph",
    "unreadable",
]
CODES: tuple[Code, ...] = get_args(Code)


@dataclass(frozen=True, eq=False)
class Landmarks:
    """The landmarks of one face.

    Attributes:
        points: (468, 3) float32 of MediaPipe's face mesh: x to the right and y down in pixels of
            the picture, whose first pixel has its middle at 0.5; z in the same unit, towards the
            camera negative, about the head's middle. NaN where a provider does not know.
        irises: (10, 3) in the same unit, right then left: the centre and four points of the rim.
        score: of the finder, in [0, 1]; NaN where there is none.
    """

    points: Floats
    irises: Floats | None = None
    score: float = float("nan")

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the known points, pixels."""
        flat = self.points[np.isfinite(self.points[:, :2]).all(1), :2]
        (left, top), (right, bottom) = flat.min(0), flat.max(0)
        return float(left), float(top), float(right), float(bottom)


@dataclass(frozen=True)
class Reason:
    """Why a picture gives no landmarks: a stable short code, and a line that says more."""

    code: Code
    text: str


class LandmarkProvider(Protocol):
    """Anything that finds the landmarks of pictures."""

    def detect(self, images: Sequence[Pixels]) -> list[Landmarks | Reason]:
        """Return the landmarks of each (H, W, 3) uint8 sRGB picture, or why it has none."""
        ...


def inter_ocular(face: Landmarks) -> float:
    """Return the distance between the eyes in pixels: the middles of their corners, else irises.

    In three dimensions where z is known, so that a turned head has nearly the same.

    Example:
        >>> round(inter_ocular(Landmarks(topology().mean)), 1)  # of a mean face, cm
        6.1
    """
    right, left = (
        face.points[list(pair)].mean(0) for pair in (RIGHT_EYE_CORNERS, LEFT_EYE_CORNERS)
    )
    if face.irises is not None and not np.isfinite((right + left)[:2]).all():
        right, left = face.irises[0], face.irises[5]
    apart = right - left
    return float(np.linalg.norm(apart if np.isfinite(apart).all() else apart[:2]))


def face_side(face: Landmarks) -> float:
    """Return the longer side of a face's box in pixels, also where few landmarks are known.

    Example:
        >>> mean = topology().mean
        >>> few = np.full_like(mean, np.nan)
        >>> few[[4, 61, 291]] = mean[[4, 61, 291]]
        >>> bool(np.isclose(face_side(Landmarks(few)), face_side(Landmarks(mean))))
        True
    """
    known = np.isfinite(face.points[:, :2]).all(1)
    mean = topology().mean[:, :2]
    longest, of_known = np.ptp(mean, axis=0).max(), np.ptp(mean[known], axis=0).max()
    return float(np.ptp(face.points[known, :2], axis=0).max() * longest / of_known)


def pose_of(points: Floats) -> tuple[float, float, float]:
    """Return yaw, pitch and roll in degrees, by a similarity that lays the mean face on the points.

    Signs as in `functional.pose`. Pitch and yaw need z: NaN where fewer than four points have it.

    Example:
        >>> mean = topology().mean * [100.0, -100.0, -100.0]
        >>> [round(abs(angle), 3) for angle in pose_of(mean)]
        [0.0, 0.0, 0.0]
    """
    placed = np.asarray(points, dtype=np.float64) * [1.0, -1.0, -1.0]
    if np.isfinite(placed).all(1).sum() < 4:
        return float("nan"), float("nan"), float("nan")
    return angles_of(similarity(topology().mean, placed)[1])
