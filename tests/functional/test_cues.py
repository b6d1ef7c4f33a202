import numpy as np
import pytest
from PIL import Image
from skimage.color import rgb2lab

from fewskin.functional.cues import CUES, MEASURES, UNITS, picture_cues


def cues(pixels: np.ndarray) -> dict[str, float]:
    return dict(zip(MEASURES, picture_cues(pixels).tolist(), strict=True))


def rough(side: int = 64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 200, (side, side, 3), dtype=np.uint8)


def test_colours_are_the_moments_of_cielab_as_scikit_image_has_them() -> None:
    picture = rough()
    lab = rgb2lab(picture / 255.0).reshape(-1, 3)
    # scikit-image rounds its matrix and its white to a few digits.
    np.testing.assert_allclose(picture_cues(picture)[:3], lab.mean(0), atol=0.05)
    np.testing.assert_allclose(picture_cues(picture)[3:6], lab.std(0), atol=0.05)


@pytest.mark.parametrize(("shade", "name"), [(0, "black_border"), (255, "white_border")])
def test_only_black_or_white_that_reaches_the_edge_is_a_border(shade: int, name: str) -> None:
    inside = rough()
    inside[20:40, 20:40] = shade
    assert cues(inside)["black_border"] == cues(inside)["white_border"] == 0.0
    beside = rough()
    beside[:, :16] = shade
    found = cues(beside)
    assert found[name] == 0.25
    assert found["black_border"] + found["white_border"] == 0.25


def test_an_edge_of_one_colour_is_even_whatever_colour() -> None:
    framed = rough()
    framed[[0, -1]] = framed[:, [0, -1]] = (30, 160, 90)
    assert cues(framed)["even_border"] == 1.0
    assert cues(rough())["even_border"] < 0.05


def test_a_blurred_picture_is_less_sharp_at_every_size_of_the_file() -> None:
    image = Image.fromarray(np.kron(rough(32), np.ones((12, 12, 1), np.uint8)))
    soft = image.resize((48, 48), Image.Resampling.BILINEAR).resize((384, 384))
    assert cues(np.asarray(soft))["sharpness"] < cues(np.asarray(image))["sharpness"] - 0.5
    half = image.resize((192, 192), Image.Resampling.BOX)
    assert abs(cues(np.asarray(half))["sharpness"] - cues(np.asarray(image))["sharpness"]) < 0.2


def test_noise_is_its_sigma_as_a_power_of_ten() -> None:
    noisy = np.random.default_rng(0).normal(128, 5, (128, 128, 3)).astype(np.uint8)
    assert cues(noisy)["noise"] == pytest.approx(np.log10(5.1), abs=0.03)


def test_exposure_counts_what_is_clipped_in_every_channel_inside_the_borders() -> None:
    picture = np.full((60, 60, 3), 128, np.uint8)
    picture[10:20, 10:40] = 255
    picture[30:40, 10:20] = 0
    picture[45:50, 10:40] = (255, 128, 128)
    found = cues(picture)
    assert (found["clipped_bright"], found["clipped_dark"]) == (300 / 3600, 100 / 3600)
    picture[:, -6:] = 0
    assert cues(picture)["clipped_dark"] == 100 / 3600


@pytest.mark.parametrize("shape", [(1, 1), (2, 9), (3, 3), (1, 900), (700, 300)])
def test_every_size_has_finite_cues(shape: tuple[int, int]) -> None:
    found = picture_cues(np.full((*shape, 3), 9, np.uint8))
    assert found.shape == UNITS.shape == (sum(map(len, CUES.values())),)
    assert np.isfinite(found).all()
