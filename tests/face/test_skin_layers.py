"""Layers of a condition: densities add, opaque things hide, the dial of erythema is linear."""

import numpy as np
import pytest

from fewskin.errors import DataError
from fewskin.face.skin_layers import (
    DELTA_A_PER_GRADE,
    Layers,
    apply,
    blank,
    erythema_density,
    resized,
)
from fewskin.functional.colour import ita, linear_to_lab
from fewskin.functional.pigment import HAEMOGLOBIN, light, tone_density

GRADES = np.linspace(0.0, 4.0, 9)


def skin(tone: float, side: int = 8) -> np.ndarray:
    return np.broadcast_to(light(tone_density(tone)), (side, side, 3)).astype(np.float32)


def with_map(name: str, value: float, side: int = 8) -> Layers:
    maps = dict(blank(side))
    maps[name] = np.full((side, side), value, np.float32)
    return Layers(**maps)


@pytest.mark.parametrize("tone", [0.0, 0.2, 0.5, 0.85, 1.0])
def test_redness_is_linear_in_the_grade_on_every_tone(tone: float) -> None:
    blood = erythema_density(GRADES)
    lab = linear_to_lab(light(tone_density(tone) + np.multiply.outer(blood, HAEMOGLOBIN)))
    assert np.corrcoef(GRADES, lab[:, 1])[0, 1] > 0.999
    assert (np.diff(lab[:, 1]) > 0).all()


def test_a_grade_raises_a_by_its_step_on_light_skin() -> None:
    made = [
        linear_to_lab(apply(skin(0.2), with_map("haemoglobin", float(erythema_density(g)))))[0, 0]
        for g in (0.0, 1.0, 4.0)
    ]
    assert made[1][1] - made[0][1] == pytest.approx(DELTA_A_PER_GRADE, abs=0.02)
    assert made[2][1] - made[0][1] == pytest.approx(4.0 * DELTA_A_PER_GRADE, abs=0.05)


def test_blood_darkens_every_tone_by_the_same_factor() -> None:
    layers = with_map("haemoglobin", 0.3)
    factors = [apply(skin(tone), layers)[0, 0] / skin(tone)[0, 0] for tone in (0.1, 0.9)]
    np.testing.assert_allclose(factors[0], factors[1], rtol=1e-5)
    np.testing.assert_allclose(factors[0], 10.0 ** (-0.3 * HAEMOGLOBIN), rtol=1e-5)


def test_no_layers_change_no_bit() -> None:
    albedo = np.random.default_rng(0).random((8, 8, 3)).astype(np.float32)
    assert apply(albedo, blank(8)).tobytes() == albedo.tobytes()


def test_apply_leaves_its_inputs_alone() -> None:
    albedo = skin(0.3).copy()
    before = albedo.copy()
    apply(albedo, with_map("pus", 0.5))
    np.testing.assert_array_equal(albedo, before)


def test_skin_without_a_lesion_keeps_its_typology_angle() -> None:
    maps = dict(blank(8))
    maps["haemoglobin"] = np.zeros((8, 8), np.float32)
    maps["haemoglobin"][:4] = 0.3
    made = ita(linear_to_lab(apply(skin(0.4), Layers(**maps))))
    np.testing.assert_array_equal(made[4:], ita(linear_to_lab(skin(0.4)))[4:])


def test_full_scale_hides_the_skins_redness() -> None:
    red = with_map("haemoglobin", 0.4)
    hidden = apply(skin(0.2), red.plus(with_map("scale", 1.0)))
    assert linear_to_lab(hidden)[0, 0, 1] < 0.5 * linear_to_lab(apply(skin(0.2), red))[0, 0, 1]


def test_layers_scale_and_opacity_stays_at_most_one() -> None:
    both = with_map("haemoglobin", 0.2).plus(with_map("pus", 0.6)).scaled(2.0)
    assert both.haemoglobin[0, 0] == pytest.approx(0.4)
    assert both.pus.max() == 1.0
    assert with_map("scale", 0.7).plus(with_map("scale", 0.7)).scale.max() == 1.0


def test_layers_stay_where_skin_is_bare() -> None:
    bare = np.zeros((4, 4), np.float32)
    bare[:2] = 1.0
    made = with_map("haemoglobin", 0.2).on(bare)
    assert made.haemoglobin[0].tolist() == pytest.approx([0.2] * 8)
    assert not made.haemoglobin[-1].any()


def test_a_small_albedo_is_enlarged_to_the_layers() -> None:
    assert apply(skin(0.2, 4), blank(8)).shape == (8, 8, 3)
    np.testing.assert_allclose(resized(skin(0.2, 4), 8), skin(0.2, 8))


def test_layers_of_two_sizes_are_an_error() -> None:
    maps = dict(blank(8)) | {"pus": np.zeros((4, 4), np.float32)}
    with pytest.raises(DataError, match="one size"):
        Layers(**maps)
