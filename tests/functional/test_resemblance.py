import numpy as np
import pytest
import torch

from fewskin.functional.resemblance import (
    image_features,
    nearest_correlation,
    radial_spectrum,
    shrink,
)
from fewskin.testing import synthetic_table

PHOTOS = synthetic_table(n=10, image_size=64).images().numpy()


def test_all_flips_and_turns_of_a_reference_correlate_one() -> None:
    for turned in (PHOTOS[..., ::-1], np.rot90(PHOTOS, 3, (2, 3)), np.rot90(PHOTOS, 1, (2, 3))):
        np.testing.assert_allclose(nearest_correlation(turned, PHOTOS), 1.0)


def test_a_dimmed_or_recompressed_copy_is_near_and_another_patient_is_not() -> None:
    rng = np.random.default_rng(0)
    dimmed = (PHOTOS * 0.9 + rng.normal(0, 4, PHOTOS.shape)).clip(0, 255).astype(np.uint8)
    assert nearest_correlation(dimmed, PHOTOS).min() > 0.98
    others = synthetic_table(n=10, image_size=64, seed=1).images().numpy()
    assert np.median(nearest_correlation(others, PHOTOS)) < 0.98


def test_nearest_correlation_equals_numpys() -> None:
    one, two = PHOTOS[:1, :, ::2, ::2], PHOTOS[5:6, :, ::2, ::2]
    flat, *views = (
        (v - v.mean((2, 3), keepdims=True)).ravel()
        for v in (one, *(np.rot90(v, k, (2, 3)) for v in (two, two[..., ::-1]) for k in range(4)))
    )
    expected = max(np.corrcoef(flat, view)[0, 1] for view in views)
    assert nearest_correlation(one, two)[0] == pytest.approx(expected)


def test_shrink_equals_area_interpolation() -> None:
    for size in (96, 64, 50):
        images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0)) * 255
        images = images.to(torch.uint8)
        if size % 32 == 0:
            expected = torch.nn.functional.interpolate(images.double(), size=32, mode="area")
            np.testing.assert_allclose(shrink(images.numpy(), 32), expected.numpy())
        mean = images.double().mean((2, 3)).numpy()
        np.testing.assert_allclose(shrink(images.numpy(), 32).mean((2, 3)), mean)


def test_a_sine_falls_into_the_band_of_its_frequency() -> None:
    x = np.arange(64)
    for cycles, band in ((2, 0), (6, 1), (14, 3), (30, 7)):  # bands are 4 cycles of 64 px wide
        wave = 0.5 + 0.4 * np.sin(2 * np.pi * cycles * x / 64)
        assert radial_spectrum(np.tile(wave, (1, 64, 1)), 8)[0].argmax() == band


def test_features_of_an_image_do_not_depend_on_its_batch() -> None:
    np.testing.assert_allclose(image_features(PHOTOS)[4], image_features(PHOTOS[4:5])[0])


def test_features_are_finite_for_flat_images() -> None:
    assert np.isfinite(image_features(np.full((1, 3, 16, 16), 255, np.uint8))).all()
