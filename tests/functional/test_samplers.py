import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from fewskin.errors import ConfigError
from fewskin.functional.diffusion import SIGMA_DATA
from fewskin.functional.samplers import SAMPLERS, Denoiser, ddim, dpmpp, heun, levels

MEANS, STDS, SHARES = (-0.6, 0.5), (0.1, 0.2), (0.3, 0.7)


def mixture(x: Tensor, sigma: float) -> Tensor:
    """The best denoiser of a mixture of two Gaussians."""
    if math.isinf(sigma):
        return torch.full_like(x, sum(p * m for p, m in zip(SHARES, MEANS, strict=True)))
    spread = [s**2 + sigma**2 for s in STDS]
    logits = torch.stack(
        [
            math.log(p) - 0.5 * math.log(v) - (x - m) ** 2 / (2 * v)
            for p, m, v in zip(SHARES, MEANS, spread, strict=True)
        ]
    )
    each = torch.stack(
        [m + s**2 / v * (x - m) for m, s, v in zip(MEANS, STDS, spread, strict=True)]
    )
    return (logits.softmax(0) * each).sum(0)


def start(sigma: float, n: int = 20_000) -> Tensor:
    """Noise of evenly spread quantiles, so that nothing here is chance."""
    u = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    noise = math.sqrt(2.0) * torch.erfinv(2.0 * u - 1.0)
    return noise if math.isinf(sigma) else sigma * noise


def apart(made: Tensor) -> float:
    """Largest distance of the distribution function from that of the mixture."""
    x = made.sort().values
    exact = sum(
        p * 0.5 * (1 + torch.erf((x - m) / (s * math.sqrt(2))))
        for p, m, s in zip(SHARES, MEANS, STDS, strict=True)
    )
    return float((exact - (torch.arange(len(x)) + 0.5) / len(x)).abs().max())


@pytest.mark.parametrize("kind", ["edm", "v"])
@pytest.mark.parametrize(("name", "steps"), [("ddim", 300), ("dpmpp", 60), ("heun", 60)])
def test_every_sampler_recovers_a_mixture_of_gaussians(name: str, steps: int, kind: str) -> None:
    sigmas = levels(steps, kind)
    made = SAMPLERS[name](mixture, start(sigmas[0]), sigmas)
    assert apart(made) < 0.02
    low = made[made < -0.1]
    assert len(low) / len(made) == pytest.approx(0.3, abs=0.01)
    assert float(low.mean()) == pytest.approx(-0.6, abs=0.01)


def test_the_random_sampler_recovers_it_too() -> None:
    sigmas, rng = levels(200, "edm"), torch.Generator().manual_seed(0)

    def fresh(step: int) -> Tensor:
        return torch.randn(20_000, generator=rng, dtype=torch.float64)

    made = ddim(mixture, start(sigmas[0]), sigmas, eta=1.0, fresh=fresh)
    assert apart(made) < 0.02
    assert not torch.equal(made.sort().values, made)  # the order of the quantiles is lost


def test_a_wrong_denoiser_does_not_recover_it() -> None:
    sigmas = levels(60, "edm")
    made = heun(lambda x, sigma: mixture(x, sigma) + 0.1, start(sigmas[0]), sigmas)
    assert apart(made) > 0.1


def gaussian(x: Tensor, sigma: float) -> Tensor:
    return SIGMA_DATA**2 / (SIGMA_DATA**2 + sigma**2) * x


@pytest.mark.parametrize(("solve", "order"), [(ddim, 1), (dpmpp, 2), (heun, 2)])
def test_errors_fall_with_the_order_of_the_solver(solve: Denoiser, order: int) -> None:
    def error(n: int) -> float:
        ramp = [(10.0 ** (1 / 7) * (1 - i / n) + 0.1 ** (1 / 7) * i / n) ** 7 for i in range(n + 1)]
        made = solve(gaussian, torch.tensor([3.0], dtype=torch.float64), ramp)
        # In closed form x / sqrt(sigma_data^2 + sigma^2) stays.
        there = 3.0 * math.sqrt((SIGMA_DATA**2 + 0.01) / (SIGMA_DATA**2 + 100.0))
        return abs(float(made) - there)

    assert error(20) / error(40) == pytest.approx(2**order, rel=0.3)


def test_levels_fall_to_0_and_begin_at_their_strength() -> None:
    for kind in ("edm", "v"):
        for strength in (0.02, 0.3, 0.5, 0.999, 1.0):
            sigmas = levels(18, kind, strength)
            assert sigmas[-1] == 0.0
            assert all(a > b for a, b in pairwise(sigmas))
            assert len(sigmas) - 1 == math.ceil(18 * strength)
    assert levels(18, "edm", 0.5)[0] == pytest.approx(SIGMA_DATA)
    assert levels(18, "v")[0] == math.inf
    assert levels(18, "edm", 0.0) == levels(18, "v", 0.0) == []
    with pytest.raises(ConfigError, match="sample_steps=0"):
        levels(0, "edm")
    with pytest.raises(ConfigError, match=r"strength=1\.5"):
        levels(5, "edm", 1.5)


def test_a_solver_calls_the_denoiser_as_often_as_it_says() -> None:
    for name, calls in {"ddim": 10, "dpmpp": 10, "heun": 19}.items():
        asked: list[float] = []

        def counted(x: Tensor, sigma: float, asked: list[float] = asked) -> Tensor:
            asked.append(sigma)
            return gaussian(x, sigma)

        SAMPLERS[name](counted, torch.ones(1), levels(10, "edm"))
        assert len(asked) == calls, name


def test_random_steps_without_noise_are_refused() -> None:
    with pytest.raises(ConfigError, match="expected fresh noise"):
        ddim(gaussian, torch.ones(1), [2.0, 1.0, 0.0], eta=0.5)
