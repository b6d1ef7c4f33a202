"""The error of a finder on turned heads: learned from errors that are known, taken off again."""

import numpy as np
import pytest

from fewskin.errors import DataError
from fewskin.face.finder_error import MOST_YAW_DEG, corrected, finder_error, learn_error
from fewskin.face.landmarks import Landmarks, Reason, inter_ocular, pose_of
from fewskin.face.topology import NOSE_TIP, topology
from fewskin.functional.pose import rotation_of


def found(yaw=0.0, pitch=0.0, roll=0.0):
    """The mean face as a finder that makes no error would give it."""
    points = 20.0 * topology().mean @ rotation_of(yaw, pitch, roll).T * [1.0, -1.0, -1.0]
    return Landmarks((points + np.array([300.0, 200.0, 0.0])).astype(np.float32))


def known_error(yaw, roll):
    """An error whose mirror image belongs to the opposite turn, as learned errors are."""
    mesh, angle, turn = topology(), np.radians(yaw), np.radians(roll)
    across = 0.05 * angle + 0.02 * angle**2 * np.sign(mesh.mean[:, 0])
    down = 0.03 * angle**3 * mesh.mean[:, 0] - 0.01 * angle**2 * mesh.mean[:, 1]
    across[np.abs(mesh.mean[:, 0]) < 1e-4] = 0.05 * angle
    cosine, sine = np.cos(turn), np.sin(turn)
    return np.stack([across * cosine - down * sine, across * sine + down * cosine], axis=1)


def test_coefficients_give_back_the_errors_they_were_learned_from():
    rng = np.random.default_rng(0)
    poses = np.column_stack([rng.uniform(-45, 45, 30), rng.uniform(-9, 9, (30, 2))])
    made = learn_error(poses, np.stack([known_error(yaw, roll) for yaw, _, roll in poses]))
    yaw = np.radians(25.0)
    error = np.tensordot([yaw, yaw**2, yaw**3], made, 1)
    assert error == pytest.approx(known_error(25.0, 0.0), abs=1e-6)


@pytest.mark.parametrize(("n", "shape"), [(3, (3, 468, 2)), (8, (8, 468, 3)), (8, (7, 468, 2))])
def test_too_few_pictures_or_other_shapes_are_refused(n, shape):
    with pytest.raises(DataError, match="expected"):
        learn_error(np.zeros((n, 3)), np.zeros(shape))


def test_a_head_that_faces_the_camera_has_no_error():
    assert np.abs(finder_error(0.0)).max() == 0.0


def test_a_mirrored_turn_has_the_mirrored_error():
    left, right = finder_error(30.0), finder_error(-30.0)
    assert right == pytest.approx(left[topology().mirror] * [-1.0, 1.0])


def test_a_roll_turns_the_error_with_the_picture():
    upright, lying = finder_error(30.0), finder_error(30.0, 90.0)
    assert lying == pytest.approx(np.stack([-upright[:, 1], upright[:, 0]], axis=1))


def test_beyond_what_was_learned_the_error_stays_as_it_is():
    assert finder_error(80.0) == pytest.approx(finder_error(MOST_YAW_DEG))


def test_the_finder_sees_a_turned_nose_too_short():
    # Image right is where the nose of a head points that turns to its own left.
    assert -0.05 < finder_error(30.0)[NOSE_TIP, 0] < -0.01
    assert 0.01 < finder_error(-30.0)[NOSE_TIP, 0] < 0.05


@pytest.mark.parametrize("pose", [(30.0, 5.0, -8.0), (-20.0, 0.0, 12.0)])
def test_the_error_is_taken_off_in_the_pictures_unit(pose):
    face = found(*pose)
    off = (face.points - corrected(face).points) / inter_ocular(face)
    yaw, _, roll = pose_of(face.points)
    assert off[:, :2] == pytest.approx(finder_error(yaw, roll), abs=1e-5)
    assert (off[:, 2] == 0.0).all()


def test_without_depth_nothing_is_changed_and_a_reason_stays_one():
    flat = Landmarks(found(30.0).points * np.array([1.0, 1.0, np.nan], np.float32))
    assert corrected(flat) is flat
    nothing = Reason("no_face", "none")
    assert corrected(nothing) is nothing
