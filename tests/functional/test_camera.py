"""The camera: exposure, blur, noise, compression."""

import io

import numpy as np
import pytest
from PIL import Image

from fewskin.functional.camera import (
    Camera,
    auto_exposure,
    blur,
    compress,
    photograph,
    sensor_noise,
    white_balance,
)
from fewskin.functional.colour import luminance


@pytest.fixture
def scene():
    rng = np.random.default_rng(0)
    return blur(rng.uniform(0.05, 0.6, (64, 64, 3)), 1.5)


def test_full_metering_reaches_the_target_and_none_keeps_the_picture(scene):
    assert luminance(auto_exposure(scene, 0.25, 1.0)).mean() == pytest.approx(0.25)
    np.testing.assert_allclose(auto_exposure(scene, 0.25, 0.0), scene)


def test_white_balance_keeps_the_luminance_of_grey():
    grey = np.full((1, 1, 3), 0.3)
    assert luminance(white_balance(grey, (1.2, 1.0, 0.7)))[0, 0] == pytest.approx(0.3)


@pytest.mark.parametrize("frequency", [0.05, 0.1, 0.2])
def test_blur_has_the_gaussian_transfer_function(frequency):
    # MTF of a Gaussian point spread: exp(-2 pi^2 sigma^2 f^2); 160 is a multiple of every period
    wave = np.cos(2 * np.pi * frequency * np.arange(160))
    seen = blur(np.broadcast_to(wave[None, :, None], (3, 160, 1)).copy(), 1.2)[1, 40:120, 0]
    contrast = seen.std() / wave[40:120].std()
    assert contrast == pytest.approx(np.exp(-2 * np.pi**2 * 1.2**2 * frequency**2), abs=0.01)


def test_noise_grows_with_the_square_root_of_light():
    rng = np.random.default_rng(0)
    dark, bright = (
        sensor_noise(np.full((200, 200, 3), v), rng, 1000.0, 0.0).std() for v in (0.1, 0.4)
    )
    # shot noise: a factor 4 in light is a factor 2 in noise; the sample of 120,000 is good to .3 %
    assert bright / dark == pytest.approx(2.0, rel=0.02)


def test_read_noise_remains_in_the_dark():
    noisy = sensor_noise(np.zeros((200, 200, 3)), np.random.default_rng(0), 1000.0, 20.0)
    assert noisy.std() == pytest.approx(0.02, rel=0.02)


@pytest.mark.parametrize("quality", [30, 60, 90])
def test_compression_loses_about_what_a_codec_loses(scene, quality):
    picture = np.round(scene * 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling=0)
    codec = np.asarray(Image.open(file)).astype(float) - picture
    ours = compress(picture / 255, quality) * 255 - picture
    assert ours.std() == pytest.approx(codec.std(), rel=0.15)


def test_compression_takes_any_size():
    assert compress(np.full((13, 22, 3), 0.4), 80).shape == (13, 22, 3)


def test_a_photograph_depends_only_on_its_own_seed(scene):
    camera = Camera(quality=85)
    first, again, other = (
        photograph(scene, camera, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()
    assert first.dtype == np.uint8


def test_a_photograph_does_not_change_the_scene(scene):
    before = scene.copy()
    photograph(scene, Camera(), np.random.default_rng(0))
    assert (scene == before).all()
