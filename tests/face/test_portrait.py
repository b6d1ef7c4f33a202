import numpy as np
import pytest

from fewskin.errors import ConfigError
from fewskin.face.background import Backgrounds
from fewskin.face.landmarks import Landmarks
from fewskin.face.pictures import as_linear, as_pixels
from fewskin.face.portrait import portrait_of
from fewskin.face.scene import KNOBS, Scene, draw_scene, still
from fewskin.face.subject import Subject, subject_of
from fewskin.functional.pose import frontal_view
from fewskin.functional.traces import grain
from tests.face.mean_face import mean_face

SIZE = 160


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    clean = as_pixels(mean_face(SIZE).image).astype(float)
    noise = np.random.default_rng(0).normal(0.0, 5.0, clean.shape)
    return np.clip(np.round(clean + noise), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def subject(photo: np.ndarray) -> Subject:
    return subject_of(as_linear(photo), mean_face(SIZE).landmarks, side=256)


def corner(pixels: np.ndarray) -> np.ndarray:
    return pixels[:12, :12].reshape(-1, 3).mean(0)


def test_a_portrait_in_its_own_pose_has_the_photographs_light_and_noise(
    photo: np.ndarray, subject: Subject
) -> None:
    portrait = portrait_of(subject, photo, SIZE)
    made, picture = portrait.picture(still(), np.random.default_rng(1))
    face = made.region("face") > 0.9
    light, wanted = (as_linear(one)[face].mean(0) for one in (picture, photo))
    np.testing.assert_allclose(light, wanted, rtol=0.02)
    np.testing.assert_allclose(grain(picture), grain(photo), rtol=0.1)
    assert portrait.match.blur_px == 0.0  # its blur is in the texture already


def test_each_background_is_behind_the_face(photo: np.ndarray, subject: Subject) -> None:
    red = np.zeros((40, 60, 3), np.uint8) + np.uint8([200, 10, 10])
    grey, pool, own = (
        portrait_of(subject, photo, SIZE, backgrounds).picture(
            still(yaw_deg=10.0), np.random.default_rng(1)
        )[1]
        for backgrounds in (
            Backgrounds("uniform"),
            Backgrounds("pool", (red,)),
            Backgrounds("identity_masked"),
        )
    )
    assert np.ptp(corner(grey)) < 4
    np.testing.assert_allclose(corner(pool), [200, 10, 10], atol=4)
    np.testing.assert_allclose(corner(own), corner(photo), atol=12)
    middle = slice(70, 90)
    np.testing.assert_allclose(grey[middle, middle].mean(), pool[middle, middle].mean(), atol=2)


def test_the_picture_of_the_pool_depends_on_the_generator(
    photo: np.ndarray, subject: Subject
) -> None:
    pool = tuple(np.full((8, 8, 3), shade, np.uint8) for shade in (20, 90, 160, 230))
    portrait = portrait_of(subject, photo, 64, Backgrounds("pool", pool))
    seen = {
        round(corner(portrait.picture(still(), np.random.default_rng(seed))[1]).mean() / 70)
        for seed in range(12)
    }
    assert len(seen) == 4
    first, again = (portrait.picture(still(), np.random.default_rng(3))[1] for _ in range(2))
    assert (first == again).all()


def test_wrong_backgrounds_are_named() -> None:
    with pytest.raises(ConfigError, match="unknown background 'beach'"):
        Backgrounds("beach")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="give pool=DIR"):
        Backgrounds("pool")
    with pytest.raises(ConfigError, match="pool is for background=pool"):
        Backgrounds("uniform", (np.zeros((4, 4, 3), np.uint8),))


def test_a_scene_reads_back_as_the_same_picture() -> None:
    from fewskin.face.analytic import analytic_head

    head = analytic_head()
    view = frontal_view((96, 96))
    points = view.project(head.landmarks(head.vertices))
    points[:, 2] -= points[:, 2].mean()
    image = np.full((96, 96, 3), 0.3, np.float32)
    image += np.random.default_rng(0).normal(0.0, 0.02, image.shape).astype(np.float32)
    subject = subject_of(image, Landmarks(points.astype(np.float32)), head, side=128)
    knobs = {name: knob.high for name, knob in KNOBS.items()}
    scene = draw_scene(np.random.default_rng(4), knobs, head)
    back = Scene.from_json(scene.to_json())
    assert (back.identity == scene.identity).all()
    assert (back.expression == scene.expression).all()
    assert back.expression.any()
    portrait = portrait_of(subject, as_pixels(image), 64)
    first, again = (portrait.picture(one, np.random.default_rng(2))[1] for one in (scene, back))
    assert (first == again).all()
    assert scene.params["identity_norm"] == pytest.approx(np.linalg.norm(scene.identity))
