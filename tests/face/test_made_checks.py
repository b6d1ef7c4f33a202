import numpy as np
import pytest

from fewskin.face.landmarks import Landmarks
from fewskin.face.made_checks import border_energy, correlation, landmark_error, tone
from fewskin.face.topology import topology

GREY = np.full((64, 64, 3), 120, np.uint8)
EVERYWHERE = np.ones((64, 64), bool)


def test_landmarks_moved_by_a_tenth_of_the_eyes_distance_are_ten_percent_off() -> None:
    face = Landmarks(topology().mean)
    eyes = 6.1
    moved = Landmarks(face.points + np.float32([0.1 * eyes, 0.0, 3.0]))  # depth does not count
    assert landmark_error(face, moved) == pytest.approx(10.0, abs=0.2)


def test_the_tone_is_of_the_median_colour_and_not_of_few_pixels() -> None:
    skin = np.broadcast_to(np.uint8([225, 185, 160]), (64, 64, 3)).copy()
    light = tone(skin, EVERYWHERE)
    skin[:20] = 0  # hair, under a third
    assert tone(skin, EVERYWHERE) == light
    assert light > 28.0
    few = np.zeros((64, 64), bool)
    few[0, :49] = True
    assert np.isnan(tone(skin, few))


def test_a_seam_has_more_detail_than_a_soft_border() -> None:
    y, x = np.mgrid[:64, :64] - 32.0
    radius = np.hypot(x, y)
    mask = radius < 16
    hard, soft = GREY.copy(), GREY.copy()
    hard[mask] -= np.uint8(30)
    fade = 30.0 / (1.0 + np.exp((radius - 16.0) / 4.0))
    soft = (soft - fade[..., None]).round().astype(np.uint8)
    energies = [border_energy(one, mask, EVERYWHERE) for one in (hard, soft, GREY)]
    assert energies[0] > 5.0 * energies[1]
    assert energies[2] == pytest.approx(0.0, abs=1e-9)
    assert np.isnan(border_energy(hard, np.zeros_like(mask), EVERYWHERE))


def test_correlation_counts_only_where_it_is_asked() -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal((8, 8))
    b = np.where(np.arange(8) < 4, 3.0 * a + 1.0, -a)
    left = np.broadcast_to(np.arange(8) < 4, (8, 8))
    assert correlation(a, b, left) == pytest.approx(1.0)
    assert correlation(a, b, ~left) == pytest.approx(-1.0)
    assert np.isnan(correlation(a, np.zeros((8, 8)), left))
