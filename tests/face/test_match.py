import numpy as np
import pytest

from fewskin.errors import DataError
from fewskin.face.match import Match, match_of
from fewskin.face.pictures import as_linear, as_pixels
from fewskin.face.render import Render, render
from fewskin.functional.camera import blur, compress
from fewskin.functional.colour import linear_to_lab
from fewskin.functional.lighting import ambient, directional
from fewskin.functional.traces import grain, jpeg_quality
from tests.face.mean_face import mean_face

SIZE = 160


def noisy(sigma: float, seed: int, edges: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    ramp = np.linspace(60.0, 190.0, 128)[:, None, None] + np.zeros((128, 128, 3))
    if edges:
        ramp[:, ::16] += 40.0
    return np.clip(np.round(ramp + rng.normal(0.0, sigma, ramp.shape)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def own() -> Render:
    """A sharp render of a face with pores, filling most of the picture."""
    face = mean_face(SIZE)
    pores = np.random.default_rng(5).normal(0.0, 0.07, (256, 256, 1))
    skin = np.float32([0.55, 0.32, 0.24]) * np.exp(pores)
    lamp = ambient(0.5).plus(directional((-0.6, 0.7, 1.0), 0.4))
    behind = np.full((SIZE, SIZE, 3), 0.3, np.float32)
    texture = skin.astype(np.float32)
    return render(
        face.model, face.model.vertices, face.view, texture, light=lamp, background=behind
    )


def photo_of(own: Render, sigma: float, noise: float, quality: int = 0) -> np.ndarray:
    pixels = as_pixels(blur(own.image, sigma)).astype(np.float64)
    pixels += np.random.default_rng(1).normal(0.0, noise, pixels.shape) if noise else 0.0
    if quality:
        pixels = compress(np.clip(pixels / 255.0, 0.0, 1.0), quality) * 255.0
    return np.clip(np.round(pixels), 0, 255).astype(np.uint8)


def redness(pixels: np.ndarray, own: Render) -> float:
    face = own.region("face") > 0.9
    return float(linear_to_lab(as_linear(pixels)[face].mean(0))[1])


def test_grain_is_the_noise_and_edges_hardly_count() -> None:
    for sigma in (2.0, 6.0):
        np.testing.assert_allclose(grain(noisy(sigma, 0)), sigma, rtol=0.08)
        np.testing.assert_allclose(grain(noisy(sigma, 0, edges=True)), sigma, rtol=0.25)


@pytest.mark.parametrize("sigma", [0.7, 1.2])
@pytest.mark.parametrize("noise", [0.0, 4.0])
def test_a_sharp_render_gets_the_blur_and_noise_of_its_photograph(
    own: Render, sigma: float, noise: float
) -> None:
    photo = photo_of(own, sigma, noise)
    match = match_of(photo, own)
    assert match.quality == 0
    assert abs(match.blur_px - sigma) < 0.15
    made = match.taken(own.image, np.random.default_rng(2))
    np.testing.assert_allclose(grain(made), grain(photo), rtol=0.1, atol=0.2)
    left = match_of(photo, Render(as_linear(made), *_parts(own)))
    assert left.blur_px <= 0.3
    assert left.noise.max() < 0.3 * max(noise, 1.0)


def test_a_render_that_is_softer_or_noisier_is_left_as_it_is(own: Render) -> None:
    soft = Render(blur(own.image, 1.0), *_parts(own))
    assert match_of(photo_of(own, 0.0, 0.0), soft).blur_px == 0.0
    rough = Render(as_linear(photo_of(own, 0.0, 5.0)), *_parts(own))
    match = match_of(photo_of(own, 0.0, 0.0), rough)
    assert match.noise.max() == 0.0


@pytest.mark.parametrize("quality", [40, 75, 90])
def test_a_photograph_that_shows_jpeg_is_matched_by_the_same_quality(
    own: Render, quality: int
) -> None:
    photo = photo_of(own, 0.0, 3.0, quality)
    match = match_of(photo, own)
    assert abs(match.quality - quality) <= 1
    made = match.taken(own.image, np.random.default_rng(2))
    assert abs(jpeg_quality(made) - quality) <= 1
    np.testing.assert_allclose(grain(made), grain(photo), atol=1.0)


@pytest.mark.parametrize("settings", [(0.0, 0.0, 0), (1.0, 4.0, 0), (0.0, 2.0, 75)])
def test_exposure_and_redness_stay_the_photographs(
    own: Render, settings: tuple[float, float, int]
) -> None:
    photo = photo_of(own, *settings)
    made = match_of(photo, own).taken(own.image, np.random.default_rng(2))
    face = own.region("face") > 0.9
    light, wanted = (as_linear(one)[face].mean() for one in (made, photo))
    assert abs(light / wanted - 1.0) < 0.01
    assert abs(redness(made, own) - redness(photo, own)) < 0.3


def test_white_clips_and_never_wraps() -> None:
    bright = np.full((16, 16, 3), 1.5, np.float32)
    made = Match(0.0, np.full(3, 5.0), 0).taken(bright, np.random.default_rng(0))
    assert made.min() > 230
    assert made.max() == 255


def test_the_same_photograph_has_the_same_match_and_other_sizes_are_refused(own: Render) -> None:
    photo = photo_of(own, 1.0, 3.0)
    one, two = match_of(photo, own), match_of(photo, own)
    assert one.blur_px == two.blur_px
    assert (one.noise == two.noise).all()
    with pytest.raises(DataError, match="scale one"):
        match_of(photo[:-1], own)


def _parts(own: Render) -> tuple:
    return own.coverage, own.regions, own.depth, own.masks
