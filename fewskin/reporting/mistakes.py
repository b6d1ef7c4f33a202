"""Sections on single classes and probabilities: confusion, pairs, calibration, every metric."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fewskin.reporting import figures
from fewskin.reporting.blocks import Block, Figure, Panel, Section, Table, Text
from fewskin.reporting.study import Study
from fewskin.reporting.wording import LOWER_IS_BETTER, interval, metric_name, unit

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["calibration_section", "confusion_section", "metric_section"]

_MOST_COLUMNS = 8  # more do not fit a printed page; the CSV has them all
_METRICS = ("balanced_accuracy", "accuracy", "macro_f1", "macro_auc", "brier", "ece")


def confusion_section(study: Study) -> Section:
    """Return the confusion matrices, recall of each class and AUC of each pair at one K."""
    return Section("Which classes are mistaken", "confusion", tuple(_confusion(study)))


def _confusion(study: Study) -> Iterator[Block]:
    rows = study.bundle.confusion
    rows = rows[rows["shots"] == study.shots]
    if not len(rows):
        yield Text("No confusion counts were found.", "note")
        return
    for (task,), here in study.by(rows, "task"):
        yield _matrices(study, task, here)
        yield from _wide(study, task, "recall", "class", "recall of each class, % [95 % interval]")
        yield from _wide(
            study,
            task,
            "auc",
            "pair",
            "AUC ×100 of each pair of classes taken alone [95 % interval]",
        )


def _matrices(study: Study, task: str, rows: "pd.DataFrame") -> Figure:
    rows = rows[rows["learner"] == study.learner] if study.learner in set(rows["learner"]) else rows
    panels = []
    for (learner, arm, ratio), group in study.by(rows, "learner", "arm", "ratio"):
        label = study.arms.label(arm, ratio)
        name = study.name("confusion", task, learner, label)
        alt = f"Confusion matrix, task {task}, learner {learner}, arm {label}"
        panels.append(Panel(name, f"{learner}, {label}", figures.confusion(group), alt))
    return Figure(
        f"Task {task}, K = {study.shots}: percentage of each true class (row) that was called each "
        "class (column), over all draws. Blue is right, orange is wrong. The other learners and K "
        "are in tables/confusion.csv.",
        panels,
    )


def _wide(study: Study, task: str, metric: str, kind: str, what: str) -> Iterator[Table]:
    rows = study.bundle.gains
    rows = rows[
        (rows["baseline"] == "")
        & (rows["metric"] == metric)
        & rows["stratum"].str.startswith(f"{kind}:")
    ]
    rows = study.ordered(rows[(rows["task"] == task) & (rows["shots"] == study.shots)])
    strata = sorted(rows["stratum"].unique())
    if not 0 < len(strata) <= _MOST_COLUMNS:
        return
    found = {
        (row["learner"], row["arm"], row["ratio"], row["stratum"]): interval(
            row["value"], row["low"], row["high"]
        )
        for row in rows.to_dict("records")
    }
    lines = []
    for (learner, arm, ratio), _ in study.by(rows, "learner", "arm", "ratio"):
        cells = (found.get((learner, arm, ratio, stratum), "–") for stratum in strata)
        lines.append((learner, study.arms.label(arm, ratio), *cells))
    names = [stratum.partition(":")[2].replace("|", " / ") for stratum in strata]
    caption = f"Task {task}, K = {study.shots}: {what}."
    yield Table(caption, ("learner", "arm", *names), lines, frozenset(range(2, 2 + len(names))))


def calibration_section(study: Study) -> Section:
    """Return the reliability curves at one K."""
    return Section("Can the probabilities be trusted", "calibration", tuple(_calibration(study)))


def _calibration(study: Study) -> Iterator[Block]:
    rows = study.bundle.calibration
    rows = rows[rows["shots"] == study.shots]
    if not len(rows):
        yield Text("No calibration bins were found.", "note")
        return
    for (task,), here in study.by(rows, "task"):
        panels = [
            Panel(
                study.name("calibration", task, learner),
                learner,
                figures.calibration(group, study.arms),
                f"Share correct against confidence by arm, task {task}, learner {learner}",
            )
            for (learner,), group in study.by(here, "learner")
        ]
        yield Figure(
            f"Task {task}, K = {study.shots}: how often the predicted class was right, by the "
            "confidence given to it. On the dashed line confidence is honest; below it the model "
            "is too sure. A mark's area is its share of the images. The calibration error (ECE) "
            "is in the table of all metrics.",
            panels,
        )


def metric_section(study: Study) -> Section:
    """Return every plain metric with its interval."""
    return Section("All metrics", "metrics", tuple(_metrics(study)))


def _metrics(study: Study) -> Iterator[Block]:
    gains = study.bundle.gains
    plain = gains[(gains["baseline"] == "") & (gains["stratum"] == "all")]
    present = set(plain["metric"])
    metrics = [metric for metric in _METRICS if metric in present]
    for (task,), rows in study.by(plain, "task"):
        yield _metric_table(study, task, rows, [*metrics, *sorted(present - set(_METRICS))])
    yield Text(
        "tables/gains.csv has these values for each class, each pair of classes and the rare "
        "classes together, with precision, recall, F1 and AUC, and every paired gain.",
        "note",
    )


def _metric_table(study: Study, task: str, rows: "pd.DataFrame", metrics: list[str]) -> Table:
    found = {
        (*key, row["metric"]): interval(row["value"], row["low"], row["high"])
        for key, row in zip(study.cells(rows), rows.to_dict("records"), strict=True)
    }
    lines = []
    for (_, shots, learner, arm, ratio), _rows in study.by(
        rows, "task", "shots", "learner", "arm", "ratio"
    ):
        cells = (found.get((task, shots, learner, arm, ratio, metric), "–") for metric in metrics)
        lines.append((str(shots), learner, study.arms.label(arm, ratio), *cells))
    names = (
        f"{metric_name(m)}{unit(m)}{' (lower is better)' if m in LOWER_IS_BETTER else ''}"
        for m in metrics
    )
    return Table(
        f"Task {task}: every metric with its 95 % interval.",
        ("K", "learner", "arm", *names),
        lines,
        frozenset(range(3, 3 + len(metrics))),
    )
