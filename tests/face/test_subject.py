from dataclasses import replace

import numpy as np
import pytest

from fewskin.errors import DataError
from fewskin.face.analytic import analytic_head
from fewskin.face.landmarks import Landmarks
from fewskin.face.scene import KNOBS, draw_scene, picture_of, still
from fewskin.face.subject import Subject, subject_of
from fewskin.functional.colour import linear_to_srgb
from fewskin.functional.pigment import decompose, density
from tests.face.mean_face import MeanFace, mean_face

SIZE = 192


@pytest.fixture(scope="module")
def photo() -> MeanFace:
    return mean_face(SIZE)


@pytest.fixture(scope="module")
def subject(photo: MeanFace) -> Subject:
    return subject_of(photo.image, photo.landmarks, side=256)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = linear_to_srgb(np.asarray(a, float)) - linear_to_srgb(np.asarray(b, float))
    return float(-10.0 * np.log10((error**2).mean() + 1e-12))


def middle_of(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(mask.shape) + 0.5
    return np.array([(mask * columns).sum(), (mask * rows).sum()]) / mask.sum()


def test_the_photographs_own_pose_gives_the_photograph(subject: Subject, photo: MeanFace) -> None:
    made = picture_of(subject, still(), SIZE)
    assert psnr(made.image, photo.image) > 32
    inside = made.region("face", "lips") > 0.99
    assert inside.mean() > 0.1
    assert psnr(made.image[inside], photo.image[inside]) > 32


def test_positive_yaw_turns_the_face_to_image_right(subject: Subject) -> None:
    lips = [middle_of(picture_of(subject, still(yaw_deg=y), SIZE).region("lips")) for y in (0, 25)]
    assert lips[1][0] > lips[0][0] + 4
    down = middle_of(picture_of(subject, still(pitch_deg=15), SIZE).region("lips"))
    assert down[1] > lips[0][1] + 4


def test_the_picture_far_from_the_head_stands_still(subject: Subject) -> None:
    before, after = (picture_of(subject, still(yaw_deg=y), SIZE).image for y in (0.0, 35.0))
    corner = (slice(2, 14), slice(2, 14))
    assert psnr(before[corner], after[corner]) > 40


def test_no_pixel_is_empty_at_forty_degrees(subject: Subject) -> None:
    for yaw, pitch in ((40, 0), (-40, 0), (0, 20), (0, -20)):
        image = picture_of(subject, still(yaw_deg=yaw, pitch_deg=pitch), SIZE).image
        assert np.isfinite(image).all()
        assert image.max(-1).min() > 0.01


def test_tone_moves_melanin_and_leaves_haemoglobin(subject: Subject) -> None:
    view = subject.fit.view
    before, after = (subject.picture(view, melanin=m) for m in (0.0, 0.1))
    inside = before.region("face") > 0.99
    skin = density(np.clip(after.image, 1e-4, 1)) - density(np.clip(before.image, 1e-4, 1))
    melanin, haemoglobin, shading = decompose(skin[inside], np.zeros(3))
    assert np.median(melanin) == pytest.approx(0.1, abs=0.01)
    assert abs(np.median(haemoglobin)) < 0.002
    assert abs(np.median(shading)) < 0.002


def test_exposure_scales_all_channels_alike(subject: Subject) -> None:
    plain = picture_of(subject, still(), SIZE).image
    scene = still()
    brighter = picture_of(subject, type(scene)(**{**vars(scene), "exposure_ev": 1.0}), SIZE).image
    np.testing.assert_allclose(brighter, 2.0 * plain, rtol=1e-5)


def test_a_mask_on_the_texture_is_where_the_texture_is(subject: Subject) -> None:
    half = np.zeros((256, 256), np.float32)
    half[:, 128:] = 1.0  # the unrolled face's own left
    made = subject.picture(subject.fit.view, masks={"left": half})
    face = made.region("face") > 0.99
    columns = np.indices(face.shape)[1] + 0.5
    right_side = columns > SIZE / 2 + 3
    assert made.masks["left"][face & right_side].min() > 0.99
    assert made.masks["left"][face & (columns < SIZE / 2 - 3)].max() < 0.01


def test_scenes_depend_on_the_seed_and_keep_their_ranges(subject: Subject) -> None:
    ranges = {name: knob.default for name, knob in KNOBS.items()}
    scenes = [draw_scene(np.random.default_rng(i), ranges, subject.model) for i in range(200)]
    yaws = np.array([scene.yaw_deg for scene in scenes])
    assert abs(yaws).max() <= ranges["yaw_deg"]
    assert yaws.std() > ranges["yaw_deg"] / 3
    assert {scene.melanin for scene in scenes} == {0.0}  # the dial is closed
    again = draw_scene(np.random.default_rng(7), ranges, subject.model)
    assert again.params == scenes[7].params


def test_closed_dials_give_the_photograph(subject: Subject) -> None:
    closed = dict.fromkeys(KNOBS, 0.0)
    scene = draw_scene(np.random.default_rng(1), closed, subject.model)
    made, plain = (picture_of(subject, one, SIZE).image for one in (scene, still()))
    np.testing.assert_allclose(made, plain, atol=1e-5)


def test_landmarks_without_depth_are_refused(photo: MeanFace) -> None:
    flat = photo.landmarks.points.copy()
    flat[:, 2] = np.nan
    with pytest.raises(DataError, match="the landmark model needs all"):
        subject_of(photo.image, Landmarks(flat))


def test_a_head_may_take_another_shape_while_its_expression_stays() -> None:
    drawn = mean_face(SIZE)
    person = subject_of(drawn.image, drawn.landmarks, analytic_head(), side=256)
    other = replace(still(), identity=np.array([2.0, -2.0], np.float32))
    before, after = (picture_of(person, scene, SIZE).image for scene in (still(), other))
    assert abs(after - before).max() > 0.05
