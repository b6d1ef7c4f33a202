import numpy as np
import pytest
import torch

from fewskin.functional.augment import Policy
from fewskin.functional.gan_augment import (
    MAX_P,
    ada_augment,
    cutout,
    diff_augment,
    gated_parameters,
    next_p,
)

TURNS = Policy(flip=False, rotation_deg=0.0, scale=0.0, translation=0.0, brightness=0.0)
N = 8000


def images(n: int = 4, size: int = 16) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def orientation_counts(p: float, share: np.ndarray) -> np.ndarray:
    """Return how often each quarter turn is seen of images that are turned by `share`."""
    corner = torch.zeros(1, 1, 2, 2)
    corner[..., 0, 0] = 1.0
    turned = np.random.default_rng(0).choice(4, N, p=share)
    shown = torch.cat([corner.rot90(k, (2, 3)) for k in range(4)])[turned]
    seen = ada_augment(shown, np.arange(N), TURNS, p)
    marks = torch.cat([corner.rot90(k, (2, 3)) for k in range(4)]).flatten(1)
    return np.bincount((seen.flatten(1) @ marks.T).argmax(1).numpy(), minlength=4) / N


@pytest.mark.parametrize("p", [0.3, 0.6, MAX_P])
def test_augmentation_does_not_leak_the_distribution_can_be_worked_back(p: float) -> None:
    share = np.array([0.7, 0.2, 0.1, 0.0])
    # With probability p a uniform quarter turn: (1 - p) identity plus p / 4 everywhere.
    operator = (1 - p) * np.eye(4) + p / 4
    back = np.linalg.solve(operator, orientation_counts(p, share))
    # Three standard errors of a share, magnified by the inverse, 1 / (1 - p).
    assert np.abs(back - share).max() < 3 * 0.5 / np.sqrt(N) / (1 - p)


def test_at_p_1_quarter_turns_would_leak_so_p_never_gets_there() -> None:
    counts = orientation_counts(1.0, np.array([1.0, 0.0, 0.0, 0.0]))
    assert np.abs(counts - 0.25).max() < 0.02  # nothing tells which way was up
    assert MAX_P < 1.0
    assert next_p(MAX_P, 1.0, 0.6, 10**9, 1.0) == MAX_P


def test_each_transform_is_left_out_with_probability_1_minus_p_on_its_own() -> None:
    drawn, moved = gated_parameters(np.arange(N), Policy(), 0.25)
    used = {
        "zoom": drawn["zoom"] != 1.0,
        "shift": drawn["shift_x"] != 0.0,
        "light": drawn["light"] != 1.0,
        "mirror": drawn["mirror"] < 0,  # drawn half of the time where it is not left out
    }
    for name, here in used.items():
        expected = 0.125 if name == "mirror" else 0.25
        assert abs(here.mean() - expected) < 3 * np.sqrt(0.25 / N), name
    both = (used["zoom"] & used["shift"]).mean()
    assert abs(both - 0.0625) < 3 * np.sqrt(0.0625 / N)
    assert (used["shift"] <= moved).all()


def test_at_p_0_nothing_changes_and_an_unmoved_image_keeps_its_bits() -> None:
    given = images(64)
    assert ada_augment(given, range(64), Policy(), 0.0) is given
    made = ada_augment(given, range(64), Policy(), 0.1)
    drawn, moved = gated_parameters(np.arange(64), Policy(), 0.1)
    still = ~moved & (drawn["light"] == 1.0)
    assert 10 < still.sum() < 64
    assert torch.equal(made[still], given[still])


def test_an_image_depends_on_its_own_seed_only() -> None:
    given = images()
    whole = ada_augment(given, [5, 6, 7, 8], Policy(), 0.8)
    assert torch.equal(whole[2:3], ada_augment(given[2:3], [7], Policy(), 0.8))
    whole = diff_augment(given, [5, 6, 7, 8], Policy())
    assert torch.equal(whole[2:3], diff_augment(given[2:3], [7], Policy()))


@pytest.mark.parametrize("name", ["ada", "diff"])
def test_gradients_flow_through_to_the_image(name: str) -> None:
    given = images().requires_grad_()
    seeds = [5, 6, 7, 8]
    made = (
        ada_augment(given, seeds, Policy(), 0.9)
        if name == "ada"
        else diff_augment(given, seeds, Policy())
    )
    made.square().sum().backward()
    assert given.grad is not None
    assert bool((given.grad.flatten(1).abs().sum(1) > 0).all())


def test_colour_is_left_alone_but_for_light() -> None:
    red = torch.tensor([0.4, -0.2, -0.3])[:, None, None].expand(200, 3, 8, 8).clone()
    made = ada_augment(red, range(200), Policy(), 0.8) * 0.5 + 0.5
    linear = ((made + 0.055) / 1.055) ** 2.4
    ratio = linear / linear.sum(1, keepdim=True)
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio), rtol=1e-3, atol=1e-3)


def test_p_rises_when_the_discriminator_is_too_sure_and_falls_when_it_is_not() -> None:
    p = 0.0
    for _ in range(100):
        p = next_p(p, 0.9, 0.6, 64, 20.0)
    assert p == pytest.approx(100 * 64 / 20_000)
    for _ in range(40):
        p = next_p(p, 0.1, 0.6, 64, 20.0)
    assert p == pytest.approx(60 * 64 / 20_000)
    assert next_p(0.001, 0.1, 0.6, 64, 20.0) == 0.0


def test_a_square_of_half_the_side_is_cut_where_it_fits() -> None:
    made = cutout(torch.ones(500, 1, 16, 16), range(500))
    share = 1 - made.mean((1, 2, 3))
    assert float(share.max()) == 0.25
    # The middle is anywhere: of half the side 7/16 lies inside on average, each way.
    assert float(share.mean()) == pytest.approx((7 / 16) ** 2, abs=0.01)
    assert set(made.unique().tolist()) == {0.0, 1.0}
