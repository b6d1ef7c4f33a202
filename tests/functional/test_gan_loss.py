import math

import pytest
import torch
from torch import nn

from fewskin.functional.gan_loss import (
    auto_gamma,
    discriminator_loss,
    ema_decay,
    generator_loss,
    path_lengths,
    r1,
)


def test_r1_is_the_squared_gradient_worked_out_by_hand() -> None:
    # logit_i = sum_k w_k tanh(x_ik), so the gradient is w_k (1 - tanh(x_ik)^2).
    rng = torch.Generator().manual_seed(0)
    weight = torch.randn(3, 4, 4, generator=rng, dtype=torch.float64)
    images = torch.randn(5, 3, 4, 4, generator=rng, dtype=torch.float64, requires_grad=True)
    made = r1((weight * images.tanh()).sum((1, 2, 3)), images)
    by_hand = (weight * (1 - images.tanh().square())).square().sum((1, 2, 3))
    torch.testing.assert_close(made, by_hand)


def test_r1_has_a_gradient_that_finite_differences_confirm() -> None:
    images = torch.randn(2, 1, 3, 3, dtype=torch.float64, requires_grad=True)
    weight = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))

    def penalty() -> torch.Tensor:
        return r1((weight * images).sin().sum((1, 2, 3)), images).mean()

    (slope,) = torch.autograd.grad(penalty(), weight)
    values = []
    for step in (1e-5, -1e-5):
        weight.data += step
        values.append(float(penalty().detach()))
        weight.data -= step
    assert float(slope) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-6)


def test_losses_are_the_logistic_ones() -> None:
    real, fake = torch.tensor([1.0, -2.0]), torch.tensor([0.5])
    by_hand = (math.log1p(math.exp(-1.0)) + math.log1p(math.exp(2.0))) / 2
    by_hand += math.log1p(math.exp(0.5))
    assert float(discriminator_loss(real, fake)) == pytest.approx(by_hand, rel=1e-6)
    assert float(generator_loss(fake)) == pytest.approx(math.log1p(math.exp(-0.5)), rel=1e-6)


def test_a_generator_still_learns_from_a_sure_discriminator() -> None:
    fake = torch.tensor([-30.0], requires_grad=True)
    generator_loss(fake).backward()
    assert fake.grad is not None
    assert float(fake.grad) == pytest.approx(-1.0)


def test_a_linear_generator_has_the_length_of_its_matrix() -> None:
    # images = A w, so J^T y = A^T y: with y of unit pixels the length is that of a row of A.
    matrix = torch.arange(12.0).reshape(12, 1) @ torch.ones(1, 2)
    w = torch.zeros(1, 2, requires_grad=True)
    images = (w @ matrix.T).reshape(1, 3, 2, 2)
    noise = torch.zeros(1, 3, 2, 2)
    noise[0, 2, 1, 1] = 1.0  # row 11
    # Divided by the side, 2.
    expected = math.sqrt(2 * 11.0**2) / 2
    assert float(path_lengths(images, w, noise)) == pytest.approx(expected)


def test_gamma_grows_with_area_and_falls_with_the_batch() -> None:
    assert auto_gamma(512, 32) == pytest.approx(4 * auto_gamma(256, 32))
    assert auto_gamma(256, 64) == pytest.approx(auto_gamma(256, 32) / 2)


def test_the_average_of_weights_is_short_at_first_and_then_keeps_its_half_life() -> None:
    assert ema_decay(0, 16, 1000.0) == 0.0
    decays = [ema_decay(seen, 16, 1000.0) for seen in (100, 1000, 10_000, 20_000, 10**6)]
    assert decays == sorted(decays)
    # From 1000 / 0.05 images on, 1000 images halve what was there.
    assert decays[3] ** (1000 / 16) == pytest.approx(0.5)
    assert decays[3] == decays[4]
