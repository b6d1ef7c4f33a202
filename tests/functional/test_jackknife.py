"""Leaving a group out must equal deleting its rows and computing the metric again."""

import numpy as np
import pytest

from fewskin.functional import calibration, jackknife, metrics


def _grouped(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    # 3 draws of 40 rows in 15 groups; groups hold several rows and some hold several classes.
    rng = np.random.default_rng(seed)
    probs = np.round(rng.dirichlet(np.ones(3), size=(3, 40)), 1) + 1e-3
    probs /= probs.sum(axis=-1, keepdims=True)
    labels = np.arange(40) % 3
    groups = np.concatenate([np.arange(15), rng.integers(15, size=25)])
    return probs, labels, groups, rng.uniform(0.2, 1.0, size=40)


@pytest.mark.parametrize("seed", range(3))
def test_leaving_a_group_out_of_an_auc_equals_deleting_its_rows(seed: int) -> None:
    probs, labels, groups, weights = _grouped(seed)
    value, left = jackknife.auc_leave_out(probs[..., 1], labels == 1, groups, weights)
    np.testing.assert_allclose(value, metrics.auc(probs[..., 1], labels == 1, weights), atol=1e-12)
    for group in range(15):
        keep = groups != group
        want = metrics.auc(probs[:, keep, 1], labels[keep] == 1, weights[keep])
        np.testing.assert_allclose(left[:, group], want, atol=1e-12)


@pytest.mark.parametrize("name", ["balanced accuracy", "precision", "macro f1", "brier", "ece"])
def test_leaving_a_group_out_of_sums_equals_deleting_its_rows(name: str) -> None:
    probs, labels, groups, weights = _grouped(4)

    def rows(keep: np.ndarray) -> np.ndarray:
        part = probs[:, keep]
        if name == "brier":
            return calibration.brier_sums(part, labels[keep], weights[keep])
        if name == "ece":
            return calibration.calibration_bins(part, labels[keep], 10, weights[keep])
        return metrics.class_counts(part.argmax(-1), labels[keep], 3, weights[keep])

    metric = {
        "balanced accuracy": metrics.balanced_accuracy,
        "precision": lambda sums: metrics.precision(sums)[..., 1],
        "macro f1": lambda sums: metrics.macro(metrics.f1(sums)),
        "brier": calibration.mean_of_sums,
        "ece": calibration.ece,
    }[name]
    everything = np.ones(40, dtype=bool)
    _, left = jackknife.sums_leave_out(metric, rows(everything), groups, axis=1)
    for group in range(15):
        want = metric(rows(groups != group).sum(axis=1))
        np.testing.assert_allclose(left[:, group], want, atol=1e-12)


def test_the_pseudo_values_of_a_class_mean_are_deviations_from_it() -> None:
    # Two classes of three groups; balanced accuracy halves each class's deviation.
    right = np.array([[1, 0, 1, 0, 0, 1]])
    labels = np.array([0, 0, 0, 1, 1, 1])
    said = np.where(right == 1, labels, 1 - labels)
    counts = metrics.class_counts(said, labels, 2)
    value, left = jackknife.sums_leave_out(metrics.balanced_accuracy, counts, np.arange(6), axis=1)
    got = jackknife.influence(value, left, labels)
    want = (right - np.array([2, 2, 2, 1, 1, 1]) / 3) / 2
    np.testing.assert_allclose(got, want, atol=1e-12)


def test_a_lone_group_of_a_class_joins_the_largest_stratum() -> None:
    strata = jackknife.strata_of(np.array([0, 0, 0, 1, 2, 2]), np.arange(6))
    assert strata.tolist() == [0, 0, 0, 0, 2, 2]
