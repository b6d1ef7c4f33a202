import numpy as np
import pytest

from fewskin.errors import DataError
from fewskin.face.background import identity_masked, pool, uniform
from fewskin.functional.pose import frontal_view
from tests.face.globe import globe

VIEW = frontal_view((80, 100), span_cm=60.0)  # the globe is small in the picture


@pytest.fixture(scope="module")
def model():
    return globe(24, 12)


def photo(model):
    """A grey wall, a red person, and a green mark in a corner."""
    image = np.full((80, 100, 3), 0.4, np.float32)
    y, x = np.indices((80, 100)) + 0.5
    near = np.hypot(x - 50, y - 40) < 14
    image[near] = [0.9, 0.1, 0.1]
    image[2:6, 2:6] = [0.1, 0.9, 0.1]
    return image


def test_nothing_of_the_person_is_left(model):
    made = identity_masked(photo(model), model, model.vertices, VIEW)
    assert (made.image[..., 0] < 0.45).all()
    assert made.coverage[40, 50] == 0


def test_what_is_far_from_the_person_is_the_photograph(model):
    image = photo(model)
    made = identity_masked(image, model, model.vertices, VIEW)
    kept = made.coverage == 1
    assert kept.mean() > 0.5
    assert np.allclose(made.image[kept], image[kept], atol=1e-5)


def test_another_size_is_the_same_picture_scaled(model):
    made = identity_masked(photo(model), model, model.vertices, VIEW, (40, 50))
    assert made.image.shape == (40, 50, 3)
    assert made.image[2, 2, 1] > 0.6  # the mark, in the same corner
    assert made.coverage[20, 25] == 0


def test_a_head_that_fills_the_picture_or_is_outside_it_is_refused(model):
    close = frontal_view((80, 100), span_cm=10.0)
    with pytest.raises(DataError, match="nothing of its background"):
        identity_masked(photo(model), model, model.vertices, close)
    with pytest.raises(DataError, match="outside"):
        identity_masked(photo(model), model, model.vertices + np.float32([90, 0, 0]), VIEW)


def test_a_picture_of_the_pool_fills_the_frame_undistorted():
    wide = np.zeros((30, 90, 3), np.float32)
    wide[:, 30:60] = 1.0  # the middle third is square
    made = pool(wide, (20, 20))
    assert made.image.shape == (20, 20, 3)
    assert np.allclose(made.image[:, 2:-2], 1.0, atol=1e-5)
    assert (made.coverage == 1).all()


def test_the_part_of_a_pools_picture_depends_on_the_generator_alone():
    picture = np.random.default_rng(0).random((30, 90, 3), np.float32)
    one, same, other = (pool(picture, (20, 20), rng=np.random.default_rng(i)) for i in (1, 1, 2))
    assert (one.image == same.image).all()
    assert (one.image != other.image).any()


def test_a_uniform_background_has_no_photograph():
    made = uniform((3, 4), (0.1, 0.2, 0.3))
    assert np.allclose(made.image[2, 3], [0.1, 0.2, 0.3])
    assert (made.coverage == 0).all()


def test_a_pools_picture_has_three_channels():
    with pytest.raises(DataError, match=r"\(h, w, 3\)"):
        pool(np.zeros((4, 4), np.float32), (2, 2))
