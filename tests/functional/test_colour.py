"""Colour conversions against scikit-image and published values."""

import numpy as np
import pytest
from skimage import color

from fewskin.functional.colour import (
    ITA_CATEGORIES,
    ita,
    ita_category,
    lab_to_linear,
    linear_to_lab,
    linear_to_srgb,
    linear_to_xyz,
    luminance,
    srgb_to_linear,
    xyz_to_lab,
    xyz_to_linear,
)


@pytest.fixture
def srgb():
    return np.random.default_rng(0).uniform(size=(50, 3))


def test_linear_light_returns_to_the_same_srgb(srgb):
    np.testing.assert_allclose(linear_to_srgb(srgb_to_linear(srgb)), srgb, atol=1e-6)


def test_the_standard_knee_of_srgb_joins_both_branches():
    # IEC 61966-2-1: .04045 / 12.92 = .0031308
    low, high = srgb_to_linear(np.array([0.04045, 0.04046]))
    assert low == pytest.approx(0.0031308, abs=1e-7)
    assert high - low < 2e-6


def test_lab_agrees_with_scikit_image(srgb):
    ours = linear_to_lab(srgb_to_linear(srgb))
    # scikit-image rounds the white point and the matrix to fewer digits.
    np.testing.assert_allclose(ours, color.rgb2lab(srgb), atol=0.05)


def test_lab_of_pure_red_is_the_published_value():
    # Lindbloom's calculator, sRGB (1, 0, 0) under D65: 53.24, 80.09, 67.20
    lab = linear_to_lab(np.array([1.0, 0.0, 0.0]))
    np.testing.assert_allclose(lab, [53.24, 80.09, 67.20], atol=0.02)


def test_lab_and_xyz_return_to_the_same_light_also_below_the_cube_root(srgb):
    light = np.concatenate([srgb, srgb * 1e-3])
    np.testing.assert_allclose(lab_to_linear(linear_to_lab(light)), light, atol=1e-9)
    np.testing.assert_allclose(xyz_to_linear(linear_to_xyz(light)), light, atol=1e-12)


def test_luminance_is_y_of_xyz(srgb):
    np.testing.assert_allclose(luminance(srgb), linear_to_xyz(srgb)[:, 1])


def test_float32_stays_float32(srgb):
    light = srgb.astype(np.float32)
    for convert in (
        srgb_to_linear,
        linear_to_srgb,
        linear_to_xyz,
        linear_to_lab,
        xyz_to_lab,
        lab_to_linear,
    ):
        assert convert(light).dtype == np.float32


def test_ita_falls_as_lightness_falls():
    lab = np.stack([np.linspace(80, 20, 7), np.zeros(7), np.full(7, 15.0)], axis=-1)
    assert (np.diff(ita(lab)) < 0).all()


def test_every_ita_category_has_its_published_range():
    # Chardon 1991, Del Bino 2013: > 55, 41-55, 28-41, 10-28, -30-10, < -30 degrees
    found = [ita_category(angle) for angle in (-31, 0, 20, 35, 50, 56)]
    assert tuple(found) == ITA_CATEGORIES
