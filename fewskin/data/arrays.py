"""Images in memory, or a list of files, as a table: for library use without a manifest."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from fewskin.data.images import decode, in_threads, pixel_sha, square
from fewskin.errors import DataError
from fewskin.protocols import ImageTable
from fewskin.tables import MANIFEST

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["table_from_arrays", "table_from_files"]

Pixels = npt.NDArray[np.uint8]


def table_from_arrays(
    images: "Pixels | Tensor", labels: Sequence[str], groups: Sequence[str] | None = None
) -> ImageTable:
    """Return images as a table, in their order, for `fit`, `adapt` and `predict_table`.

    An image's id is made of its pixels, so what a learner makes of the table does not depend on
    the order of the images.

    Args:
        images: (n, 3, S, S) or (n, S, S, 3) uint8 sRGB, square.
        labels: (n) class of each.
        groups: (n) patient of each; every image is its own patient when None.

    Raises:
        DataError: images of another form, or labels or groups that do not fit them.

    Example:
        >>> table = table_from_arrays(np.zeros((2, 8, 8, 3), np.uint8), ["acne", "rosacea"])
        >>> len(table), table.classes, table.image_size
        (2, ('acne', 'rosacea'), 8)
    """
    pixels = _pixels(images)
    _check("labels", labels, len(pixels))
    if groups is not None:
        _check("groups", groups, len(pixels))
    ids = _ids(pixels)
    blank = dict.fromkeys(MANIFEST.optional, "")
    rows = pd.DataFrame({"image_id": ids, "path": "", "label": list(labels)} | blank)
    rows["group_id"], rows["source"] = ids if groups is None else list(groups), "real"
    return ImageTable(rows, pixels, np.arange(len(pixels), dtype=np.int64))


def table_from_files(
    files: Sequence[Path | str],
    labels: Sequence[str],
    groups: Sequence[str] | None = None,
    *,
    image_size: int = 64,
) -> ImageTable:
    """Return image files as a table: decoded as `ingest` does, their centre square, one size.

    Args:
        files: (n) image files.
        labels: (n) class of each.
        groups: (n) patient of each; every image is its own patient when None.
        image_size: side in pixels.

    Raises:
        ImageError: a file cannot be decoded.
        DataError: no files, or labels or groups that do not fit them.
    """
    if not files:
        raise DataError("no image files were given; pass at least one.")
    images = in_threads(lambda file: square(decode(Path(file)), image_size), list(files))
    return table_from_arrays(np.stack(images), labels, groups)


def _check(name: str, values: Sequence[str], n: int) -> None:
    if isinstance(values, str) or len(values) != n:
        got = repr(values) if isinstance(values, str) else f"{len(values)} {name}"
        raise DataError(f"{got} for {n} images; pass a list of one each.")
    for value in values:
        if not isinstance(value, str) or not value:
            raise DataError(f"{name} hold {value!r}; expected text that is not blank.")


def _pixels(images: "Pixels | Tensor") -> Pixels:
    values = np.asarray(images)
    expected = "expected (n, 3, S, S) or (n, S, S, 3) uint8 sRGB"
    if values.ndim == 3:
        raise DataError(f"one image of shape {values.shape}; {expected}: pass images[None].")
    if values.dtype != np.uint8:
        raise DataError(
            f"images are {values.dtype}; {expected}: for [0, 1], (images * 255).round() as uint8."
        )
    if values.ndim == 4 and values.shape[1] != 3 and values.shape[3] == 3:
        values = values.transpose(0, 3, 1, 2)  # (n, S, S, 3) -> (n, 3, S, S)
    if values.ndim != 4 or values.shape[1] != 3 or not values.size:
        raise DataError(f"images of shape {values.shape}; {expected}.")
    if values.shape[2] != values.shape[3]:
        raise DataError(
            f"images of {values.shape[2]} x {values.shape[3]} pixels; {expected}: "
            "`fewskin.data.images.square` cuts and scales one."
        )
    return np.ascontiguousarray(values)


def _ids(pixels: Pixels) -> list[str]:
    seen: Counter[str] = Counter()
    ids = []
    for image in pixels:
        sha = pixel_sha(image.transpose(1, 2, 0))[:12]
        ids.append(f"{sha}-{seen[sha]}")
        seen[sha] += 1
    return ids
