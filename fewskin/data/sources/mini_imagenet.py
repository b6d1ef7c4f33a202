"""miniImageNet: 60,000 images of 100 classes of ImageNet; for comparison with the field.

Facts: 100 classes; no patients; ImageNet's terms of access; no rosacea.

Vinyals et al.: Matching networks for one shot learning (2016), in the parts of Ravi and Larochelle:
Optimization as a model for few-shot learning. ICLR 2017.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fewskin.data.source import (
    SourceRead,
    finding,
    image_ids,
    list_images,
    read_csv,
    source_read,
)
from fewskin.errors import ConfigError, DataError, TableError

__all__ = ["mini_imagenet"]

_PARTS = {"train": ("train",), "val": ("validation", "val"), "test": ("test",)}
_CACHE = "mini-imagenet-cache-{}.pkl"
_HOW = (
    "Get https://zenodo.org/record/7978538/files/mini-imagenet-cache-train.pkl, and -validation "
    "and -test likewise (learn2learn's MiniImagenet fetches the same)."
)
_ALWAYS = {"source": "real", "dataset": "mini_imagenet", "licence": "ImageNet terms of access"}
Rows = list[Mapping[str, str]]


def mini_imagenet(path: Path, *, out: Path) -> SourceRead:
    """Read learn2learn's `mini-imagenet-cache-*.pkl`, or `train.csv`, `val.csv`, `test.csv`.

    The pickles hold pixels, which are written to `out/images` as PNG; they are read without running
    what they name. The tables (columns filename and label, by Ravi and Larochelle) name images of
    84 pixels below the folder. `split` is the published part of each class.

    Args:
        path: the folder of the pickles, or of the tables and images.
        out: folder to write `images/` into, for pickles.

    Raises:
        ConfigError: neither is there; the message says what to fetch.
        DataError: a pickle is damaged or holds something else.
        TableError: a table lacks its columns.
    """
    pickles = {
        part: file
        for part, names in _PARTS.items()
        for name in reversed(names)
        if (file := path / _CACHE.format(name)).is_file()
    }
    tables = {part: path / f"{part}.csv" for part in _PARTS if (path / f"{part}.csv").is_file()}
    if not pickles and not tables:
        raise ConfigError(f"{path} holds no {_CACHE.format('train')} and no train.csv. {_HOW}")
    given = pickles or tables
    notes = [
        finding("missing", "no such part; its classes are absent", path=part)
        for part in _PARTS
        if part not in given
    ]
    if pickles:
        rows = [row for part, file in pickles.items() for row in _unpacked(file, part, out)]
        return source_read(rows, out, notes)
    rows, more, root = _listed(path, tables)
    return source_read(rows, root, [*notes, *more])


def _unpacked(file: Path, part: str, out: Path) -> Iterator[Mapping[str, str]]:
    from PIL import Image

    from fewskin.data.array_pickles import load_arrays

    pixels, classes = _checked(file, load_arrays(file))
    (out / "images").mkdir(parents=True, exist_ok=True)
    for number, label in enumerate(classes, start=1):
        for place in classes[label]:
            image_id = f"{part}-{number:03d}-{int(place):05d}"
            relative = f"images/{image_id}.png"
            Image.fromarray(pixels[int(place)]).save(out / relative, compress_level=1)
            row = {"image_id": image_id, "path": relative, "label": str(label), "split": part}
            yield {**row, **_ALWAYS}


def _checked(
    file: Path,
    loaded: Mapping[str, Any],  # Any: what a pickle holds
) -> tuple[npt.NDArray[np.uint8], Mapping[Any, Any]]:
    pixels, classes = loaded.get("image_data"), loaded.get("class_dict")
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[3:] != (3,):
        what = getattr(pixels, "shape", type(pixels).__name__)
        raise DataError(f"{file}: image_data is {what}; expected (n, 84, 84, 3) bytes. {_HOW}")
    if not isinstance(classes, dict) or not all(_inside(p, len(pixels)) for p in classes.values()):
        raise DataError(f"{file}: class_dict is not class -> positions in image_data. {_HOW}")
    return pixels, classes


def _inside(places: Any, n: int) -> bool:  # Any: what a pickle holds
    try:
        return all(0 <= int(place) < n for place in places)
    except (TypeError, ValueError, OverflowError):
        return False


def _listed(path: Path, tables: Mapping[str, Path]) -> tuple[Rows, Rows, Path]:
    files = list_images(path)
    used: dict[str, Mapping[str, str]] = {}
    notes: Rows = [note for note in files.findings if not note["path"].endswith(".csv")]
    for part, file in tables.items():
        frame = read_csv(file)
        if not {"filename", "label"} <= set(frame.columns):
            raise TableError(f"{file}: expected the columns filename and label; see {_HOW}")
        for row, (name, label) in enumerate(frame[["filename", "label"]].to_numpy(), start=2):
            hit = files.find(name)
            if hit is None or hit in used or not label:
                kind = "missing" if hit is None else "twice" if label else "unlabelled"
                why = {"missing": "no such image", "twice": "listed before"}.get(kind, "no label")
                notes.append(finding(kind, f"{file.name} row {row}: {why}", path=name))
            else:
                used[hit] = {"path": hit, "label": label, "split": part, **_ALWAYS}
    ids = image_ids(list(used))
    rows: Rows = [{"image_id": i, **row} for i, row in zip(ids, used.values(), strict=True)]
    return rows, notes, files.root
