import io

import numpy as np
import pytest
from PIL import Image

from fewskin.face.pictures import as_pixels
from fewskin.functional.camera import jpeg_steps
from fewskin.functional.traces import jpeg_quality
from tests.face.mean_face import mean_face


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    face = as_pixels(mean_face(160).image).astype(float)
    noise = np.random.default_rng(0).normal(0.0, 4.0, face.shape)
    return np.clip(np.round(face + noise), 0, 255).astype(np.uint8)


def saved(pixels: np.ndarray, **settings: object) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", **settings)
    return np.asarray(Image.open(buffer).convert("RGB"))


@pytest.mark.parametrize("quality", [20, 35, 50, 65, 75, 85, 92, 95])
def test_the_quality_of_a_codecs_jpeg_is_found_from_its_pixels(
    picture: np.ndarray, quality: int
) -> None:
    assert abs(jpeg_quality(saved(picture, quality=quality)) - quality) <= 1


def test_the_last_of_two_compressions_is_found(picture: np.ndarray) -> None:
    assert abs(jpeg_quality(saved(saved(picture, quality=90), quality=60)) - 60) <= 1


def test_what_was_never_compressed_shows_none(picture: np.ndarray) -> None:
    assert jpeg_quality(picture) == 0
    assert jpeg_quality(np.full((64, 64, 3), 90, np.uint8)) == 0
    assert jpeg_quality(np.full((5, 5, 3), 90, np.uint8)) == 0
    smooth = np.linspace(0, 255, 160)[:, None, None] + np.zeros((160, 160, 3))
    assert jpeg_quality(smooth.astype(np.uint8)) == 0


def test_scaled_and_shifted_pictures_show_none(picture: np.ndarray) -> None:
    compressed = saved(picture, quality=70)
    assert jpeg_quality(compressed[3:, 5:]) == 0
    small = Image.fromarray(compressed).resize((112, 112), Image.Resampling.LANCZOS)
    assert jpeg_quality(np.asarray(small)) == 0


def test_a_table_near_annex_k_is_taken_for_its_neighbour(picture: np.ndarray) -> None:
    luma, chroma = (jpeg_steps(80)[k].astype(int).ravel() for k in (0, 1))
    luma[[1, 9, 16]] += 1
    compressed = saved(picture, qtables=[luma.tolist(), chroma.tolist()])
    assert abs(jpeg_quality(compressed) - 80) <= 2
