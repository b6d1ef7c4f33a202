import numpy as np

from fewskin.face.match import grain, with_grain_of


def noisy(sigma: float, seed: int, edges: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    ramp = np.linspace(60.0, 190.0, 128)[:, None, None] + np.zeros((128, 128, 3))
    if edges:
        ramp[:, ::16] += 40.0
    return np.clip(np.round(ramp + rng.normal(0.0, sigma, ramp.shape)), 0, 255).astype(np.uint8)


def test_grain_is_the_noise_and_edges_hardly_count() -> None:
    for sigma in (2.0, 6.0):
        np.testing.assert_allclose(grain(noisy(sigma, 0)), sigma, rtol=0.08)
        np.testing.assert_allclose(grain(noisy(sigma, 0, edges=True)), sigma, rtol=0.25)


def test_a_render_gets_the_photographs_grain_and_keeps_its_colour() -> None:
    photograph, render = noisy(6.0, 0), noisy(1.0, 1)
    made = with_grain_of(photograph, render, np.random.default_rng(2))
    np.testing.assert_allclose(grain(made), grain(photograph), rtol=0.1)
    assert abs(made.astype(float) - render).mean((0, 1)).max() < 6.0
    assert abs((made.astype(float) - render).mean()) < 0.1


def test_a_cleaner_photograph_changes_nothing() -> None:
    photograph, render = noisy(1.0, 0), noisy(4.0, 1)
    assert (with_grain_of(photograph, render, np.random.default_rng(2)) == render).all()
