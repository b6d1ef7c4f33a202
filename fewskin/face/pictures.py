"""Renders as files: 8-bit sRGB pictures and label maps."""

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fewskin.face.render import Render
from fewskin.functional.colour import linear_to_srgb, srgb_to_linear
from fewskin.paths import atomic_write

__all__ = ["as_linear", "as_pixels", "label_map", "save_png"]

Pixels = npt.NDArray[np.uint8]


def as_linear(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Return (H, W, 3) linear RGB of uint8 sRGB."""
    return srgb_to_linear(pixels.astype(np.float32) / np.float32(255.0))


def as_pixels(linear: npt.NDArray[np.float32]) -> Pixels:
    """Return (H, W, 3) uint8 sRGB of linear RGB."""
    return np.round(linear_to_srgb(linear) * np.float32(255.0)).astype(np.uint8)


def label_map(made: Render) -> Pixels:
    """Return (H, W) uint8: 0 where the mesh covers under half a pixel, else 1 + its main region.

    1 is face, 2 lips, 3 head, 4 eyes, 5 mouth, in the order of `REGIONS`.
    """
    shares = made.regions
    main = shares.argmax(-1).astype(np.uint8) + np.uint8(1)
    return np.where(shares.sum(-1) >= 0.5, main, np.uint8(0))


def save_png(file: Path, pixels: Pixels) -> None:
    """Write a PNG; its folder is made."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=1)
    file.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(file, buffer.getvalue())
