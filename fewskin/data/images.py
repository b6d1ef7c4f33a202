"""Image files to arrays: decoding what cameras and people really write, and a pixel cache."""

import hashlib
import json
import os
import shutil
import socket
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, UnidentifiedImageError

from fewskin.errors import DataError, ImageError, StageError
from fewskin.paths import atomic_write, runs_dir
from fewskin.protocols import ImageTable
from fewskin.tables import Manifest, read_manifest

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "EXTENSIONS",
    "decode",
    "in_threads",
    "open_pixels",
    "open_table",
    "pixel_sha",
    "square",
]

EXTENSIONS = frozenset(
    {".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm"}
    | {".tif", ".tiff", ".webp"}
)
# Raise it when `decode` or `square` would give other pixels.
_VERSION = 1
# An explicit list keeps formats that run other programs (EPS) or are no photographs away.
_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP", "PPM", "JPEG2000")
_MAX_PIXELS = 89_478_485  # Pillow's own warning level: 256 MB of RGB
_BROKEN = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, AttributeError)
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_MODE_OF_PROFILE = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
Item = TypeVar("Item")
Made = TypeVar("Made")
Pixels = npt.NDArray[np.uint8]
Seen = Callable[[int, Path, Pixels], None]


def decode(path: Path) -> Pixels:
    """Return the image of a file as a viewer would show it: upright, 8-bit sRGB, on white.

    EXIF orientation and ICC profiles are applied; grey, 1-bit, 16-bit, palette and CMYK images are
    converted; transparency is laid over white; of several frames the first is taken.

    Args:
        path: a JPEG, PNG, TIFF, BMP, GIF, WebP, PPM or JPEG 2000 file.

    Returns:
        (H, W, 3) uint8 sRGB.

    Raises:
        ImageError: no such image, truncated, or over 89 million pixels.
    """
    try:
        if os.path.getsize(path) == 0:
            raise ImageError(f"{path}: empty file (0 bytes); expected an image.")
        with Image.open(path, formats=_FORMATS) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise ImageError(f"{path}: {_too_large(f'{image.width} x {image.height} pixels')}")
            image.load()
            return np.array(_to_rgb(_upright(image)))
    except Image.DecompressionBombError:
        raise ImageError(f"{path}: {_too_large('far too many pixels')}") from None
    except UnidentifiedImageError:
        raise ImageError(f"{path}: not an image, whatever its name says.") from None
    except (*_BROKEN, EOFError, OverflowError, struct.error) as error:
        # Pillow's decoders raise almost anything on damaged bytes.
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ImageError(f"{path}: cannot be decoded ({reason}).") from error


def _too_large(what: str) -> str:
    return f"{what}, expected at most {_MAX_PIXELS}; scale the image down first."


def _upright(image: Image.Image) -> Image.Image:
    try:
        turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION_TAG, 1))
    except (*_BROKEN, struct.error):
        # Viewers ignore unreadable EXIF as well; the pixels are whole.
        turn = None
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if image.mode.startswith(("I", "F")):
        image = _from_deep_grey(image)
    elif image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    elif image.mode not in _MODE_OF_PROFILE.values():
        image = image.convert("RGB")
    return _to_srgb(image, profile).convert("RGB")


def _from_deep_grey(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 65535:
        raise ValueError(f"{image.mode} pixels outside 0..65535; expected 8 or 16 bits a channel")
    # 65535 / 255 = 257: the full 16-bit range onto the full 8-bit range.
    return Image.fromarray(((values.astype(np.int64) + 128) // 257).astype(np.uint8))


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if not profile:
        return image
    try:
        given = ImageCms.getOpenProfile(BytesIO(profile))
        known = ImageCms.getProfileDescription(given).startswith("sRGB")
        if known or _MODE_OF_PROFILE.get(given.profile.xcolor_space.strip()) != image.mode:
            return image
        wanted = ImageCms.createProfile("sRGB")
        turned = ImageCms.profileToProfile(image, given, wanted, outputMode="RGB")
    except (ImageCms.PyCMSError, *_BROKEN):
        # A broken profile is ignored by viewers too.
        return image
    return image if turned is None else turned


def pixel_sha(image: Pixels) -> str:
    """Return the sha256 of an image's shape and pixels.

    Args:
        image: (H, W, 3) uint8 sRGB.

    Example:
        >>> pixel_sha(np.zeros((2, 2, 3), np.uint8))[:12]
        '4432db23c519'
    """
    digest = hashlib.sha256("x".join(map(str, image.shape)).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def square(image: Pixels, size: int) -> Pixels:
    """Return the centre square of an image at `size` pixels, antialiased.

    Args:
        image: (H, W, 3) uint8.
        size: side of the result, in pixels.

    Returns:
        (size, size, 3) uint8.
    """
    height, width = image.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    cropped = Image.fromarray(image[top : top + side, left : left + side])
    # Averaging whole pixels first, down to three times the size, is four times as fast.
    small = cropped.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return np.array(small)


def in_threads(make: Callable[[Item], Made], items: Sequence[Item]) -> list[Made]:
    """Return `make(item)` of every item, in order, using all cores: Pillow frees the GIL."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    # Eight full-size photographs being decoded are already 4 GB at worst.
    with ThreadPoolExecutor(min(cores or 1, 8)) as pool:
        return list(pool.map(make, items))


def open_pixels(
    manifest: Manifest,
    image_size: int,
    *,
    seen: Seen | None = None,
) -> tuple[Pixels, str]:
    """Return all images of a manifest at one size, decoded once and then memory-mapped.

    Args:
        manifest: rows of a `fewskin ingest`, `check` or `generate` folder.
        image_size: side in pixels.
        seen: called with row, file and (H, W, 3) pixels of each image that is decoded, from
            several threads; images that are at hand already are not decoded again.

    Returns:
        (N, 3, S, S) uint8 sRGB memory map in the order of the rows, and the name of its content.

    Raises:
        ImageError: a file cannot be decoded.
        DataError: a file's pixels are not those that were ingested.
        StageError: the cache cannot be written.
    """
    shape = (len(manifest.rows), 3, image_size, image_size)
    key = _pixels_key(manifest, image_size)
    folder = runs_dir() / "pixels" / key[:12]
    if not (folder / "pixels.npy").is_file():
        _publish_pixels(manifest, shape, folder, seen)
    try:
        pixels: Pixels = np.load(folder / "pixels.npy", mmap_mode="r")
    except (OSError, ValueError) as error:
        raise StageError(f"{folder} is damaged ({error}); delete it.") from error
    if pixels.shape != shape or pixels.dtype != np.uint8:
        raise StageError(f"{folder} is damaged: {pixels.shape}, expected {shape}; delete it.")
    return pixels, key


def _pixels_key(manifest: Manifest, image_size: int) -> str:
    rows = manifest.rows
    names = [
        f"{image_id} {sha or hashlib.sha256(manifest.path(i).read_bytes()).hexdigest()}"
        for i, (image_id, sha) in enumerate(zip(rows["image_id"], rows["pixel_sha"], strict=True))
    ]
    text = "\n".join([f"pixels {_VERSION} {image_size}", *names])
    return hashlib.sha256(text.encode()).hexdigest()


def _publish_pixels(
    manifest: Manifest,
    shape: tuple[int, ...],
    folder: Path,
    seen: Seen | None,
) -> None:
    work = folder.with_name(f"{folder.name}.tmp-{socket.gethostname()}-{os.getpid()}")
    try:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        _fill(manifest, shape, work / "pixels.npy", seen)
        atomic_write(work / "pixels.json", json.dumps({"shape": shape, "version": _VERSION}) + "\n")
        os.rename(work, folder)
    except OSError as error:
        # Two processes may decode the same images at once; the first one done is used by both.
        if not (folder / "pixels.npy").is_file():
            raise StageError(f"cannot write {folder}: {error.strerror or error}.") from error
    finally:
        # Once published, what killed processes left of the same pixels is of no use either.
        left = list(folder.parent.glob(f"{folder.name}.tmp-*")) if folder.is_dir() else [work]
        for unfinished in left:
            shutil.rmtree(unfinished, ignore_errors=True)


def _fill(
    manifest: Manifest,
    shape: tuple[int, ...],
    file: Path,
    seen: Seen | None,
) -> None:
    pixels = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)
    if hasattr(os, "posix_fallocate"):
        # Writing a sparse map on a full disk kills the process (SIGBUS); this raises instead.
        with open(file, "r+b") as handle:
            os.posix_fallocate(handle.fileno(), 0, file.stat().st_size)

    def put(i: int) -> None:
        path, sha = manifest.path(i), manifest.rows["pixel_sha"].iloc[i]
        image = decode(path)
        if sha and sha != pixel_sha(image):
            raise DataError(
                f"{path} is not the image that was ingested; delete {manifest.folder} and "
                "ingest again."
            )
        pixels[i] = square(image, shape[-1]).transpose(2, 0, 1)  # (S, S, 3) -> (3, S, S)
        if seen is not None:
            seen(i, path, image)

    in_threads(put, range(shape[0]))
    pixels.flush()


def open_table(folder: Path, image_size: int) -> ImageTable:
    """Return the images of a manifest folder as a table for learners and generators.

    Args:
        folder: result of `ingest`, `check` or `generate`, or any folder with a `manifest.csv`.
        image_size: side in pixels.

    Raises:
        TableError, ImageError, DataError, StageError: as `read_manifest` and `open_pixels`.
    """
    manifest = read_manifest(folder)
    pixels, key = open_pixels(manifest, image_size)
    rows = manifest.rows.assign(group_id=_groups(manifest.rows))
    return ImageTable(rows, pixels, np.arange(len(rows), dtype=np.int64), key)


def _groups(rows: "pd.DataFrame") -> "pd.Series[str]":
    groups = rows["group_id"]
    for column in ("patient_id", "lesion_id", "image_id"):
        groups = groups.where(groups != "", rows[column])
    return groups
