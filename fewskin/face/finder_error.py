"""What MediaPipe's face mesh gets wrong on a turned head, and landmarks without it.

In pictures of a known mesh in a known pose the finder errs in the same way for all people: it sees
a turned nose shorter and the line of the jaw elsewhere than it does head-on. That part, a smooth
function of the yaw that it reports, was learned by `scripts/learn_finder_error.py` and is taken off
here. It is about the finder and not about faces: landmarks of another origin, drawn or marked by
hand, do not have it. Nothing is corrected in a picture of a head that faces the camera.
"""

import functools
from dataclasses import replace
from typing import overload

import numpy as np
import numpy.typing as npt

from fewskin.errors import DataError, StageError
from fewskin.face.landmarks import Landmarks, Reason, inter_ocular, pose_of
from fewskin.face.topology import N_LANDMARKS, topology
from fewskin.paths import assets_dir

__all__ = ["MOST_YAW_DEG", "corrected", "finder_error", "learn_error"]

Array = npt.NDArray[np.floating]

MOST_YAW_DEG = 50.0  # learned up to here; beyond, the error of 50 degrees counts
_POWERS = 3
_FLIP = np.array([-1.0, 1.0])


@overload
def corrected(face: Landmarks) -> Landmarks: ...
@overload
def corrected(face: Landmarks | Reason) -> Landmarks | Reason: ...
def corrected(face: Landmarks | Reason) -> Landmarks | Reason:
    """Return landmarks of MediaPipe without the error that a turned head gives it.

    Args:
        face: of MediaPipe's face mesh; without z its yaw is unknown, and it stays as it is, as does
            a reason why there is none.

    Raises:
        StageError: as `finder_error`.

    Example:
        >>> ahead = Landmarks(topology().mean * [100.0, -100.0, -100.0])
        >>> bool(np.abs(corrected(ahead).points - ahead.points).max() < 0.1)
        True
    """
    if isinstance(face, Reason):
        return face
    yaw, _, roll = pose_of(face.points)
    unit = inter_ocular(face)
    if not np.isfinite([yaw, roll, unit]).all():
        return face
    points = np.array(face.points, dtype=np.float32)
    points[:, :2] -= unit * finder_error(yaw, roll)
    return replace(face, points=points)


def finder_error(yaw_deg: float, roll_deg: float = 0.0) -> Array:
    """Return (468, 2) by how much the finder is off: found minus true, over the eyes' distance.

    Args:
        yaw_deg: that the finder reports, by `pose_of`.
        roll_deg: the same.

    Returns:
        x to the right and y down in the picture; 0 at yaw 0.

    Raises:
        StageError: the asset is missing or damaged.
    """
    powers = _powers(np.array([yaw_deg]))[0]
    return np.asarray(np.tensordot(powers, _coefficients(), 1) @ _turn(roll_deg).T)


def learn_error(poses: Array, errors: Array) -> Array:
    """Return (3, 468, 2) coefficients of the yaw's powers, of which `finder_error` makes use.

    Args:
        poses: (n, 3) yaw, pitch and roll that the finder reports, degrees.
        errors: (n, 468, 2) found minus true in the picture, over the eyes' distance.

    Raises:
        DataError: fewer pictures than coefficients, or shapes that do not fit.
    """
    if len(poses) <= _POWERS or errors.shape != (len(poses), N_LANDMARKS, 2):
        raise DataError(
            f"errors {errors.shape} of {len(poses)} poses; expected (n, {N_LANDMARKS}, 2), "
            f"n over {_POWERS}."
        )
    upright = np.stack([one @ _turn(roll) for one, roll in zip(errors, poses[:, 2], strict=True)])
    # A mirrored picture has the mirrored error.
    both = np.concatenate([upright, upright[:, topology().mirror] * _FLIP])
    powers = _powers(np.concatenate([poses[:, 0], -poses[:, 0]]))
    made, *_ = np.linalg.lstsq(powers, both.reshape(len(both), -1), rcond=None)
    return np.asarray(made.reshape(_POWERS, N_LANDMARKS, 2))


def _powers(yaw_deg: Array) -> Array:
    """Return (n, 3) yaw, its square and its cube, radians."""
    yaw = np.radians(np.clip(yaw_deg, -MOST_YAW_DEG, MOST_YAW_DEG))
    return np.stack([yaw**power for power in range(1, _POWERS + 1)], axis=1)


def _turn(roll_deg: float) -> Array:
    """Return the (2, 2) rotation by a roll, clockwise in the picture."""
    cosine, sine = np.cos(np.radians(roll_deg)), np.sin(np.radians(roll_deg))
    return np.array([[cosine, -sine], [sine, cosine]])


@functools.cache
def _coefficients() -> Array:
    file = assets_dir() / "face" / "finder_error.npz"
    try:
        with np.load(file, allow_pickle=False) as found:
            made = found["coefficients"].astype(np.float64)
    except (OSError, KeyError, ValueError) as error:
        raise StageError(
            f"cannot read {file}: {error}. Reinstall fewskin, or restore it from the repository."
        ) from error
    made.setflags(write=False)
    return np.asarray(made)
