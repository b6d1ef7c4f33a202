"""The five tables every stage reads and writes: schemas, reading, writing and checking.

Tables are CSV in UTF-8, sorted, so that equal content is equal bytes. A blank cell means unknown.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fewskin.errors import TableError
from fewskin.paths import atomic_write, inside

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "FINDINGS",
    "GAINS",
    "MANIFEST",
    "PREDICTIONS",
    "SPLITS",
    "Manifest",
    "Schema",
    "prob_columns",
    "read_manifest",
    "read_table",
    "validate",
    "write_manifest",
    "write_table",
]


@dataclass(frozen=True)
class Schema:
    """Columns of a table: `required` must exist, `optional` are added blank, others stay."""

    name: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    unique: tuple[str, ...] = ()
    sort: tuple[str, ...] = ()
    integers: tuple[str, ...] = ()
    floats: tuple[str, ...] = ()
    choices: dict[str, tuple[str, ...]] = field(default_factory=dict)


MANIFEST = Schema(
    name="manifest",
    required=("image_id", "path", "label"),
    optional=(
        *(
            "pixel_sha",
            "patient_id",
            "lesion_id",
            "group_id",
            "source",
            "made_by",
            "parent_ids",
            "seed",
        ),
        *("dataset", "site", "view", "device", "age", "sex", "skin_tone", "severity"),
        *("label_confidence", "dx_basis", "mask_path", "licence"),
    ),
    unique=("image_id",),
    sort=("image_id",),
    choices={"source": ("real", "simulated", "generated")},
)
# Rows that hold for every draw (base, pool, test) carry shots 0 and draw -1.
SPLITS = Schema(
    name="splits",
    required=("task", "fold", "shots", "draw", "image_id", "role"),
    sort=("task", "fold", "role", "shots", "draw", "image_id"),
    unique=("task", "fold", "role", "shots", "draw", "image_id"),
    integers=("fold", "shots", "draw"),
    choices={"role": ("base", "pool", "support", "test")},
)
_CELL = ("task", "fold", "learner", "arm", "ratio", "shots", "draw", "role")
PREDICTIONS = Schema(
    name="predictions",
    required=(*_CELL, "image_id", "group_id", "label"),
    sort=(*_CELL, "image_id"),
    unique=(*_CELL, "image_id"),
    integers=("fold", "shots", "draw"),
    floats=("ratio",),
    choices={"role": ("test", "oof")},
)
GAINS = Schema(
    name="gains",
    required=(
        *("task", "learner", "arm", "ratio", "baseline", "shots", "metric", "stratum"),
        *("value", "low", "high", "gain", "gain_low", "gain_high"),
        *("n_groups", "n_draws", "n_base_seeds", "select_on", "method"),
    ),
    sort=("task", "learner", "arm", "ratio", "shots", "metric", "stratum", "baseline"),
    unique=("task", "learner", "arm", "ratio", "shots", "metric", "stratum", "baseline"),
    integers=("shots", "n_groups", "n_draws", "n_base_seeds"),
    floats=("ratio", "value", "low", "high", "gain", "gain_low", "gain_high"),
)
FINDINGS = Schema(
    name="findings",
    required=("kind", "image_id", "path", "detail"),
    sort=("kind", "image_id", "path"),
)


def prob_columns(frame: "pd.DataFrame") -> list[str]:
    """Return the `p:<class>` columns of a predictions table, in their order."""
    return [column for column in frame.columns if column.startswith("p:")]


def _where(schema: Schema, path: Path | None, row: int) -> str:
    # Row 1 of the file is the header.
    return f"{path or schema.name} row {row + 2}"


def _to_number(
    frame: "pd.DataFrame", column: str, schema: Schema, path: Path | None
) -> "pd.Series":
    import pandas as pd

    numbers = pd.to_numeric(frame[column].replace("", np.nan), errors="coerce")
    blank = frame[column].isna() | frame[column].astype(str).isin(["", "nan", "<NA>", "None"])
    bad = np.flatnonzero(numbers.isna() & ~blank)
    if column in schema.integers:
        bad = np.flatnonzero(numbers.isna() | (numbers != numbers.round()))
    if len(bad):
        got = frame[column].iloc[bad[0]]
        kind = "a whole number" if column in schema.integers else "a number"
        raise TableError(f"{_where(schema, path, bad[0])}: {column} is {got!r}, expected {kind}.")
    return numbers.astype("int64") if column in schema.integers else numbers.astype("float64")


def _check_probabilities(frame: "pd.DataFrame", schema: Schema, path: Path | None) -> None:
    probs = frame[prob_columns(frame)].to_numpy(float)
    # A class that a cell does not know is blank in a table that holds several tasks.
    off = np.flatnonzero(
        ~(np.abs(np.nansum(probs, axis=1) - 1.0) <= 1e-4) | (np.nan_to_num(probs) < 0).any(axis=1)
    )
    if len(off):
        total = np.nansum(probs[off[0]])
        raise TableError(
            f"{_where(schema, path, off[0])}: probabilities sum to {total:.6g}, expected 1 "
            "within 1e-4."
        )


def _check_unique(frame: "pd.DataFrame", schema: Schema, path: Path | None) -> None:
    keys = list(schema.unique)
    twice = np.flatnonzero(frame.duplicated(keys or None))
    if keys and len(twice):
        what = ", ".join(f"{key}={frame[key].iloc[twice[0]]!r}" for key in keys)
        raise TableError(
            f"{_where(schema, path, twice[0])}: {what} appears twice, expected it once."
        )


def validate(frame: "pd.DataFrame", schema: Schema, path: Path | None = None) -> "pd.DataFrame":
    """Return a typed, complete and sorted copy of `frame`, or raise.

    Args:
        frame: rows as read or made; not changed.
        schema: one of the schemas of this module.
        path: the file the rows came from, for the message.

    Raises:
        TableError: a column is missing, an id repeats, a number or choice is not one.
    """
    missing = [column for column in schema.required if column not in frame.columns]
    if missing:
        raise TableError(
            f"{path or schema.name}: column {missing[0]!r} is missing; a {schema.name} table needs "
            f"{', '.join(schema.required)}; it has {', '.join(map(str, frame.columns)) or 'none'}."
        )
    frame = frame.reset_index(drop=True).copy()
    for column in schema.optional:
        if column not in frame.columns:
            frame[column] = ""
    for column in (*schema.integers, *schema.floats):
        frame[column] = _to_number(frame, column, schema, path)
    for column, allowed in schema.choices.items():
        bad = np.flatnonzero(
            ~frame[column].isin([*allowed, ""] if column in schema.optional else allowed)
        )
        if len(bad):
            got = frame[column].iloc[bad[0]]
            raise TableError(
                f"{_where(schema, path, bad[0])}: {column} is {got!r}, expected "
                f"{' or '.join(allowed)}."
            )
    _check_unique(frame, schema, path)
    if schema.name == "predictions":
        for column in prob_columns(frame):
            frame[column] = _to_number(frame, column, schema, path)
        _check_probabilities(frame, schema, path)
    first = [*schema.required, *schema.optional]
    frame = frame[[*first, *(column for column in frame.columns if column not in first)]]
    return frame.sort_values(list(schema.sort), kind="stable").reset_index(drop=True)


def read_table(path: Path, schema: Schema) -> "pd.DataFrame":
    """Read and check one CSV table.

    Raises:
        TableError: the file is absent, not CSV, not UTF-8, or breaks its schema.
    """
    import pandas as pd

    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise TableError(f"{path} does not exist; expected a {schema.name} table.") from None
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise TableError(f"{path} is not a CSV table in UTF-8: {reason}") from error
    return validate(frame, schema, path)


def write_table(frame: "pd.DataFrame", path: Path, schema: Schema) -> None:
    """Check, sort and write one table, whole or not at all."""
    rows = validate(frame, schema, path)
    atomic_write(path, rows.to_csv(index=False, lineterminator="\n", na_rep=""))


@dataclass(frozen=True)
class Manifest:
    """Image rows and the one folder their paths are relative to.

    Attributes:
        rows: a valid manifest table; every cell is text, blank when unknown.
        root: folder of the images.
        folder: where the table itself lies.
    """

    rows: "pd.DataFrame"
    root: Path
    folder: Path

    def path(self, i: int) -> Path:
        """Return the file of row `i`; it never leaves the root."""
        return inside(self.root, self.rows["path"].iloc[i])


def read_manifest(path: Path) -> Manifest:
    """Read `manifest.csv` (or the folder that holds it) and where its images are.

    `manifest.json` beside it may name the root, absolute or relative to the table's folder; without
    it the table's own folder is the root.

    Raises:
        TableError: no table, a bad row, a path outside the root, or a missing root.
    """
    table = path / "manifest.csv" if path.is_dir() else path
    rows = read_table(table, MANIFEST)
    sidecar = table.with_name("manifest.json")
    root = json.loads(sidecar.read_text())["root"] if sidecar.is_file() else "."
    folder = table.parent
    where = Path(root) if Path(root).is_absolute() else folder / root
    if not where.is_dir():
        raise TableError(
            f"{table}: its image folder {where} does not exist; ingest the data again."
        )
    for i, relative in enumerate(rows["path"]):
        try:
            inside(where, relative)
        except TableError as error:
            raise TableError(f"{_where(MANIFEST, table, i)}: {error}") from None
    return Manifest(rows=rows, root=where, folder=folder)


def write_manifest(rows: "pd.DataFrame", out: Path, root: Path | str = ".") -> None:
    """Write `manifest.csv` and its root to the folder `out`.

    Args:
        rows: manifest rows; `path` relative to `root`.
        root: "." when the images lie beside the table, else their folder (stored absolute).
    """
    write_table(rows, out / "manifest.csv", MANIFEST)
    text = "." if str(root) == "." else str(Path(root).resolve())
    atomic_write(out / "manifest.json", json.dumps({"root": text}) + "\n")
