"""Values and paired gains of arms, with their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fewskin.data.evidence import ArmKey
from fewskin.data.measures import MIN_GROUPS, Measure
from fewskin.errors import TableError
from fewskin.functional.intervals import (
    Variance,
    logit_interval,
    simultaneous_alpha,
    t_interval,
    two_way_covariance,
    two_way_variance,
    zero_variance_margin,
)

__all__ = ["Estimate", "Gain", "compare", "estimate", "pick_baseline", "simultaneous"]

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_TWO_WAY = "two-way (draw x group) variance, jackknife within class, Satterthwaite t"
_ONE_DRAW = "one draw, so no draw variance; jackknife over groups within class, t"
_NO_VARIANCE = "no variance between groups; Clopper-Pearson of the smallest class"


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval, nan when there is none, and how it was made."""

    value: float
    low: float
    high: float
    n_draws: int
    method: str
    variance: Variance | None


@dataclass(frozen=True)
class Gain:
    """A paired improvement: above 0 is better, also for metrics of which less is better.

    Attributes:
        difference: the paired differences per draw and group, as a `Measure`.
        estimate: their mean and its interval.
        draws: the draws both sides share.
    """

    difference: Measure
    estimate: Estimate
    draws: tuple[int, ...]


def estimate(
    found: Measure, strata: Index, *, alpha: float = 0.05, bounds: tuple[float, float] | None = None
) -> Estimate:
    """Return the mean over draws of a measure and its interval.

    Args:
        found: the measure, or a paired difference of two.
        strata: (G,) class within which each group is resampled.
        alpha: 1 - level of the interval.
        bounds: the metric's range, for an interval on the logit scale; None for a difference.
    """
    value, n_draws = float(found.values.mean()), len(found.values)
    blank = Estimate(value, np.nan, np.nan, n_draws, "", None)
    if np.isnan(value):
        return replace(blank, method="undefined: a class of it has no test rows")
    if found.smallest < MIN_GROUPS:
        return replace(
            blank,
            method=f"no interval: {found.smallest} groups in the smallest class, "
            f"{MIN_GROUPS} needed",
        )
    variance = two_way_variance(found.values, found.influence, strata)
    method = _TWO_WAY if n_draws > 1 else _ONE_DRAW
    inside = bounds is not None and bounds[0] < value < bounds[1]
    if variance.total == 0 and not inside and (value != 0 or bounds):
        # Every group was right (or wrong): a t interval would be a point.
        margin = zero_variance_margin(found.smallest, alpha)
        low, high, method = value - margin, value + margin, _NO_VARIANCE
    elif bounds is not None and inside:
        low, high = logit_interval(value, variance, bounds, alpha)
        method += " on the logit scale"
    else:
        low, high = t_interval(value, variance, alpha)
    if bounds:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    return Estimate(value, low, high, n_draws, method, variance)


def compare(
    arm: Measure, draws: Sequence[int], base: Measure, base_draws: Sequence[int], strata: Index
) -> Gain:
    """Return the paired gain of one measure over another on the same draws and groups.

    Args:
        arm: measure of the arm.
        draws: (D,) its draws.
        base: the same metric and stratum of the baseline, on the same test rows.
        base_draws: the baseline's draws; only shared ones are compared.
        strata: (G,) class within which each group is resampled.

    Raises:
        TableError: the two share no draw.
    """
    shared = tuple(draw for draw in draws if draw in set(base_draws))
    if not shared:
        raise TableError(
            f"the arms share no draw (one has {list(draws)}, the other {list(base_draws)}); "
            "run the same draws."
        )
    ours, theirs = (
        [list(draws).index(d) for d in shared],
        [list(base_draws).index(d) for d in shared],
    )
    difference = replace(
        arm,
        values=arm.sign * (arm.values[ours] - base.values[theirs]),
        influence=arm.sign * (arm.influence[ours] - base.influence[theirs]),
    )
    return Gain(difference, estimate(difference, strata), shared)


def simultaneous(gains: Sequence[Gain], strata: Index, seed: int) -> list[Gain]:
    """Return the gains with intervals that hold together with 95 % (max-T over all of them).

    Gains without an interval, or exactly 0 everywhere, are returned as they are.

    Args:
        gains: of one metric, task, learner and K.
        strata: (G,) class within which each group is resampled.
        seed: of the simulation of the largest |t|.
    """
    usable = [
        gain
        for gain in gains
        if gain.estimate.variance is not None and gain.estimate.variance.total > 0
    ]
    if not usable:
        return list(gains)
    df = min(gain.estimate.variance.df for gain in usable if gain.estimate.variance)
    shared = sorted(set.intersection(*(set(gain.draws) for gain in usable)))
    values = np.stack([_on(gain, shared).values for gain in usable]) if shared else np.empty((0, 0))
    covariance = np.full((len(usable), len(usable)), np.nan)
    if len(shared) == max(len(gain.draws) for gain in usable):
        covariance = two_way_covariance(
            values, np.stack([_on(gain, shared).influence for gain in usable]), strata
        )
    known = bool(np.isfinite(covariance).all() and (np.diag(covariance) > 0).all())
    alpha = simultaneous_alpha(covariance, df, seed)
    name = f"{'max-T' if known else 'Bonferroni'} over {len(usable)} comparisons; "
    chosen = {id(gain) for gain in usable}
    return [_widen(gain, strata, alpha, name) if id(gain) in chosen else gain for gain in gains]


def _on(gain: Gain, draws: Sequence[int]) -> Measure:
    where = [gain.draws.index(draw) for draw in draws]
    return replace(
        gain.difference,
        values=gain.difference.values[where],
        influence=gain.difference.influence[where],
    )


def _widen(gain: Gain, strata: Index, alpha: float, name: str) -> Gain:
    wider = estimate(gain.difference, strata, alpha=alpha)
    return replace(gain, estimate=replace(wider, method=name + wider.method))


def pick_baseline(key: ArmKey, baseline: str, keys: Sequence[ArmKey]) -> ArmKey | None:
    """Return the baseline's key: of the same ratio as `key`, else the nearest; None if absent.

    Example:
        >>> flat = ArmKey("novel", "probe", "flat", 2.0, 5)
        >>> copies = ArmKey("novel", "probe", "real_copies", 1.0, 5)
        >>> pick_baseline(flat, "real_copies", [flat, copies]).ratio
        1.0
    """
    near = [k for k in keys if k[:2] == key[:2] and k.shots == key.shots and k.arm == baseline]
    return min(near, key=lambda k: (abs(k.ratio - key.ratio), k.ratio)) if near else None
