import numpy as np

from fewskin.face.analytic import analytic_head
from fewskin.face.canvas import canvas_of
from fewskin.face.common_map import COMMON_SIDE, common_map
from fewskin.face.landmark_model import landmark_model
from fewskin.face.topology import topology

SIDE = 256
HEAD = analytic_head()


def heights(model, side: int = SIDE) -> np.ndarray:
    canvas = canvas_of(model, side)
    return canvas.image(canvas.place[:, 1])


def test_a_cell_is_the_same_place_on_every_model() -> None:
    even = np.ones((SIDE, SIDE), np.float32)
    maps = [common_map(one, SIDE) for one in (HEAD, landmark_model())]
    (first, seen), (second, too) = (
        one.of(heights(model)[None], even)
        for one, model in zip(maps, (HEAD, landmark_model()), strict=True)
    )
    both = (seen > 0.9) & (too > 0.9)
    assert both.sum() > 600
    assert np.abs(first[0] - second[0])[both].max() < 0.25  # cm


def test_a_smooth_map_comes_back_from_a_texture() -> None:
    common = common_map(HEAD, SIDE)
    y, x = np.mgrid[0:COMMON_SIDE, 0:COMMON_SIDE] / COMMON_SIDE
    smooth = (np.sin(5.0 * x) + y).astype(np.float32)
    back, seen = common.of(common.onto(smooth)[None], np.ones((SIDE, SIDE), np.float32))
    there = seen > 0.9
    assert np.corrcoef(back[0][there], smooth[there])[0, 1] > 0.995


def test_means_count_by_weight_alone() -> None:
    common = common_map(HEAD, SIDE)
    weight = (np.indices((SIDE, SIDE)).sum(0) % 2).astype(np.float32)
    image = 0.3 * weight + 9.0 * (1.0 - weight)  # what has no weight is anything
    means, seen = common.of(image[None], weight)
    np.testing.assert_allclose(means[0][seen > 0.1], 0.3, atol=1e-5)


def test_the_map_is_mirrored_about_its_middle() -> None:
    cells = np.zeros((COMMON_SIDE, COMMON_SIDE), bool)
    cells.ravel()[common_map(HEAD, SIDE).cells] = True
    assert (cells == cells[:, ::-1]).mean() > 0.99
    assert cells.sum() > 600
    assert np.isfinite(topology().mean).all()
