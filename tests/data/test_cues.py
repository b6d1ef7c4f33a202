from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fewskin.data.cues import CUE_TABLE, file_cues, measure_cues
from fewskin.functional.cues import MEASURES, picture_cues
from fewskin.tables import read_manifest, validate, write_manifest


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two photographs of one scene: a JPEG of quality 70 and a PNG of it, in two folders."""
    pixels = np.random.default_rng(0).integers(50, 200, (20, 30, 3), dtype=np.uint8)
    scene = Image.fromarray(pixels).resize((120, 80), Image.Resampling.BICUBIC)
    for name in ("a/one.JPG", "b/two.png"):
        (tmp_path / name).parent.mkdir()
    scene.save(tmp_path / "a/one.JPG", "JPEG", quality=70)
    Image.open(tmp_path / "a/one.JPG").save(tmp_path / "b/two.png")
    rows = {"image_id": ["1", "2"], "path": ["a/one.JPG", "b/two.png"], "label": ["x", "y"]}
    write_manifest(pd.DataFrame(rows).assign(device=["cam", ""]), tmp_path)
    return tmp_path


def test_a_file_tells_its_shape_size_and_quality(photos: Path) -> None:
    found = measure_cues(read_manifest(photos))
    assert found["image_id"].tolist() == ["1", "2"]
    assert found["aspect"].tolist() == [np.log2(1.5)] * 2
    assert found["log2_pixels"].tolist() == [np.log2(9600)] * 2
    # Of the JPEG by its table, of the PNG by its pixels.
    assert found["jpeg_quality"].tolist() == [70, 70]
    sizes = [(photos / name).stat().st_size for name in ("a/one.JPG", "b/two.png")]
    np.testing.assert_allclose(2 ** found["bits_per_pixel"], np.array(sizes) * 8 / 9600)
    assert found["extension"].tolist() == [".jpg", ".png"]
    assert found["folder"].tolist() == ["a", "b"]
    assert found["device"].tolist() == ["cam", ""]
    validate(found, CUE_TABLE)


def test_pixels_are_measured_at_the_size_of_the_file(photos: Path) -> None:
    found = measure_cues(read_manifest(photos))
    pixels = np.asarray(Image.open(photos / "b/two.png"))
    np.testing.assert_allclose(found[list(MEASURES)].iloc[1], picture_cues(pixels))


def test_a_file_that_was_never_a_jpeg_has_quality_0(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "new.png")
    assert file_cues(tmp_path / "new.png", pixels)["jpeg_quality"] == 0.0


def test_cues_are_the_same_whether_the_pixels_were_at_hand(photos: Path) -> None:
    manifest = read_manifest(photos)
    first, again = measure_cues(manifest, 32), measure_cues(manifest, 32)
    pd.testing.assert_frame_equal(first, again)
    pd.testing.assert_frame_equal(first, measure_cues(manifest))
