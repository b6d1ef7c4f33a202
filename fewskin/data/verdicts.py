"""One sentence an arm: how much better it is, how sure that is, and whether it may be claimed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fewskin.data.comparisons import Comparisons, MeasureKey, Plan, is_primary
from fewskin.data.evidence import ArmKey, Wording
from fewskin.data.gains import Gain, pick_baseline
from fewskin.data.measures import METRICS

__all__ = ["METRIC_NAMES", "detectable", "verdict_rows"]

METRIC_NAMES = {
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "macro_auc": "macro AUC",
    "brier": "Brier score (lower is better, + is an improvement)",
    "ece": "calibration error (lower is better, + is an improvement)",
    "macro_f1": "macro F1",
    "recall": "recall of the rare classes",
}
_POWER = 2.8  # standard errors: 80 % power at a two-sided 5 % level (1.96 + 0.84)


@dataclass(frozen=True)
class _Case:
    key: ArmKey
    which: MeasureKey
    gains: dict[str, Gain]  # by control
    missing: tuple[str, ...]  # controls that were not run
    detectable: float
    primary: bool


def detectable(
    made: Comparisons, key: ArmKey, which: MeasureKey, baselines: Sequence[str]
) -> float:
    """Return the smallest detectable effect: 2.8 standard errors of the controls' difference.

    It is nan when a control is absent, the groups are too few, or the controls predict the same
    (their difference then says nothing about an arm's).
    """
    if len(baselines) < 2:
        return float("nan")
    other = pick_baseline(key, baselines[1], list(made.measures))
    gain = made.gains.get((other, which, baselines[0])) if other else None
    variance = gain.estimate.variance if gain else None
    return _POWER * variance.total**0.5 if variance and variance.total > 0 else float("nan")


def verdict_rows(made: Comparisons, plan: Plan, words: Wording) -> Iterator[dict[str, object]]:
    """Yield the rows of `verdicts.csv`: each arm that is no control, each overall metric.

    A gain is claimed only if its interval over every control excludes 0; the smaller one is
    printed.
    """
    wanted: list[MeasureKey] = [*((metric, "all") for metric in METRICS), ("recall", "rare")]
    for key in made.measures:
        for which in wanted:
            gains = {
                name: made.gains[key, which, name]
                for name in plan.baselines
                if (key, which, name) in made.gains
            }
            if gains and key.arm not in plan.baselines:
                missing = tuple(name for name in plan.baselines if name not in gains)
                least = detectable(made, key, which, plan.baselines)
                yield _row(
                    _Case(key, which, gains, missing, least, is_primary(key, which, plan)),
                    made,
                    words,
                )
            if plan.primary and plan.primary.against and is_primary(key, which, plan):
                name = f"learner:{plan.primary.against}"
                gain = made.gains[key, which, name]
                variance = gain.estimate.variance
                least = _POWER * variance.total**0.5 if variance else float("nan")
                yield _row(_Case(key, which, {name: gain}, (), least, True), made, words)


def _row(case: _Case, made: Comparisons, words: Wording) -> dict[str, object]:
    against = min(case.gains, key=lambda name: case.gains[name].estimate.value)
    found = case.gains[against].estimate
    claimed = not case.missing and all(gain.estimate.low > 0 for gain in case.gains.values())
    several = len({key.ratio for key in made.measures if key[:3] == case.key[:3]}) > 1
    return {
        **case.key._asdict(),
        "metric": case.which[0],
        "stratum": case.which[1],
        "verdict": " ".join(
            (
                f"{_subject(case, several)}:",
                f"{_figures(case, against, words)}:",
                f"{_conclusion(case, against, words)}.",
            )
        ),
        "gain": round(found.value, 6),
        "gain_low": round(found.low, 6),
        "gain_high": round(found.high, 6),
        "against": against,
        "n_groups": case.gains[against].difference.n_groups,
        "n_draws": found.n_draws,
        "detectable": round(case.detectable, 6),
        "primary": str(case.primary),
        "claimed": str(claimed),
    }


def _subject(case: _Case, several: bool) -> str:
    key = case.key
    if any(name.startswith("learner:") for name in case.gains):
        return f"{key.learner} at K = {key.shots} ({key.task})"
    ratio = f" at ratio {key.ratio:g}" if several else ""
    return f"{key.arm}{ratio} with {key.learner} at K = {key.shots} ({key.task})"


def _figures(case: _Case, against: str, words: Wording) -> str:
    gain = case.gains[against]
    found = gain.estimate
    between = "" if np.isnan(found.low) else f" [{_points(found.low)}, {_points(found.high)}]"
    groups = words.groups if gain.difference.n_groups != 1 else words.groups[:-1]
    draws = "draw" if found.n_draws == 1 else "draws"
    points = f"{METRIC_NAMES[case.which[0]]} {_points(found.value, '+')} points{between}"
    over = against.removeprefix("learner:")
    return f"{points} over {over}, {gain.difference.n_groups} {groups}, {found.n_draws} {draws}"


def _points(share: float, sign: str = "") -> str:
    number = round(100 * share, 1) + 0.0  # + 0.0 turns -0.0 into 0.0
    return f"{number:{sign if number else ''}.1f}"


def _conclusion(case: _Case, against: str, words: Wording) -> str:
    lows = [gain.estimate.low for gain in case.gains.values()]
    highs = [gain.estimate.high for gain in case.gains.values()]
    where = " on simulated patients" if words.simulated else ""
    kind = "" if case.primary else " (exploratory)"
    if np.isnan(case.gains[against].estimate.low):
        smallest = case.gains[against].difference.smallest
        return f"no interval{where}, {smallest} {words.groups} in the smallest class"
    if min(lows) > 0 and case.missing:
        return f"no measured gain{where} (no {' or '.join(case.missing)} arm to compare with)"
    if min(lows) > 0:
        return f"a measured gain{where}{kind}"
    if max(highs) < 0:
        return f"a measured loss{where}{kind}"
    return f"no measured gain{where}{_why_not(case, against)}"


def _why_not(case: _Case, against: str) -> str:
    found = case.gains[against].estimate
    if found.low > 0 or found.high < 0:
        # The printed interval excludes 0, so name the control over which it is not so.
        for name, gain in case.gains.items():
            low, high = gain.estimate.low, gain.estimate.high
            if (low <= 0) if found.low > 0 else (high >= 0):
                return f" (over {name} [{_points(low)}, {_points(high)}])"
    if np.isnan(case.detectable):
        return ""
    return f" (smallest detectable effect {_points(case.detectable)})"
