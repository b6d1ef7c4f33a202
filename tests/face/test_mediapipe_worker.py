"""The finder with a stand-in for mediapipe: red squares are faces."""

import numpy as np
import pytest

from fewskin.face.mediapipe_worker import Finder
from fewskin.face.topology import topology

MESH = topology()
# The mean face in its own box, [0, 1], y down.
SHAPE = np.concatenate([MESH.mean, MESH.mean_irises]) * [1.0, -1.0, -1.0]
SHAPE = (SHAPE - SHAPE[:468].min(0)) / np.ptp(SHAPE[:468], axis=0)


def red_squares(least=0.0, most=1.0, jump=0.0):
    """Return a looker that sees the red squares of these shares of the longer side."""
    calls = []

    def look(pixels):
        calls.append(pixels.shape)
        rows, columns = np.nonzero((pixels[..., 0] > 200) & (pixels[..., 1] < 60))
        if not len(rows):
            return []
        low = np.array([columns.min(), rows.min(), 0.0])
        side = np.ptp(columns) + 1
        if not least <= side / max(pixels.shape[:2]) <= most:
            return []
        # As mediapipe: in shares of the picture, from the middle of the first pixel.
        points = low - [0.5, 0.5, 0.0] + side * SHAPE + [jump * side, 0.0, 0.0]
        width, height = pixels.shape[1], pixels.shape[0]
        return [(points / [width, height, width], 0.9)]

    return look, calls


def picture(size, box):
    made = np.full((*size, 3), 90, np.uint8)
    left, top, side = box
    made[top : top + side, left : left + side] = (255, 0, 0)
    return made


@pytest.mark.parametrize("closer", [True, False])
@pytest.mark.parametrize("size", [(200, 300), (640, 640), (901, 1203)])
def test_points_are_in_pixels_of_the_picture(size, closer):
    image = picture(size, (60, 50, 100))
    (face,) = Finder(red_squares()[0], closer=closer).find(image)
    # A square from pixel 60 on, 100 long: its edges are at 60 and 160.
    assert np.allclose(face.box, (60, 50, 160, 150), atol=1.2)


def test_mediapipes_half_pixel_is_added_exactly():
    image = picture((640, 480), (60, 50, 100))  # the first look is of this size: nothing is resized
    (face,) = Finder(red_squares()[0], closer=False).find(image)
    assert np.allclose(face.box, (60, 50, 160, 150), atol=1e-3)


def test_closer_looks_are_finer_than_the_first():
    image = picture((1200, 1600), (700, 500, 203))
    (face,) = Finder(red_squares()[0]).find(image)
    assert np.allclose(face.box, (700, 500, 903, 703), atol=1.0)


def test_small_and_filling_faces_are_found_in_parts_and_with_borders():
    image = picture((1500, 2000), (1203, 911, 90))
    assert not Finder(red_squares(least=0.15)[0], closer=False)._look(
        _as_picture(image), (0.0, 0.0, 2000.0, 1500.0), 640
    )
    (face,) = Finder(red_squares(least=0.15)[0]).find(image)
    assert np.allclose(face.box, (1203, 911, 1293, 1001), atol=1.0)

    filling = picture((300, 300), (5, 5, 290))
    (face,) = Finder(red_squares(most=0.8)[0]).find(filling)
    assert np.allclose(face.box, (5, 5, 295, 295), atol=2.0)


def _as_picture(image):
    from PIL import Image

    return Image.fromarray(image)


def test_a_small_picture_without_a_face_is_not_searched_in_parts():
    look, calls = red_squares()
    assert Finder(look).find(np.full((200, 200, 3), 90, np.uint8)) == []
    assert len(calls) == 3
    assert Finder(look).find(np.zeros((8, 300, 3), np.uint8)) == []


def test_a_face_that_its_mirror_image_contradicts_is_dropped():
    image = picture((300, 300), (80, 80, 120))
    assert len(Finder(red_squares(jump=0.02)[0]).find(image)) == 1
    assert Finder(red_squares(jump=0.04)[0]).find(image) == []  # the two are 0.08 apart
    assert len(Finder(red_squares(jump=0.04)[0], closer=False).find(image)) == 1


def test_the_mean_of_both_looks_has_no_side():
    image = picture((300, 300), (80, 80, 120))
    (biased,) = Finder(red_squares(jump=0.02)[0]).find(image)
    assert np.allclose(biased.box, (80, 80, 200, 200), atol=0.8)
