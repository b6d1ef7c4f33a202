"""Intervals that count both chances: which patients were tested, and which were drawn as support.

A metric is measured on D draws of the support set and G test groups (patients). Its mean over
draws has variance V_draw + V_patient - V_interaction, since draw-by-patient noise is in both of
the first two (V_draw - V_interaction counts as 0 where it comes out negative); a t with
Satterthwaite's degrees of freedom turns it into an interval, for a plain value on the logit
scale. Metrics that are no means enter by jackknife pseudo-values
(`fewskin.functional.jackknife`), groups being resampled within their class. The draws are taken
as a sample: what they have in common (one support pool, one base fit) is not in it.
`scripts/bench/intervals.py` measures the coverage.

Source: two-way random effects, Gallas, Bandos, Samuelson and Wagner 2009 (one-shot MRMC variance);
Satterthwaite 1946.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import special, stats

__all__ = [
    "Variance",
    "logit_interval",
    "simultaneous_alpha",
    "t_interval",
    "two_way_bootstrap",
    "two_way_covariance",
    "two_way_variance",
    "zero_variance_margin",
]

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_ROUNDING = 1e-24  # a variance below this is the rounding error of differences that are all 0


@dataclass(frozen=True)
class Variance:
    """Variance of a mean over draws and groups, and where it comes from.

    Attributes:
        total: patient + max(draw - interaction, 0); never negative.
        df: Satterthwaite's degrees of freedom; inf when `total` is 0.
        draw: from the choice of support sets; 0 with one draw.
        patient: from the choice of test groups.
        interaction: the part that `draw` and `patient` both hold.
    """

    total: float
    df: float
    draw: float
    patient: float
    interaction: float


def two_way_variance(values: Array, influence: Array, strata: Index) -> Variance:
    """Return the variance of `values.mean()` over draws and over groups within strata.

    Args:
        values: (D,) metric, or paired difference of metrics, of each draw.
        influence: (D, G) pseudo-values of the same metric or difference, `jackknife.influence`.
        strata: (G,) class within which each group is resampled.

    Example:
        >>> flip = np.array([[0.5, -0.5], [-0.5, 0.5]])
        >>> found = two_way_variance(np.array([0.6, 0.8]), flip, np.array([0, 0]))
        >>> round(found.draw, 6), found.patient, round(found.interaction, 6)
        (0.01, 0.0, 0.25)
    """
    n_draws, sizes = len(values), np.bincount(strata)
    draw = float(values.var(ddof=1)) / n_draws if n_draws > 1 else 0.0
    mean = influence.mean(axis=0)
    free = np.maximum(sizes - 1, 1)
    patient = _spread((mean - _stratum_mean(mean, strata)) ** 2, strata) / (
        free * np.maximum(sizes, 1)
    )
    rest = influence - mean
    rest = ((rest - _stratum_mean(rest, strata)) ** 2).sum(axis=0)
    cells = np.maximum(n_draws - 1, 1) * free
    both = _spread(rest, strata) / (cells * n_draws * np.maximum(sizes, 1))
    interaction = float(both.sum())
    noise = float((patient**2 / free).sum())
    if draw > interaction:
        # Only a draw part that is counted brings its uncertainty.
        noise += draw**2 / (n_draws - 1) + float((both**2 / cells).sum())
    total = float(patient.sum()) + max(draw - interaction, 0.0)
    total = total if total > _ROUNDING else 0.0
    df = max(total**2 / noise, 1.0) if noise > 0 else np.inf
    return Variance(total, df, draw, float(patient.sum()), interaction)


def _spread(squares: Array, strata: Index) -> Array:
    return np.bincount(strata, weights=squares).astype(np.float64)


def _stratum_mean(values: Array, strata: Index) -> Array:
    # (..., G) -> (..., G), each group replaced by the mean of its stratum.
    member = strata[:, None] == np.arange(int(strata.max()) + 1)
    size = np.maximum(member.sum(axis=0), 1)
    return np.asarray(((values @ member) / size)[..., strata])


def t_interval(centre: float, variance: Variance, alpha: float = 0.05) -> tuple[float, float]:
    """Return the two-sided t interval of level 1 - alpha; [centre, centre] when the variance is 0.

    Example:
        >>> t_interval(0.0, Variance(0.0, float("inf"), 0.0, 0.0, 0.0))
        (0.0, 0.0)
        >>> low, high = t_interval(1.0, Variance(0.04, 9.0, 0.04, 0.0, 0.0))
        >>> round(low, 3), round(high, 3)  # 1 -+ 2.262 x 0.2
        (0.548, 1.452)
    """
    half = (
        float(stats.t.ppf(1 - alpha / 2, variance.df)) * variance.total**0.5
        if variance.total
        else 0.0
    )
    return centre - half, centre + half


def logit_interval(
    value: float, variance: Variance, bounds: tuple[float, float], alpha: float = 0.05
) -> tuple[float, float]:
    """Return the t interval of a bounded metric made on the logit scale, where it is symmetric.

    With 20 patients a class the plain t interval of an AUC covers .93, this one .95 to .96.

    Args:
        value: strictly inside `bounds`.
        variance: of the value.
        bounds: the metric's range.
        alpha: 1 - level.

    Example:
        >>> low, high = logit_interval(0.9, Variance(0.0036, 1e9, 0.0, 0.0036, 0.0), (0.0, 1.0))
        >>> round(low, 3), round(high, 3)
        (0.709, 0.971)
    """
    low, width = bounds[0], bounds[1] - bounds[0]
    share = (value - low) / width
    slope = share * (1 - share) * width
    scaled = replace(variance, total=variance.total / slope**2)
    ends = special.expit(t_interval(float(special.logit(share)), scaled, alpha))
    return low + width * float(ends[0]), low + width * float(ends[1])


def zero_variance_margin(n_groups: int, alpha: float = 0.05) -> float:
    """Return how far from 0 an error rate of 0 out of `n_groups` may truly be (Clopper-Pearson).

    Example:
        >>> round(zero_variance_margin(40), 3)
        0.088
    """
    return 1.0 - (alpha / 2) ** (1.0 / n_groups)


def two_way_covariance(values: Array, influence: Array, strata: Index) -> Array:
    """Return the (k, k) covariance of k means over the same draws and groups.

    Args:
        values: (k, D) differences of each draw.
        influence: (k, D, G) their pseudo-values.
        strata: (G,) class within which each group is resampled.

    Example:
        >>> same = np.array([[0.1, 0.3], [0.1, 0.3]])
        >>> two_way_covariance(same, np.zeros((2, 2, 4)), np.array([0, 0, 1, 1])).round(3).tolist()
        [[0.01, 0.01], [0.01, 0.01]]
    """
    n_draws, sizes = values.shape[1], np.bincount(strata)[strata]
    centred = values - values.mean(axis=1, keepdims=True)
    draw = centred @ centred.T / max(n_draws * (n_draws - 1), 1)
    mean = influence.mean(axis=1)
    scale = 1 / (np.maximum(sizes - 1, 1) * sizes)
    apart = mean - _stratum_mean(mean, strata)
    patient = (apart * scale) @ apart.T
    rest = influence - mean[:, None]
    rest = rest - _stratum_mean(rest, strata)
    both = np.einsum("idg,jdg,g->ij", rest, rest, scale) / max(n_draws * (n_draws - 1), 1)
    return np.asarray(draw + patient - both)


def simultaneous_alpha(covariance: Array, df: float, seed: int, alpha: float = 0.05) -> float:
    """Return the level for each of k intervals so that all k hold together with 1 - alpha (max-T).

    The largest |t| of k is simulated from the estimated correlation and a common chi-square; a
    correlation that is not positive is projected onto one that is. Never stricter than Bonferroni,
    never looser than one interval alone.

    Args:
        covariance: (k, k) of the k means; its diagonal is positive.
        df: degrees of freedom, the smallest of the k.
        seed: of the simulation (200,000 draws).
        alpha: the joint level.

    Example:
        >>> round(simultaneous_alpha(np.eye(1), 9.0, seed=0), 4)
        0.05
        >>> round(simultaneous_alpha(np.eye(2), 1e6, seed=0), 3)  # 1 - .95 ** (1 / 2)
        0.025
    """
    k, rng = len(covariance), np.random.default_rng(seed)
    scale = np.sqrt(np.diag(covariance))
    bonferroni = alpha / k
    if k == 1 or not np.isfinite(covariance).all() or not (scale > 0).all():
        return bonferroni
    size, axes = np.linalg.eigh(covariance / np.outer(scale, scale))
    root = axes * np.sqrt(np.maximum(size, 0.0))
    root /= np.linalg.norm(root, axis=1, keepdims=True)
    chi = np.sqrt(rng.chisquare(min(df, 1e6), size=200_000) / min(df, 1e6))
    largest = np.abs(rng.standard_normal((200_000, k)) @ root.T).max(axis=1) / chi
    level = 2 * float(stats.t.sf(np.quantile(largest, 1 - alpha), df))
    return float(np.clip(level, bonferroni, alpha))


def two_way_bootstrap(
    statistic: Callable[[Index, Index], float],
    n_draws: int,
    strata: Index,
    rng: np.random.Generator,
    n_boot: int = 1000,
) -> Array:
    """Return bootstrap values of a statistic, draws and groups (within strata) resampled together.

    A check on `two_way_variance`, never the interval itself: its variance holds the interaction
    three times, and with five draws its percentiles cover too little (Owen 2007, pigeonhole
    bootstrap).

    Args:
        statistic: maps resampled draws (n_draws,) and groups (G,) to a number.
        n_draws: number of draws D.
        strata: (G,) class within which each group is resampled.
        rng: source of the resamples.
        n_boot: number of resamples.

    Returns:
        (n_boot,).

    Example:
        >>> cells = np.ones((3, 4))
        >>> def mean(draws, groups): return cells[np.ix_(draws, groups)].mean()
        >>> float(two_way_bootstrap(mean, 3, np.zeros(4, int), np.random.default_rng(0), 5).std())
        0.0
    """
    members = [np.flatnonzero(strata == k) for k in np.unique(strata)]
    values = np.empty(n_boot)
    for b in range(n_boot):
        draws = rng.integers(n_draws, size=n_draws)
        groups = np.concatenate([rng.choice(member, size=len(member)) for member in members])
        values[b] = statistic(draws, groups)
    return values
