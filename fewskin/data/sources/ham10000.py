"""HAM10000: 10,015 dermoscopic images of seven diagnoses.

Facts: 7 classes; lesion ids; CC BY-NC 4.0; no rosacea.

Tschandl, Rosendahl, Kittler: The HAM10000 dataset, a large collection of multi-source dermatoscopic
images of common pigmented skin lesions. Scientific Data 5, 180161 (2018).
https://doi.org/10.7910/DVN/DBW86T, CC BY-NC 4.0.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fewskin.data.source import SourceRead, finding, list_images, read_csv, source_read
from fewskin.errors import DataError, TableError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ham10000"]

_TABLES = ("HAM10000_metadata.csv", "HAM10000_metadata")
_COLUMNS = ("image_id", "lesion_id", "dx", "dx_type", "age", "sex", "localization")
_RENAMED = {"dx": "label", "dx_type": "dx_basis", "localization": "site"}
_NO_PATIENTS = "lesion ids, not patient ids: two lesions of one person may be in training and test"


def ham10000(path: Path, *, out: Path, labels: Sequence[str] = ()) -> SourceRead:
    """Read HAM10000 as published, or a part of it.

    Images may lie in `images/`, in `HAM10000_images_part_1` and `_part_2`, or anywhere else below
    the folder of the table.

    Args:
        path: the folder with `HAM10000_metadata.csv`, or that table.
        out: unused; the images stay where they are.
        labels: diagnoses to keep (akiec, bcc, bkl, df, mel, nv, vasc); all by default.

    Raises:
        DataError: no table, or none of its images is there.
        TableError: the table lacks an official column, or lists an image twice.
    """
    file = _table_file(path)
    frame = read_csv(file)
    lacking = [column for column in _COLUMNS if column not in frame.columns]
    if lacking:
        raise TableError(f"{file}: no column {lacking[0]!r}; expected {', '.join(_COLUMNS)}.")
    _check_twice(frame, file)
    frame = frame[frame["dx"].isin(labels)] if labels else frame
    files = list_images(file.parent)
    found = [files.find(image_id) for image_id in frame["image_id"]]
    notes = [finding("no_patient_ids", _NO_PATIENTS)]
    for image_id, hit in zip(frame["image_id"], found, strict=True):
        if hit is None:
            notes.append(finding("missing", "in the table, but no such file", image_id=image_id))
    kept = frame[[hit is not None for hit in found]].rename(columns=_RENAMED)
    kept = kept.assign(path=[hit for hit in found if hit is not None], source="real")
    kept = kept.assign(age=[_whole(age) for age in kept["age"]])
    kept = kept.assign(
        sex=kept["sex"].replace("unknown", ""), site=kept["site"].replace("unknown", "")
    )
    kept = kept.assign(dataset="ham10000", view="dermoscopy", licence="CC BY-NC 4.0")
    return source_read(kept, file.parent, notes)


def _table_file(path: Path) -> Path:
    if path.is_file():
        return path
    found = [path / name for name in _TABLES if (path / name).is_file()]
    if not found:
        raise DataError(f"{path} holds no {_TABLES[0]}; expected the folder as published.")
    return found[0]


def _check_twice(frame: "pd.DataFrame", file: Path) -> None:
    twice = frame["image_id"].duplicated().to_numpy()
    if twice.any():
        row = int(twice.argmax())
        name = frame["image_id"].iloc[row]
        raise TableError(f"{file} row {row + 2}: image {name!r} is listed twice, expected once.")


def _whole(age: str) -> str:
    # The table is published with ages as 60 and as 60.0.
    return age[:-2] if age.endswith(".0") else age
