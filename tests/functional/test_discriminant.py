import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import roc_auc_score

from fewskin.functional.discriminant import class_scores, expanded, ranks


def test_with_many_rows_the_classes_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 4000)
    known = rng.normal(0, 1, (12000, 3)) + np.eye(3)[labels]
    values = rng.normal(0.3, 1, (300, 3))
    peer = LinearDiscriminantAnalysis(priors=[1 / 3] * 3).fit(known, labels)
    shares = peer.predict_proba(values)
    expected = np.log(shares) - np.log1p(-shares)
    np.testing.assert_allclose(class_scores(known, labels, values, 3), expected, atol=0.01)


def test_a_class_of_middling_values_is_found_by_its_square() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 600)
    value = np.where(labels == 1, 0.2, 1.0) * rng.normal(0, 1, 600)
    known, new = value[:300, None], value[300:, None]
    rows = [expanded(ranks(known, part)) for part in (known, new)]
    scores = class_scores(rows[0], labels[:300], rows[1], 2)
    assert roc_auc_score(labels[300:], scores[:, 1]) > 0.8
    straight = class_scores(known, labels[:300], new, 2)
    assert abs(roc_auc_score(labels[300:], straight[:, 1]) - 0.5) < 0.1


def test_ranks_do_not_change_with_the_unit() -> None:
    rng = np.random.default_rng(0)
    known, new = rng.normal(0, 1, (50, 2)), rng.normal(0, 1, (9, 2))
    np.testing.assert_array_equal(ranks(known, new), ranks(np.exp(known), np.exp(new)))


def test_a_constant_column_tells_nothing_and_breaks_nothing() -> None:
    same = np.ones((6, 2))
    scores = class_scores(same, np.array([0, 1, 0, 1, 0, 1]), same, 2)
    np.testing.assert_allclose(scores, 0.0, atol=1e-6)
