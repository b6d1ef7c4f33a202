"""Sections on the data: what there is, what was found in it, and how generated images differ."""

from collections.abc import Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fewskin.reporting.blocks import Block, Section, Table, Text
from fewskin.reporting.study import Study
from fewskin.reporting.wording import joined, plural, shown

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["audit_section", "data_section"]

_COLUMNS = (
    *(
        ("dataset", "data set"),
        ("source", "kind of image"),
        ("device", "device"),
        ("site", "body site"),
    ),
    *(
        ("view", "view"),
        ("age", "age, years"),
        ("sex", "sex"),
        ("skin_tone", "skin tone"),
        ("severity", "severity"),
    ),
    *(("dx_basis", "basis of diagnosis"), ("licence", "licence")),
)
_MOST_VALUES = 8
_EXAMPLES = 3
_FINDING_MEANING = {
    "corrupt": "could not be decoded; left out",
    "exact_duplicate": "same pixels as another image; kept in one group",
    "near_duplicate": "confirmed copy of another image; kept in one group",
    "near_conflict": "near copies with different labels",
    "conflict": "same pixels under different labels; left out",
    "odd_size": "much smaller, larger, wider or taller than usual; kept",
    "blurred": "far less sharp than usual; kept",
    "exposure": "nearly black or white, or clipped over much of it; kept",
    "review": "suspiciously large cluster of copies; not merged",
}


def audit_section(study: Study) -> Section:
    """Return how well generated images can be told from real ones within each class."""
    return Section("Can generated images be told from real ones", "audit", tuple(_audit(study)))


def _audit(study: Study) -> Iterator[Block]:
    rows = study.bundle.audit
    if not len(rows):
        yield Text("No audit of generated images was given to this report.", "note")
        return
    yield Text(
        "Within each class, a simple classifier on colour and sharpness is asked which images "
        "were generated. 50 means it cannot tell; near 100 a learner could take the traces of the "
        "generator for the disease. Near copies: generated images that almost repeat a real one, "
        "so that they add little."
    )
    cells = [
        (
            row["arm"],
            row["label"],
            str(row["n_real"]),
            str(row["n_generated"]),
            _auc(row["auc"], row["auc_low"], row["auc_high"]),
            f"{100 * row['near_copies']:.0f} %" if np.isfinite(row["near_copies"]) else "–",
        )
        for row in rows.to_dict("records")
    ]
    yield Table(
        f"AUC ×100 of “generated?” within a class, cross-validated by {study.groups[:-1]}, with "
        "its 95 % interval where there are enough groups.",
        (
            "arm",
            "class",
            "real images",
            "generated images",
            "AUC of “generated?”, ×100",
            "near copies",
        ),
        cells,
        frozenset({2, 3, 4, 5}),
    )


def _auc(auc: float, low: float, high: float) -> str:
    ends = f" [{shown(low)}, {shown(high)}]" if np.isfinite(low) and np.isfinite(high) else ""
    return f"{shown(auc)}{ends}"


def data_section(study: Study) -> Section:
    """Return the data card."""
    return Section("The data", "data", tuple(_data(study)))


def _data(study: Study) -> Iterator[Block]:
    rows = study.bundle.rows
    n_groups = rows["group_id"].nunique() if (rows["group_id"] != "").any() else len(rows)
    yield Text(
        f"{plural(len(rows), 'image')} of {plural(rows['label'].nunique(), 'class')} in "
        f"{n_groups:,} groups. {_group_kind(study)}"
    )
    yield _counts(study)
    yield Table(
        "What is known of the images. A blank cell of the manifest counts as unknown.",
        ("property", "values (images)"),
        list(_properties(rows)),
    )
    yield from _roles(study)
    yield from _findings(study)


def _group_kind(study: Study) -> str:
    if study.groups == "patients":
        return (
            "Groups are patients, joined where they share copies; none is on both sides of a split."
        )
    leak = "one patient may lie on both sides of a split, so results may be too good for new ones."
    if study.groups == "lesions":
        return f"The data names lesions, not patients, so groups are lesions: {leak}"
    if study.groups == "images":
        return f"The data names neither patients nor lesions, so each image is a group: {leak}"
    return (
        f"Patient or lesion ids are known for some images only; the others are groups alone: {leak}"
    )


def _counts(study: Study) -> Table:
    rows, counts = study.bundle.rows, study.bundle.counts
    if not len(counts):
        known = rows[["label", "image_id", "patient_id", "group_id"]].replace("", np.nan)
        counts = known.groupby("label").nunique().reset_index()
        counts = counts.set_axis(["label", "n_images", "n_patients", "n_groups"], axis=1)
    shares = (rows["label"].value_counts(normalize=True)).to_dict()
    cells = [
        (
            row["label"],
            f"{row['n_images']:,.0f}",
            f"{row['n_patients']:,.0f}" if row["n_patients"] > 0 else "unknown",
            f"{row['n_groups']:,.0f}" if np.isfinite(row["n_groups"]) else "unknown",
            f"{100 * shares.get(row['label'], 0.0):.1f} %",
        )
        for row in counts.to_dict("records")
    ]
    header = ("class", "images", "patients", "groups", "share of images")
    return Table("The classes, after checking.", header, cells, frozenset({1, 2, 3, 4}))


def _properties(rows: "pd.DataFrame") -> Iterator[tuple[str, str]]:
    unknown = []
    for column, name in _COLUMNS:
        text = _ages(rows[column]) if column == "age" else _values(rows[column])
        # Whether performance could differ by skin tone is asked of every study.
        if text or column == "skin_tone":
            yield name, text or "unknown for every image"
        else:
            unknown.append(name)
    if unknown:
        yield "unknown for every image", ", ".join(unknown)


def _values(column: "pd.Series[str]") -> str:
    known = column[column != ""].value_counts()
    if not len(known):
        return ""
    order = sorted(known.items(), key=lambda item: (-int(item[1]), str(item[0])))
    parts = [f"{value} ({n:,})" for value, n in order[:_MOST_VALUES]]
    if len(order) > _MOST_VALUES:
        rest = sum(int(n) for _, n in order[_MOST_VALUES:])
        parts.append(f"{len(order) - _MOST_VALUES} more ({rest:,})")
    unknown = int((column == "").sum())
    return "; ".join([*parts, *([f"unknown ({unknown:,})"] if unknown else [])])


def _ages(column: "pd.Series[str]") -> str:
    import pandas as pd

    ages = pd.to_numeric(column, errors="coerce").dropna()
    if not len(ages):
        return ""
    low, middle, high = ages.quantile([0.05, 0.5, 0.95])
    unknown = len(column) - len(ages)
    tail = f"; unknown ({unknown:,})" if unknown else ""
    return f"median {middle:.0f}, 5th to 95th percentile {low:.0f} to {high:.0f}{tail}"


def _roles(study: Study) -> Iterator[Block]:
    splits, rows = study.bundle.splits, study.bundle.rows
    about = rows.set_index("image_id")[["label", "group_id"]]
    # A row without a group is its own.
    joint = splits.join(about, on="image_id")
    joint["group_id"] = joint["group_id"].where(
        joint["group_id"].fillna("") != "", joint["image_id"]
    )
    wanted = joint[joint["role"] != "support"].groupby(["task", "label", "role"])
    counts = {
        key: f"{len(set(part['image_id'])):,} / {part['group_id'].nunique():,}"
        for key, part in wanted
    }
    pairs = sorted({(str(task), str(label)) for task, label, _ in counts})
    cells = [
        (task, label, *(counts.get((task, label, role), "–") for role in ("base", "pool", "test")))
        for task, label in pairs
    ]
    if cells:
        yield Table(
            "Who does what, images / groups. Base: plentiful classes for fitting beforehand. "
            "Pool: the few patients that draws are taken from. Test: never seen before the last "
            "step, the same for every arm and draw.",
            ("task", "class", "base", "pool", "test"),
            cells,
            frozenset({2, 3, 4}),
        )


def _findings(study: Study) -> Iterator[Block]:
    findings = study.bundle.findings
    if not len(findings):
        given = [*study.bundle.folders["manifest"], *study.bundle.folders["checked"]]
        known = any((folder / "findings.csv").is_file() for folder in given)
        found = "Nothing was found wrong with the files or labels."
        yield Text(found if known else "No table of findings was given to this report.", "note")
        return
    cells = []
    for kind, group in findings.groupby("kind"):
        examples = [_example(row) for row in group.head(_EXAMPLES).to_dict("records")]
        name = str(kind).replace("_", " ")
        meaning = _FINDING_MEANING.get(str(kind), "")
        cells.append(
            (f"{name}: {meaning}" if meaning else name, f"{len(group):,}", joined(examples))
        )
    yield Table(
        f"What checking found, with the first {_EXAMPLES} examples of each kind; all are in "
        "tables/findings.csv.",
        ("finding", "rows", "examples"),
        cells,
        frozenset({1}),
    )


def _example(row: Mapping[Hashable, Any]) -> str:  # Any: a cell of a table
    where = row["path"] or row["image_id"]
    return f"{where}: {row['detail']}" if where else str(row["detail"])
