"""Who is base, pool, support and test: grouped by patient, drawn by seed."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fewskin.data.tasks import expand_tasks, task_classes
from fewskin.errors import ConfigError, DataError
from fewskin.provenance import unknown
from fewskin.seeding import rng_for

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Design", "make_splits", "select"]

log = logging.getLogger(__name__)
Row = dict[str, object]


@dataclass(frozen=True)
class Design:
    """What a splits table must hold.

    Attributes:
        tasks: "novel" (all rare classes against each other), "generalised" (all classes) and "nway"
            (one task a set of `way` rare classes).
        rare: labels that have few patients on purpose.
        common: labels of the base rows; None takes every other label.
        shots: patients of each rare class in a support set, ascending.
        draws: number of support sets per K.
        pool: patients per rare class that support is drawn from; at most half of the class.
        test_share: share of each common class's patients held out for task=generalised; without
            that task all of them are base.
        test_where: column -> value; patients with such a row are test candidates, others never are.
        photos_per_patient: "one" photograph of each support patient, or "all".
        way: classes of an "nway" task.
        n_tasks: how many "nway" tasks, chosen by seed; None for all sets of classes.
        test_per_class: test patients a rare class at most, chosen by seed; None for all.
    """

    tasks: tuple[str, ...]
    rare: tuple[str, ...]
    common: tuple[str, ...] | None = None
    shots: tuple[int, ...] = (1, 5)
    draws: int = 10
    pool: int = 20
    test_share: float = 0.2
    test_where: Mapping[str, str] | None = None
    photos_per_patient: Literal["one", "all"] = "one"
    way: int = 2
    n_tasks: int | None = None
    test_per_class: int | None = None


def _check_design(design: Design, labels: Sequence[str]) -> tuple[str, ...]:
    for label in (*design.rare, *(design.common or ())):
        if label not in labels:
            raise DataError(unknown("class", label, labels))
    if not design.rare:
        raise DataError(
            f"no rare class given; name them, e.g. data.rare=[{labels[0]}]. Classes: "
            f"{', '.join(labels)}."
        )
    if "novel" in design.tasks and len(design.rare) < 2:
        raise DataError(
            f"task=novel compares rare classes with each other, but only {design.rare[0]!r} "
            "is rare; "
            "name two or more, or use tasks=[generalised]."
        )
    if design.draws < 1 or not design.shots or min(design.shots) < 1:
        raise ConfigError(
            f"shots={list(design.shots)} draws={design.draws}: both must be 1 or more."
        )
    if design.test_per_class is not None and design.test_per_class < 1:
        raise ConfigError(f"test_per_class={design.test_per_class}: expected 1 or more.")
    if not 0.0 < design.test_share < 1.0:
        raise ConfigError(f"test_share={design.test_share}: expected a share between 0 and 1.")
    common = design.common
    if common is None:
        common = tuple(label for label in labels if label not in design.rare)
    both = sorted(set(common) & set(design.rare))
    if both:
        raise DataError(f"class {both[0]!r} is both rare and common; expected one of the two.")
    if not common and "generalised" in design.tasks:
        raise DataError("task=generalised needs at least one common class beside the rare ones.")
    return common


def _group_labels(rows: "pd.DataFrame", order: Sequence[str]) -> dict[str, str]:
    # A group with several labels counts for the first of `order` (rare classes come first).
    rank = {label: i for i, label in enumerate(order)}
    best: dict[str, str] = {}
    for group, label in zip(rows["group_id"], rows["label"], strict=True):
        if group not in best or rank[label] < rank[best[group]]:
            best[group] = label
    return best


def _candidates(rows: "pd.DataFrame", where: Mapping[str, str] | None) -> set[str] | None:
    if not where:
        return None
    keep = rows["image_id"] == rows["image_id"]
    for column, value in where.items():
        if column not in rows.columns:
            raise DataError(unknown("column in test_where", column, list(rows.columns)))
        keep &= rows[column].astype(str) == str(value)
    if not keep.any():
        wanted = ", ".join(f"{column}={value}" for column, value in where.items())
        raise DataError(f"test_where matches no image ({wanted}); check the value in manifest.csv.")
    return set(rows.loc[keep, "group_id"])


def _too_few(label: str, have: int, design: Design, held_out: bool) -> DataError:
    need = max(design.shots)
    if held_out:
        return DataError(
            f"class {label!r} has {have} patients outside test_where; {need} shots need a "
            f"pool of at least {need}. "
            f"Lower shots= or change test_where."
        )
    return DataError(
        f"class {label!r} has {have} patients: half of them form the support pool "
        f"({have // 2}), the rest is test. "
        f"{need} shots need at least {2 * need} patients; lower shots= or add patients."
    )


def _rare_roles(
    label: str, groups: list[str], design: Design, test_only: set[str] | None, seed: int
) -> dict[str, str]:
    shuffled = [groups[i] for i in rng_for(seed, "pool", label).permutation(len(groups))]
    free = (
        shuffled if test_only is None else [group for group in shuffled if group not in test_only]
    )
    pool = free[: min(design.pool, len(groups) // 2 if test_only is None else len(free))]
    if len(pool) < max(design.shots):
        have = len(groups) if test_only is None else len(free)
        raise _too_few(label, have, design, held_out=test_only is not None)
    rest = [group for group in shuffled if group not in set(pool)]
    test = rest if test_only is None else [group for group in rest if group in test_only]
    if not test:
        raise DataError(
            f"class {label!r}: no patient is left for test; check test_where or pool={design.pool}."
        )
    test = test[: design.test_per_class]
    if len(test) < 10:
        log.warning("class %r has %d test patients: under 10, so no interval", label, len(test))
    return dict.fromkeys(pool, "pool") | dict.fromkeys(test, "test")


def _common_roles(
    label: str, groups: list[str], design: Design, test_only: set[str] | None, seed: int
) -> dict[str, str]:
    shuffled = [groups[i] for i in rng_for(seed, "common", label).permutation(len(groups))]
    if "generalised" not in design.tasks:
        # No common patient is tested; those of test_where stay out of training all the same.
        return dict.fromkeys((g for g in shuffled if g not in (test_only or ())), "base")
    held = shuffled if test_only is None else [group for group in shuffled if group in test_only]
    n_test = max(1, round(design.test_share * len(shuffled))) if test_only is None else len(held)
    if len(groups) - n_test < 1 or not held:
        raise DataError(
            f"common class {label!r} has {len(groups)} patients, {n_test} of them for test; "
            "at least one must be left on each side. Merge or drop the class with "
            "data.common=[...]."
        )
    test = set(held[:n_test])
    return {group: "test" if group in test else "base" for group in shuffled}


def make_splits(rows: "pd.DataFrame", design: Design, *, seed: int) -> "pd.DataFrame":
    """Return a splits table: base, pool and test once, support for every K and draw.

    Test is fixed over draws; the support of a smaller K is the beginning of that of a larger one;
    the base rows are the same for both tasks, so that a base fit serves both.

    Args:
        rows: manifest rows with `group_id` (from `fewskin check`).
        design: tasks, classes, shots, draws.
        seed: of every choice.

    Raises:
        DataError: a class is unknown or has too few patients; the message gives the numbers.
        ConfigError: a setting is out of range.
    """
    import pandas as pd

    if (rows["group_id"] == "").any():
        raise DataError(
            "manifest.csv has rows without group_id; run `fewskin check` first and split its "
            "result."
        )
    common = _check_design(design, sorted(set(rows["label"])))
    rows = rows[rows["label"].isin([*design.rare, *common])]
    label_of = _group_labels(rows, [*design.rare, *common])
    candidates = _candidates(rows, design.test_where)
    role_of: dict[str, str] = {}
    for label in (*design.rare, *common):
        groups = sorted(group for group, own in label_of.items() if own == label)
        if not groups:
            raise DataError(
                f"class {label!r} has no patient of its own; every one also has a rarer class."
            )
        roles = _rare_roles if label in design.rare else _common_roles
        role_of |= roles(label, groups, design, candidates, seed)
    support = _supports(rows, role_of, label_of, design, seed)
    own_label: dict[object, str] = dict(zip(rows["image_id"], rows["label"], strict=True))
    table: list[Row] = []
    for task in expand_tasks(
        design.tasks, design.rare, way=design.way, n_tasks=design.n_tasks, seed=seed
    ):
        classes = task_classes(task, design.rare)
        table += _fixed(rows, role_of, label_of, classes, task)
        table += [{"task": task, **row} for row in support if own_label[row["image_id"]] in classes]
    return pd.DataFrame(table).assign(fold=0)


def _fixed(
    rows: "pd.DataFrame",
    role_of: Mapping[str, str],
    label_of: Mapping[str, str],
    classes: Sequence[str],
    task: str,
) -> list[Row]:
    made: list[Row] = []
    for image_id, group, label in zip(
        rows["image_id"], rows["group_id"], rows["label"], strict=True
    ):
        role = role_of.get(group)
        # A pool patient's photographs of another class would be training rows nobody asked for.
        other_class = role in ("pool", "base") and label != label_of[group]
        # Beside base, only the generalised task has rows of other classes than its own.
        foreign = role in ("pool", "test") and task != "generalised" and label not in classes
        if role and not other_class and not foreign:
            made.append({"task": task, "shots": 0, "draw": -1, "image_id": image_id, "role": role})
    return made


def _supports(
    rows: "pd.DataFrame",
    role_of: Mapping[str, str],
    label_of: Mapping[str, str],
    design: Design,
    seed: int,
) -> list[Row]:
    photos: dict[str, list[str]] = {}
    for image_id, group, label in zip(
        rows["image_id"], rows["group_id"], rows["label"], strict=True
    ):
        if label == label_of[group] and role_of.get(group) == "pool":
            photos.setdefault(group, []).append(image_id)
    made: list[Row] = []
    for draw in range(design.draws):
        for label in design.rare:
            groups = sorted(group for group in photos if label_of[group] == label)
            order = [
                groups[i] for i in rng_for(seed, "support", draw, label).permutation(len(groups))
            ]
            for shots in design.shots:
                for group in order[:shots]:
                    for image_id in _photos(sorted(photos[group]), design, seed, draw, group):
                        made.append(
                            {"shots": shots, "draw": draw, "image_id": image_id, "role": "support"}
                        )
    return made


def _photos(ids: list[str], design: Design, seed: int, draw: int, group: str) -> list[str]:
    if design.photos_per_patient == "all":
        return ids
    return [ids[int(rng_for(seed, "photograph", draw, group).integers(len(ids)))]]


def select(
    splits: "pd.DataFrame", *, task: str, shots: int, draw: int, fold: int = 0
) -> dict[str, list[str]]:
    """Return role -> image_ids of one cell: its own support, and the fixed base, pool and test.

    Raises:
        DataError: the table has no such task, K or draw.
    """
    here = splits[(splits["task"] == task) & (splits["fold"] == fold)]
    mine = here[(here["role"] == "support") & (here["shots"] == shots) & (here["draw"] == draw)]
    fixed = here[here["role"] != "support"]
    if here.empty or (shots > 0 and mine.empty):
        raise DataError(
            f"splits.csv has no task={task} fold={fold} shots={shots} draw={draw}; split "
            "again with them."
        )
    chosen = {
        role: fixed.loc[fixed["role"] == role, "image_id"].tolist()
        for role in ("base", "pool", "test")
    }
    return {**chosen, "support": mine["image_id"].tolist()}
