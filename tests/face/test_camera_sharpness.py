import numpy as np
import pytest

from fewskin.errors import DataError
from fewskin.face.camera_sharpness import excess_sharpness, radial_power
from fewskin.functional.camera import blur

SIZE = 128
HANN = np.outer(np.hanning(SIZE), np.hanning(SIZE)).astype(np.float32)


def natural(seed: int) -> np.ndarray:
    """A picture whose amplitude falls with frequency, as those of faces do."""
    rng = np.random.default_rng(seed)
    f = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.fftfreq(SIZE))
    spectrum = np.fft.fft2(rng.standard_normal((SIZE, SIZE))) / np.maximum(f, 0.02)
    plane = np.real(np.fft.ifft2(spectrum))
    plane = 0.3 + 0.08 * plane / plane.std()
    return np.repeat(plane[..., None], 3, axis=2).astype(np.float32)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 1.5, 2.5])
@pytest.mark.parametrize("noise", [0.0, 0.003])
def test_the_blur_between_two_pictures_is_found(sigma: float, noise: float) -> None:
    for seed in range(3):
        sharp = natural(seed)
        rng = np.random.default_rng(seed)
        photo = blur(sharp, sigma) + rng.normal(0.0, noise, sharp.shape).astype(np.float32)
        assert abs(excess_sharpness(photo, sharp, HANN) - sigma) < 0.1 + 0.1 * sigma


def test_a_softer_or_equal_render_is_not_sharpened() -> None:
    sharp = natural(0)
    assert excess_sharpness(sharp, sharp, HANN) == 0.0
    assert excess_sharpness(sharp, blur(sharp, 1.0), HANN) == 0.0


def test_what_is_outside_the_window_does_not_count() -> None:
    sharp = natural(0)
    photo, window = blur(sharp, 1.0), np.zeros_like(HANN)
    window[32:96, 32:96] = np.outer(np.hanning(64), np.hanning(64))
    photo[:30], photo[98:] = sharp[:30], sharp[98:]
    assert abs(excess_sharpness(photo, sharp, window) - 1.0) < 0.2


def test_a_face_too_small_to_tell_is_left_alone() -> None:
    window = np.zeros_like(HANN)
    window[60:75, 60:75] = 1.0
    assert excess_sharpness(blur(natural(0), 2.0), natural(0), window) == 0.0


def test_wrong_windows_are_refused() -> None:
    with pytest.raises(DataError, match="empty"):
        radial_power(natural(0)[..., 0], np.zeros_like(HANN))
    with pytest.raises(DataError, match="on a picture of"):
        radial_power(natural(0)[..., 0], HANN[1:])
