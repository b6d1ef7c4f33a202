"""Head pose and a pinhole camera, with one function each way between angles and matrices.

Model axes: x to the subject's left (image right), y up, z towards the viewer, in cm. Camera axes
are OpenCV's: x right, y down, z forward. Pixel (0, 0) has its centre at (0.5, 0.5).
Public angles, in degrees: yaw > 0 the subject turns to their own left, pitch > 0 nose down,
roll > 0 clockwise in the picture.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

__all__ = ["View", "angles_of", "frontal_view", "rotation_of"]

Array = npt.NDArray[np.floating]

_TO_CAMERA = np.array([1.0, -1.0, -1.0])


def rotation_of(yaw_deg: float = 0.0, pitch_deg: float = 0.0, roll_deg: float = 0.0) -> Array:
    """Return the (3, 3) rotation of a head, float64: roll first, then pitch, then yaw.

    Example:
        The nose of a head that turns to its own left points to image right.

        >>> (rotation_of(yaw_deg=90.0) @ [0.0, 0.0, 1.0]).round(6).tolist()
        [1.0, 0.0, 0.0]
        >>> (rotation_of(pitch_deg=90.0) @ [0.0, 0.0, 1.0]).round(6).tolist()  # nose down
        [0.0, -1.0, 0.0]
        >>> (rotation_of(roll_deg=90.0) @ [0.0, 1.0, 0.0]).round(6).tolist()  # clockwise
        [1.0, 0.0, 0.0]
    """
    y, x, z = np.radians([yaw_deg, pitch_deg, -roll_deg])
    cy, sy, cx, sx, cz, sz = np.cos(y), np.sin(y), np.cos(x), np.sin(x), np.cos(z), np.sin(z)
    about_y = np.array([[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]])
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cx, -sx], [0.0, sx, cx]])
    about_z = np.array([[cz, -sz, 0.0], [sz, cz, 0.0], [0.0, 0.0, 1.0]])
    return np.asarray(about_y @ about_x @ about_z)


def angles_of(rotation: Array) -> tuple[float, float, float]:
    """Return yaw, pitch and roll in degrees of a (3, 3) rotation; pitch is in [-90, 90].

    Example:
        >>> [round(angle, 6) for angle in angles_of(rotation_of(20.0, -10.0, 5.0))]
        [20.0, -10.0, 5.0]
    """
    r = np.asarray(rotation, dtype=np.float64)
    pitch = np.arcsin(np.clip(-r[1, 2], -1.0, 1.0))
    yaw = np.arctan2(r[0, 2], r[2, 2])
    roll = -np.arctan2(r[1, 0], r[1, 1])
    return float(np.degrees(yaw)), float(np.degrees(pitch)), float(np.degrees(roll))


@dataclass(frozen=True, eq=False)
class View:
    """A head's pose before a pinhole camera.

    Attributes:
        rotation: (3, 3) of the head, see `rotation_of`.
        translation: (3,) where the model's origin is, in camera axes, cm.
        focal_px: focal length, pixels.
        centre_px: (x, y) of the principal point, pixels; the face's centre rather than the
            picture's, so that a face near a border has no false turn.
        size: (height, width) of the picture.
    """

    rotation: Array
    translation: Array
    focal_px: float
    centre_px: tuple[float, float]
    size: tuple[int, int]

    def to_camera(self, points: Array) -> Array:
        """Return (..., 3) points in camera axes, cm, of (..., 3) model points."""
        turned = points @ np.asarray(self.rotation, dtype=np.float64).T
        return np.asarray(turned * _TO_CAMERA + self.translation)

    def project(self, points: Array) -> Array:
        """Return (..., 3) float64: x and y in pixels, and depth in cm, of (..., 3) model points.

        Example:
            >>> view = frontal_view((256, 256))
            >>> view.project(np.zeros(3))[:2].tolist()
            [128.0, 128.0]
        """
        seen = self.to_camera(points)
        flat = seen[..., :2] * (self.focal_px / seen[..., 2:]) + np.asarray(self.centre_px)
        return np.concatenate([flat, seen[..., 2:]], axis=-1)

    def posed(self, yaw_deg: float, pitch_deg: float, roll_deg: float) -> "View":
        """Return the same camera with the head in another pose."""
        return replace(self, rotation=rotation_of(yaw_deg, pitch_deg, roll_deg))

    def scaled(self, factor: float) -> "View":
        """Return the view in a picture `factor` times as large."""
        height, width = (round(side * factor) for side in self.size)
        x, y = self.centre_px
        return replace(
            self,
            focal_px=self.focal_px * factor,
            centre_px=(x * factor, y * factor),
            size=(height, width),
        )


def frontal_view(
    size: tuple[int, int], *, distance_cm: float = 60.0, span_cm: float = 26.0
) -> View:
    """Return a head-on view that shows `span_cm` at the model's origin over the smaller side.

    Args:
        size: (height, width) in pixels.
        distance_cm: from the camera to the model's origin.
        span_cm: how much of the head's height fits.
    """
    focal = min(size) * distance_cm / span_cm
    centre = (size[1] / 2.0, size[0] / 2.0)
    return View(np.eye(3), np.array([0.0, 0.0, distance_cm]), focal, centre, size)
