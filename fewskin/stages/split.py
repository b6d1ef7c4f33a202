"""Assign base, pool, support and test roles."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from fewskin.provenance import DEFAULT_OUT, stage

__all__ = ["split"]


@stage(version=1, inputs=("manifest",))
def split(
    manifest: Path,
    *,
    rare: Sequence[str],
    tasks: Sequence[str] = ("novel", "generalised"),
    common: Sequence[str] | None = None,
    shots: Sequence[int] = (1, 5),
    draws: int = 10,
    pool: int = 20,
    test_share: float = 0.2,
    test_where: Mapping[str, str] | None = None,
    photos_per_patient: Literal["one", "all"] = "one",
    seed: int = 0,
    out: Path = DEFAULT_OUT,
) -> None:
    """Split a checked manifest by patient into base, pool, support draws and test.

    Args:
        manifest: folder of `fewskin check`.
        rare: labels with few patients on purpose, e.g. [rosacea,lupus].
        tasks: novel (rare classes against each other) and/or generalised (all classes).
        common: labels of the base rows; every other label by default.
        shots: patients per rare class in a support set (K).
        draws: number of support sets per K.
        pool: patients per rare class that support is drawn from, at most half of them.
        test_share: share of each common class's patients held out for task=generalised.
        test_where: column and value of held-out patients, e.g. {device: camera_b}.
        photos_per_patient: one photograph of each support patient, or all.
        seed: of every choice.
    """
    from fewskin.data.splits import Design, make_splits
    from fewskin.tables import SPLITS, read_manifest, write_table

    design = Design(
        tasks=tuple(tasks),
        rare=tuple(rare),
        common=None if common is None else tuple(common),
        shots=tuple(sorted(shots)),
        draws=draws,
        pool=pool,
        test_share=test_share,
        test_where=test_where,
        photos_per_patient=photos_per_patient,
    )
    rows = read_manifest(manifest).rows
    write_table(make_splits(rows, design, seed=seed), out / "splits.csv", SPLITS)
