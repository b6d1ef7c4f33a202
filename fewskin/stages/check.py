"""Find duplicates, conflicts, groups and shortcuts before anything is split."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fewskin.data.published_splits import crossing_notes
from fewskin.errors import DataError
from fewskin.provenance import DEFAULT_OUT, stage
from fewskin.tables import FINDINGS, Schema, read_manifest, read_table, write_manifest, write_table

if TYPE_CHECKING:
    import pandas as pd

    from fewskin.data.duplicates import Pairs
    from fewskin.tables import Manifest

__all__ = ["check"]

_COUNTS = Schema(
    name="counts",
    required=("label", "n_images", "n_patients", "n_groups"),
    unique=("label",),
    sort=("label",),
)
# So few copies of one image are merged whatever their share of a small data set.
_ALWAYS_MERGED = 10
Row = dict[str, str]


@stage(version=2, inputs=("manifest",))
def check(
    manifest: Path,
    *,
    near_duplicates: bool = True,
    correlation: float = 0.95,
    max_group_share: float = 0.02,
    shortcuts: bool = True,
    out: Path = DEFAULT_OUT,
) -> None:
    """Find duplicates and conflicting labels, and group the images that belong together.

    An image whose exact pixels carry two labels (`conflict`) leaves the manifest in every copy:
    nobody can say which label is right. Copies of one label stay and share a group. A group is a
    connected component of patients, lesions, exact and confirmed near-duplicates.

    Trivial cues of each photograph are measured (`cues.csv`) and asked for the class, alone and
    together (`shortcuts.csv`, worst first; `shortcuts.png` shows what the worst one sees): a data
    set whose background tells the disease is no test of anything else.

    Args:
        manifest: folder of `fewskin ingest`.
        near_duplicates: also look for cropped, turned, recompressed or brightened copies.
        correlation: least correlation of two registered images to count as copies.
        max_group_share: a larger cluster of copies is left for review instead of being merged;
            clusters of up to 10 images are always merged.
        shortcuts: also ask how well trivial cues predict the label, and name odd photographs.
        out: result folder.

    Raises:
        DataError: a setting is out of range, or every image is in conflict.
    """
    _check_range("correlation", correlation)
    _check_range("max_group_share", max_group_share)
    given = read_manifest(manifest)
    kept, notes = _without_conflicts(given)
    notes += _exact(kept.rows)
    cues = _cues(kept, near_duplicates) if shortcuts else None
    clusters: list[list[int]] = []
    if near_duplicates:
        at_most = max(_ALWAYS_MERGED, int(max_group_share * len(kept.rows)))
        clusters, more = _near(kept, correlation, at_most)
        notes += more
    notes += crossing_notes(kept.rows, [*_same_pixels(kept.rows), *clusters])
    rows = kept.rows.assign(group_id=_groups(kept.rows, clusters))
    if cues is not None:
        notes += _odd(kept.rows, cues)
        _audit(replace(kept, rows=rows), cues, out)
    write_table(_findings(given, notes), out / "findings.csv", FINDINGS)
    write_table(_counts(rows), out / "counts.csv", _COUNTS)
    write_manifest(rows, out, given.root)


def _cues(manifest: "Manifest", near_duplicates: bool) -> "pd.DataFrame":
    from fewskin.data.cues import measure_cues
    from fewskin.data.duplicates import WORKING_SIZE

    # The search for copies needs every image as well: each file is decoded once for both.
    return measure_cues(manifest, WORKING_SIZE if near_duplicates else None)


def _odd(rows: "pd.DataFrame", cues: "pd.DataFrame") -> list[Row]:
    from fewskin.data.oddities import odd_photographs

    return [_note(kind, rows, i, f"{detail}; kept") for i, kind, detail in odd_photographs(cues)]


def _audit(manifest: "Manifest", cues: "pd.DataFrame", out: Path) -> None:
    from fewskin.data.cues import CUE_TABLE
    from fewskin.data.shortcut_examples import EXAMPLES, choose_examples, example_sheet
    from fewskin.data.shortcuts import SHORTCUTS, audit_cues
    from fewskin.paths import atomic_write

    audited = audit_cues(manifest.rows, cues)
    examples = choose_examples(manifest.rows, audited)
    write_table(cues.round(4), out / "cues.csv", CUE_TABLE)
    write_table(audited.table.round(4), out / "shortcuts.csv", SHORTCUTS)
    write_table(examples, out / "shortcut_examples.csv", EXAMPLES)
    atomic_write(out / "shortcuts.png", example_sheet(manifest, examples))


def _check_range(name: str, value: float) -> None:
    if not 0.0 < value <= 1.0:
        raise DataError(f"check: {name}={value}; expected a number above 0 and at most 1.")


def _note(kind: str, rows: "pd.DataFrame", i: int, detail: str) -> Row:
    row = rows.iloc[i]
    return {"kind": kind, "image_id": row["image_id"], "path": row["path"], "detail": detail}


def _same_pixels(rows: "pd.DataFrame") -> list[list[int]]:
    """Return positions of the rows of every set of two or more images with equal pixels."""
    named = rows["pixel_sha"].reset_index(drop=True)
    sets = named[named != ""].groupby(named).groups.values()
    return [sorted(int(i) for i in positions) for positions in sets if len(positions) > 1]


def _names(rows: "pd.DataFrame", positions: Sequence[int], but: int) -> str:
    others = [rows["image_id"].iloc[i] for i in positions if i != but]
    more = f" and {len(others) - 5} more" if len(others) > 5 else ""
    return ", ".join(others[:5]) + more


def _without_conflicts(manifest: "Manifest") -> "tuple[Manifest, list[Row]]":
    rows, out, notes = manifest.rows, set(), []
    for same in _same_pixels(rows):
        labels = sorted({str(rows["label"].iloc[i]) for i in same})
        if len(labels) > 1:
            out.update(same)
            for i in same:
                detail = (
                    f"labelled {rows['label'].iloc[i]}, but the same pixels are "
                    f"{' and '.join(labels)} (see {_names(rows, same, i)}); excluded"
                )
                notes.append(_note("conflict", rows, i, detail))
    if len(out) == len(rows):
        raise DataError(f"{manifest.folder}: every image is in conflict; {notes[0]['detail']}.")
    kept = rows[[i not in out for i in range(len(rows))]].reset_index(drop=True)
    return replace(manifest, rows=kept), notes


def _exact(rows: "pd.DataFrame") -> list[Row]:
    return [
        _note("exact_duplicate", rows, i, f"same pixels as {_names(rows, same, i)}; one group")
        for same in _same_pixels(rows)
        for i in same
    ]


def _near(
    manifest: "Manifest", correlation: float, at_most: int
) -> tuple[list[list[int]], list[Row]]:
    """Return clusters of row positions to merge, and what to tell about them."""
    import numpy as np

    from fewskin.data.duplicates import WORKING_SIZE, complete_linkage, near_pairs
    from fewskin.data.images import open_pixels

    rows = manifest.rows
    pixels, _ = open_pixels(manifest, WORKING_SIZE)
    # Equal pixels are grouped already; one of them stands for all.
    first = np.flatnonzero(~rows["pixel_sha"].duplicated() | (rows["pixel_sha"] == ""))
    distinct = pixels if len(first) == len(pixels) else pixels[first]
    pairs = near_pairs(distinct, correlation=correlation, at_most=max(64, 2 * at_most))
    clusters = [[int(first[i]) for i in c] for c in complete_linkage(len(first), pairs)]
    notes = _near_notes(rows, replace(pairs, first=first[pairs.first], second=first[pairs.second]))
    for large in (c for c in clusters if len(c) > at_most):
        detail = f"one of {len(large)} look-alikes, over {at_most}: not merged, please review; "
        notes += [_note("review", rows, i, detail + _names(rows, large, i)) for i in large]
    return [c for c in clusters if len(c) <= at_most], notes


def _near_notes(rows: "pd.DataFrame", pairs: "Pairs") -> list[Row]:
    notes = []
    found = zip(pairs.first.tolist(), pairs.second.tolist(), pairs.correlation, strict=True)
    for a, b, score in found:
        labels = (rows["label"].iloc[a], rows["label"].iloc[b])
        kind = "near_duplicate" if labels[0] == labels[1] else "near_conflict"
        other = f"{rows['image_id'].iloc[b]} ({labels[1]})"
        detail = f"labelled {labels[0]}, correlates {score:.3f} with {other}"
        notes.append(_note(kind, rows, a, detail))
    return notes


def _groups(rows: "pd.DataFrame", clusters: list[list[int]]) -> list[str]:
    """Return each row's group: the lowest image_id of its connected component."""
    from fewskin.data.duplicates import components

    together = [*clusters, *_same_pixels(rows)]
    for column in ("patient_id", "lesion_id"):
        known = rows.reset_index(drop=True)
        known = known[known[column] != ""]
        sets = known.groupby(["dataset", column]).groups.values()
        together += [[int(i) for i in positions] for positions in sets if len(positions) > 1]
    part = components(len(rows), together)
    lowest = rows["image_id"].groupby(part).min()
    return [str(lowest[number]) for number in part]


def _counts(rows: "pd.DataFrame") -> "pd.DataFrame":
    counts = rows.groupby("label", as_index=False).agg(
        n_images=("image_id", "size"),
        n_patients=("patient_id", lambda ids: ids[ids != ""].nunique()),
        n_groups=("group_id", "nunique"),
    )
    # No patient id at all means that their number is unknown, not zero.
    counts["n_patients"] = counts["n_patients"].astype(str).replace("0", "")
    return counts


def _findings(manifest: "Manifest", notes: list[Row]) -> "pd.DataFrame":
    import pandas as pd

    columns = list(FINDINGS.required)
    mine = pd.DataFrame(notes, columns=columns)
    earlier = manifest.folder / "findings.csv"
    if not earlier.is_file():
        return mine
    return pd.concat([read_table(earlier, FINDINGS)[columns], mine], ignore_index=True)
