"""Which learner is best on the real photographs, and whether training on episodes paid."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fewskin.data.task_means import MEAN_TASK
from fewskin.data.tasks import is_n_way
from fewskin.reporting import row_figures
from fewskin.reporting.blocks import Block, Bullets, Figure, Panel, Section, Table, Text
from fewskin.reporting.study import Study
from fewskin.reporting.wording import (
    LOWER_IS_BETTER,
    interval,
    joined,
    metric_name,
    signed,
    sizes,
    task_meaning,
    unit,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["learner_section"]


def learner_section(study: Study) -> Section:
    """Return how the learners compare on the real photographs alone."""
    return Section("Which learner is best", "learners", tuple(_learners(study)))


def _learners(study: Study) -> Iterator[Block]:
    metric = study.metric
    plain = study.plain(metric)
    plain = plain[plain["arm"] == study.plain_arm]
    against = study.against_learners(metric)
    if plain["learner"].nunique() < 2:
        yield Text("One learner was run, so there is nothing to compare.", "note")
        yield from _episodic(study, plain, against)
        return
    told = _told(plain)
    for _, group in study.by(told, "task", "shots"):
        yield Text(_best(study, group, against))
    yield from _episodic(study, told, against)
    span = row_figures.limits(plain[["value", "low", "high"]].to_numpy().ravel())
    yield Figure(
        f"Learners on the arm {study.plain_arm}: {metric_name(metric)} with 95 % intervals. Two "
        "intervals may overlap although the paired difference is measured, because both learners "
        "see the same images.",
        [
            Panel(
                study.name("learners", task),
                task_meaning(task),
                row_figures.learners(group, metric, span),
                f"{metric_name(metric)} of each learner with its interval, task {task}",
            )
            for (task,), group in study.by(plain, "task")
        ],
    )
    yield _learner_table(study, plain, against)


def _told(plain: "pd.DataFrame") -> "pd.DataFrame":
    # Of many N-way tasks the text speaks of the mean; each of them is in the table.
    if (plain["task"] == MEAN_TASK).any():
        return plain[~plain["task"].map(is_n_way).astype(bool)]
    return plain


def _episodic(study: Study, told: "pd.DataFrame", against: "pd.DataFrame") -> Iterator[Block]:
    """Say plainly where learners that were fitted on episodes win, lose, or make no difference."""
    meta = set(study.bundle.settings.get("episodic") or [])
    rows = against[against["learner"].isin(meta) & against["task"].isin(told["task"])]
    others = rows["baseline"].str.removeprefix("learner:")
    rows = rows[~others.isin(meta)]
    if not len(rows):
        names = joined(sorted(meta & set(told["learner"])))
        if names:
            yield Text(
                f"{names}: fitted on episodes, and compared with no learner that was not. Whether "
                "the episodes helped cannot be said; add finetune or probe and name it in "
                "learner_baseline.",
                "warning",
            )
        return
    yield Text(
        "Meta-learners are those fitted on episodes. Beside learners that were not, on the same "
        "images and draws:"
    )
    yield Bullets(
        [
            f"Task {task}, K = {shots}, against {baseline.removeprefix('learner:')}: "
            f"{_outcomes(group)}."
            for (task, shots, baseline), group in study.by(rows, "task", "shots", "baseline")
        ]
    )


def _outcomes(group: "pd.DataFrame") -> str:
    said = []
    for row in group.sort_values("gain", ascending=False).to_dict("records"):
        low, high = row["gain_low"], row["gain_high"]
        amount = f"{signed(row['gain'], low, high)} points"
        if low > 0:
            said.append(f"{row['learner']} wins ({amount})")
        elif high < 0:
            said.append(f"{row['learner']} loses ({amount})")
        else:
            said.append(f"{row['learner']} shows no measured difference ({amount})")
    return joined(said)


def _best(study: Study, group: "pd.DataFrame", against: "pd.DataFrame") -> str:
    metric, first = study.metric, group.iloc[0]
    lower = metric in LOWER_IS_BETTER
    top = group.sort_values("value", ascending=lower).iloc[0]
    value = interval(top["value"], top["low"], top["high"])
    opening = (
        f"Task {first['task']}, K = {first['shots']}: {top['learner']} has the "
        f"{'lowest' if lower else 'highest'} {metric_name(metric)}, "
        f"{value}{unit(metric).replace(',', '').replace(' ×100', '')}."
    )
    here = against[(against["task"] == first["task"]) & (against["shots"] == first["shots"])]
    compared = [
        _compared(study, str(top["learner"]), row) for row in _about(here, str(top["learner"]))
    ]
    return " ".join([opening, *(compared or ["No paired comparison of learners was asked for."])])


def _about(here: "pd.DataFrame", best: str) -> "Sequence[dict[str, Any]]":
    mine = here[here["learner"] == best]
    rows = mine if len(mine) else here[here["baseline"] == f"learner:{best}"]
    return rows.to_dict("records")  # type: ignore[return-value]  # keys are column names


def _compared(study: Study, best: str, row: "dict[str, Any]") -> str:
    mine = row["learner"] == best
    other = row["baseline"].removeprefix("learner:") if mine else row["learner"]
    gain = row["gain"] if mine else -row["gain"]
    low, high = (
        (row["gain_low"], row["gain_high"]) if mine else (-row["gain_high"], -row["gain_low"])
    )
    amount = f"{signed(gain, low, high)} points"
    if not (np.isfinite(low) and np.isfinite(high)):
        return f"Against {other}: {amount}, with too few {study.groups} for an interval."
    if low > 0 or high < 0:
        return f"It differs measurably from {other}: {amount}."
    return f"No measured difference from {other}: {amount}."


def _learner_table(study: Study, plain: "pd.DataFrame", against: "pd.DataFrame") -> Table:
    metric = study.metric
    baselines = sorted(against["baseline"].unique())
    found = {
        (row["task"], row["shots"], row["learner"], row["baseline"]): signed(
            row["gain"], row["gain_low"], row["gain_high"]
        )
        for row in against.to_dict("records")
    }
    rows = [
        (
            row["task"],
            str(row["shots"]),
            row["learner"],
            interval(row["value"], row["low"], row["high"]),
            *(
                found.get((row["task"], row["shots"], row["learner"], name), "–")
                for name in baselines
            ),
            sizes(row["n_groups"], row["n_draws"]),
        )
        for row in plain.to_dict("records")
    ]
    minus = (f"better than {name.removeprefix('learner:')} by, points" for name in baselines)
    return Table(
        f"Learners on the arm {study.plain_arm}, and their paired difference on the same images "
        f"and draws, with 95 % intervals. Exploratory. n: test {study.groups} × draws.",
        ("task", "K", "learner", f"{metric_name(metric)}{unit(metric)}", *minus, "n"),
        rows,
        frozenset(range(3, 5 + len(baselines))),
    )
