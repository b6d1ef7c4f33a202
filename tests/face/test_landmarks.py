import numpy as np
import pytest

from fewskin.face.landmark_checks import (
    Limits,
    checked_image,
    eye_light,
    flat_share,
    from_function,
    judge,
)
from fewskin.face.landmarks import CODES, Landmarks, Reason, face_side, inter_ocular, pose_of
from fewskin.face.topology import LEFT_EYE, RIGHT_EYE, topology
from fewskin.functional.pose import frontal_view

VIEW = frontal_view((256, 256))


def face(yaw=0.0, pitch=0.0, roll=0.0, scale=1.0, shift=(0.0, 0.0)) -> Landmarks:
    """Landmarks of the mean face as mediapipe gives them: z negative towards the camera, pixels."""
    turned = topology().mean.astype(np.float64) @ VIEW.posed(yaw, pitch, roll).rotation.T
    points = turned * [10.0, -10.0, -10.0] + [128.0, 128.0, 0.0]
    points = points * scale + [*shift, 0.0]
    return Landmarks(points.astype(np.float32), score=0.9)


def photograph(light=140.0, seed=0):
    noise = np.random.default_rng(seed).normal(0, 12, (256, 256, 3))
    return np.clip(light + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("pose", [(30, 0, 0), (-45, 0, 0), (0, 20, 0), (0, 0, 15), (25, -10, 5)])
def test_the_pose_is_found_again_with_the_signs_of_view(pose):
    assert np.allclose(pose_of(face(*pose).points), pose, atol=1e-3)


def test_flat_points_have_no_pose():
    points = face().points.copy()
    points[:, 2] = np.nan
    assert np.isnan(pose_of(points)).all()


def test_the_eyes_distance_does_not_shrink_with_a_turn():
    assert np.isclose(inter_ocular(face(40)), inter_ocular(face()), rtol=1e-4)


def test_a_face_of_three_points_has_the_size_of_the_whole():
    few = np.full((468, 3), np.nan, np.float32)
    few[[4, 61, 291]] = face().points[[4, 61, 291]]
    assert np.isclose(face_side(Landmarks(few)), face_side(face()), rtol=1e-4)


def test_a_good_face_is_returned_itself():
    found = face()
    assert judge(photograph(), [found]) is found


@pytest.mark.parametrize(
    ("code", "faces"),
    [
        ("no_face", []),
        ("small_face", [face(scale=0.3)]),
        ("profile", [face(yaw=55)]),
        ("profile", [face(yaw=-55)]),
        ("several_faces", [face(scale=0.6), face(scale=0.5, shift=(120, 0))]),
    ],
)
def test_each_reason_has_its_code_and_a_line(code, faces):
    reason = judge(photograph(), faces)
    assert isinstance(reason, Reason)
    assert reason.code == code
    assert reason.code in CODES
    assert reason.text
    assert "\n" not in reason.text


def test_a_small_face_in_the_background_is_left_alone():
    first, second = face(scale=0.9), face(scale=0.3, shift=(150, 0))
    assert judge(photograph(), [second, first]) is first


def test_limits_are_the_callers():
    assert isinstance(judge(photograph(), [face(yaw=55)], Limits(max_yaw_deg=60)), Landmarks)


def cover(picture, found, colour, reach=6.0):
    picture = picture.copy()
    for ring in (RIGHT_EYE, LEFT_EYE):
        (left, top), (right, bottom) = (
            getattr(found.points[list(ring), :2], how)(0) for how in ("min", "max")
        )
        wide, high = (right - left) * 0.6, (bottom - top) + reach
        rows = slice(int(top - high), int(bottom + high))
        picture[rows, int(left - wide) : int(right + wide)] = colour
    return picture


def test_dark_glasses_are_covered_eyes():
    found = face()
    noisy = np.random.default_rng(0).integers(0, 14, (256, 256, 3)).astype(np.uint8)
    dark = photograph()
    covered = cover(dark, found, 255)
    dark[(covered == 255).all(-1)] = noisy[(covered == 255).all(-1)]
    assert max(eye_light(dark, found.points)) < 0.1
    assert judge(dark, [found]).code == "covered_eyes"


def test_a_bar_of_any_colour_is_covered_eyes():
    found = face()
    assert judge(cover(photograph(), found, 200), [found]).code == "covered_eyes"


def test_one_covered_eye_is_a_face():
    found = face()
    half = photograph()
    half[:, :128] = cover(half, found, 0)[:, :128]
    assert judge(half, [found]) is found


def test_dark_skin_is_not_covered_eyes():
    assert isinstance(judge(photograph(light=40.0), [face()]), Landmarks)


def test_even_colours_are_no_photograph():
    drawing = np.full((256, 256, 3), 220, np.uint8)
    drawing[100:110, 60:200] = 0
    assert judge(drawing, [face()]).code == "not_a_photograph"


def test_an_enlarged_photograph_is_a_photograph():
    large = photograph().repeat(3, 0).repeat(3, 1)
    found = face(scale=3.6)
    assert flat_share(large, found.points) > 0.3
    assert isinstance(judge(large, [found]), Landmarks)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((30, 30), np.uint8),
        np.zeros((30, 30, 3), np.float32),
        np.zeros((30, 30, 4), np.uint8),
        np.zeros((4, 30, 3), np.uint8),
        np.zeros((0, 0, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_unreadable(image):
    assert checked_image(image).code == "unreadable"
    assert from_function(lambda _: face()).detect([image])[0].code == "unreadable"


def test_a_function_becomes_a_provider():
    faces = iter([face(), None])
    first, second = from_function(lambda _: next(faces)).detect([photograph(), photograph()])
    assert isinstance(first, Landmarks)
    assert second.code == "no_face"


def test_points_outside_the_picture_do_no_harm():
    assert isinstance(judge(photograph(), [face(shift=(5000.0, 5000.0))]), Landmarks | Reason)
