r"""Simulate how often the 95 % intervals of `evaluate` hold the truth.

    python scripts/bench/intervals.py --quick     # 20 s: the corners of the grid
    python scripts/bench/intervals.py --csv docs/results/coverage.csv \
        --markdown docs/results/coverage.md      # 10 to 15 min: all of it

Grid: sd of the metric over draws {1, 4, 8} points x D {5, 10, 20} draws x n {40, 160, 1000}
patients, half of them in each of two classes; balanced accuracy and AUC; the plain value and the
paired gain of an arm over its control. The truth is the mean over all draws and all patients, by
quadrature.

Scores are normal: a patient's part (half of the variance, the same in every draw and arm), and
a part of its own for each draw and patient, half of which the two arms share. A draw moves the
distance of the two classes. The peer is the usual interval over patients alone, which takes the
draws as given.
"""

import argparse
import csv
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from fewskin.functional.intervals import logit_interval, t_interval, two_way_variance
from fewskin.functional.jackknife import auc_leave_out, influence, sums_leave_out
from fewskin.functional.metrics import balanced_accuracy, class_counts
from fewskin.seeding import rng_for

Array = npt.NDArray[np.float64]

BASE_ACCURACY = 0.75
GAIN_IN_DISTANCE = 0.2  # about 3 points of balanced accuracy
SHARED_SD = 0.04  # of the metric, over draws, in both arms alike; cancels in the gain
SCALE = {"balanced_accuracy": 2.0, "auc": 2.0**0.5}  # metric = Phi(distance / scale)
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(41)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


@dataclass(frozen=True)
class Regime:
    """One cell of the grid."""

    metric: str
    quantity: str  # "value" or "gain"
    draw_sd: float
    n_draws: int
    n_groups: int


def regimes(quick: bool) -> list[Regime]:
    """Return the whole grid, or its corners."""
    sds, draws, groups = (
        ((1, 8), (5, 20), (40, 160)) if quick else ((1, 4, 8), (5, 10, 20), (40, 160, 1000))
    )
    return [
        Regime(metric, quantity, sd / 100, n_draws, n_groups)
        for metric in SCALE
        for quantity in ("value", "gain")
        for sd in sds
        for n_draws in draws
        for n_groups in groups
    ]


def _moments(metric: str, distance: float, spread: float) -> tuple[float, float]:
    # Mean and sd of Phi((distance + spread z) / scale) over z ~ N(0, 1).
    values = stats.norm.cdf((distance + spread * NODES) / SCALE[metric])
    mean = float(WEIGHTS @ values)
    return mean, float(WEIGHTS @ (values - mean) ** 2) ** 0.5


def _spread_for(metric: str, distance: float, sd: float) -> float:
    return float(optimize.brentq(lambda s: _moments(metric, distance, s)[1] - sd, 1e-6, 5.0))


def _gain_sd(metric: str, distance: float, shared: float, own: float) -> float:
    first, second = np.meshgrid(NODES, NODES)
    weights = np.outer(WEIGHTS, WEIGHTS)
    arm = stats.norm.cdf(
        (distance + GAIN_IN_DISTANCE + shared * second + own * first) / SCALE[metric]
    )
    gap = arm - stats.norm.cdf((distance + shared * second) / SCALE[metric])
    return float((weights * (gap - (weights * gap).sum()) ** 2).sum() ** 0.5)


@dataclass(frozen=True)
class Truth:
    """Spreads of the distance over draws that give the wanted sd, and the true mean."""

    distance: float
    shared: float
    own: float
    mean: float


def truth_of(regime: Regime) -> Truth:
    """Return the parameters of a regime and the quantity its intervals must hold."""
    distance = SCALE["balanced_accuracy"] * float(stats.norm.ppf(BASE_ACCURACY))
    metric = regime.metric
    if regime.quantity == "value":
        spread = _spread_for(metric, distance, regime.draw_sd)
        return Truth(distance, spread, 0.0, _moments(metric, distance, spread)[0])
    shared = _spread_for(metric, distance, SHARED_SD)

    def short(own: float) -> float:
        return _gain_sd(metric, distance, shared, own) - regime.draw_sd

    own = float(optimize.brentq(short, 0.0, 5.0)) if short(0.0) < 0 else 0.0
    spread = float(np.hypot(shared, own))
    arm = _moments(metric, distance + GAIN_IN_DISTANCE, spread)[0]
    return Truth(distance, shared, own, arm - _moments(metric, distance, shared)[0])


def simulate(regime: Regime, truth: Truth, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return (D, n) scores of the control and of the arm; the second half of rows is positive."""
    shape = (regime.n_draws, regime.n_groups)
    side = np.where(np.arange(regime.n_groups) < regime.n_groups // 2, -0.5, 0.5)
    patient = rng.standard_normal(regime.n_groups) * 0.5**0.5
    common = rng.standard_normal(shape) * 0.5
    draw, own = rng.standard_normal((2, regime.n_draws, 1))
    control = truth.distance + truth.shared * draw
    noise = rng.standard_normal((2, *shape)) * 0.5
    base = control * side + patient + common + noise[0]
    arm = (control + GAIN_IN_DISTANCE + truth.own * own) * side + patient + common + noise[1]
    return base, arm


def measured(metric: str, scores: Array) -> tuple[Array, Array]:
    """Return the metric of each draw (D,) and its pseudo-values (D, n)."""
    n = scores.shape[1]
    labels, groups = (np.arange(n) >= n // 2).astype(np.int64), np.arange(n)
    if metric == "auc":
        value, left = auc_leave_out(scores, labels == 1, groups, np.ones(n))
    else:
        counts = class_counts((scores > 0).astype(np.int64), labels, 2)
        value, left = sums_leave_out(balanced_accuracy, counts, groups, axis=1)
    return value, influence(value, left, labels)


def cover(regime: Regime, n_runs: int) -> dict[str, float]:
    """Return the shares of intervals (ours, patients alone) that hold the truth, and our width."""
    truth = truth_of(regime)
    strata = (np.arange(regime.n_groups) >= regime.n_groups // 2).astype(np.int64)
    hits = np.zeros((n_runs, 3))
    for run in range(n_runs):
        base, arm = simulate(regime, truth, rng_for(run, *vars(regime).values()))
        value, pseudo = measured(regime.metric, base)
        if regime.quantity == "gain":
            other, others = measured(regime.metric, arm)
            value, pseudo = other - value, others - pseudo
        found = two_way_variance(value, pseudo, strata)
        mean = float(value.mean())
        if regime.quantity == "value" and 0 < mean < 1:
            low, high = logit_interval(mean, found, (0.0, 1.0))
        else:
            low, high = t_interval(mean, found)
        alone = abs(value.mean() - truth.mean) <= 1.96 * found.patient**0.5
        hits[run] = low <= truth.mean <= high, alone, high - low
    ours, alone, width = hits.mean(axis=0)
    return {"ours": ours, "peer": alone, "width": width}


def rows_of(
    grid: list[Regime], n_runs: int, say: Callable[[str], None]
) -> Iterator[dict[str, object]]:
    """Yield one benchmark row a regime."""
    machine = f"{os.cpu_count()} cores {platform.machine().replace('_', '-')}"
    for regime in grid:
        found = cover(regime, n_runs)
        name = (
            f"{regime.metric} {regime.quantity}, draw sd {100 * regime.draw_sd:g} points, "
            f"D {regime.n_draws}, n {regime.n_groups}"
        )
        say(f"{name:68} {found['ours']:.3f}  {found['peer']:.3f}  {100 * found['width']:5.1f}")
        yield {
            "name": name,
            "ours": round(found["ours"], 4),
            "peer": round(found["peer"], 4),
            "peer_name": "interval over patients alone",
            "peer_version": "",
            "unit": "coverage of a 95 % interval",
            "ratio": round(found["ours"] / found["peer"], 3),
            "machine": machine,
            "width_points": round(100 * found["width"], 2),
            "n_runs": n_runs,
        }


def markdown(
    rows: list[dict[str, object]], command: str, date: str, machine: str, seconds: float
) -> str:
    """Return the results as a page: what was run, the range, and the table."""
    ours = [float(str(row["ours"])) for row in rows]
    peer = [float(str(row["peer"])) for row in rows]
    n_runs = int(str(rows[0]["n_runs"]))
    error = 100 * (0.95 * 0.05 / n_runs) ** 0.5
    inside = sum(0.93 <= value <= 0.98 for value in ours)
    lines = [
        "# Coverage of the 95 % intervals",
        "",
        f"`{command}`, {date}, {machine}, {seconds:.0f} s;",
        f"{n_runs} simulated experiments a row (standard error of .95: {error:.1f} %).",
        "",
        f"{inside} of {len(rows)} regimes lie in 93-98 %;",
        f"lowest {min(ours):.3f}, highest {max(ours):.3f}.",
        f"Intervals over patients alone: {min(peer):.3f} to {max(peer):.3f}.",
        "",
        "| regime | ours | patients alone | width, points |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {r['name']} | {r['ours']:.3f} | {r['peer']:.3f} | {r['width_points']:.1f} |"
        for r in rows
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the grid and write what was asked for."""
    parser = argparse.ArgumentParser(description="Coverage of the intervals of `fewskin evaluate`.")
    parser.add_argument("--quick", action="store_true", help="the grid's corners, 400 runs each")
    parser.add_argument("--runs", type=int, default=2000, help="simulated experiments a regime")
    parser.add_argument("--json", type=Path, help="write the rows here")
    parser.add_argument("--csv", type=Path, help="write the rows here")
    parser.add_argument("--markdown", type=Path, help="write a page here")
    parser.add_argument("--date", default=time.strftime("%Y-%m-%d"), help="date on the page")
    parser.add_argument(
        "--machine", default=f"{os.cpu_count()} cores {platform.machine()}", help="machine class"
    )
    options = parser.parse_args()
    started = time.time()
    print(f"{'regime':68} ours   patients alone, width in points", flush=True)
    runs = 400 if options.quick else options.runs
    rows = list(rows_of(regimes(options.quick), runs, lambda line: print(line, flush=True)))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    if options.csv:
        with open(options.csv, "w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    if options.markdown:
        command = (
            f"python scripts/bench/intervals.py --runs {runs}{' --quick' if options.quick else ''}"
        )
        page = markdown(rows, command, options.date, options.machine, time.time() - started)
        options.markdown.write_text(page)
    ours = [float(str(row["ours"])) for row in rows]
    print(f"lowest {min(ours):.3f}, highest {max(ours):.3f}, {time.time() - started:.0f} s")


if __name__ == "__main__":
    main()
