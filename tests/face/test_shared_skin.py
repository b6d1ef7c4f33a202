import numpy as np
import pytest

from fewskin.errors import DataError
from fewskin.face.analytic import analytic_head
from fewskin.face.landmarks import Landmarks
from fewskin.face.model import REGIONS
from fewskin.face.render import render
from fewskin.face.scene import picture_of, still
from fewskin.face.shared_skin import share_skin
from fewskin.face.subject import Subject, subject_of
from fewskin.face.texture import atlas_of
from fewskin.functional.lighting import ambient
from fewskin.functional.pigment import density
from fewskin.functional.pose import frontal_view

SIDE, SIZE = 256, 128


def skin() -> np.ndarray:
    """A skin whose two cheeks have nothing in common."""
    blotches = np.random.default_rng(3).normal(0.0, 0.12, (32, 32, 1))
    mottle = np.kron(blotches, np.ones((SIDE // 32, SIDE // 32, 1)))
    return (np.float32([0.5, 0.3, 0.22]) * np.exp(mottle)).astype(np.float32)


def taken(yaw: float, exposure: float) -> tuple[Subject, np.ndarray]:
    head = analytic_head()
    view = frontal_view((SIZE, SIZE)).posed(yaw, 0.0, 0.0)
    behind = np.full((SIZE, SIZE, 3), 0.2, np.float32)
    light = ambient(exposure)
    image = render(head, head.vertices, view, skin(), light=light, background=behind).image
    points = view.project(head.landmarks(head.vertices))
    points[:, 2] -= points[:, 2].mean()
    face = Landmarks(points.astype(np.float32))
    return subject_of(image, face, head, side=SIDE), image


@pytest.fixture(scope="module")
def photos() -> list[tuple[Subject, np.ndarray]]:
    return [taken(-35.0, 0.8), taken(35.0, 1.2)]


def error(colour: np.ndarray) -> float:
    """Return the rms error of density on the face, one exposure allowed for."""
    atlas = atlas_of(analytic_head(), SIDE)
    face = analytic_head().region[atlas.triangle] == REGIONS.index("face")
    texels = atlas.texel[face]
    off = (density(colour) - density(skin())).reshape(-1, 3)[texels]
    return float(np.sqrt(np.mean((off - np.median(off)) ** 2)))


def test_a_skin_of_both_sides_is_nearer_the_truth_than_either(
    photos: list[tuple[Subject, np.ndarray]],
) -> None:
    subjects, images = zip(*photos, strict=True)
    made = share_skin(subjects, images)
    best = min(error(one.albedo.colour) for one in subjects)
    assert error(made[0].albedo.colour) < 0.85 * best


def test_each_keeps_the_exposure_pose_and_surroundings_of_its_photograph(
    photos: list[tuple[Subject, np.ndarray]],
) -> None:
    subjects, images = zip(*photos, strict=True)
    for subject, image, before in zip(share_skin(subjects, images), images, subjects, strict=True):
        made = picture_of(subject, still(), SIZE)
        face = made.region("face") > 0.9
        assert abs(made.image[face].mean() / image[face].mean() - 1.0) < 0.03
        assert subject.sheet is before.sheet
        assert subject.fit is before.fit


def test_one_photograph_is_left_as_it_is_and_none_is_refused(
    photos: list[tuple[Subject, np.ndarray]],
) -> None:
    subject, image = photos[0]
    assert share_skin([subject], [image])[0] is subject
    with pytest.raises(DataError, match="0 subjects"):
        share_skin([], [])
