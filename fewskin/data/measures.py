"""Every metric of an arm, in every stratum, with what its interval needs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from fewskin.data.evidence import Arm, TestRows
from fewskin.functional.calibration import brier_sums, calibration_bins, ece, mean_of_sums
from fewskin.functional.jackknife import auc_leave_out, group_sums, influence, sums_leave_out
from fewskin.functional.metrics import (
    accuracy,
    balanced_accuracy,
    class_counts,
    f1,
    macro,
    pair_probs,
    precision,
    recall,
)

__all__ = ["LOWER_IS_BETTER", "METRICS", "MIN_GROUPS", "N_BINS", "Measure", "measure", "pairs_of"]

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

METRICS = ("balanced_accuracy", "accuracy", "macro_auc", "brier", "ece", "macro_f1")
LOWER_IS_BETTER = frozenset({"brier", "ece"})
MIN_GROUPS = 10  # groups of each class of a contrast, below which no interval is printed
N_BINS = 10  # of confidence, for the calibration error
_MAX_PAIRED_CLASSES = 10  # all pairs up to here, only the rare ones above


@dataclass(frozen=True)
class Measure:
    """One metric in one stratum of one arm.

    Attributes:
        metric: its name.
        stratum: "all", "rare", "class:<label>" or "pair:<a>|<b>".
        values: (D,) metric of each draw.
        influence: (D, G) pseudo-values of every test group, 0 for those outside the contrast.
        n_groups: test groups of the contrast.
        smallest: groups of the contrast's smallest class.
    """

    metric: str
    stratum: str
    values: Array
    influence: Array
    n_groups: int
    smallest: int

    @property
    def sign(self) -> float:
        """1 when more is better, -1 when less is."""
        return -1.0 if self.metric in LOWER_IS_BETTER else 1.0


def measure(arm: Arm, rows: TestRows, rare: Sequence[str] = ()) -> dict[tuple[str, str], Measure]:
    """Return the measures of an arm by (metric, stratum).

    Args:
        arm: its predictions.
        rows: the test rows of its task.
        rare: the rare classes, for stratum "rare"; none for no such stratum.
    """
    made = [
        *_counted(arm, rows, rare),
        *_ranked(arm, rows),
        *_judged(arm, rows),
        *_paired(arm, rows, rare),
    ]
    return {(found.metric, found.stratum): found for found in made}


def pairs_of(rows: TestRows, rare: Sequence[str]) -> list[tuple[int, int]]:
    """Return the pairs of classes to report: all of up to ten with rows, else the rare ones."""
    there = [k for k in range(len(rows.classes)) if rows.class_groups[k]]
    if len(there) > _MAX_PAIRED_CLASSES:
        there = [k for k in there if rows.classes[k] in rare]
    return list(combinations(there, 2))


def _all(rows: TestRows) -> tuple[int, int]:
    # (test groups, groups of the smallest class that has any)
    return int(rows.groups.max()) + 1, int(rows.class_groups[rows.class_groups > 0].min())


def _one_against_rest(rows: TestRows, k: int) -> tuple[int, int]:
    rest = len(np.unique(rows.groups[rows.labels != k]))
    return int(rows.groups.max()) + 1, min(int(rows.class_groups[k]), rest)


def _counted(arm: Arm, rows: TestRows, rare: Sequence[str]) -> Iterator[Measure]:
    counts = class_counts(arm.probs.argmax(axis=-1), rows.labels, len(rows.classes), rows.weights)
    sums = group_sums(counts, rows.groups, axis=1)  # (D, n, C, 3) -> (D, G, C, 3)
    total = sums.sum(axis=1)
    left = total[:, None] - sums

    def made(
        name: str, stratum: str, metric: Callable[[Array], Array], size: tuple[int, int]
    ) -> Measure:
        values = metric(total)
        return Measure(name, stratum, values, influence(values, metric(left), rows.strata), *size)

    yield made("balanced_accuracy", "all", balanced_accuracy, _all(rows))
    yield made("accuracy", "all", accuracy, _all(rows))
    yield made("macro_f1", "all", lambda sums: macro(f1(sums)), _all(rows))
    chosen = [k for k, name in enumerate(rows.classes) if name in rare and rows.class_groups[k]]
    if chosen:
        n_groups = len(np.unique(rows.groups[np.isin(rows.labels, chosen)]))
        size = (n_groups, int(rows.class_groups[chosen].min()))
        yield made("recall", "rare", lambda sums: macro(recall(sums)[..., chosen]), size)
    for name, metric in (("recall", recall), ("precision", precision), ("f1", f1)):
        values, without = metric(total), metric(left)
        for k, label in enumerate(rows.classes):
            own = (int(rows.class_groups[k]),) * 2
            size = own if name == "recall" else _one_against_rest(rows, k)
            pseudo = influence(values[:, k], without[..., k], rows.strata)
            yield Measure(name, f"class:{label}", values[:, k], pseudo, *size)


def _ranked(arm: Arm, rows: TestRows) -> Iterator[Measure]:
    found = []
    for k, label in enumerate(rows.classes):
        value, left = auc_leave_out(arm.probs[..., k], rows.labels == k, rows.groups, rows.weights)
        pseudo = influence(value, left, rows.strata)
        found.append(Measure("auc", f"class:{label}", value, pseudo, *_one_against_rest(rows, k)))
    yield from found
    # A class without rows has no AUC; the macro AUC is the mean of the others.
    defined = [item for item in found if not np.isnan(item.values).any()]
    values = (
        np.mean([item.values for item in defined], axis=0)
        if defined
        else np.full(len(arm.draws), np.nan)
    )
    pseudo = (
        np.mean([item.influence for item in defined], axis=0)
        if defined
        else np.zeros_like(found[0].influence)
    )
    yield Measure("macro_auc", "all", values, pseudo, *_all(rows))


def _judged(arm: Arm, rows: TestRows) -> Iterator[Measure]:
    squares = brier_sums(arm.probs, rows.labels, rows.weights)
    bins = calibration_bins(arm.probs, rows.labels, N_BINS, rows.weights)
    for name, metric, parts in (("brier", mean_of_sums, squares), ("ece", ece, bins)):
        values, left = sums_leave_out(metric, parts, rows.groups, axis=1)
        yield Measure(name, "all", values, influence(values, left, rows.strata), *_all(rows))


def _paired(arm: Arm, rows: TestRows, rare: Sequence[str]) -> Iterator[Measure]:
    for a, b in pairs_of(rows, rare):
        chosen = np.flatnonzero(np.isin(rows.labels, [a, b]))
        kept, groups = np.unique(rows.groups[chosen], return_inverse=True)
        probs, labels = (
            pair_probs(arm.probs[:, chosen], a, b),
            (rows.labels[chosen] == b).astype(np.int64),
        )
        weights = rows.weights[chosen]
        size = (len(kept), int(min(rows.class_groups[a], rows.class_groups[b])))
        stratum = f"pair:{rows.classes[a]}|{rows.classes[b]}"
        counts = class_counts(probs.argmax(axis=-1), labels, 2, weights)
        for name, (values, left) in (
            ("balanced_accuracy", sums_leave_out(balanced_accuracy, counts, groups, axis=1)),
            ("auc", auc_leave_out(probs[..., 1], labels == 1, groups, weights)),
        ):
            without = np.repeat(values[:, None], len(rows.strata), axis=1)
            without[:, kept] = left
            yield Measure(name, stratum, values, influence(values, without, rows.strata), *size)
