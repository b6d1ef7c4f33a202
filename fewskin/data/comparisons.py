"""All comparisons of a task: values, gains over the controls and over another learner."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from fewskin.data.evidence import Arm, ArmKey, TestRows
from fewskin.data.gains import Estimate, Gain, compare, estimate, pick_baseline, simultaneous
from fewskin.data.measures import METRICS, Measure, measure
from fewskin.errors import ConfigError
from fewskin.seeding import seed_for

__all__ = [
    "Comparisons",
    "Plan",
    "Primary",
    "compare_measures",
    "compare_task",
    "draw_rows",
    "gain_rows",
    "make_primary",
]

Index = npt.NDArray[np.int64]
MeasureKey = tuple[str, str]  # metric, stratum


@dataclass(frozen=True)
class Primary:
    """The one comparison that is confirmed; everything else is exploratory.

    It is of a learner's arms with the controls or, with `against`, of a learner with another one
    on the plain control.
    """

    task: str
    metric: str
    shots: int
    learner: str
    stratum: str = "all"
    against: str | None = None


@dataclass(frozen=True)
class Plan:
    """What is compared with what.

    Attributes:
        baselines: the control arms; the first is the plain one.
        learner_baselines: learners every other learner is compared with.
        primary: the comparison with simultaneous intervals; None for none.
        rare: the rare classes of task=generalised.
        seed: of the simulation behind the simultaneous intervals.
    """

    baselines: tuple[str, ...]
    learner_baselines: tuple[str, ...] = ()
    primary: Primary | None = None
    rare: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True)
class Comparisons:
    """Values and gains of one task, by arm, (metric, stratum) and baseline."""

    draws: Mapping[ArmKey, tuple[int, ...]]
    measures: Mapping[ArmKey, Mapping[MeasureKey, Measure]]
    values: Mapping[tuple[ArmKey, MeasureKey], Estimate]
    gains: dict[tuple[ArmKey, MeasureKey, str], Gain] = field(default_factory=dict)


def make_primary(spec: Mapping[str, Any] | None) -> Primary | None:  # Any: JSON values
    """Return the primary comparison of a mapping with task, metric, shots and learner.

    `stratum` and `against` may be there too.

    Raises:
        ConfigError: a key is missing or unknown, or the metric is.
    """
    if spec is None:
        return None
    try:
        made = Primary(**{**spec, "shots": int(spec["shots"])})
    except (KeyError, TypeError, ValueError):
        got = ", ".join(map(str, spec))
        raise ConfigError(
            f"primary has the keys {got}; expected task, metric, shots, learner (and stratum, "
            "against)."
        ) from None
    if made.stratum == "all" and made.metric not in METRICS:
        raise ConfigError(
            f"primary metric is {made.metric!r}, expected one of {', '.join(METRICS)}."
        )
    return made


def compare_task(rows: TestRows, arms: Sequence[Arm], plan: Plan) -> Iterator[Comparisons]:
    """Yield the comparisons of one task, one K at a time (so that only one K is in memory).

    Args:
        rows: the task's test rows.
        arms: its arms.
        plan: what is compared with what.
    """
    for shots in sorted({arm.key.shots for arm in arms}):
        chosen = [arm for arm in arms if arm.key.shots == shots]
        measures = {arm.key: measure(arm, rows, plan.rare) for arm in chosen}
        yield compare_measures(measures, {a.key: a.draws for a in chosen}, rows.strata, plan)


def compare_measures(
    measures: Mapping[ArmKey, Mapping[MeasureKey, Measure]],
    draws: Mapping[ArmKey, tuple[int, ...]],
    strata: Index,
    plan: Plan,
) -> Comparisons:
    """Return values and gains of arms that are measured on the same test groups.

    Args:
        measures: of each arm.
        draws: of each arm.
        strata: (G,) class within which each test group is resampled.
        plan: what is compared with what.
    """
    values = {
        (key, which): estimate(item, strata, bounds=(0.0, 2.0 if item.metric == "brier" else 1.0))
        for key, found in measures.items()
        for which, item in found.items()
    }
    made = Comparisons(draws, measures, values)
    for key, baseline, other in _contrasts(list(measures), plan):
        for which, item in measures[key].items():
            made.gains[key, which, baseline] = compare(
                item, draws[key], measures[other][which], draws[other], strata
            )
    _confirm(made, strata, plan)
    return made


def _contrasts(keys: Sequence[ArmKey], plan: Plan) -> Iterator[tuple[ArmKey, str, ArmKey]]:
    for key in keys:
        # A control is compared only with the controls before it.
        known = plan.baselines.index(key.arm) if key.arm in plan.baselines else len(plan.baselines)
        for baseline in plan.baselines[:known]:
            if other := pick_baseline(key, baseline, keys):
                yield key, baseline, other
        for label in plan.learner_baselines if key.arm == plan.baselines[0] else ():
            other = pick_baseline(key._replace(learner=label), key.arm, keys)
            if other and label != key.learner:
                yield key, f"learner:{label}", other


def _confirm(made: Comparisons, strata: Index, plan: Plan) -> None:
    family = [
        where
        for where in made.gains
        if is_primary(where[0], where[1], plan) and where[2] in plan.baselines
    ]
    if family:
        seed = seed_for(plan.seed, "max-T")
        gains = simultaneous([made.gains[where] for where in family], strata, seed)
        made.gains.update(zip(family, gains, strict=True))


def is_primary(key: ArmKey, which: MeasureKey, plan: Plan) -> bool:
    """Return whether an arm's metric belongs to the primary comparison."""
    p = plan.primary
    # Arms are compared with the controls; with `against`, learners on the plain control.
    if p is None or (key.arm != plan.baselines[0] if p.against else key.arm in plan.baselines):
        return False
    return (key.task, key.shots, key.learner, *which) == (
        p.task,
        p.shots,
        p.learner,
        p.metric,
        p.stratum,
    )


def gain_rows(made: Comparisons, **constants: object) -> Iterator[dict[str, object]]:
    """Yield the rows of `gains.csv`; `constants` are the columns equal in all of them."""
    gains = {(key, which, baseline): gain for (key, which, baseline), gain in made.gains.items()}
    for (key, which), value in made.values.items():
        size = made.measures[key][which].n_groups
        base = {
            **key._asdict(),
            "metric": which[0],
            "stratum": which[1],
            "n_groups": size,
            **constants,
        }
        base |= {name: round(number, 6) for name, number in _interval(value).items()}
        blank = dict.fromkeys(("gain", "gain_low", "gain_high"), float("nan"))
        yield {**base, **blank, "baseline": "", "n_draws": value.n_draws, "method": value.method}
        for baseline in dict.fromkeys(where[2] for where in gains):
            if (gain := gains.get((key, which, baseline))) is not None:
                found = {
                    f"gain_{name}": round(number, 6)
                    for name, number in _interval(gain.estimate).items()
                }
                found["gain"] = found.pop("gain_value")
                yield {
                    **{**base, **found, "baseline": baseline},
                    "n_draws": gain.estimate.n_draws,
                    "method": gain.estimate.method,
                }


def _interval(found: Estimate) -> dict[str, float]:
    return {"value": found.value, "low": found.low, "high": found.high}


def draw_rows(made: Comparisons) -> Iterator[dict[str, object]]:
    """Yield the rows of `draws.csv`: each metric of each draw."""
    for key, found in made.measures.items():
        for (metric, stratum), item in found.items():
            for draw, value in zip(made.draws[key], item.values, strict=True):
                yield {
                    **key._asdict(),
                    "draw": draw,
                    "metric": metric,
                    "stratum": stratum,
                    "value": round(float(value), 6),
                }
