"""Two-way intervals against hand computation, the bootstrap and plain t tests."""

import numpy as np
import pytest
from scipy import stats

from fewskin.functional.intervals import (
    Variance,
    logit_interval,
    simultaneous_alpha,
    t_interval,
    two_way_bootstrap,
    two_way_covariance,
    two_way_variance,
    zero_variance_margin,
)


def _cells(
    rng: np.random.Generator, n_draws: int, n_groups: int, sds: tuple[float, float, float]
) -> np.ndarray:
    draw, patient, both = sds
    return (
        draw * rng.standard_normal((n_draws, 1))
        + patient * rng.standard_normal(n_groups)
        + both * rng.standard_normal((n_draws, n_groups))
    )


def _of_mean(cells: np.ndarray) -> Variance:
    # The mean of one class: pseudo-values are deviations from the draw's mean.
    values = cells.mean(axis=1)
    return two_way_variance(values, cells - values[:, None], np.zeros(cells.shape[1], dtype=int))


def test_components_are_those_of_a_two_way_analysis_of_variance() -> None:
    # Hand computation: rows (draws) 1 2 3 / 3 4 8; means 2 and 5, columns 2 3 5.5, grand 3.5.
    cells = np.array([[1.0, 2.0, 3.0], [3.0, 4.0, 8.0]])
    found = _of_mean(cells)
    assert found.draw == pytest.approx(4.5 / 2)  # var(2, 5) / 2
    assert found.patient == pytest.approx(np.var([2.0, 3.0, 5.5], ddof=1) / 3)
    rest = cells - cells.mean(0) - cells.mean(1, keepdims=True) + cells.mean()
    assert found.interaction == pytest.approx((rest**2).sum() / 2 / 6)  # df 1 x 2, 6 cells
    assert found.total == pytest.approx(found.draw + found.patient - found.interaction)


def test_the_variance_is_unbiased_for_the_mean_over_draws_and_patients() -> None:
    rng = np.random.default_rng(0)
    found = np.mean([_of_mean(_cells(rng, 5, 20, (0.3, 1.0, 1.0))).total for _ in range(2000)])
    truth = 0.3**2 / 5 + 1 / 20 + 1 / 100
    assert found == pytest.approx(truth, rel=0.05)  # truncation at 0 costs a little


def test_one_draw_gives_the_usual_t_interval_over_patients() -> None:
    cells = np.random.default_rng(1).standard_normal((1, 15))
    got = t_interval(float(cells.mean()), _of_mean(cells))
    want = stats.t.interval(0.95, 14, cells.mean(), stats.sem(cells[0]))
    assert got == pytest.approx(want)


def test_without_patient_noise_the_interval_is_the_t_interval_over_draws() -> None:
    cells = np.repeat(np.array([[0.1], [0.4], [0.3], [0.35]]), 12, axis=1)
    got = t_interval(float(cells.mean()), _of_mean(cells))
    want = stats.t.interval(0.95, 3, cells.mean(), stats.sem(cells[:, 0]))
    assert got == pytest.approx(want)


def test_differences_of_zero_give_an_interval_of_zero() -> None:
    found = _of_mean(np.zeros((4, 12)))
    assert found.total == 0.0
    assert t_interval(0.0, found) == (0.0, 0.0)


def test_groups_are_resampled_within_their_class() -> None:
    # Classes differ, groups of a class do not: nothing is left to chance.
    values = np.array([0.5])
    influence = np.array([[1.0, 1.0, -1.0, -1.0]])
    assert two_way_variance(values, influence, np.array([0, 0, 1, 1])).total == 0.0


def test_the_two_way_bootstrap_agrees_where_interaction_is_small() -> None:
    rng = np.random.default_rng(2)
    cells = _cells(rng, 20, 60, (0.3, 2.0, 0.5))
    strata = np.zeros(60, dtype=int)
    boot = two_way_bootstrap(lambda d, g: float(cells[np.ix_(d, g)].mean()), 20, strata, rng, 2000)
    assert boot.std() == pytest.approx(_of_mean(cells).total ** 0.5, rel=0.1)


def test_the_logit_interval_stays_inside_the_range_and_matches_the_delta_method() -> None:
    found = Variance(0.01**2, 1e6, 0.0, 0.01**2, 0.0)
    plain, logit = t_interval(0.6, found), logit_interval(0.6, found, (0.0, 1.0))
    assert logit == pytest.approx(plain, abs=1e-3)
    low, high = logit_interval(0.98, Variance(0.05**2, 5.0, 0.0, 0.05**2, 0.0), (0.0, 1.0))
    assert 0 < low < 0.98 < high < 1


def test_a_brier_score_is_scaled_to_its_own_range() -> None:
    found = Variance(0.02**2, 20.0, 0.0, 0.02**2, 0.0)
    half = Variance(0.01**2, 20.0, 0.0, 0.01**2, 0.0)
    got = logit_interval(1.2, found, (0.0, 2.0))
    assert got == pytest.approx([2 * end for end in logit_interval(0.6, half, (0.0, 1.0))])


def test_the_margin_without_errors_is_clopper_pearson() -> None:
    want = stats.binomtest(25, 25).proportion_ci(method="exact").low
    assert 1 - zero_variance_margin(25) == pytest.approx(want)


def test_the_covariance_has_the_variances_on_its_diagonal() -> None:
    rng = np.random.default_rng(3)
    first = _cells(rng, 6, 30, (1.0, 1.0, 1.0))
    second = first + _cells(rng, 6, 30, (0.5, 0.5, 0.5))
    strata = (np.arange(30) % 2).astype(int)
    cells = np.stack([first, second])
    values = cells.mean(axis=2)
    influence = cells - values[..., None]
    got = two_way_covariance(values, influence, strata)
    want = [two_way_variance(v, u, strata) for v, u in zip(values, influence, strict=True)]
    np.testing.assert_allclose(np.diag(got), [w.draw + w.patient - w.interaction for w in want])
    np.testing.assert_allclose(got, got.T)


def test_independent_comparisons_get_the_sidak_level() -> None:
    # Exact for a known variance: 1 - .95 ** (1 / 3).
    got = simultaneous_alpha(np.eye(3), 1e6, seed=0)
    assert got == pytest.approx(1 - 0.95 ** (1 / 3), rel=0.03)


def test_equal_comparisons_cost_nothing_and_unknown_ones_get_bonferroni() -> None:
    assert simultaneous_alpha(np.ones((3, 3)), 20.0, seed=0) == pytest.approx(0.05, rel=0.02)
    assert simultaneous_alpha(np.full((3, 3), np.nan), 20.0, seed=0) == pytest.approx(0.05 / 3)


def test_the_simultaneous_level_depends_on_the_seed_alone() -> None:
    covariance = np.array([[1.0, 0.4], [0.4, 2.0]])
    first = simultaneous_alpha(covariance, 9.0, seed=7)
    assert first == simultaneous_alpha(covariance, 9.0, seed=7)
