"""Sections on the gains: over the controls, draw by draw, and over K."""

from collections.abc import Iterator

from fewskin.reporting import figures, row_figures
from fewskin.reporting.blocks import Block, Figure, Panel, Section, Table, Text
from fewskin.reporting.study import Study
from fewskin.reporting.wording import (
    interval,
    joined,
    metric_name,
    signed,
    sizes,
    task_meaning,
    unit,
)

__all__ = ["curve_section", "draw_section", "gain_section"]


def gain_section(study: Study) -> Section:
    """Return the forest plots and their numbers."""
    return Section("Gains over the controls", "gains", tuple(_gains(study)))


def _gains(study: Study) -> Iterator[Block]:
    yield Text(
        f"A gain is the difference between an arm and a control ({joined(study.controls)}) on the "
        "same test images and the same draws; above 0 is better, for every metric. It is claimed "
        "only where the intervals over all controls lie above 0."
    )
    for task, metric, stratum in study.headlines():
        yield from _forest(study, task, metric, stratum)


def _forest(study: Study, task: str, metric: str, stratum: str) -> Iterator[Block]:
    rows = study.paired(metric, stratum)
    rows = rows[rows["task"] == task]
    if not len(rows):
        return
    what = study.measure_name(metric, stratum)
    span = row_figures.limits(rows[["gain", "gain_low", "gain_high"]].to_numpy().ravel(), zero=True)
    marks = joined(
        f"over {name} ({shape})"
        for name, shape in zip(study.controls, row_figures.SHAPES, strict=False)
    )
    yield Figure(
        f"{task_meaning(task).capitalize()}. Gain in {what} {marks}, with 95 % "
        "intervals. The dark line is no gain; right of it is better. A mark without a bar has too "
        "few groups for an interval.",
        [
            Panel(
                study.name("gains", task, stratum, learner),
                learner,
                row_figures.forest(group, study.arms, study.controls, span),
                f"Gains of each arm over the controls with intervals, task {task}, learner "
                f"{learner}",
            )
            for (learner,), group in study.by(rows, "learner")
        ],
    )
    yield _gain_table(study, task, metric, stratum)


def _gain_table(study: Study, task: str, metric: str, stratum: str) -> Table:
    plain = study.plain(metric, stratum)
    plain = plain[plain["task"] == task]
    paired = study.paired(metric, stratum)
    what = study.measure_name(metric, stratum)
    found = {
        (*key, row["baseline"]): signed(row["gain"], row["gain_low"], row["gain_high"])
        for key, row in zip(study.cells(paired), paired.to_dict("records"), strict=True)
    }
    rows = [
        (
            str(row["shots"]),
            row["learner"],
            study.arms.label(row["arm"], row["ratio"]),
            interval(row["value"], row["low"], row["high"]),
            *(found.get((*key, control), "–") for control in study.controls),
            sizes(row["n_groups"], row["n_draws"]),
        )
        for key, row in zip(study.cells(plain), plain.to_dict("records"), strict=True)
    ]
    over = (f"gain over {control}, points" for control in study.controls)
    return Table(
        f"Task {task}: {what} of every arm, and its paired gains, with 95 % intervals. n: test "
        f"{study.groups} × draws.",
        ("K", "learner", "arm", f"{what}{unit(metric)}", *over, "n"),
        rows,
        frozenset(range(3, 5 + len(study.controls))),
    )


def draw_section(study: Study) -> Section:
    """Return every draw as a dot."""
    return Section("Draw by draw", "draws", tuple(_draws(study)))


def _draws(study: Study) -> Iterator[Block]:
    metric = study.metric
    draws = study.bundle.draws
    draws = draws[(draws["metric"] == metric) & (draws["stratum"] == "all")]
    if not len(draws):
        yield Text("No values of single draws were found.", "note")
        return
    yield Text(
        "Which few patients happen to be at hand matters. Each dot is one draw of K patients per "
        "class; a thin line joins the same draw in every arm, so that a gain shows as lines that "
        "lean the same way."
    )
    for (task,), rows in study.by(draws, "task"):
        span = row_figures.limits(rows["value"])
        panels = [
            Panel(
                study.name("draws", task, learner),
                learner,
                row_figures.dots(group, study.arms, metric, span),
                f"{metric_name(metric)} of each draw by arm, task {task}, learner {learner}",
            )
            for (learner,), group in study.by(rows, "learner")
        ]
        yield Figure(
            f"Task {task}: {metric_name(metric)} of each draw (dots), joined between arms. The bar "
            "is the mean.",
            panels,
        )


def curve_section(study: Study) -> Section:
    """Return the headline metric over K."""
    return Section("How the result changes with K", "shots", tuple(_curves(study)))


def _curves(study: Study) -> Iterator[Block]:
    metric = study.metric
    plain = study.plain(metric)
    if plain["shots"].nunique() < 2:
        ks = joined(str(k) for k in plain["shots"].unique())
        yield Text(f"Only K = {ks} was run, so there is no curve.", "note")
        return
    for (task,), rows in study.by(plain, "task"):
        span = row_figures.limits(rows[["value", "low", "high"]].to_numpy().ravel())
        panels = [
            Panel(
                study.name("shots", task, learner),
                learner,
                figures.curve(group, study.arms, metric, span),
                f"{metric_name(metric)} over the number of patients K by arm, task {task}, learner "
                f"{learner}",
            )
            for (learner,), group in study.by(rows, "learner")
        ]
        yield Figure(
            f"Task {task}: {metric_name(metric)} over K, with 95 % intervals over draws and "
            f"{study.groups}. Arms share images and draws, so overlapping intervals here do not "
            "mean that a paired gain is absent.",
            panels,
        )
