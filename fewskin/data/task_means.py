"""The mean over N-way tasks: one value, one paired gain and one interval for all of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fewskin.data.comparisons import Comparisons, Plan, compare_measures
from fewskin.data.evidence import Arm, ArmKey, TestRows
from fewskin.data.measures import Measure, measure
from fewskin.errors import TableError
from fewskin.functional.jackknife import strata_of

__all__ = ["MEAN_TASK", "compare_mean"]

MEAN_TASK = "nway"
Index = npt.NDArray[np.int64]
Task = tuple[TestRows, Sequence[Arm]]


def compare_mean(tasks: Mapping[str, Task], plan: Plan) -> Iterator[Comparisons]:
    """Yield the comparisons of the mean over tasks, one K at a time.

    The tasks share test patients, so a patient's pseudo-value of the mean is the mean of its
    pseudo-values, 0 in a task it is no part of; the interval follows as that of any metric.

    Args:
        tasks: task -> its test rows and arms; every arm in each of them, with the same draws.
        plan: what is compared with what.

    Raises:
        TableError: an arm or a draw is missing in a task.
    """
    group_ids, strata = _union([rows for rows, _ in tasks.values()])
    position = {name: i for i, name in enumerate(group_ids)}
    places = {
        task: np.array([position[name] for name in rows.group_ids], dtype=np.int64)
        for task, (rows, _) in tasks.items()
    }
    for shots in sorted({arm.key.shots for _, arms in tasks.values() for arm in arms}):
        found: dict[ArmKey, dict[str, dict[tuple[str, str], Measure]]] = {}
        draws: dict[ArmKey, tuple[int, ...]] = {}
        for task, (rows, arms) in tasks.items():
            for arm in arms:
                if arm.key.shots != shots:
                    continue
                key = arm.key._replace(task=MEAN_TASK)
                if draws.setdefault(key, arm.draws) != arm.draws:
                    raise TableError(f"{arm.key.learner} has other draws in {task} than elsewhere.")
                made = measure(arm, rows)
                found.setdefault(key, {})[task] = {
                    which: _placed(item, places[task], len(group_ids))
                    for which, item in made.items()
                    if which[1] == "all"
                }
        measures = {key: _mean(key, by_task, list(tasks)) for key, by_task in found.items()}
        yield compare_measures(measures, draws, strata, plan)


def _union(parts: Sequence[TestRows]) -> tuple[list[str], Index]:
    pairs = sorted(
        {
            (rows.group_ids[group], rows.classes[label])
            for rows in parts
            for group, label in zip(rows.groups, rows.labels, strict=True)
        }
    )
    names, groups = np.unique([name for name, _ in pairs], return_inverse=True)
    labels = np.unique([label for _, label in pairs], return_inverse=True)[1]
    return names.tolist(), strata_of(labels.astype(np.int64), groups.astype(np.int64))


def _placed(item: Measure, places: Index, n_groups: int) -> Measure:
    influence = np.zeros((len(item.values), n_groups))
    influence[:, places] = item.influence
    return replace(item, influence=influence)


def _mean(
    key: ArmKey, by_task: Mapping[str, Mapping[tuple[str, str], Measure]], tasks: Sequence[str]
) -> dict[tuple[str, str], Measure]:
    missing = [task for task in tasks if task not in by_task]
    if missing:
        raise TableError(
            f"{key.learner} with {key.arm} at K = {key.shots} has no predictions for {missing[0]}; "
            "the mean over tasks needs all of them."
        )
    made = {}
    for which, first in by_task[tasks[0]].items():
        items = [by_task[task][which] for task in tasks]
        influence = np.mean([item.influence for item in items], axis=0)
        made[which] = replace(
            first,
            values=np.mean([item.values for item in items], axis=0),
            influence=influence,
            n_groups=influence.shape[1],
            smallest=min(item.smallest for item in items),
        )
    return made
