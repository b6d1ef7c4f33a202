"""Halving, doubling and filling planes."""

import numpy as np

from fewskin.functional.pyramid import doubled, halved, push_pull


def test_doubling_keeps_a_ramp_and_halving_its_mean() -> None:
    ramp = np.arange(16, dtype=np.float32)[None].repeat(8, axis=0)
    wide = doubled(ramp)
    np.testing.assert_allclose(np.diff(wide[0, 1:-1]), 0.5, atol=1e-6)
    np.testing.assert_allclose(halved(wide)[:, 1:-1] / 4, ramp[:, 1:-1], atol=1e-6)


def test_known_values_stay_and_unknown_ones_lie_between() -> None:
    rng = np.random.default_rng(0)
    values = rng.random((2, 37, 50), dtype=np.float32)  # odd sides too
    weight = (rng.random((37, 50)) < 0.1).astype(np.float32)
    made = push_pull(values, weight)
    np.testing.assert_allclose(made[:, weight > 0], values[:, weight > 0], atol=1e-6)
    assert made.min() >= values[:, weight > 0].min() - 1e-6
    assert made.max() <= values[:, weight > 0].max() + 1e-6


def test_levels_limit_the_reach() -> None:
    weight = np.zeros((64, 64), np.float32)
    weight[:, :4] = 1.0
    made = push_pull(np.ones((1, 64, 64), np.float32), weight, 3)
    assert made[0, :, 4:8].min() > 0.5
    assert made[0, :, 24:].max() == 0.0
    assert (push_pull(np.ones((1, 64, 64), np.float32), np.zeros_like(weight)) == 0).all()
