"""Trivial cues of every photograph of a manifest: of its pixels, its file and its origin."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from fewskin.data.images import decode, in_threads, open_pixels
from fewskin.functional.cues import CUES, MEASURES, picture_cues
from fewskin.functional.traces import jpeg_quality, quality_of_table
from fewskin.tables import Manifest, Schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ALL_CUES", "CUE_TABLE", "PLACES", "file_cues", "measure_cues"]

Pixels = npt.NDArray[np.uint8]

# Of a file; sizes as powers of two, so that twice as large is one step at every size.
_FILE_CUES: Final = {
    "aspect": ("aspect",),
    "size": ("log2_pixels",),
    "file size": ("bits_per_pixel",),
    "JPEG quality": ("jpeg_quality",),
}
_FILE_MEASURES: Final = tuple(name for names in _FILE_CUES.values() for name in names)
PLACES: Final = ("extension", "folder", "dataset", "device")
ALL_CUES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {**CUES, **_FILE_CUES, **{place: (place,) for place in PLACES}}
)
CUE_TABLE: Final = Schema(
    name="cues",
    required=("image_id", *MEASURES, *_FILE_MEASURES, *PLACES),
    unique=("image_id",),
    sort=("image_id",),
    floats=(*MEASURES, *_FILE_MEASURES),
)
_BLOCKS: Final = 32  # of 8 x 8 pixels, where the file itself does not name its quality


def file_cues(file: Path, pixels: Pixels) -> dict[str, float]:
    """Return what a file tells without its content.

    - aspect: log2 of width over height;
    - log2_pixels: log2 of the number of pixels;
    - bits_per_pixel: log2 of the file's bits a pixel;
    - jpeg_quality: of a JPEG by its table, of another file by what its pixels show; 0 for none.

    Args:
        file: the image file.
        pixels: (H, W, 3) uint8, what `decode` makes of it.
    """
    height, width = pixels.shape[:2]
    return {
        "aspect": float(np.log2(width / height)),
        "log2_pixels": float(np.log2(width * height)),
        "bits_per_pixel": float(np.log2(8.0 * file.stat().st_size / (width * height))),
        "jpeg_quality": float(_quality(file, pixels)),
    }


def _quality(file: Path, pixels: Pixels) -> int:
    from PIL import Image

    with file.open("rb") as opened:
        is_jpeg = opened.read(3) == b"\xff\xd8\xff"
    if not is_jpeg:
        return jpeg_quality(pixels, _BLOCKS)
    with Image.open(file, formats=("JPEG",)) as image:
        tables = getattr(image, "quantization", {})
        return quality_of_table(tables[0]) if 0 in tables else 0


def measure_cues(manifest: Manifest, image_size: int | None = None) -> "pd.DataFrame":
    """Return the cues of every row; each file is decoded once.

    Args:
        manifest: n images.
        image_size: also fill the cache of `open_pixels` at this size, in the same pass.

    Returns:
        n rows in the manifest's order, columns of `CUE_TABLE`.

    Raises:
        ImageError, DataError, StageError: as `open_pixels`.
    """
    import pandas as pd

    found: dict[int, list[float]] = {}

    def see(i: int, file: Path, pixels: Pixels) -> None:
        found[i] = [*picture_cues(pixels), *file_cues(file, pixels).values()]

    def look(i: int) -> None:
        see(i, manifest.path(i), decode(manifest.path(i)))

    if image_size is not None:
        open_pixels(manifest, image_size, seen=see)
    in_threads(look, [i for i in range(len(manifest.rows)) if i not in found])
    values = [found[i] for i in range(len(manifest.rows))]
    columns = [*MEASURES, *_FILE_MEASURES]
    numbers = pd.DataFrame(np.array(values).reshape(-1, len(columns)), columns=columns)
    return pd.concat([manifest.rows[["image_id"]], numbers, _places(manifest.rows)], axis=1)


def _places(rows: "pd.DataFrame") -> "pd.DataFrame":
    paths = [Path(path) for path in rows["path"]]
    named = {
        "extension": [path.suffix.lower() for path in paths],
        "folder": [path.parent.as_posix() for path in paths],
    }
    return rows[["dataset", "device"]].assign(**named).reset_index(drop=True)[list(PLACES)]
