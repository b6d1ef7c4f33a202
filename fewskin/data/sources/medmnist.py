"""MedMNIST: 2D sets of 28 to 224 pixels, one npz each; DermaMNIST is HAM10000 made small.

Facts: 7 classes (DermaMNIST); no patient ids; CC BY-NC 4.0, others CC BY 4.0; no rosacea.

Yang et al.: MedMNIST v2. Scientific Data 10, 41 (2023). https://doi.org/10.1038/s41597-022-01721-8,
files at https://zenodo.org/records/10519652.
"""

import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from fewskin.data.source import SourceRead, finding, source_read
from fewskin.errors import ConfigError, DataError

__all__ = ["medmnist"]

_PARTS = ("train", "val", "test")
_DERMA = (
    "actinic keratoses and intraepithelial carcinoma",
    "basal cell carcinoma",
    "benign keratosis-like lesions",
    "dermatofibroma",
    "melanoma",
    "melanocytic nevi",
    "vascular lesions",
)
_HOW = "Get e.g. https://zenodo.org/records/10519652/files/dermamnist_224.npz."
_PEOPLE = (
    "no patient or lesion ids: photographs of one lesion may be in several published parts; near "
    "copies are grouped by fewskin check"
)
# Damaged archives raise any of these while they are read.
_BROKEN = (
    *(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error),
    *(NotImplementedError, RuntimeError, SyntaxError, MemoryError),
)
_MAX_SIDE, _MAX_LABELS = 4096, 1 << 27  # pixels and bytes; MedMNIST has 224 and 2 million


def medmnist(path: Path, *, out: Path, file: str = "", names: Sequence[str] = ()) -> SourceRead:
    """Read one 2D MedMNIST file and write its images to `out/images` as PNG.

    One image at a time is in memory. `split` is the published part, which nothing trusts.

    Args:
        path: the npz, or the folder that holds it.
        out: folder to write `images/` into.
        file: name of the npz in the folder; needed when there are several.
        names: name of each class, in order; by default DermaMNIST's own, else the number.

    Raises:
        DataError: no npz, damaged, 3D, or with several labels an image.
        ConfigError: fewer names than classes.
    """
    if isinstance(names, str):
        raise ConfigError(f"source.names={names!r}; expected a list of names, e.g. [a,b].")
    npz = _file(path, str(file))
    dataset = npz.stem.partition("_")[0].lower()
    known = tuple(names) or (_DERMA if dataset == "dermamnist" else ())
    (out / "images").mkdir(parents=True, exist_ok=True)
    rows: list[Mapping[str, str]] = []
    try:
        with zipfile.ZipFile(npz) as archive:
            for part in _PARTS:
                if f"{part}_images.npy" in archive.namelist():
                    rows += _part(archive, part, known, out)
    except _BROKEN as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(
            f"{npz}: cannot be read as a 2D MedMNIST file ({reason}). {_HOW}"
        ) from error
    if not rows:
        raise DataError(f"{npz}: no train_images, val_images or test_images. {_HOW}")
    licence = "CC BY-NC 4.0" if dataset == "dermamnist" else "CC BY 4.0"
    more = {"source": "real", "dataset": dataset, "licence": licence}
    if dataset == "dermamnist":
        more["view"] = "dermoscopy"
    return source_read([{**row, **more} for row in rows], out, _notes(rows))


def _file(path: Path, name: str) -> Path:
    found = [path] if path.is_file() else [path / name] if name else sorted(path.glob("*.npz"))
    if len(found) != 1 or not found[0].is_file():
        names = ", ".join(file.name for file in found if file.is_file()) or "none"
        raise DataError(f"{path}: expected one npz, found {names}; pass source.file=. {_HOW}")
    return found[0]


def _part(
    archive: zipfile.ZipFile, part: str, names: Sequence[str], out: Path
) -> Iterator[Mapping[str, str]]:
    from PIL import Image

    if archive.getinfo(f"{part}_labels.npy").file_size > _MAX_LABELS:
        raise ValueError(f"{part}_labels is over {_MAX_LABELS} bytes")
    with archive.open(f"{part}_labels.npy") as stream:
        labels = np.lib.format.read_array(stream, allow_pickle=False)
    with archive.open(f"{part}_images.npy") as stream:
        n, shape = _header(stream)
        if labels.shape not in ((n,), (n, 1)) or labels.dtype.kind not in "iu":
            raise ValueError(f"{part}_labels is {labels.shape}, expected ({n}, 1) whole numbers")
        _check_names(labels, names)
        for i, number in enumerate(labels.reshape(-1).tolist()):
            pixels = stream.read(int(np.prod(shape)))
            image = np.frombuffer(pixels, np.uint8).reshape(shape)
            image_id = f"{part}-{i:06d}"
            relative = f"images/{image_id}.png"
            Image.fromarray(image).save(out / relative, compress_level=1)
            label = names[number] if names else str(number)
            yield {"image_id": image_id, "path": relative, "label": label, "split": part}


def _header(stream: IO[bytes]) -> tuple[int, tuple[int, ...]]:
    """Return the number of images and the shape of one: (H, W) or (H, W, 3)."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else None
    shape, by_column, dtype = (read or np.lib.format.read_array_header_2_0)(stream)
    flat = len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)
    if (
        not flat
        or by_column
        or dtype != np.uint8
        or not 1 <= min(shape[1:]) <= max(shape[1:]) <= _MAX_SIDE
    ):
        raise ValueError(f"images are {shape} {dtype}; expected (n, H, W) or (n, H, W, 3) bytes")
    return shape[0], shape[1:]


def _check_names(labels: npt.NDArray[np.integer], names: Sequence[str]) -> None:
    if labels.size and labels.min() < 0:
        raise ValueError(f"a label is {labels.min()}; expected 0 or more")
    if names and labels.size and labels.max() >= len(names):
        raise ConfigError(
            f"source.names has {len(names)} names, but a label is {labels.max()}; expected "
            f"{labels.max() + 1} names."
        )


def _notes(rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    sizes = ", ".join(f"{part} {sum(r['split'] == part for r in rows)}" for part in _PARTS)
    detail = f"published parts ({sizes}) are in the column split; no split of ours follows them"
    return [finding("no_patient_ids", _PEOPLE), finding("published_split", detail)]
