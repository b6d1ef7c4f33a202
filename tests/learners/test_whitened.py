from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from fewskin.errors import ConfigError
from fewskin.learners.whitened import Whitened
from fewskin.testing import BASE, RARE, synthetic_table
from fewskin.training.predictor import NetPredictor

TINY = {"backbone": "conv4", "fit_steps": 0, "fit_views": 1}


def adapted(tmp_path: Path, **settings) -> tuple[Whitened, NetPredictor]:
    learner = Whitened(**{**TINY, **settings})
    learner = learner.fit(synthetic_table(BASE, 12), seed=1, out=tmp_path)
    support = synthetic_table(RARE, 3)
    return learner, learner.adapt(support, extra=None, base=None, seed=2, out=tmp_path)


def test_the_logits_are_those_of_the_formula(tmp_path: Path) -> None:
    _, predictor = adapted(tmp_path, fit_levels="none", fit_also=["colour"], shrinkage=0.4)
    base = synthetic_table(BASE, 12)
    known = predictor.features(base.images()).double().numpy()
    mean, std = known.mean(0), known.std(0)
    std = np.maximum(std, 0.1 * std.mean())

    def squash(x: np.ndarray) -> np.ndarray:
        return 2 * np.tanh((x - mean) / std / 2)

    centre, spread = squash(known).mean(0), squash(known).std(0)
    spread = np.maximum(spread, 0.1 * spread.mean())
    moved = (squash(known) - centre) / spread
    labels = np.array(base.labels)
    within = np.mean([np.cov(moved[labels == label].T) for label in BASE], axis=0)
    within = 0.6 * within + 0.4 * np.trace(within) / len(within) * np.eye(len(within))
    values, vectors = np.linalg.eigh(within)

    def place(images: torch.Tensor) -> torch.Tensor:
        x = squash(predictor.features(images).double().numpy())
        x = (x - centre) / spread @ (vectors / np.sqrt(values))
        return normalize(torch.from_numpy(x), dim=1)

    support, asked = synthetic_table(RARE, 3), synthetic_table(RARE, 4, seed=7).images()
    placed, own = place(support.images()), np.array(support.labels)
    middle = torch.stack([placed[own == label].mean(0) for label in RARE])
    expected = (-5 * torch.cdist(place(asked), middle) ** 2).softmax(1).float()
    torch.testing.assert_close(predictor.predict(asked), expected, atol=2e-3, rtol=0)


def test_the_net_is_read_at_all_levels_beside_the_descriptors(tmp_path: Path) -> None:
    learner, predictor = adapted(tmp_path)
    # conv4: mean and deviation of 64 maps at four levels; then 54, 78 and 3 x 128.
    sizes = learner._fitted.statistics.sizes.tolist()
    assert sizes == [512, 54, 78, 384]
    assert predictor.features(synthetic_table(RARE, 1).images()).shape == (2, sum(sizes))


def test_a_saved_predictor_keeps_its_dictionary(tmp_path: Path) -> None:
    _, predictor = adapted(tmp_path, fit_levels="none", fit_also=["patches"])
    predictor.save(tmp_path / "model")
    images = synthetic_table(RARE, 3, seed=4).images()
    loaded = NetPredictor.load(tmp_path / "model")
    assert torch.equal(loaded.predict(images), predictor.predict(images))


def test_without_base_rows_it_is_a_nearest_mean(tmp_path: Path) -> None:
    learner = Whitened(**TINY, fit_levels="last", fit_also=[]).fit(None, seed=1, out=tmp_path)
    predictor = learner.adapt(synthetic_table(RARE, 5), extra=None, base=None, seed=2, out=tmp_path)
    test = synthetic_table(RARE, 10, seed=5)
    hit = [
        RARE[i] == own
        for i, own in zip(predictor.predict(test.images()).argmax(1), test.labels, strict=True)
    ]
    assert np.mean(hit) > 0.6


@pytest.mark.parametrize("shrinkage", [0.0, 1.2])
def test_shrinkage_out_of_range_is_refused(shrinkage: float, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="more than 0, at most 1"):
        adapted(tmp_path, shrinkage=shrinkage, fit_levels="none")


def test_an_unknown_descriptor_is_refused_before_any_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fewskin.training import base

    def trained(*args: object, **settings: object) -> None:
        raise AssertionError("it trained first")

    monkeypatch.setattr(base, "fit_classifier", trained)
    with pytest.raises(ConfigError, match="descriptor 'color': expected one of colour"):
        adapted(tmp_path, fit_steps=5, fit_also=["color"])
