"""A folder of images with one folder per class: `root/<label>/...`, nested as deep as you like.

Facts: Classes and rosacea: counted on ingest; patient ids by source.patient_from; your licence.
"""

import re
import unicodedata
from pathlib import Path, PurePosixPath

from fewskin.data.source import SourceRead, finding, image_ids, list_images, source_read
from fewskin.errors import ConfigError

__all__ = ["folder"]

_SPLIT_NAMES = {"dev", "test", "testing", "train", "training", "val", "valid", "validation"}


def folder(
    path: Path,
    *,
    out: Path,
    label_level: int = 1,
    patient_from: str = "",
    view: str = "",
    dataset: str = "",
    licence: str = "",
) -> SourceRead:
    """Read a class-per-folder data set.

    Without `patient_from` every image is its own patient, and a finding says so.

    Args:
        path: the folder that holds the class folders.
        out: unused; the images stay where they are.
        label_level: which folder below `path` names the class; 2 for `train/<label>/...`.
        patient_from: regular expression searched in what follows the class folder (usually the
            file name); its first group, or else its whole match, is the patient.
        view: what the photographs show, for all of them, e.g. "face": faces are not turned upside
            down in augmentation.
        dataset: name of the data set, for the record.
        licence: licence of the images, for the record.

    Raises:
        DataError: no folder, or no image below a class folder.
        ConfigError: `patient_from` is no regular expression, or `label_level` is under 1.
    """
    pattern = _compile(patient_from)
    if label_level < 1:
        raise ConfigError(f"source.label_level={label_level}; expected 1 or more.")
    files = list_images(path)
    inside = [p for p in files.paths if len(PurePosixPath(p).parts) > label_level]
    loose = [p for p in files.paths if len(PurePosixPath(p).parts) <= label_level]
    rows = []
    for relative, image_id in zip(inside, image_ids(inside), strict=True):
        parts = PurePosixPath(unicodedata.normalize("NFC", relative)).parts
        patient = _patient("/".join(parts[label_level:]), pattern)
        row = {"image_id": image_id, "path": relative, "label": parts[label_level - 1]}
        more = {"patient_id": patient, "source": "real", "view": view}
        more |= {"dataset": dataset, "licence": licence}
        rows.append({**row, **more})
    where = "not in a class folder; expected <label>/" + "<folder>/" * (label_level - 1) + "<image>"
    notes = [*files.findings, *(finding("unlabelled", where, path=p) for p in loose)]
    return source_read(rows, path, [*notes, *_notes(rows, patient_from)])


def _compile(patient_from: str) -> re.Pattern[str] | None:
    try:
        return re.compile(patient_from) if patient_from else None
    except re.error as error:
        raise ConfigError(
            f"source.patient_from={patient_from!r} is no regular expression: {error}."
        ) from error


def _patient(name: str, pattern: re.Pattern[str] | None) -> str:
    found = pattern.search(name) if pattern else None
    if found is None:
        return ""
    return (found.group(1) if found.re.groups else found.group(0)) or ""


def _notes(rows: list[dict[str, str]], patient_from: str) -> list[dict[str, str]]:
    notes = []
    blank = sum(row["patient_id"] == "" for row in rows)
    if blank:
        how = f"{patient_from!r} matches none of their names" if patient_from else "none was given"
        detail = (
            f"{blank} of {len(rows)} images have no patient id ({how}); each counts as its own "
            "patient. Two photographs of one person may then be in training and test."
        )
        notes.append(finding("no_patient_ids", detail))
    labels = {row["label"] for row in rows}
    if labels and {label.lower() for label in labels} <= _SPLIT_NAMES:
        detail = f"labels are {', '.join(sorted(labels))}: did you mean source.label_level=2?"
        notes.append(finding("label_names", detail))
    return notes
