"""Numbers, names and orders as the report prints them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ARM_MEANING",
    "METRIC_NAMES",
    "TASK_MEANING",
    "Arms",
    "arms_of",
    "interval",
    "joined",
    "metric_name",
    "plural",
    "shown",
    "signed",
    "sizes",
    "task_meaning",
    "unit",
]

METRIC_NAMES = {
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "macro_auc": "macro AUC",
    "macro_f1": "macro F1",
    "auc": "AUC",
    "f1": "F1",
    "brier": "Brier score",
    "ece": "calibration error (ECE)",
}
_HUNDREDTHS = frozenset({"macro_auc", "auc", "brier", "ece"})
LOWER_IS_BETTER = frozenset({"brier", "ece"})
TASK_MEANING = {
    "novel": "novel: tell the rare classes from each other",
    "generalised": "generalised: tell all classes apart, the rare ones among the common ones",
}
_N_WAY = "nway"
ARM_MEANING = {
    "real_only": "the few real photographs alone (control)",
    "real_copies": "the same photographs repeated instead of generated ones (control)",
}


def task_meaning(task: str) -> str:
    """Return what a task asks, in words.

    Example:
        >>> task_meaning("nway:akiec|df")
        'nway:akiec|df: tell akiec and df apart'
        >>> task_meaning("nway")
        'nway: the mean over the tasks between a few of the rare classes'
    """
    if task == _N_WAY:
        return "nway: the mean over the tasks between a few of the rare classes"
    if task.startswith(f"{_N_WAY}:"):
        return f"{task}: tell {joined(task.removeprefix(f'{_N_WAY}:').split('|'))} apart"
    return TASK_MEANING.get(task, task)


def metric_name(metric: str) -> str:
    """Return a metric's name in words."""
    return METRIC_NAMES.get(metric, metric.replace("_", " "))


def unit(metric: str) -> str:
    """Return what follows a metric's name in a heading; every metric is printed times 100.

    Example:
        >>> unit("balanced_accuracy"), unit("macro_auc")
        (', %', ' ×100')
    """
    return " ×100" if metric in _HUNDREDTHS else ", %"


def _points(value: float, *, sign: bool) -> str:
    # + 0.0 turns -0.0, which would read as a loss, into 0.0.
    number = round(100 * value, 1) + 0.0
    return f"{number:{'+' if sign and number else ''}.1f}".replace("-", "\N{MINUS SIGN}")


def interval(value: float, low: float, high: float) -> str:
    r"""Return "61.2 [55.0, 67.4]"; a value without interval stands alone, a missing one is a dash.

    Example:
        >>> interval(0.612, 0.55, 0.674)
        '61.2 [55.0,\xa067.4]'
    """
    return _interval(value, low, high, sign=False)


def signed(value: float, low: float, high: float) -> str:
    r"""Return a difference in points with its sign and interval.

    Example:
        >>> signed(-0.012, -0.04, 0.016)
        '−1.2 [−4.0,\xa01.6]'
    """
    return _interval(value, low, high, sign=True)


def _interval(value: float, low: float, high: float, *, sign: bool) -> str:
    if not np.isfinite(value):
        return "–"
    shown_value = _points(value, sign=sign)
    if not (np.isfinite(low) and np.isfinite(high)):
        return shown_value
    # A line may break before the interval, not within it.
    ends = ",\N{NO-BREAK SPACE}".join(_points(end, sign=False) for end in (low, high))
    return f"{shown_value} [{ends}]"


def shown(value: float) -> str:
    """Return a value times 100, a dash when it is missing."""
    return _points(value, sign=False) if np.isfinite(value) else "–"


def sizes(n_groups: int, n_draws: int) -> str:
    """Return "263 × 10": test groups times draws."""
    return f"{n_groups}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}{n_draws}"


def plural(n: int, noun: str) -> str:
    """Return "1 draw", "2 draws", "3 classes", "1,000 studies".

    Example:
        >>> plural(1200, "class"), plural(1, "study"), plural(2, "study")
        ('1,200 classes', '1 study', '2 studies')
    """
    if n == 1:
        return f"1 {noun}"
    if noun.endswith("s"):
        return f"{n:,} {noun}es"
    return f"{n:,} {noun[:-1]}ies" if noun.endswith("y") else f"{n:,} {noun}s"


def joined(items: Iterable[str], *, limit: int = 8) -> str:
    """Return "a, b and c", cut after `limit` items with the number left out."""
    names = list(items)
    if len(names) > limit:
        return f"{', '.join(names[:limit])} and {len(names) - limit} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


@dataclass(frozen=True)
class Arms:
    """The arms of a study in the order they are shown; an arm is a name and a ratio.

    Attributes:
        keys: (name, ratio) of each arm, controls first.
        labels: what each is called; the ratio is named where a name has several.
    """

    keys: tuple[tuple[str, float], ...]
    labels: tuple[str, ...]

    def label(self, arm: str, ratio: float) -> str:
        """Return what an arm is called."""
        return self.labels[self.position(arm, ratio)]

    def position(self, arm: str, ratio: float) -> int:
        """Return an arm's place, which also chooses its colour."""
        return self.keys.index((arm, float(ratio)))


def arms_of(gains: "pd.DataFrame", settings: Mapping[str, Any]) -> Arms:
    """Return the arms found in a gains table, in the experiment's order."""
    found = {
        (str(arm), float(ratio)) for arm, ratio in zip(gains["arm"], gains["ratio"], strict=True)
    }
    planned: Sequence[str] = ["real_only", "real_copies", *(settings.get("arms") or {})]
    keys = sorted(found, key=lambda key: (_place(key[0], planned), *key))
    names = [name for name, _ in keys]
    labels = [f"{name} ×{ratio:g}" if names.count(name) > 1 else name for name, ratio in keys]
    return Arms(tuple(keys), tuple(labels))


def _place(name: str, planned: Sequence[str]) -> int:
    return planned.index(name) if name in planned else len(planned)
