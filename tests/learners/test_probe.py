from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import logsumexp

from fewskin.errors import ConfigError
from fewskin.learners.probe import Probe
from fewskin.protocols import ImageTable
from fewskin.testing import BASE, RARE, synthetic_table
from fewskin.training.statistics import floored


def fitted(tmp_path: Path, **settings) -> Probe:
    # fit_steps=0: a random net is as good as a trained one for how the regression is set up.
    return Probe(**{"fit_steps": 0, **settings}).fit(synthetic_table(BASE, 6), seed=1, out=tmp_path)


def adapt(learner: Probe, support: ImageTable, tmp_path: Path, extra=None, base=None):
    return learner.adapt(support, extra=extra, base=base, seed=2, out=tmp_path)


def weighted(table: ImageTable, weight: float) -> ImageTable:
    weights = np.full(len(table), weight)
    return ImageTable(table.rows, table.pixels, table.index, weights=weights)


def test_probabilities_are_those_of_the_regression_solved_independently(tmp_path: Path) -> None:
    support, images = synthetic_table(RARE, 4), synthetic_table(RARE, 4, seed=7).images()
    predictor = adapt(fitted(tmp_path), support, tmp_path)
    base = predictor.features(synthetic_table(BASE, 6).images()).double().numpy()
    mean, std = base.mean(0), base.std(0)
    std = np.maximum(std, 0.1 * std.mean())
    known = (predictor.features(support.images()).double().numpy() - mean) / std
    sign = np.where(np.array(support.labels) == RARE[1], 1.0, -1.0)

    def objective(w: np.ndarray) -> float:
        # C = 0.1, and the four images of a class weigh 1 together.
        loss = np.logaddexp(0, -sign * (known @ w[1:] + w[0])) / 4
        return float(0.1 * loss.sum() + 0.5 * w[1:] @ w[1:])

    w = minimize(objective, np.zeros(1 + known.shape[1]), method="L-BFGS-B", tol=1e-10).x
    asked = (predictor.features(images).double().numpy() - mean) / std
    expected = 1 / (1 + np.exp(-(asked @ w[1:] + w[0])))
    np.testing.assert_allclose(predictor.predict(images)[:, 1], expected, atol=2e-3)


def test_four_classes_give_the_softmax_regression(tmp_path: Path) -> None:
    support = synthetic_table((*BASE, *RARE), 3)
    predictor = adapt(fitted(tmp_path, c=1.0), support, tmp_path)
    base = predictor.features(synthetic_table(BASE, 6).images()).double().numpy()
    mean, std = base.mean(0), base.std(0)
    std = np.maximum(std, 0.1 * std.mean())
    known = (predictor.features(support.images()).double().numpy() - mean) / std
    codes = np.searchsorted(predictor.classes, support.labels)
    weight = predictor.head.weight.detach().double().numpy() * std
    bias = predictor.head.bias.detach().double().numpy() + (weight / std) @ mean
    logits = known @ weight.T + bias
    prob = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
    # At the optimum: weight = C x sum over rows of (one-hot - prob) x row, a third of a row each.
    gradient = (np.eye(4)[codes] - prob).T @ known / 3
    np.testing.assert_allclose(weight, gradient, atol=2e-3)


def test_copies_of_the_support_change_nothing(tmp_path: Path) -> None:
    learner, support = fitted(tmp_path), synthetic_table(RARE, 3)
    plain = adapt(learner, support, tmp_path).head.weight
    doubled = adapt(learner, support, tmp_path, extra=weighted(support, 1.0)).head.weight
    torch.testing.assert_close(doubled, plain, atol=1e-4, rtol=1e-3)


def test_generated_images_change_the_regression(tmp_path: Path) -> None:
    learner, support = fitted(tmp_path), synthetic_table(RARE, 1)
    plain = adapt(learner, support, tmp_path).head.weight
    extra = weighted(synthetic_table(RARE, 4, seed=8), 0.25)
    assert (adapt(learner, support, tmp_path, extra=extra).head.weight - plain).abs().max() > 1e-3


def test_classes_are_balanced_whatever_their_counts(tmp_path: Path) -> None:
    support = synthetic_table(RARE, 1)
    base = synthetic_table(BASE, 6)
    predictor = adapt(fitted(tmp_path), support, tmp_path, base=base)
    twice = base.take([*range(len(base)), *range(len(base))])
    again = adapt(fitted(tmp_path), support, tmp_path, base=twice)
    assert predictor.classes == tuple(sorted((*BASE, *RARE)))
    images = synthetic_table((*BASE, *RARE), 2, seed=3).images()
    torch.testing.assert_close(predictor.predict(images), again.predict(images), atol=1e-3, rtol=0)


def test_a_sample_of_base_keeps_its_weight_beside_generated_rows(tmp_path: Path) -> None:
    from fewskin.learners.probe import _at_most

    chosen = _at_most(synthetic_table(BASE, 6), 4, seed=0)
    assert sorted(chosen.labels) == [BASE[0]] * 4 + [BASE[1]] * 4
    assert chosen.weights.tolist() == [1.5] * 8
    assert len(_at_most(synthetic_table(BASE, 6), 9, seed=0)) == 12


def test_without_base_features_are_standardised_by_a_shrunk_deviation(tmp_path: Path) -> None:
    from fewskin.learners.probe import _standard_of_support

    known = torch.tensor([[0.0, 0.0], [2.0, 6.0]])  # variances 1 and 9, mean 5
    made = _standard_of_support(known)
    # 2 rows against a prior of 10: (2 x 1 + 10 x 5) / 12 and (2 x 9 + 10 x 5) / 12
    torch.testing.assert_close(made.std**2, torch.tensor([52 / 12, 68 / 12]))
    probs = adapt(Probe(), synthetic_table(RARE, 1), tmp_path).predict(
        synthetic_table(RARE, 1).images()
    )
    assert (probs.argmax(1) == torch.tensor([0, 1])).all()


def test_a_feature_that_is_constant_on_base_does_not_explode() -> None:
    # deviations 0 and 1: a tenth of their mean is 0.05
    torch.testing.assert_close(floored(torch.tensor([0.0, 1.0])), torch.tensor([0.05, 1.0]))


def test_training_on_base_changes_the_backbone_and_is_kept(tmp_path: Path) -> None:
    learner = fitted(tmp_path / "fit", fit_steps=3)
    learner.save(tmp_path / "state")
    loaded = Probe(fit_steps=3).load(tmp_path / "state")
    support, images = synthetic_table(RARE, 2), synthetic_table(RARE, 2, seed=3).images()
    one, two, untrained = (
        adapt(made, support, tmp_path).predict(images)
        for made in (learner, loaded, fitted(tmp_path))
    )
    assert torch.equal(one, two)
    assert not torch.allclose(one, untrained, atol=1e-4)


def test_c_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="c=0"):
        adapt(fitted(tmp_path, c=0), synthetic_table(RARE, 1), tmp_path)
