"""Sections that answer the question: the verdicts."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from fewskin.reporting.blocks import Block, Section, Table, Text
from fewskin.reporting.study import Study
from fewskin.reporting.wording import (
    joined,
    metric_name,
    plural,
    shown,
    signed,
    sizes,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["answer", "verdict_section"]


def answer(study: Study) -> str:
    """Return the one line under the title: what the comparison fixed in advance showed."""
    verdicts = study.bundle.verdicts
    primary = verdicts[verdicts["primary"]].sort_values("gain", ascending=False)
    if len(primary):
        return _primary_answer(study, primary)
    rows = study.headline(verdicts)
    if not len(rows):
        return "No arm was compared with a control, so no gain can be stated."
    tally = _tally(study, rows, "exploratory comparison")
    return f"No primary comparison was fixed in advance. {tally}"


def _primary_answer(study: Study, primary: "pd.DataFrame") -> str:
    claimed = primary[primary["claimed"]]
    if len(primary) == 1 or len(claimed):
        shown_rows = (claimed if len(claimed) else primary)["verdict"].iloc[:2].tolist()
        rest = len(primary) - len(shown_rows)
        more = f"See below for {plural(rest, 'other arm')}." if rest else ""
        return " ".join([*shown_rows, *([more] if more else [])])
    first = primary.iloc[0]
    return (
        f"None of the {len(primary)} arms compared shows a measured gain {study.over_controls} "
        f"({metric_name(first['metric'])}, {first['learner']}, K = {first['shots']}, task "
        f"{first['task']})."
    )


def _tally(study: Study, rows: "pd.DataFrame", noun: str) -> str:
    claimed, all_of = int(rows["claimed"].sum()), len(rows)
    gain = f"measured gain {study.over_controls}"
    if all_of == 1:
        return f"The one {noun} shows {'a' if claimed else 'no'} {gain}."
    count = "none" if not claimed else "all" if claimed == all_of else str(claimed)
    return f"Of {plural(all_of, noun)}, {count} {'show' if claimed > 1 else 'shows'} a {gain}."


def verdict_section(study: Study) -> Section:
    """Return the verdicts: the primary comparison first, the exploratory ones after it."""
    return Section("What each arm gave", "verdicts", tuple(_verdicts(study)))


def _verdicts(study: Study) -> Iterator[Block]:
    verdicts = study.ordered(study.bundle.verdicts)
    if not len(verdicts):
        yield Text(
            "There is no arm besides the controls, so there is nothing to give a verdict on.",
            "note",
        )
        return
    primary = verdicts[verdicts["primary"]]
    for _, row in primary.iterrows():
        yield Text(
            f"Primary, fixed in advance: {row['verdict']}", "claim" if row["claimed"] else "lead"
        )
    if not len(primary):
        yield Text(
            "No primary comparison was fixed in advance: everything below is exploratory.",
            "warning",
        )
    rest = verdicts[~verdicts["primary"]]
    main = study.headline(rest)
    if len(main):
        yield Text(
            f"Exploratory. {_tally(study, main, 'further comparison')} They were not singled out "
            "in advance, so with this many some intervals exclude 0 by chance: ideas for a next "
            "study, not conclusions."
        )
    for (task, metric, stratum), rows in study.by(main, "task", "metric", "stratum"):
        yield _verdict_table(study, rows, f"task {task}, {study.measure_name(metric, stratum)}")
    others = rest[~rest.index.isin(main.index)]
    if len(others):
        names = joined(metric_name(metric) for metric in sorted(others["metric"].unique()))
        yield Text(
            f"The verdicts on {names} are in tables/verdicts.csv. "
            f"{_tally(study, others, 'such comparison')}",
            "note",
        )


def _verdict_table(study: Study, rows: "pd.DataFrame", what: str) -> Table:
    cells = [
        (
            str(row["shots"]),
            row["learner"],
            study.arms.label(row["arm"], row["ratio"]),
            signed(row["gain"], row["gain_low"], row["gain_high"]),
            row["against"],
            _conclusion(row["verdict"]),
            shown(row["detectable"]),
            sizes(row["n_groups"], row["n_draws"]),
        )
        for row in rows.to_dict("records")
    ]
    header = ("K", "learner", "arm", "gain, points", "over", "verdict", "detectable", "n")
    return Table(
        f"Exploratory: {what}. Gain: over the control it exceeds least, with its 95 % interval. "
        f"Detectable: the true gain this study would find 4 times in 5. n: test {study.groups} × "
        "draws.",
        header,
        cells,
        frozenset({3, 6, 7}),
        frozenset(np.flatnonzero(rows["claimed"].to_numpy(bool)).tolist()),
    )


def _conclusion(verdict: str) -> str:
    # A verdict is "<which>: <figures>: <conclusion>."; what the table has as columns is left out.
    end = verdict.rpartition(": ")[2].removesuffix(".").replace(" (exploratory)", "")
    return re.sub(r" \(smallest detectable effect [^)]*\)", "", end)
