from pathlib import Path

import numpy as np
import torch
from scipy.special import softmax

from fewskin.functional.set_attention import attended
from fewskin.learners.feat import FEAT
from fewskin.testing import BASE, RARE, synthetic_table

TINY = {"fit_steps": 0, "shot": 2, "query": 3}


def fitted(tmp_path: Path, **settings) -> FEAT:
    return FEAT(**{**TINY, **settings}).fit(synthetic_table(BASE, 6), seed=1, out=tmp_path)


def adapt(learner: FEAT, tmp_path: Path, n: int = 3):
    support = synthetic_table(RARE, n)
    return learner.adapt(support, extra=None, base=None, seed=2, out=tmp_path)


def test_attention_is_what_the_paper_says_in_numpy() -> None:
    made = np.random.default_rng(0)
    rows, query, key, value = (made.standard_normal(s) for s in ((4, 5), (3, 5), (3, 5), (3, 5)))
    near = (rows @ query.T) @ (rows @ key.T).T / np.sqrt(3)
    expected = softmax(near, axis=1) @ (rows @ value.T)
    got = attended(*(torch.from_numpy(x) for x in (rows, query, key, value)))
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_attention_goes_with_the_order_of_its_rows() -> None:
    made = torch.Generator().manual_seed(0)
    rows, *weights = (torch.randn(4, 4, generator=made) for _ in range(4))
    torch.testing.assert_close(attended(rows.flip(0), *weights), attended(rows, *weights).flip(0))


def test_without_episodes_it_is_nearest_prototype_of_standardised_features(tmp_path: Path) -> None:
    predictor = adapt(fitted(tmp_path, episodes=0), tmp_path)
    base = predictor.features(synthetic_table(BASE, 6).images())
    mean, std = base.mean(0), base.std(0, correction=0)
    std = std.clamp_min(0.1 * float(std.mean()))
    support, images = synthetic_table(RARE, 3), synthetic_table(RARE, 4, seed=7).images()
    known, asked = ((predictor.features(i) - mean) / std for i in (support.images(), images))
    labels = np.array(support.labels)
    middle = torch.stack([known[labels == label].mean(0) for label in RARE])
    expected = (-(torch.cdist(asked, middle) ** 2) / 16).softmax(1)
    torch.testing.assert_close(predictor.predict(images), expected, atol=1e-4, rtol=1e-3)


def test_episodes_move_prototypes_and_lower_the_loss_on_new_patients(tmp_path: Path) -> None:
    test = synthetic_table(BASE, 20, seed=4)
    codes = torch.tensor([BASE.index(label) for label in test.labels])

    def loss(episodes: int) -> float:
        learner = fitted(tmp_path, episodes=episodes, temperature=100.0)
        support = synthetic_table(BASE, 2, seed=5)
        made = learner.adapt(support, extra=None, base=None, seed=2, out=tmp_path)
        return float(torch.nn.functional.nll_loss(made.predict(test.images()).log(), codes))

    assert loss(60) < 0.9 * loss(0)


def test_a_saved_attention_is_the_same(tmp_path: Path) -> None:
    learner = fitted(tmp_path / "fit", episodes=5)
    learner.save(tmp_path / "state")
    loaded = FEAT(**TINY).load(tmp_path / "state")
    one, two = (adapt(made, tmp_path).head.head.centres for made in (learner, loaded))
    assert torch.equal(one, two)
    assert not torch.equal(one, adapt(fitted(tmp_path, episodes=0), tmp_path).head.head.centres)
