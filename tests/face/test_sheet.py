from dataclasses import replace

import numpy as np
import pytest

from fewskin.face.sheet import Sheet, depth_sheet
from fewskin.functional.lighting import ambient, directional
from fewskin.functional.pose import angles_of
from tests.face.mean_face import MeanFace, mean_face

SIZE = 160


@pytest.fixture(scope="module")
def photo() -> MeanFace:
    return mean_face(SIZE)


@pytest.fixture(scope="module")
def sheet(photo: MeanFace) -> Sheet:
    skin = np.zeros((SIZE, SIZE), np.float32)
    return depth_sheet(photo.image, skin, photo.model, photo.model.vertices, photo.view)


def turned(photo: MeanFace, yaw: float):
    own = angles_of(photo.view.rotation)
    return photo.view.posed(own[0] + yaw, own[1], own[2])


def test_the_same_pose_is_the_same_picture(sheet: Sheet, photo: MeanFace) -> None:
    made = sheet.draw(photo.view)
    assert abs(made - photo.image)[4:-4, 4:-4].mean() < 0.003


def test_half_the_size_is_the_picture_averaged(sheet: Sheet, photo: MeanFace) -> None:
    small = sheet.draw(photo.view.scaled(0.5))
    blocks = photo.image.reshape(SIZE // 2, 2, SIZE // 2, 2, 3).mean((1, 3))
    assert small.shape == blocks.shape
    assert abs(small - blocks)[4:-4, 4:-4].mean() < 0.008


@pytest.mark.parametrize("yaw", [-40.0, 40.0])
def test_a_turn_leaves_no_hole(sheet: Sheet, photo: MeanFace, yaw: float) -> None:
    made = sheet.draw(turned(photo, yaw))
    assert made.min() > 0.02
    assert abs(made - photo.image).max() > 0.1  # it has moved


def test_the_same_light_changes_nothing_and_a_lamp_brightens_its_side(
    sheet: Sheet, photo: MeanFace
) -> None:
    plain = sheet.draw(photo.view)
    same = sheet.draw(photo.view, light=(ambient(), ambient()))
    np.testing.assert_allclose(same, plain, rtol=1e-4)
    lamp = ambient(0.5).plus(directional((1.0, 0.0, 0.3), 0.6))
    ratio = (sheet.draw(photo.view, light=(ambient(), lamp)) / plain)[SIZE // 2, :, 1]
    assert ratio[int(0.68 * SIZE)] > 1.2 * ratio[int(0.32 * SIZE)]


def test_kernels_draw_the_same_sheet(sheet: Sheet, photo: MeanFace) -> None:
    pytest.importorskip("numba")
    one, other = (sheet.draw(turned(photo, 20.0), kernel=k) for k in ("numba", "numpy"))
    assert abs(one - other).mean() < 1e-4


def test_the_background_beside_a_turned_head_stands_still(sheet: Sheet, photo: MeanFace) -> None:
    made = sheet.draw(turned(photo, -40.0))
    edge = (slice(0, SIZE // 2), slice(0, SIZE // 10))
    assert abs(made - photo.image)[edge].max() < 0.01


def test_a_head_that_fills_its_picture_leaves_nothing_black(photo: MeanFace) -> None:
    cut = slice(SIZE // 3, 2 * SIZE // 3)
    image = np.ascontiguousarray(photo.image[cut, cut])
    x, y = photo.view.centre_px
    view = replace(photo.view, centre_px=(x - cut.start, y - cut.start), size=image.shape[:2])
    skin = np.ones(image.shape[:2], np.float32)
    near = depth_sheet(image, skin, photo.model, photo.model.vertices, view)
    yaw, pitch, roll = angles_of(view.rotation)
    for turn in (-40.0, 40.0):
        assert near.draw(view.posed(yaw + turn, pitch, roll)).min() > 0.3 * image.min()


def test_a_neck_cut_off_below_veils_no_wall_beside_the_head(photo: MeanFace) -> None:
    cut = slice(SIZE // 5, 4 * SIZE // 5)
    image = np.ascontiguousarray(photo.image[cut, cut])
    x, y = photo.view.centre_px
    view = replace(photo.view, centre_px=(x - cut.start, y - cut.start), size=image.shape[:2])
    near = depth_sheet(image, image[..., 0], photo.model, photo.model.vertices, view)
    alpha, beyond = near.head.opacities[0], near.head.beyond
    side = alpha[beyond : beyond + len(image)]
    np.testing.assert_array_equal(side[:, 0], side[:, beyond])  # as at the border, all the way
    np.testing.assert_array_equal(side[:, -1], side[:, beyond + image.shape[1] - 1])
