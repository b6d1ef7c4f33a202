"""Decoding: every file a camera or colleague produces, and what only pretends to be one."""

import json
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms

from fewskin.data import images
from fewskin.data.images import decode, open_pixels, open_table, pixel_sha, square
from fewskin.errors import DataError, ImageError, StageError
from fewskin.tables import read_manifest, write_manifest

RED, GREEN, BLUE, WHITE = (200, 30, 40), (20, 180, 60), (10, 40, 190), (255, 255, 255)


@pytest.fixture(autouse=True)
def _own_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSKIN_RUNS", str(tmp_path / "runs"))


@pytest.fixture
def corners():
    """A 4 x 6 image, red top left and blue elsewhere."""
    array = np.full((4, 6, 3), BLUE, np.uint8)
    array[:2, :3] = RED
    return array


def save(image, path, **options):
    image.save(path, **options)
    return path


def pixel(path, y=0, x=0):
    return tuple(int(v) for v in decode(path)[y, x])


def test_an_rgb_png_is_read_bit_for_bit(tmp_path, corners):
    path = save(Image.fromarray(corners), tmp_path / "a.png")
    assert np.array_equal(decode(path), corners)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, corners, orientation):
    # The EXIF standard: the stored image is the upright one turned by the inverse operation.
    undo = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(undo[orientation](corners)))
    path = save(stored, tmp_path / "a.png", exif=exif)
    assert np.array_equal(decode(path), corners)


def test_unreadable_exif_does_not_cost_the_image(tmp_path, corners):
    path = save(Image.fromarray(corners), tmp_path / "a.jpg", exif=b"Exif\x00\x00garbage")
    assert decode(path).shape == (4, 6, 3)


def test_cmyk_becomes_rgb(tmp_path):
    cmyk = Image.new("CMYK", (8, 8), (0, 255, 255, 0))  # no cyan, full magenta and yellow: red
    path = save(cmyk, tmp_path / "a.jpg", quality=95)
    r, g, b = pixel(path)
    assert r > 240
    assert g < 15
    assert b < 15


def test_palette_transparency_lies_over_white(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *GREEN])
    image.putdata([0, 1])
    path = save(image, tmp_path / "a.png", transparency=0)
    assert pixel(path, 0, 0) == WHITE
    assert pixel(path, 0, 1) == GREEN


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path):
    values = np.array([[0, 257, 25_700, 65_535]], np.uint16)  # 257 v for v = 0, 1, 100, 255
    path = save(Image.fromarray(values), tmp_path / "a.png")
    assert decode(path)[0, :, 0].tolist() == [0, 1, 100, 255]


def test_floating_point_images_are_refused(tmp_path):
    path = save(Image.fromarray(np.ones((4, 4), np.float32)), tmp_path / "a.tif")
    with pytest.raises(ImageError, match="expected 8 or 16 bits"):
        decode(path)


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("1", 1, WHITE),
        ("L", 90, (90, 90, 90)),
        ("LA", (0, 0), WHITE),
        ("RGBA", (*RED, 255), RED),
        ("RGBA", (0, 0, 0, 51), (204, 204, 204)),  # 51 / 255 = 20 % black on white
    ],
)
def test_modes_become_rgb_on_white(tmp_path, mode, value, expected):
    assert pixel(save(Image.new(mode, (3, 3), value), tmp_path / "a.png")) == expected


def test_an_rgb_image_with_a_transparent_colour_lies_over_white(tmp_path):
    path = save(Image.new("RGB", (2, 2), RED), tmp_path / "a.png", transparency=RED)
    assert pixel(path) == WHITE


def test_an_srgb_profile_leaves_the_pixels_alone(tmp_path, corners):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = save(Image.fromarray(corners), tmp_path / "a.png", icc_profile=srgb)
    assert np.array_equal(decode(path), corners)


def test_a_profile_of_another_colour_space_or_a_broken_one_is_ignored(tmp_path):
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for profile in (lab, b"not a profile"):
        path = save(Image.new("RGB", (2, 2), RED), tmp_path / "a.png", icc_profile=profile)
        assert pixel(path) == RED


def test_a_wide_gamut_profile_changes_the_pixels(tmp_path):
    path = save(Image.new("RGB", (2, 2), RED), tmp_path / "a.png", icc_profile=wide_gamut())
    r, g, _ = pixel(path)
    # The same numbers in wider primaries are a more saturated red.
    assert r > RED[0]
    assert g <= RED[1]


def wide_gamut():
    """An RGB matrix profile with Adobe RGB (1998) primaries, D50-adapted, and gamma 2.2."""

    def s15(value):
        return round(value * 65536).to_bytes(4, "big", signed=True)

    def xyz(*values):
        return b"XYZ \0\0\0\0" + b"".join(map(s15, values))

    curve = b"curv\0\0\0\0" + (1).to_bytes(4, "big") + (563).to_bytes(2, "big") + b"\0\0"
    text = b"desc\0\0\0\0" + (5).to_bytes(4, "big") + b"wide\0" + bytes(79)
    tags = {
        b"desc": text + bytes(-len(text) % 4),
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.60974, 0.31111, 0.01947),
        b"gXYZ": xyz(0.20528, 0.62567, 0.06087),
        b"bXYZ": xyz(0.14919, 0.06322, 0.74457),
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    table, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + (at + len(body)).to_bytes(4, "big") + len(data).to_bytes(4, "big")
        body += data
    head = bytes(4) + b"lcms" + bytes.fromhex("02100000") + b"mntrRGB XYZ " + bytes(12) + b"acsp"
    head += bytes(28) + s15(0.9642) + s15(1.0) + s15(0.8249)
    size = (at + len(body)).to_bytes(4, "big")
    return size + head[4:].ljust(124, b"\0") + len(tags).to_bytes(4, "big") + table + body


def test_a_truncated_jpeg_is_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = save(Image.fromarray(noise), tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ImageError, match=r"a\.jpg.*truncated"):
        decode(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"dear colleague", "not an image"), (b"", "empty file"), (b"\xff\xd8\xff", "a.jpg")],
)
def test_what_is_no_image_is_refused(tmp_path, content, reason):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=reason):
        decode(path)


def test_an_absent_file_is_an_image_error(tmp_path):
    with pytest.raises(ImageError, match="No such file"):
        decode(tmp_path / "a.jpg")


def test_a_format_that_runs_other_programs_is_refused(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    with pytest.raises(ImageError, match="not an image"):
        decode(path)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [9_600, 60_000])
def test_a_decompression_bomb_is_refused(tmp_path, side):
    # A PNG's header claims the size; nothing of it is decoded.
    small = BytesIO()
    Image.new("1", (8, 8)).save(small, "PNG")
    data = bytearray(small.getvalue())
    data[16:24] = side.to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    path = tmp_path / "a.png"
    path.write_bytes(bytes(data))
    with pytest.raises(ImageError, match="pixels, expected at most"):
        decode(path)


def test_pixel_sha_knows_the_shape():
    flat = np.zeros((2, 8, 3), np.uint8)
    assert pixel_sha(flat) != pixel_sha(flat.reshape(4, 4, 3))
    assert pixel_sha(flat) == pixel_sha(flat.copy())


def test_square_takes_the_centre():
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 255
    assert (square(wide, 5) == 255).all()
    assert square(wide, 5).shape == (5, 5, 3)


def test_square_averages_instead_of_skipping():
    # A one-pixel checkerboard is mid-grey at an eighth of its size; sampling would be 0 or 255.
    checks = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    assert abs(square(np.repeat(checks[..., None], 3, 2), 8).astype(int) - 127).max() <= 2


@pytest.fixture
def manifest(tmp_path):
    """Three images of one colour each, in a manifest folder."""
    import pandas as pd

    folder = tmp_path / "data"
    folder.mkdir()
    rows = []
    for name, colour in (("r", RED), ("g", GREEN), ("b", BLUE)):
        image = Image.new("RGB", (20, 10), colour)
        image.save(folder / f"{name}.png")
        sha = pixel_sha(np.array(image))
        rows.append({"image_id": name, "path": f"{name}.png", "label": "x", "pixel_sha": sha})
    rows[0] |= {"patient_id": "P1"}
    rows[1] |= {"lesion_id": "L1", "group_id": "G1"}
    write_manifest(pd.DataFrame(rows).fillna(""), folder)
    return folder


def test_open_pixels_is_in_the_order_of_the_rows(manifest):
    pixels, key = open_pixels(read_manifest(manifest), 4)
    assert pixels.shape == (3, 3, 4, 4)
    assert pixels.dtype == np.uint8
    assert [tuple(p[:, 0, 0].tolist()) for p in pixels] == [BLUE, GREEN, RED]
    assert len(key) == 64


def test_open_pixels_decodes_once(manifest, monkeypatch):
    first, key = open_pixels(read_manifest(manifest), 4)
    monkeypatch.setattr(images, "decode", lambda path: pytest.fail("decoded again"))
    again, same = open_pixels(read_manifest(manifest), 4)
    assert same == key
    assert np.array_equal(first, again)


def test_the_pixels_key_names_size_order_and_content(manifest):
    given = read_manifest(manifest)
    keys = {open_pixels(given, 4)[1], open_pixels(given, 5)[1]}
    Image.new("RGB", (20, 10), WHITE).save(manifest / "r.png")
    given.rows["pixel_sha"] = ""
    keys.add(open_pixels(given, 4)[1])
    assert len(keys) == 3


def test_an_image_changed_since_it_was_ingested_is_refused(manifest):
    Image.new("RGB", (20, 10), WHITE).save(manifest / "r.png")
    with pytest.raises(DataError, match=r"r\.png is not the image that was ingested"):
        open_pixels(read_manifest(manifest), 4)
    runs = manifest.parent / "runs" / "pixels"
    assert list(runs.iterdir()) == []


def test_what_a_killed_run_left_is_removed(manifest):
    _, key = open_pixels(read_manifest(manifest), 4)
    folder = manifest.parent / "runs" / "pixels" / key[:12]
    folder.rename(folder.with_name(f"{key[:12]}.tmp-999999"))
    open_pixels(read_manifest(manifest), 4)
    assert [entry.name for entry in folder.parent.iterdir()] == [key[:12]]
    assert json.loads((folder / "pixels.json").read_text())["shape"] == [3, 3, 4, 4]


def test_a_damaged_cache_is_an_error_that_says_what_to_do(manifest):
    _, key = open_pixels(read_manifest(manifest), 4)
    folder = manifest.parent / "runs" / "pixels" / key[:12]
    whole = (folder / "pixels.npy").read_bytes()
    np.save(folder / "pixels.npy", np.zeros((1, 3, 4, 4), np.uint8))
    with pytest.raises(StageError, match="delete it"):
        open_pixels(read_manifest(manifest), 4)
    (folder / "pixels.npy").write_bytes(whole[:-10])
    with pytest.raises(StageError, match="delete it"):
        open_pixels(read_manifest(manifest), 4)


def test_open_table_falls_back_to_patient_lesion_and_image_for_groups(manifest):
    table = open_table(manifest, 4)
    assert table.rows["image_id"].tolist() == ["b", "g", "r"]
    assert table.groups == ["b", "G1", "P1"]
    assert table.images([2])[0, :, 0, 0].tolist() == list(RED)
    assert table.pixels_key
