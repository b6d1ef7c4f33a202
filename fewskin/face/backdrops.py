"""Backgrounds of a run from what a user names: a mode, and a folder of pictures."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from fewskin.data.images import decode
from fewskin.data.source import list_images
from fewskin.errors import ConfigError, DataError
from fewskin.face.background import Background, Backgrounds
from fewskin.face.people import shrunk

__all__ = ["read_backgrounds"]

Pixels = npt.NDArray[np.uint8]


def read_backgrounds(mode: Background, folder: Path | None, side: int) -> Backgrounds:
    """Return the backgrounds of a run.

    Args:
        mode: one of `background.BACKGROUNDS`.
        folder: pictures for mode "pool", subfolders included.
        side: longer side of the pictures to make, pixels; those of the pool are kept at twice that.

    Raises:
        ConfigError: an unknown mode, a pool without a folder, or a folder for another mode.
        DataError: the folder is none, or holds no picture.
        ImageError: one of its pictures cannot be decoded.
    """
    if folder is None:
        return Backgrounds(mode)
    if mode != "pool":
        raise ConfigError(f"pool={folder} is for background=pool, not background={mode}.")
    files = list_images(folder)
    if not files.paths:
        raise DataError(f"pool={folder} holds no picture.")
    pictures = [shrunk(decode(files.root / name), 2 * side) for name in files.paths]
    return Backgrounds(mode, tuple(pictures))
