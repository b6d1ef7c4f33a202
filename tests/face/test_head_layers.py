import numpy as np
import pytest

from fewskin.face.head_layers import HeadLayers, frame_of, split
from tests.face.mean_face import MeanFace, mean_face

SIZE = 160


@pytest.fixture(scope="module")
def photo() -> MeanFace:
    return mean_face(SIZE)


@pytest.fixture(scope="module")
def layers(photo: MeanFace) -> HeadLayers:
    skin = np.zeros((SIZE, SIZE), np.float32)
    return split(photo.image, skin, photo.model, photo.model.vertices, photo.view)


def test_the_head_over_the_rest_is_the_photograph(layers: HeadLayers, photo: MeanFace) -> None:
    cover = layers.opacity[..., None]
    again = cover * layers.head + (1.0 - cover) * layers.rest
    assert abs(again - photo.image).mean() < 1e-4
    assert abs(again - photo.image).max() < 0.03


def test_the_face_is_head_and_the_corners_are_not(layers: HeadLayers) -> None:
    middle = slice(SIZE // 2 - 20, SIZE // 2 + 20)
    assert layers.opacity[middle, middle].min() > 0.99
    assert max(layers.opacity[:6, :6].max(), layers.opacity[:6, -6:].max()) < 0.01


def test_nothing_of_the_face_is_left_behind_it(layers: HeadLayers, photo: MeanFace) -> None:
    middle = slice(SIZE // 2 - 20, SIZE // 2 + 20)
    behind = layers.rest[middle, middle]
    assert (behind[..., 2] > behind[..., 0]).all()  # the stripes are blue, skin is not
    assert (photo.image[middle, middle, 2] < photo.image[middle, middle, 0]).mean() > 0.9


def test_a_frame_measures_from_the_chin_along_the_face(photo: MeanFace) -> None:
    frame = frame_of(photo.model, photo.model.vertices, photo.view)
    right, below = frame.places(frame.chin[0] + frame.right[0], frame.chin[1] + frame.right[1])
    assert (right, below) == pytest.approx((1.0, 0.0), abs=1e-9)
    _, top = frame.places(*(frame.chin - frame.height * frame.down))
    assert top == pytest.approx(-frame.height)
    assert frame.under_jaw(0.0, 1.0) == pytest.approx(1.0, abs=0.3)
