"""Pigment layers in optical density."""

import numpy as np
import pytest

from fewskin.functional.colour import linear_to_lab
from fewskin.functional.pigment import (
    HAEMOGLOBIN,
    MELANIN,
    compose,
    decompose,
    density,
    light,
    tone_density,
    tone_lab,
)


def test_the_vectors_are_the_published_unit_vectors():
    # Tsumura et al. 2003; unit length to the four printed digits
    assert np.linalg.norm(MELANIN) == pytest.approx(1.0, abs=1e-3)
    assert np.linalg.norm(HAEMOGLOBIN) == pytest.approx(1.0, abs=1e-3)


def test_density_adds_where_light_multiplies():
    first, second = np.array([0.5, 0.4, 0.3]), np.array([0.9, 0.6, 0.5])
    np.testing.assert_allclose(density(first * second), density(first) + density(second))


def test_light_is_the_inverse_of_density():
    rgb = np.random.default_rng(0).uniform(0.01, 1, (20, 3))
    np.testing.assert_allclose(light(density(rgb)), rgb)


def test_decompose_finds_the_maps_that_compose_was_given():
    rng = np.random.default_rng(0)
    maps = [rng.normal(0, 0.2, (4, 5)) for _ in range(3)]
    base = tone_density(0.4)
    for found, given in zip(decompose(compose(base, *maps), base), maps, strict=True):
        np.testing.assert_allclose(found, given, atol=1e-12)


def test_black_has_a_finite_density():
    assert density(np.zeros(3)).tolist() == [4.0, 4.0, 4.0]


def test_erythema_reddens_every_tone_and_less_visibly_the_dark_one():
    rise = []
    for tone in (0.0, 0.5, 1.0):
        base = tone_density(tone)
        before, after = (
            linear_to_lab(light(compose(base, np.array(0.0), np.array(h)))) for h in (0.0, 0.2)
        )
        rise.append(after[1] - before[1])
    assert rise[0] > rise[1] > rise[2] > 1.0


def test_melanin_darkens_and_yellows():
    before, after = (
        linear_to_lab(light(compose(tone_density(0.2), np.array(m), np.array(0.0))))
        for m in (0.0, 0.2)
    )
    assert after[0] < before[0]
    assert after[2] > before[2]


def test_tone_density_is_the_density_of_the_tones_colour():
    np.testing.assert_allclose(linear_to_lab(light(tone_density(0.3))), tone_lab(0.3), atol=1e-9)
