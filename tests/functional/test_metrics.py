"""Metrics against scikit-learn and torchmetrics, ties and missing classes included.

Both are references only: the values come from our own code, which also leaves patients out. Where
torchmetrics works in float32 the tolerance is 1e-6 and scikit-learn or SciPy holds to 1e-9.
"""

import warnings

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn import metrics as reference

from fewskin import compat
from fewskin.functional import calibration, metrics

compat.import_torchvision()
from torchmetrics.functional import classification as tm  # noqa: E402  (needs torchvision above)

EXACT = 1e-9


def _case(kind: str, seed: int, n: int = 60, n_classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(n_classes), size=n)
    labels = rng.integers(n_classes, size=n)
    if kind == "ties":
        probs = np.round(probs * 4) / 4
        probs[probs.sum(axis=1) == 0, 0] = 1.0
        probs /= probs.sum(axis=1, keepdims=True)
    if kind == "missing class":
        labels[labels == n_classes - 1] = 0
    if kind == "never predicted":
        probs[:, 1] = 0.0
        probs /= probs.sum(axis=1, keepdims=True)
    if kind == "one right class":
        labels[:] = 2
    return probs, labels


KINDS = ("plain", "ties", "missing class", "never predicted", "one right class")
cases = pytest.mark.parametrize(
    ("kind", "seed"), [(kind, seed) for kind in KINDS for seed in range(3)]
)


def _counts(probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return metrics.class_counts(probs.argmax(-1), labels, probs.shape[-1]).sum(axis=-3)


@cases
def test_accuracies_equal_scikit_learn(kind: str, seed: int) -> None:
    probs, labels = _case(kind, seed)
    counts, said = _counts(probs, labels), probs.argmax(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of a predicted class without rows.
        balanced = reference.balanced_accuracy_score(labels, said)
    assert float(metrics.accuracy(counts)) == pytest.approx(
        reference.accuracy_score(labels, said), abs=EXACT
    )
    assert float(metrics.balanced_accuracy(counts)) == pytest.approx(balanced, abs=EXACT)


@cases
def test_precision_recall_and_f1_of_each_class_equal_scikit_learn(kind: str, seed: int) -> None:
    probs, labels = _case(kind, seed)
    counts, said = _counts(probs, labels), probs.argmax(1)
    want = reference.precision_recall_fscore_support(
        labels, said, labels=range(probs.shape[1]), zero_division=0.0
    )
    got = (metrics.precision(counts), metrics.recall(counts), metrics.f1(counts))
    for ours, theirs in zip(got, want[:3], strict=True):
        # Where scikit-learn divides 0 by 0 and says 0, a class without rows is nan with us.
        np.testing.assert_allclose(np.nan_to_num(ours), theirs, atol=EXACT)


@cases
def test_macro_f1_equals_scikit_learn_and_torchmetrics(kind: str, seed: int) -> None:
    probs, labels = _case(kind, seed)
    ours = float(metrics.macro(metrics.f1(_counts(probs, labels))))
    said = probs.argmax(1)
    assert ours == pytest.approx(reference.f1_score(labels, said, average="macro"), abs=EXACT)
    theirs = tm.multiclass_f1_score(torch.from_numpy(said), torch.from_numpy(labels), 4)
    assert ours == pytest.approx(float(theirs), abs=1e-6)  # torchmetrics works in float32 here


@cases
def test_class_auc_equals_scikit_learn(kind: str, seed: int) -> None:
    probs, labels = _case(kind, seed)
    ours = metrics.class_auc(probs, labels)
    for k in range(4):
        if (labels == k).all() or not (labels == k).any():
            assert np.isnan(ours[k])
        else:
            want = reference.roc_auc_score(labels == k, probs[:, k])
            assert float(ours[k]) == pytest.approx(want, abs=EXACT)


def test_macro_auc_equals_scikit_learn_one_vs_rest() -> None:
    probs, labels = _case("ties", 0)
    want = reference.roc_auc_score(labels, probs, multi_class="ovr", average="macro")
    assert float(metrics.macro(metrics.class_auc(probs, labels))) == pytest.approx(want, abs=EXACT)


def test_weighted_metrics_equal_scikit_learn() -> None:
    probs, labels = _case("ties", 1)
    weights = np.random.default_rng(1).uniform(0.2, 1.0, size=len(labels))
    said = probs.argmax(1)
    counts = metrics.class_counts(said, labels, 4, weights).sum(axis=0)
    want = reference.balanced_accuracy_score(labels, said, sample_weight=weights)
    assert float(metrics.balanced_accuracy(counts)) == pytest.approx(want, abs=EXACT)
    auc = float(metrics.auc(probs[:, 2], labels == 2, weights))
    want = reference.roc_auc_score(labels == 2, probs[:, 2], sample_weight=weights)
    assert auc == pytest.approx(want, abs=EXACT)


def test_pair_auc_equals_scikit_learn_on_the_two_classes() -> None:
    probs, labels = _case("plain", 2)
    two = np.isin(labels, [1, 3])
    share = metrics.pair_probs(probs[two], 1, 3)
    want = reference.roc_auc_score(
        labels[two] == 3, probs[two, 3] / (probs[two, 1] + probs[two, 3])
    )
    got = float(metrics.auc(share[:, 1], labels[two] == 3))
    assert got == pytest.approx(want, abs=EXACT)


def test_a_pair_without_any_probability_is_split_evenly() -> None:
    assert metrics.pair_probs(np.array([0.0, 1.0, 0.0]), 0, 2).tolist() == [0.5, 0.5]


def test_auc_of_constant_scores_is_one_half() -> None:
    labels = np.array([True, False, True, False])
    assert float(metrics.auc(np.zeros(4), labels)) == 0.5


@cases
def test_brier_score_equals_scikit_learn(kind: str, seed: int) -> None:
    probs, labels = _case(kind, seed)
    ours = calibration.mean_of_sums(calibration.brier_sums(probs, labels).sum(axis=0))
    # Spelt out as well, for scikit-learn < 1.7 has no multi-class Brier score.
    truth = np.eye(4)[labels]
    want = ((probs - truth) ** 2).sum(axis=1).mean()
    assert float(ours) == pytest.approx(want, abs=EXACT)
    if kind != "one right class":
        theirs = reference.brier_score_loss(labels, probs, labels=range(4), scale_by_half=False)
        assert float(ours) == pytest.approx(theirs, abs=EXACT)


@pytest.mark.parametrize("seed", range(3))
def test_calibration_error_equals_torchmetrics(seed: int) -> None:
    probs, labels = _case("plain", seed, n=200)
    ours = calibration.ece(calibration.calibration_bins(probs, labels, 10).sum(axis=0))
    theirs = tm.multiclass_calibration_error(
        torch.from_numpy(probs), torch.from_numpy(labels), num_classes=4, n_bins=10
    )
    assert float(ours) == pytest.approx(float(theirs), abs=1e-6)  # it casts to float32
    confidence, right = probs.max(axis=1), probs.argmax(axis=1) == labels
    gaps = stats.binned_statistic(
        confidence, confidence - right, "sum", bins=calibration.calibration_edges(10)
    )
    assert float(ours) == pytest.approx(np.abs(gaps.statistic).sum() / 200, abs=EXACT)


def test_a_confidence_on_an_edge_belongs_to_the_bin_above_and_one_to_the_last() -> None:
    probs = np.array([[0.7, 0.3], [0.5, 0.5], [1.0, 0.0], [0.3, 0.7]])
    bins = calibration.calibration_bins(probs, np.zeros(4, dtype=np.int64), 10).sum(axis=0)
    # .5 -> [.5, .6), .7 twice -> [.7, .8), 1 -> [.9, 1]
    assert bins[:, 0].tolist() == [0, 0, 0, 0, 0, 1, 0, 2, 0, 1]


def test_a_leading_axis_of_draws_gives_each_draw_its_own_value() -> None:
    first, labels = _case("plain", 5)
    second, _ = _case("ties", 6)
    both = np.stack([first, second])
    for metric in (
        lambda p: metrics.balanced_accuracy(_counts(p, labels)),
        lambda p: metrics.class_auc(p, labels),
        lambda p: calibration.ece(calibration.calibration_bins(p, labels).sum(axis=-3)),
        lambda p: calibration.mean_of_sums(calibration.brier_sums(p, labels).sum(axis=-2)),
    ):
        np.testing.assert_array_equal(metric(both), np.stack([metric(first), metric(second)]))


def test_confusion_equals_scikit_learn_summed_over_draws() -> None:
    first, labels = _case("plain", 7)
    said = np.stack([first.argmax(1), np.roll(first.argmax(1), 1)])
    want = sum(reference.confusion_matrix(labels, row, labels=range(4)) for row in said)
    np.testing.assert_array_equal(metrics.confusion(said, labels, 4), want)
