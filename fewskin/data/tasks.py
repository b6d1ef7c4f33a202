"""Tasks by name: novel, generalised, and N-way tasks between a few of the rare classes."""

import math
from collections.abc import Sequence
from itertools import combinations

from fewskin.errors import ConfigError, DataError
from fewskin.seeding import rng_for

__all__ = ["KINDS", "expand_tasks", "is_n_way", "task_classes"]

KINDS = ("novel", "generalised", "nway")
_PREFIX = "nway:"
# More combinations than this are drawn one by one instead of listed.
_LISTED = 100_000


def is_n_way(task: str) -> bool:
    """Return whether a task is one of `tasks=[nway]`, named after its classes.

    Example:
        >>> is_n_way("nway:akiec|df"), is_n_way("novel")
        (True, False)
    """
    return task.startswith(_PREFIX)


def task_classes(task: str, rare: Sequence[str]) -> tuple[str, ...]:
    """Return the rare classes of a task, sorted.

    Example:
        >>> task_classes("nway:akiec|df", ["vasc", "df", "akiec"])
        ('akiec', 'df')
        >>> task_classes("novel", ["vasc", "df", "akiec"])
        ('akiec', 'df', 'vasc')
    """
    if not is_n_way(task):
        return tuple(sorted(rare))
    return tuple(task.removeprefix(_PREFIX).split("|"))


def expand_tasks(
    tasks: Sequence[str], rare: Sequence[str], *, way: int, n_tasks: int | None, seed: int
) -> tuple[str, ...]:
    """Return task names, with `nway` replaced by one task a set of `way` rare classes.

    Args:
        tasks: of KINDS.
        rare: the rare classes.
        way: classes of an N-way task.
        n_tasks: how many N-way tasks, chosen by seed; None for every set of classes.
        seed: of that choice.

    Raises:
        ConfigError: an unknown task, way or n_tasks out of range, or a class name with "|".
        DataError: fewer rare classes than the way.

    Example:
        >>> expand_tasks(["nway"], ["c", "a", "b"], way=2, n_tasks=None, seed=0)
        ('nway:a|b', 'nway:a|c', 'nway:b|c')
    """
    made: list[str] = []
    for task in tasks:
        if task not in KINDS:
            raise ConfigError(f"unknown task {task!r}; expected some of {', '.join(KINDS)}.")
        made += _n_way(sorted(rare), way, n_tasks, seed) if task == "nway" else [task]
    return tuple(made)


def _n_way(rare: Sequence[str], way: int, n_tasks: int | None, seed: int) -> list[str]:
    if way < 2 or (n_tasks is not None and n_tasks < 1):
        raise ConfigError(f"way={way} n_tasks={n_tasks}: expected 2 or more, and 1 or more.")
    if len(rare) < way:
        raise DataError(
            f"{way}-way tasks need {way} rare classes, got {len(rare)} ({', '.join(rare)}); "
            "lower way= or name more."
        )
    odd = [label for label in rare if "|" in label]
    if odd:
        raise ConfigError(f"class {odd[0]!r} has '|' in its name, which parts classes; rename it.")
    n_sets = math.comb(len(rare), way)
    if n_sets > _LISTED and n_tasks is None:
        raise ConfigError(f"{n_sets:,} sets of {way} classes; choose how many with n_tasks=.")
    rng = rng_for(seed, "n-way tasks", way)
    if n_sets <= _LISTED:
        sets = list(combinations(rare, way))
        if n_tasks is not None and n_tasks < n_sets:
            sets = sorted(sets[i] for i in rng.choice(n_sets, n_tasks, replace=False))
    else:
        drawn: set[tuple[str, ...]] = set()
        while len(drawn) < (n_tasks or 0):
            drawn.add(tuple(sorted(rare[i] for i in rng.choice(len(rare), way, replace=False))))
        sets = sorted(drawn)
    return [_PREFIX + "|".join(classes) for classes in sets]
