"""A CSV table with one row per image: a column for the file, one for the label, any others.

Facts: Classes and rosacea: counted on ingest; patient ids by a column; your licence.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fewskin.data.source import (
    ImageFiles,
    SourceRead,
    finding,
    image_ids,
    list_images,
    read_csv,
    source_read,
)
from fewskin.errors import ConfigError, DataError, TableError
from fewskin.provenance import unknown
from fewskin.tables import MANIFEST

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["csv"]

_KNOWN = {
    "image": (
        *("image", "path", "image_path", "file", "filename"),
        *("image_id", "img_id", "image_name"),
    ),
    "label": ("label", "diagnosis", "diagnostic", "dx", "class"),
    "patient_id": ("patient_id", "patient"),
    "lesion_id": ("lesion_id", "lesion"),
}
# A table's own columns of these names would be taken for ours; they are kept as `<name>_given`.
_RESERVED = ("path", "pixel_sha", "group_id", "source", "made_by", "parent_ids", "seed")


def csv(
    path: Path,
    *,
    out: Path,
    table: str = "",
    image: str = "",
    label: str = "",
    patient: str = "",
    lesion: str = "",
    images: str = "",
    columns: Mapping[str, str] | None = None,
    dataset: str = "",
    licence: str = "",
) -> SourceRead:
    """Read a table of images; columns that are not asked for pass through.

    Args:
        path: the folder that holds the table and the images, or the table itself. Give the folder
            where you can: then a changed image makes a new result.
        out: unused; the images stay where they are.
        table: name of the table in the folder; needed when there are several.
        image: column with the image's path or name, with or without extension; by default the
            first of image, path, image_path, file, filename, image_id, img_id, image_name.
        label: column with the class; by default label, diagnosis, diagnostic, dx or class.
        patient: column with the patient; by default patient_id or patient, if any.
        lesion: column with the lesion; by default lesion_id or lesion, if any.
        images: folder of the images, relative to the table's folder (the default).
        columns: other columns to rename, `{manifest column: table column}`; without an `image_id`
            the ids are made from the file names.
        dataset: name of the data set, for the record.
        licence: licence of the images, for the record.

    Raises:
        DataError: no table, no image folder, or no row is left.
        TableError: a column is missing, or an image is listed twice; the message names the row.
        ConfigError: `columns` names a column the manifest does not have.
    """
    file = _table_file(path, table)
    frame = read_csv(file)
    given = {"image": image, "label": label, "patient_id": patient, "lesion_id": lesion}
    frame = _renamed(frame, _mapping(frame, given, columns or {}, file))
    _check_twice(frame, file)
    files = list_images(file.parent / images)
    found = [files.find(name) for name in frame["image"]]
    kept = frame[[hit is not None for hit in found]]
    paths = [hit for hit in found if hit is not None]
    _check_files(paths, kept, file)
    ids = _own_ids(kept, file) if "image_id" in kept else image_ids(paths)
    kept = kept.assign(path=paths, image_id=ids, source="real")
    kept = kept.assign(**{k: v for k, v in (("dataset", dataset), ("licence", licence)) if v})
    labelled = kept[kept["label"] != ""].drop(columns="image")
    notes = _notes(frame, found, kept, files) + _patient_notes(labelled) + _key_note(path)
    return source_read(labelled, files.root, notes)


def _table_file(path: Path, table: str) -> Path:
    if path.is_file():
        return path
    if table:
        return path / table
    tables = sorted(path.glob("*.csv"))
    if len(tables) != 1:
        names = ", ".join(file.name for file in tables) or "none"
        raise DataError(f"{path}: expected one CSV table, found {names}; pass source.table=.")
    return tables[0]


def _mapping(
    frame: "pd.DataFrame", given: Mapping[str, str], columns: Mapping[str, str], file: Path
) -> dict[str, str]:
    """Return table column -> manifest column."""
    have = list(frame.columns)
    for name in columns:
        if name not in (*MANIFEST.required, *MANIFEST.optional):
            known = (*MANIFEST.required, *MANIFEST.optional)
            raise ConfigError(unknown("manifest column", name, known))
    wanted = {**columns, **{role: name for role, name in given.items() if name}}
    for role, names in _KNOWN.items():
        guess = next((name for name in names if name in have), "")
        wanted.setdefault(role, guess)
    for role, name in wanted.items():
        if name not in have and (name or role in ("image", "label")):
            option = role.removesuffix("_id")
            what = unknown("column", name, have) if name else f"Its columns: {', '.join(have)}."
            raise TableError(f"{file}: no {option} column; pass source.{option}=<column>. {what}")
    return {name: role for role, name in wanted.items() if name}


def _renamed(frame: "pd.DataFrame", mapping: Mapping[str, str]) -> "pd.DataFrame":
    taken = {*mapping.values(), *_RESERVED}
    names = {c: f"{c}_given" for c in frame.columns if c in taken and c not in mapping}
    return frame.rename(columns={**names, **mapping})


def _check_twice(frame: "pd.DataFrame", file: Path) -> None:
    twice = frame["image"].duplicated() & (frame["image"] != "")
    if twice.any():
        row = int(twice.to_numpy().argmax())
        name = frame["image"].iloc[row]
        first = int((frame["image"] == name).to_numpy().argmax())
        raise TableError(
            f"{file} row {row + 2}: image {name!r} is already in row {first + 2}; expected one row "
            "an image. Delete one of them."
        )


def _check_files(paths: Sequence[str], kept: "pd.DataFrame", file: Path) -> None:
    seen: dict[str, int] = {}
    for row, path in zip(kept.index, paths, strict=True):
        if path in seen:
            raise TableError(
                f"{file} row {row + 2}: {kept['image'][row]!r} is the file {path}, which row "
                f"{seen[path] + 2} names too; expected one row an image."
            )
        seen[path] = row


def _own_ids(kept: "pd.DataFrame", file: Path) -> list[str]:
    ids: list[str] = kept["image_id"].tolist()
    seen: dict[str, int] = {"": -2}
    for row, image_id in zip(kept.index, ids, strict=True):
        if image_id in seen:
            what = f"is already in row {seen[image_id] + 2}" if image_id else "is blank"
            raise TableError(
                f"{file} row {row + 2}: image_id {image_id!r} {what}; expected its own."
            )
        seen[image_id] = row
    return ids


def _notes(
    frame: "pd.DataFrame", found: Sequence[str | None], kept: "pd.DataFrame", files: ImageFiles
) -> list[Mapping[str, str]]:
    notes: list[Mapping[str, str]] = []
    for row, (name, hit) in enumerate(zip(frame["image"], found, strict=True), start=2):
        if hit is None:
            detail = f"row {row}: no such image, or several of that name"
            notes.append(finding("missing", detail, path=name))
    unlabelled = kept[kept["label"] == ""]
    for image_id, path in zip(unlabelled["image_id"], unlabelled["path"], strict=True):
        notes.append(finding("unlabelled", "blank label", image_id=image_id, path=path))
    unlisted = len(set(files.paths) - set(kept["path"]))
    if unlisted:
        notes.append(finding("unlisted", f"{unlisted} images are not in the table"))
    return notes + [note for note in files.findings if not note["path"].endswith(".csv")]


def _patient_notes(rows: "pd.DataFrame") -> list[dict[str, str]]:
    blank = int((rows["patient_id"] == "").sum()) if "patient_id" in rows else len(rows)
    if not blank:
        return []
    detail = f"{blank} of {len(rows)} images have no patient id; each such image (or lesion, where "
    return [finding("no_patient_ids", f"{detail}given) counts as its own patient.")]


def _key_note(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    detail = "the path is the table, so images changed later go unseen; give the folder instead"
    return [finding("table_only", detail)]
