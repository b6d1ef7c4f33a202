"""Published tables: official columns, clean values, and a finding with file and row for others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fewskin.data.source import ImageFiles, SourceRead, finding, image_ids, read_csv, source_read
from fewskin.errors import ConfigError, DataError, TableError
from fewskin.provenance import unknown

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

__all__ = ["Sheet", "assemble", "check_choice", "find_table", "read_sheet", "row_ranges"]

Note = dict[str, str]
# Up to so many odd rows get a finding each; more share one that lists their numbers.
_EACH = 20


@dataclass
class Sheet:
    """One table as it was published, and what was odd in it.

    Attributes:
        file: the table.
        frame: its cells as text; row `i` of the frame is row `i + 2` of the file.
        key: column that names an image or a case.
        notes: findings so far.
    """

    file: Path
    frame: "pd.DataFrame"
    key: str
    notes: list[Note] = field(default_factory=list)

    def values(self, column: str, convert: Callable[[str], str | None]) -> "pd.Series[str]":
        """Return a column with every cell converted; what is odd or absent becomes blank.

        Args:
            column: name of the column.
            convert: returns the clean text of a cell that is not blank, or None for an odd one.
        """
        given = self.frame[column].str.strip()
        clean = {text: convert(text) for text in given.unique() if text}
        for text in sorted(text for text, value in clean.items() if value is None):
            self.tell("odd_value", given == text, f"{column} is {text!r}, not usable; left blank")
        self.tell("blank", given == "", f"{column} is blank", each=False)
        return given.map(lambda text: clean.get(text) or "")

    def optional(self, column: str, convert: Callable[[str], str | None]) -> "pd.Series[str] | str":
        """Return `values` of a column that some releases lack, or "" for those."""
        return self.values(column, convert) if column in self.frame.columns else ""

    def tell(self, kind: str, rows: "npt.ArrayLike", what: str, *, each: bool = True) -> None:
        """Add findings about the rows that are True: one each, or one for many of them."""
        at = [int(i) for i in np.flatnonzero(np.asarray(rows, bool))]
        table = self.file.name
        if each and len(at) <= _EACH:
            for i in at:
                self.notes.append(
                    finding(
                        kind,
                        f"{table} row {self.row(i)}: {what}",
                        image_id=str(self.frame[self.key].iloc[i]),
                        path=table,
                    )
                )
        elif len(at):
            where = f"{len(at)} of {len(self.frame)} rows ({row_ranges([self.row(i) for i in at])})"
            self.notes.append(finding(kind, f"{table}: {what} in {where}", path=table))

    def row(self, i: int) -> int:
        """Return the row of the file that holds position `i` of the frame."""
        return int(self.frame.index[i]) + 2


def row_ranges(rows: Sequence[int]) -> str:
    """Return ascending row numbers in few characters.

    Example:
        >>> row_ranges([2, 3, 4, 9, 11, 12])
        '2-4, 9, 11-12'
    """
    starts = [r for i, r in enumerate(rows) if i == 0 or rows[i - 1] != r - 1]
    ends = [r for i, r in enumerate(rows) if i == len(rows) - 1 or rows[i + 1] != r + 1]
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=True))


def check_choice(source: str, option: str, value: str, choices: Sequence[str]) -> None:
    """Raise `ConfigError` when an option of a source is not one of its choices."""
    if value not in choices:
        raise ConfigError(unknown(f"value of source.{option} ({source})", str(value), choices))


def find_table(path: Path, names: Sequence[str], how: str) -> Path:
    """Return the first table of these names in a folder or in one of its sub-folders.

    Args:
        path: the folder, or the table itself.
        names: file names, best first.
        how: where to get the data, for the message.

    Raises:
        DataError: there is none.
    """
    if path.is_file():
        return path
    if path.is_dir():
        inner = sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
        for folder in (path, *inner):
            for name in names:
                if (folder / name).is_file():
                    return folder / name
    raise DataError(
        f"{path} holds no {' or '.join(names)}; expected the folder as published. {how}"
    )


def read_sheet(file: Path, columns: Sequence[str], key: str = "") -> Sheet:
    """Read a table and check that it has its official columns.

    Args:
        file: a CSV table.
        columns: columns it must have.
        key: column that names an image or case; the first of `columns` by default.

    Raises:
        DataError: the file is not a CSV table.
        TableError: a column is absent.
    """
    frame = read_csv(file)
    lacking = [column for column in columns if column not in frame.columns]
    if lacking:
        raise TableError(f"{file}: no column {lacking[0]!r}; expected {', '.join(columns)}.")
    return Sheet(file, frame, key or columns[0])


def assemble(
    sheet: Sheet,
    rows: "pd.DataFrame",
    files: ImageFiles,
    *,
    path: Path,
    people: str,
    notes: Sequence[Note] = (),
) -> SourceRead:
    """Join rows of a sheet with their image files.

    Rows without a file, without a label, or of a file that an earlier row has, are left out; each
    is a finding.

    Args:
        sheet: the table; its notes become findings.
        rows: columns `image` (a file name or id), `label` and others of the manifest; the index
            is that of the sheet's frame, where one row may occur several times.
        files: images of the data set.
        path: what the user named; a table alone gives a finding.
        people: what the data set lacks to keep people apart; "" if it names its patients.
        notes: further findings.

    Raises:
        DataError: no row is left.
    """
    found = [_locate(files, name) for name in rows["image"]]
    all_notes: list[Note] = [*sheet.notes, *notes]
    if people:
        all_notes.append(finding("no_patient_ids", people))
    if path.is_file():
        detail = "the path is the table, so images changed later go unseen; give the folder instead"
        all_notes.append(finding("table_only", detail))
    all_notes += _missing(sheet, rows, found)
    kept = rows[[hit is not None for hit in found]]
    kept = kept.assign(path=[hit for hit in found if hit is not None])
    kept, more = _usable(sheet, kept)
    given = kept.get("image_id")
    if given is None or given.duplicated().any() or given.eq("").any():
        kept = kept.assign(image_id=image_ids(kept["path"].tolist()))
    all_notes += [*more, *_unlisted(files, [hit for hit in found if hit is not None])]
    return source_read(kept.drop(columns="image").assign(source="real"), files.root, all_notes)


def _locate(files: ImageFiles, name: str) -> str | None:
    whole = name.replace("\\", "/")
    return files.find(whole) or files.find(f"images/{whole}")


def _missing(sheet: Sheet, rows: "pd.DataFrame", found: Sequence[str | None]) -> list[Note]:
    notes = []
    for i, name, hit in zip(rows.index, rows["image"], found, strict=True):
        if hit is None:
            detail = f"{sheet.file.name} row {i + 2}: no such image, or several of that name"
            key = str(sheet.frame[sheet.key][i])
            notes.append(finding("missing", detail, image_id=key, path=name))
    return notes


def _usable(sheet: Sheet, kept: "pd.DataFrame") -> "tuple[pd.DataFrame, list[Note]]":
    """Leave out rows without a label, and all but the first of those that name one file."""
    notes: list[Note] = []

    def without(bad: "npt.NDArray[np.bool_]", kind: str, what: str) -> "pd.DataFrame":
        inner = Sheet(sheet.file, sheet.frame.loc[kept.index], sheet.key, notes)
        inner.tell(kind, bad, what)
        return kept[~bad]

    blank = (kept["label"] == "").to_numpy()
    kept = without(blank, "unlabelled", "no usable label; the image is left out")
    labels = kept.groupby("path")["label"].nunique()
    torn = kept["path"].isin(labels.index[labels > 1]).to_numpy()
    kept = without(torn, "conflict", "rows give its image several labels; left out")
    twice = kept["path"].duplicated().to_numpy()
    return without(twice, "twice", "its image is in an earlier row; left out"), notes


def _unlisted(files: ImageFiles, used: Sequence[str]) -> list[Note]:
    n = len(set(files.paths) - set(used))
    notes = [finding("unlisted", f"{n} images are not in the table")] if n else []
    tables = (".csv", ".json", ".md", ".pdf", ".txt", ".xlsx")
    others = [dict(note) for note in files.findings]
    return notes + [note for note in others if not note["path"].lower().endswith(tables)]
