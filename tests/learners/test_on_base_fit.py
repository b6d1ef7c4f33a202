"""Learners on frozen features of the shared base fit, each against its formula."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity, normalize

from fewskin.errors import ConfigError
from fewskin.functional import transduction
from fewskin.functional.cosine_head import cosine_directions, cosine_loss
from fewskin.learners.baseline_pp import BaselinePP
from fewskin.learners.bdcspn import BDCSPN
from fewskin.learners.laplacianshot import LaplacianShot
from fewskin.learners.simpleshot import SimpleShot
from fewskin.learners.soft_kmeans import SoftKMeans
from fewskin.learners.tim import TIM
from fewskin.protocols import ImageTable
from fewskin.testing import BASE, RARE, synthetic_table

TRANSDUCTIVE = {
    "bdcspn": BDCSPN,
    "laplacianshot": LaplacianShot,
    "soft_kmeans": SoftKMeans,
    "tim": TIM,
}
TEST = synthetic_table(RARE, 6, seed=7)


def fitted(kind: type, tmp_path: Path, **settings):
    # fit_steps=0: a random net is as good as a trained one for how features are used.
    base = synthetic_table(BASE, 6)
    return kind(**{"fit_steps": 0, **settings}).fit(base, seed=1, out=tmp_path)


def adapt(learner, tmp_path: Path, support: ImageTable | None = None, extra=None):
    support = synthetic_table(RARE, 3) if support is None else support
    return learner.adapt(support, extra=extra, base=None, seed=2, out=tmp_path)


def placed(predictor, space: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Class means and test rows in a space, by hand."""
    base, support = synthetic_table(BASE, 6), synthetic_table(RARE, 3)
    mean = predictor.features(base.images()).mean(0)
    rows = [predictor.features(table.images()) for table in (support, TEST)]
    if space == "cl2n":
        rows = [part - mean for part in rows]
    if space != "un":
        rows = [normalize(part, dim=1) for part in rows]
    labels = np.array(support.labels)
    return torch.stack([rows[0][labels == label].mean(0) for label in RARE]), rows[1]


@pytest.mark.parametrize("space", ["un", "l2n", "cl2n"])
def test_simpleshot_is_the_nearest_mean_of_centred_unit_features(space: str, tmp_path) -> None:
    predictor = adapt(fitted(SimpleShot, tmp_path, space=space, scale=3.0), tmp_path)
    means, asked = placed(predictor, space)
    expected = (-3 * torch.cdist(asked, means) ** 2).softmax(1)
    torch.testing.assert_close(predictor.predict(TEST.images()), expected, atol=1e-5, rtol=1e-4)


def test_an_unknown_space_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected un, l2n, cl2n"):
        adapt(fitted(SimpleShot, tmp_path, space="sphere"), tmp_path)


def test_without_steps_baseline_pp_is_the_cosine_to_class_means(tmp_path: Path) -> None:
    predictor = adapt(fitted(BaselinePP, tmp_path, steps=0), tmp_path)
    means, asked = placed(predictor, "cl2n")
    expected = (10 * cosine_similarity(asked[:, None], means[None], dim=2)).softmax(1)
    torch.testing.assert_close(predictor.predict(TEST.images()), expected, atol=1e-5, rtol=1e-4)


def cosine_problem() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    made = torch.Generator().manual_seed(0)
    labels = torch.arange(9) % 3
    rows = torch.randn(9, 5, generator=made) + 2 * torch.eye(5)[labels]
    return rows.double(), labels, torch.full((9,), 1 / 9, dtype=torch.float64)


def test_the_gradient_of_the_cosine_head_is_that_of_automatic_differentiation() -> None:
    rows, labels, share = cosine_problem()
    unit, free = normalize(rows, dim=1), torch.eye(5)[:3].double().requires_grad_()
    logits = 7 * cosine_similarity(unit[:, None], free[None], dim=2)
    torch.nn.functional.cross_entropy(logits, labels).backward()
    loss, gradient = cosine_loss(free.detach(), unit, labels, share, 7.0)
    torch.testing.assert_close(gradient, free.grad)
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits, labels).detach())


def test_training_the_cosine_head_lowers_its_loss_to_a_flat_place() -> None:
    rows, labels, share = cosine_problem()
    unit = normalize(rows, dim=1)
    losses, slopes = [], []
    for steps in (0, 20, 100, 3000):
        made = cosine_directions(rows, labels, 3, share, scale=5.0, steps=steps, lr=0.05)
        loss, gradient = cosine_loss(made, unit, labels, share, 5.0)
        losses.append(float(loss))
        slopes.append(float(gradient.norm()))
    assert losses[0] > losses[1] > losses[2] > losses[3]
    assert slopes[3] < 1e-4 < slopes[0]


@pytest.mark.parametrize("name", TRANSDUCTIVE)
def test_a_transductive_learner_applies_its_method_to_all_rows(name: str, tmp_path: Path) -> None:
    learner = fitted(TRANSDUCTIVE[name], tmp_path)
    assert learner.transductive
    predictor = adapt(learner, tmp_path)
    support, base = synthetic_table(RARE, 3), synthetic_table(BASE, 6)
    mean = predictor.features(base.images()).mean(0)
    known, asked = (
        normalize(predictor.features(table.images()) - mean, dim=1) for table in (support, TEST)
    )
    member = transduction.membership(torch.tensor([0, 0, 0, 1, 1, 1]), 2)
    options = predictor.head.head.options
    expected = getattr(transduction, name)(known, member, asked, **options)
    got = predictor.predict(TEST.images())
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(predictor.predict_table(TEST), got, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", TRANSDUCTIVE)
def test_a_transductive_predictor_sees_beyond_a_batch_and_no_order(name: str, tmp_path) -> None:
    predictor = adapt(fitted(TRANSDUCTIVE[name], tmp_path), tmp_path)
    test = synthetic_table(RARE, 70, seed=8)  # 140 rows: features come in batches of 128
    order = np.random.default_rng(0).permutation(len(test))
    whole = predictor.predict_table(test)
    turned = predictor.predict_table(test.take(order))
    torch.testing.assert_close(turned, whole[torch.from_numpy(order)], atol=1e-4, rtol=1e-3)
    alone = predictor.predict_table(test.take(range(20)))
    assert (alone - whole[:20]).abs().max() > 1e-4


@pytest.mark.parametrize("name", TRANSDUCTIVE)
def test_a_loaded_transductive_predictor_predicts_the_same(name: str, tmp_path: Path) -> None:
    predictor = adapt(fitted(TRANSDUCTIVE[name], tmp_path), tmp_path)
    predictor.save(tmp_path / "saved")
    loaded = type(predictor).load(tmp_path / "saved")
    assert type(loaded) is type(predictor)
    assert torch.equal(loaded.predict(TEST.images()), predictor.predict(TEST.images()))


@pytest.mark.parametrize("kind", [SimpleShot, BaselinePP])
def test_copies_of_the_support_change_nothing(kind: type, tmp_path: Path) -> None:
    learner, support = fitted(kind, tmp_path), synthetic_table(RARE, 3)
    copies = ImageTable(support.rows, support.pixels, support.index, weights=np.full(6, 1.0))
    plain, doubled = (
        adapt(learner, tmp_path, support, extra).predict(TEST.images()) for extra in (None, copies)
    )
    torch.testing.assert_close(doubled, plain, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", [SimpleShot, TIM])
def test_whitened_features_predict_with_and_without_a_base(kind: type, tmp_path: Path) -> None:
    plain = adapt(fitted(kind, tmp_path), tmp_path).predict(TEST.images())
    white = adapt(fitted(kind, tmp_path, space="whitened"), tmp_path).predict(TEST.images())
    assert (plain - white).abs().max() > 1e-3
    bare = adapt(kind(fit_steps=0, space="whitened").fit(None, seed=1, out=tmp_path), tmp_path)
    assert bare.predict(TEST.images()).shape == (12, 2)
