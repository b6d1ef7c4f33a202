"""Everything a report is made from, read and checked once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewskin.data.evidence_tables import CALIBRATION, CONFUSION, DRAWS, VERDICTS
from fewskin.data.shortcut_examples import EXAMPLES
from fewskin.data.shortcuts import SHORTCUTS
from fewskin.provenance import stage_record
from fewskin.tables import FINDINGS, GAINS, SPLITS, Manifest, Schema, read_manifest, read_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AUDIT", "COUNTS", "Bundle", "Record", "read_bundle", "tables_of"]

Record = dict[str, Any]  # Any: what stage.json holds
AUDIT = Schema(
    name="audit",
    required=(
        "arm",
        "task",
        "label",
        "n_real",
        "n_generated",
        "auc",
        "auc_low",
        "auc_high",
        "near_copies",
    ),
    sort=("arm", "task", "label"),
    integers=("n_real", "n_generated"),
    floats=("auc", "auc_low", "auc_high", "near_copies"),
)
COUNTS = Schema(
    name="counts",
    required=("label", "n_images", "n_patients", "n_groups"),
    sort=("label",),
    floats=("n_images", "n_patients", "n_groups"),
)


@dataclass(frozen=True)
class Bundle:
    """The tables and records of one finished study.

    Attributes:
        manifest: checked rows, text cells, and where their images are.
        folders: input name -> result folders, in the order given.
        records: folder -> `stage.json` of every result the report rests on, however deep.
        settings: the experiment as planned; empty when stages were run by hand.
    """

    gains: "pd.DataFrame"
    draws: "pd.DataFrame"
    confusion: "pd.DataFrame"
    calibration: "pd.DataFrame"
    verdicts: "pd.DataFrame"
    audit: "pd.DataFrame"
    manifest: Manifest
    findings: "pd.DataFrame"
    counts: "pd.DataFrame"
    shortcuts: "pd.DataFrame"
    shortcut_examples: "pd.DataFrame"
    splits: "pd.DataFrame"
    folders: Mapping[str, Sequence[Path]]
    records: Mapping[Path, Record]
    settings: Mapping[str, Any]

    @property
    def rows(self) -> "pd.DataFrame":
        """The checked manifest rows."""
        return self.manifest.rows

    @property
    def simulated(self) -> bool:
        """Whether every image of the study was made by a program."""
        return bool((self.rows["source"] == "simulated").all()) and len(self.rows) > 0

    def made_by(self, stage: str) -> list[Record]:
        """Return the records of one stage, in the order of their keys."""
        found = [record for record in self.records.values() if record.get("stage") == stage]
        return sorted(found, key=lambda record: str(record["key"]))


def read_bundle(folders: Mapping[str, Sequence[Path]], settings: Mapping[str, Any]) -> Bundle:
    """Read every table of the folders.

    Args:
        folders: `evaluated`, `manifest`, `checked`, `splits`, `generated`, `audits` -> folders.
        settings: the experiment as planned, or empty.

    Raises:
        TableError: a table that every report needs is absent or breaks its schema.
    """
    (evaluated,) = folders["evaluated"]
    checked = [*folders["manifest"], *folders["checked"]]
    return Bundle(
        gains=read_table(evaluated / "gains.csv", GAINS),
        draws=_read(evaluated, "draws", DRAWS),
        confusion=_read(evaluated, "confusion", CONFUSION),
        calibration=_read(evaluated, "calibration", CALIBRATION),
        verdicts=_flags(read_table(evaluated / "verdicts.csv", VERDICTS)),
        audit=_audits(folders["audits"]),
        manifest=read_manifest(folders["manifest"][0]),
        findings=_read_first(checked, "findings", FINDINGS),
        counts=_read_first(checked, "counts", COUNTS),
        shortcuts=_read_first(checked, "shortcuts", SHORTCUTS),
        shortcut_examples=_read_first(checked, "shortcut_examples", EXAMPLES),
        splits=read_table(folders["splits"][0] / "splits.csv", SPLITS),
        folders=folders,
        records=_records([folder for group in folders.values() for folder in group]),
        settings=settings,
    )


def _read(folder: Path, name: str, schema: Schema) -> "pd.DataFrame":
    path = folder / f"{name}.csv"
    return read_table(path, schema) if path.is_file() else _empty(schema)


def _read_first(folders: Sequence[Path], name: str, schema: Schema) -> "pd.DataFrame":
    # `check` repeats the findings of `ingest`, so the first folder with the table has all of it.
    found = [folder for folder in folders if (folder / f"{name}.csv").is_file()]
    return _read(found[0], name, schema) if found else _empty(schema)


def _empty(schema: Schema) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(
        {column: pd.Series(dtype=_dtype(column, schema)) for column in schema.required}
    )


def _dtype(column: str, schema: Schema) -> str:
    if column in schema.integers:
        return "int64"
    return "float64" if column in schema.floats else "str"


def _flags(verdicts: "pd.DataFrame") -> "pd.DataFrame":
    return verdicts.assign(
        primary=verdicts["primary"] == "True", claimed=verdicts["claimed"] == "True"
    )


def _audits(folders: Sequence[Path]) -> "pd.DataFrame":
    import pandas as pd

    tables = [read_table(folder / "audit.csv", AUDIT) for folder in folders]
    return pd.concat(tables, ignore_index=True) if tables else _empty(AUDIT)


def _records(folders: Sequence[Path]) -> dict[Path, Record]:
    """Follow the inputs of every record; a folder that was cleared away ends its branch."""
    found: dict[Path, Record] = {}
    queue = list(folders)
    while queue:
        folder = queue.pop()
        record = stage_record(folder) if folder not in found else None
        if record is not None:
            found[folder] = record
            queue += _input_folders(record)
    return found


def _input_folders(record: Record) -> list[Path]:
    inputs = record.get("inputs") or {}
    flat = [
        item
        for value in inputs.values()
        for item in (value if isinstance(value, list) else [value])
    ]
    return [Path(item) for item in flat if isinstance(item, str)]


def tables_of(bundle: Bundle) -> "dict[str, pd.DataFrame]":
    """Return every table the report's values come from, by file name without ending."""
    named = {
        name: getattr(bundle, name)
        for name in (
            "gains",
            "draws",
            "confusion",
            "calibration",
            "verdicts",
            "audit",
            "findings",
            "counts",
            "shortcuts",
            "shortcut_examples",
        )
    }
    return {
        **named,
        "manifest": bundle.rows,
        "splits": bundle.splits,
        "provenance": _provenance(bundle),
    }


def _provenance(bundle: Bundle) -> "pd.DataFrame":
    import pandas as pd

    columns = ("stage", "key", "started", "seconds", "device", "machine", "threads", "python")
    rows = [
        {column: record.get(column, "") for column in columns}
        | {"fewskin": (record.get("versions") or {}).get("fewskin", "")}
        for record in bundle.records.values()
    ]
    return pd.DataFrame(rows, columns=[*columns, "fewskin"]).sort_values(
        ["stage", "key"], kind="stable"
    )
