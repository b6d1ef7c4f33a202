"""Assign base, pool, support and test roles."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from fewskin.provenance import DEFAULT_OUT, stage

__all__ = ["split"]


@stage(version=2, inputs=("manifest",))
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
    way: int = 2,
    n_tasks: int | None = None,
    test_per_class: int | None = None,
    seed: int = 0,
    out: Path = DEFAULT_OUT,
) -> None:
    """Split a checked manifest by patient into base, pool, support draws and test.

    Args:
        manifest: folder of `fewskin check`.
        rare: labels with few patients on purpose, e.g. [rosacea,lupus].
        tasks: some of novel (all rare classes against each other), generalised (all classes) and
            nway (one task a set of `way` rare classes).
        common: labels of the base rows; every other label by default.
        shots: patients per rare class in a support set (K).
        draws: number of support sets per K.
        pool: patients per rare class that support is drawn from, at most half of them.
        test_share: share of each common class's patients held out for task=generalised; without
            that task all of them are base.
        test_where: column and value of held-out patients, e.g. {device: camera_b}.
        photos_per_patient: one photograph of each support patient, or all.
        way: classes of an nway task; 2 gives every pair.
        n_tasks: how many nway tasks, chosen by seed; every set of classes by default.
        test_per_class: test patients a rare class at most, chosen by seed; all by default.
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
        way=way,
        n_tasks=n_tasks,
        test_per_class=test_per_class,
    )
    rows = read_manifest(manifest).rows
    write_table(make_splits(rows, design, seed=seed), out / "splits.csv", SPLITS)
