import math

import numpy as np
import pytest
import torch
from torch import Tensor

from fewskin.errors import ConfigError
from fewskin.functional.augment import Policy, parameters
from fewskin.functional.diffusion import (
    SIGMA_DATA,
    denoise,
    drawn_sigmas,
    guided,
    loss_weight,
    moved_vector,
    noised,
    scaling,
    seeded_noise,
    sigma_at,
    stratified,
    target,
)

KINDS = ("edm", "v")
LEVELS = (0.01, 0.3, 0.5, 2.0, 40.0)
MEAN, STD = 0.2, 0.7  # of Gaussian data that are not those the preconditioning expects


def analytic(x: Tensor, sigma: float) -> Tensor:
    """The best denoiser of data from N(MEAN, STD^2)."""
    return (STD**2 * x + sigma**2 * MEAN) / (STD**2 + sigma**2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sigma", LEVELS)
def test_what_the_net_sees_and_predicts_has_variance_1(kind: str, sigma: float) -> None:
    rng = torch.Generator().manual_seed(0)
    clean = SIGMA_DATA * torch.randn(200_000, generator=rng)
    noise = torch.randn(200_000, generator=rng)
    level = torch.full_like(clean, sigma)
    seen = noised(clean, noise, level) * scaling(level, kind).into
    assert float(seen.var()) == pytest.approx(1.0, abs=0.02)
    assert float(target(clean, noise, level, kind).var()) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sigma", LEVELS)
def test_the_best_prediction_for_gaussian_data_gives_the_analytic_denoiser_and_loss(
    kind: str, sigma: float
) -> None:
    rng = torch.Generator().manual_seed(1)
    clean = MEAN + STD * torch.randn(200_000, generator=rng)
    noise = torch.randn(200_000, generator=rng)
    level = torch.full_like(clean, sigma)
    x = noised(clean, noise, level)
    factors = scaling(level, kind)
    best = (analytic(x, sigma) - factors.skip * x) / factors.out
    made = denoise(lambda into, told: best, x, level, kind)
    torch.testing.assert_close(made, analytic(x, sigma), rtol=1e-4, atol=1e-4)
    # What is left is the variance of the clean value given the noisy one.
    loss = float((best - target(clean, noise, level, kind)).square().mean())
    left = STD**2 * sigma**2 / (STD**2 + sigma**2) * float(loss_weight(level[:1]))
    assert loss == pytest.approx(left, rel=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_of_the_prediction_is_the_weighted_loss_of_the_denoised(kind: str) -> None:
    rng = torch.Generator().manual_seed(2)
    clean, noise, guess = (torch.randn(5, 3, generator=rng) for _ in range(3))
    sigma = torch.tensor([0.01, 0.2, 1.0, 5.0, 60.0])
    made = denoise(lambda into, told: guess, noised(clean, noise, sigma), sigma, kind)
    of_image = loss_weight(sigma)[:, None] * (made - clean) ** 2
    of_prediction = (guess - target(clean, noise, sigma, kind)) ** 2
    torch.testing.assert_close(of_prediction, of_image, rtol=1e-2, atol=1e-3)


def test_both_kinds_differ_by_a_sign_and_the_level_they_tell() -> None:
    sigma = torch.tensor([0.1, 0.5, 3.0])
    edm, v = scaling(sigma, "edm"), scaling(sigma, "v")
    torch.testing.assert_close(edm.out, -v.out)
    torch.testing.assert_close(edm.skip, v.skip)
    torch.testing.assert_close(edm.noise, sigma.log() / 4)
    torch.testing.assert_close(v.noise[1], torch.tensor(math.pi / 4))


def test_the_last_level_of_v_holds_nothing_of_the_image() -> None:
    last = torch.tensor([math.inf, math.inf])
    clean, noise = torch.ones(2, 4), seeded_noise([1, 2], (4,))
    x = noised(clean, noise, last)
    assert torch.equal(x, noise)
    assert all(bool(one.isfinite().all()) for one in scaling(last, "v"))
    seen: list[Tensor] = []

    def net(into: Tensor, told: Tensor) -> Tensor:
        seen.append(into)
        return target(clean, noise, last, "v")

    torch.testing.assert_close(denoise(net, x, last, "v"), clean)
    assert torch.equal(seen[0], noise)
    assert bool(torch.isinf(drawn_sigmas(torch.tensor([0.9995]), "v")).all())
    assert sigma_at(1.0, "v") == math.inf


def test_training_levels_follow_their_distribution() -> None:
    u = stratified(4000)
    logs = drawn_sigmas(u, "edm").log()
    assert float(logs.mean()) == pytest.approx(-1.2, abs=0.01)
    assert float(logs.std()) == pytest.approx(1.2, abs=0.02)
    # Twice the side, twice the noise; none less for small images.
    assert float(drawn_sigmas(u, "edm", 128).log().mean() - logs.mean()) == pytest.approx(
        math.log(2), abs=1e-4
    )
    assert torch.equal(drawn_sigmas(u, "edm", 32), drawn_sigmas(u, "edm", 64))
    angles = torch.atan(drawn_sigmas(u, "v") / SIGMA_DATA)
    assert float(angles.mean()) == pytest.approx(math.pi / 4, abs=0.01)


def test_guidance_1_is_the_label_and_0_is_none_and_the_other_is_not_asked() -> None:
    def never(x: Tensor, sigma: float) -> Tensor:
        raise AssertionError

    x = torch.randn(3, generator=torch.Generator().manual_seed(0))
    told = guided(lambda x, sigma: 2 * x, never, 1.0)
    assert torch.equal(told(x, 1.0), 2 * x)
    assert torch.equal(guided(never, lambda x, sigma: 3 * x, 0.0)(x, 1.0), 3 * x)


def test_noise_of_a_seed_is_the_same_in_any_company() -> None:
    whole = seeded_noise([3, 2**61, 5], (3, 4, 4))
    assert torch.equal(whole[1:2], seeded_noise([2**61], (3, 4, 4)))
    assert not torch.equal(whole[0], whole[2])


def test_an_augmentation_is_told_by_numbers_near_1_and_none_by_zeros() -> None:
    drawn = parameters(np.arange(500), Policy(rot90=False))
    told = moved_vector(drawn)
    assert told.shape == (500, 7)
    assert float(told.abs().max()) < 1.5
    assert set(told[:, 0].tolist()) == {0.0, 1.0}
    none = parameters([1], Policy(False, False, 0.0, 0.0, 0.0, 0.0))
    assert float(moved_vector(none).abs().max()) == 0.0


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ConfigError, match="prediction='eps': expected edm or v"):
        scaling(torch.ones(1), "eps")  # type: ignore[arg-type]
