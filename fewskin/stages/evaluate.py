"""From predictions to evidence: metrics, paired gains over the controls, intervals and verdicts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fewskin.data.comparisons import (
    Comparisons,
    Plan,
    compare_task,
    draw_rows,
    gain_rows,
    make_primary,
)
from fewskin.data.evidence import Arm, TestRows, read_arms, read_predictions, wording
from fewskin.data.evidence_tables import CALIBRATION, CONFUSION, DRAWS, VERDICTS
from fewskin.data.independence import unknown_independence
from fewskin.data.measures import N_BINS
from fewskin.data.task_means import MEAN_TASK, compare_mean
from fewskin.data.tasks import is_n_way
from fewskin.data.verdicts import verdict_rows
from fewskin.errors import ConfigError
from fewskin.functional.calibration import calibration_bins, calibration_edges
from fewskin.functional.metrics import confusion
from fewskin.provenance import DEFAULT_OUT, stage, unknown
from fewskin.tables import GAINS, Schema, read_manifest, write_table

__all__ = ["evaluate"]

_SELECT_ON = ("fixed", "base_episodes", "support_cv")
Row = dict[str, object]
Tasks = Mapping[str, tuple[TestRows, list[Arm]]]


@stage(version=1, inputs=("predictions", "manifest"), follow_source=True)
def evaluate(
    predictions: Sequence[Path],
    manifest: Path | None = None,
    *,
    baselines: Sequence[str] = ("real_only", "real_copies"),
    learner_baseline: str | Sequence[str] | None = None,
    primary: Mapping[str, Any] | None = None,  # Any: JSON values
    rare: Sequence[str] = (),
    select_on: str = "fixed",
    n_base_seeds: int = 1,
    seed: int = 0,
    out: Path = DEFAULT_OUT,
) -> None:
    """Compare arms on the same real test patients: metrics, gains, intervals and verdicts.

    Args:
        predictions: result folders of `fewskin predict`, one a cell.
        manifest: folder of `fewskin check`; says whether groups are patients, and simulated ones.
        baselines: the control arms, the plain one first; a gain is claimed only over all of them.
        learner_baseline: a learner, or several, whose first control every other learner's is
            compared with.
        primary: the one confirmed comparison, {task, metric, shots, learner}; its arms get
            simultaneous intervals, everything else is exploratory. With `against: <learner>` it is
            of two learners on the plain control.
        rare: rare classes of task=generalised; by default the classes of task=novel, if any.
        select_on: how hyper-parameters were chosen: fixed, base_episodes or support_cv (recorded).
        n_base_seeds: number of base fits behind the predictions (recorded).
        seed: of the simulation behind the simultaneous intervals.
    """
    if select_on not in _SELECT_ON:
        raise ConfigError(unknown("select_on", select_on, _SELECT_ON))
    folders = [predictions] if isinstance(predictions, str | Path) else list(predictions)
    tasks = read_arms(read_predictions(folders))
    words = wording(
        manifest, sorted({name for rows, _ in tasks.values() for name in rows.image_ids})
    )
    learners = (learner_baseline,) if isinstance(learner_baseline, str) else learner_baseline or ()
    plan = Plan(tuple(baselines), tuple(learners), make_primary(primary), _rare(tasks, rare), seed)
    _check_plan(tasks, plan)
    notes = unknown_independence([Path(folder) for folder in folders], _datasets(manifest))
    constants = {"select_on": select_on, "n_base_seeds": n_base_seeds}
    gains: list[Row] = []
    draws: list[Row] = []
    verdicts: list[Row] = []
    for made in _compared(tasks, plan):
        gains += gain_rows(made, **constants)
        draws += draw_rows(made)
        verdicts += [_noted(row, notes) for row in verdict_rows(made, plan, words)]
    _write(gains, out / "gains.csv", GAINS)
    _write(draws, out / "draws.csv", DRAWS)
    _write(verdicts, out / "verdicts.csv", VERDICTS)
    _write(_each(tasks, _confusion_rows), out / "confusion.csv", CONFUSION)
    _write(_each(tasks, _calibration_rows), out / "calibration.csv", CALIBRATION)


def _compared(tasks: Tasks, plan: Plan) -> Iterator[Comparisons]:
    for task, (rows, arms) in tasks.items():
        # Where every class is rare, balanced accuracy already says what their recall would.
        yield from compare_task(
            rows, arms, plan if task == "generalised" else replace(plan, rare=())
        )
    n_way = {task: found for task, found in tasks.items() if is_n_way(task)}
    if len(n_way) > 1:
        yield from compare_mean(n_way, plan)


def _datasets(manifest: Path | None) -> list[str]:
    return [] if manifest is None else sorted(set(read_manifest(manifest).rows["dataset"]) - {""})


def _noted(row: Row, notes: Mapping[str, str]) -> Row:
    note = notes.get(str(row["learner"]))
    return {**row, "verdict": f"{row['verdict']} [{note}]"} if note else row


def _rare(tasks: Tasks, rare: Sequence[str]) -> tuple[str, ...]:
    known = {name for rows, _ in tasks.values() for name in rows.classes}
    for name in rare:
        if name not in known:
            raise ConfigError(unknown("rare class", name, sorted(known)))
    return tuple(rare) or (tasks["novel"][0].classes if "novel" in tasks else ())


def _check_plan(tasks: Tasks, plan: Plan) -> None:
    keys = [arm.key for _, arms in tasks.values() for arm in arms]
    keys += [key._replace(task=MEAN_TASK) for key in keys if is_n_way(key.task)]
    if not plan.baselines:
        raise ConfigError(
            "baselines is empty; expected at least one control arm, such as real_only."
        )
    learners = sorted({key.learner for key in keys})
    for name in plan.learner_baselines:
        if name not in learners:
            raise ConfigError(unknown("learner_baseline", name, learners))
    p = plan.primary
    if p and p.against and p.against not in plan.learner_baselines:
        known = list(plan.learner_baselines)
        raise ConfigError(unknown("learner_baseline in primary.against", p.against, known))
    if p and not any(
        (key.task, key.learner, key.shots) == (p.task, p.learner, p.shots) for key in keys
    ):
        there = sorted({f"{key.task}, {key.learner}, K = {key.shots}" for key in keys})
        raise ConfigError(
            f"primary names {p.task}, {p.learner}, K = {p.shots}, of which there is no prediction; "
            f"there is {'; '.join(there)}."
        )


def _each(tasks: Tasks, rows_of: Callable[[Arm, TestRows], Iterator[Row]]) -> list[Row]:
    return [row for rows, arms in tasks.values() for arm in arms for row in rows_of(arm, rows)]


def _confusion_rows(arm: Arm, rows: TestRows) -> Iterator[Row]:
    table = confusion(arm.probs.argmax(axis=-1), rows.labels, len(rows.classes))
    for label, counts in zip(rows.classes, table, strict=True):
        for predicted, count in zip(rows.classes, counts, strict=True):
            share = count / counts.sum() if counts.sum() else np.nan
            yield {
                **arm.key._asdict(),
                "label": label,
                "predicted": predicted,
                "count": int(count),
                "share": round(share, 6),
            }


def _calibration_rows(arm: Arm, rows: TestRows) -> Iterator[Row]:
    sums = calibration_bins(arm.probs, rows.labels, N_BINS).sum(
        axis=(0, 1)
    )  # (D, n, B, 3) -> (B, 3)
    edges = calibration_edges(N_BINS)
    for low, high, (count, confidence, right) in zip(edges[:-1], edges[1:], sums, strict=True):
        if count:
            means = {
                "confidence": round(confidence / count, 6),
                "accuracy": round(right / count, 6),
            }
            yield {
                **arm.key._asdict(),
                "bin_low": low,
                "bin_high": high,
                **means,
                "count": int(count),
            }


def _write(rows: list[Row], path: Path, schema: Schema) -> None:
    import pandas as pd

    write_table(pd.DataFrame(rows, columns=None if rows else list(schema.required)), path, schema)
