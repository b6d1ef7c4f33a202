import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from fewskin.compat import import_learn2learn
from fewskin.errors import ConfigError
from fewskin.functional.inner_loop import (
    adapt,
    balanced,
    difficult,
    interpolated,
    prototype_head,
    step_shares,
)
from fewskin.functional.prototypes import logits


def line(w: float) -> dict[str, Tensor]:
    return {"w": torch.tensor(w, dtype=torch.float64, requires_grad=True)}


def squared(x: float, y: float):
    """The loss (w x - y)^2 / 2, whose gradient is x (w x - y)."""
    return lambda p: (p["w"] * x - y) ** 2 / 2


def test_steps_on_a_linear_model_follow_their_closed_form() -> None:
    # w - y/x shrinks by (1 - lr x^2) = 0.6 a step: 0.5 + 2.5 * 0.6^3 after three.
    ends = adapt(squared(2.0, 1.0), line(3.0), rates=0.1, steps=3)
    assert [round(end["w"].item(), 10) for end in ends] == [2.0, 1.4, 1.04]


@pytest.mark.parametrize(("order", "slope"), [("second", 0.6**3), ("first", 1.0)])
def test_meta_gradients_of_a_linear_model_follow_their_closed_form(order, slope: float) -> None:
    # d/dw0 of (w3 - 1)^2 / 2 is (w3 - 1) dw3/dw0, and dw3/dw0 = 0.6^3, or 1 where cut.
    start = line(3.0)
    end = adapt(squared(2.0, 1.0), start, rates=0.1, steps=3, order=order)[-1]["w"]
    (found,) = torch.autograd.grad((end - 1.0) ** 2 / 2, start["w"])
    assert found.item() == pytest.approx((1.04 - 1.0) * slope)


def test_without_an_order_nothing_leads_back() -> None:
    assert not adapt(squared(1.0, 0.0), line(1.0), rates=0.1, steps=2, order="none")[-1][
        "w"
    ].requires_grad


def test_the_gradient_of_a_learnt_rate_is_minus_both_gradients() -> None:
    # w1 = w - r g, so dL(w1)/dr = -g L'(w1); here g = 3, w1 = 3 - 0.5 * 3, L'(w1) = w1.
    rate = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    end = adapt(squared(1.0, 0.0), line(3.0), rates={"w": rate}, steps=1)[-1]["w"]
    (found,) = torch.autograd.grad(end**2 / 2, rate)
    assert found.item() == pytest.approx(-3.0 * 1.5)


def test_each_step_has_its_rate_and_the_last_goes_on() -> None:
    # Factors of w on w^2 / 2: 1 - 0.5, then 1 - 0.1 twice.
    ends = adapt(squared(1.0, 0.0), line(1.0), rates=[{"w": 0.5}, {"w": 0.1}], steps=3)
    assert [round(end["w"].item(), 10) for end in ends] == [0.5, 0.45, 0.405]


def test_only_parameters_with_a_rate_move() -> None:
    start = {"a": torch.tensor(2.0), "b": torch.tensor(3.0)}
    end = adapt(lambda p: p["a"] * p["b"], start, rates={"a": 1.0}, steps=1)[-1]
    assert (end["a"].item(), end["b"].item()) == (-1.0, 3.0)


def test_an_unknown_order_is_named() -> None:
    with pytest.raises(ConfigError, match="third"):
        adapt(squared(1.0, 0.0), line(1.0), rates=0.1, steps=1, order="third")  # type: ignore[arg-type]


@pytest.mark.parametrize("order", ["second", "first"])
def test_batched_tasks_have_the_meta_gradient_of_one_by_one(order) -> None:
    x, y = torch.tensor([[1.0, 2.0], [0.5, -1.0]]).double()
    start = line(3.0)

    def end(x: Tensor, y: Tensor, batched: bool) -> Tensor:
        inner = adapt(
            lambda p: (p["w"] * x - y) ** 2 / 2,
            start,
            rates=0.1,
            steps=3,
            order=order,
            batched=batched,
        )
        return (inner[-1]["w"] - 1.0) ** 2

    together = torch.func.vmap(lambda x, y: end(x, y, True))(x, y).sum()
    alone = end(x[0], y[0], False) + end(x[1], y[1], False)
    assert together.item() == pytest.approx(alone.item())
    (one,), (other,) = (torch.autograd.grad(total, start["w"]) for total in (together, alone))
    assert one.item() == pytest.approx(other.item(), rel=1e-12)


@pytest.mark.parametrize("first_order", [False, True])
def test_meta_gradients_are_those_of_learn2learn_on_a_two_layer_net(first_order: bool) -> None:
    l2l, generator = import_learn2learn(), torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double()
    x, y, asked, wanted = (
        torch.randn(6, n, generator=generator, dtype=torch.float64) for n in (3, 2, 3, 2)
    )
    clone = l2l.algorithms.MAML(net, lr=0.3, first_order=first_order).clone()
    for _ in range(4):
        clone.adapt(mse_loss(clone(x), y))
    expected = torch.autograd.grad(mse_loss(clone(asked), wanted), list(net.parameters()))
    start = dict(net.named_parameters())
    end = adapt(
        lambda p: mse_loss(torch.func.functional_call(net, p, (x,)), y),
        start,
        rates=0.3,
        steps=4,
        order="first" if first_order else "second",
    )[-1]
    loss = mse_loss(torch.func.functional_call(net, end, (asked,)), wanted)
    found = torch.autograd.grad(loss, list(start.values()))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-14)


def test_a_prototype_head_says_what_nearest_prototypes_say() -> None:
    rows = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    labels, weights = torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([1.0, 2.0, 1.0, 1.0, 0.5, 3.0])
    weight, bias = prototype_head(rows, labels, 3, weights)
    middle = torch.stack([(rows * weights[:, None])[labels == c].sum(0) for c in range(3)])
    middle = middle / torch.tensor([3.0, 2.0, 3.5])[:, None]
    expected = logits(rows, middle).softmax(1)
    torch.testing.assert_close((rows @ weight.T + bias).softmax(1), expected)


def test_balanced_weights_give_each_class_the_same_whatever_its_rows() -> None:
    shares = balanced(torch.tensor([0, 1, 1, 1]), torch.tensor([2.0, 1.0, 1.0, 2.0]), 2)
    # Class 1 has weight 4: 1/4, 1/4 and 2/4 of its half.
    assert shares.tolist() == [0.5, 0.125, 0.125, 0.25]


def test_reptile_goes_part_of_the_way_to_the_mean_of_linear_models() -> None:
    # Two tasks (w - y)^2 / 2 with y = 1 and 3, ten steps of 0.2 from 0: y (1 - 0.8^10).
    start = line(0.0)
    ends = [
        adapt(squared(1.0, y), start, rates=0.2, steps=10, order="none")[-1] for y in (1.0, 3.0)
    ]
    moved = interpolated(start, ends, 0.25)["w"].item()
    assert moved == pytest.approx(0.25 * 2.0 * (1 - 0.8**10))


def test_daml_weighs_a_task_by_how_wrong_it_is() -> None:
    # -(1 - p)^2 log p at p = 0.9 and 0.1.
    losses = torch.tensor([-math.log(0.9), -math.log(0.1)], dtype=torch.float64)
    expected = [0.1**2 * -math.log(0.9), 0.9**2 * -math.log(0.1)]
    assert difficult(losses, 2.0).tolist() == pytest.approx(expected)


def test_daml_keeps_a_gradient_for_a_solved_task_and_a_hopeless_one() -> None:
    losses = torch.tensor([0.0, 30.0], requires_grad=True)
    difficult(losses, 0.5).sum().backward()
    assert losses.grad is not None
    assert bool(torch.isfinite(losses.grad).all())
    assert losses.grad[1] == pytest.approx(1.0)


@pytest.mark.parametrize(("progress", "last"), [(0.0, 0.2), (0.5, 0.6), (1.0, 1.0), (3.0, 1.0)])
def test_the_multi_step_loss_fades_to_the_last_step(progress: float, last: float) -> None:
    # From 1/5 to 1 on a straight line.
    shares = step_shares(5, progress)
    assert sum(shares) == pytest.approx(1.0)
    assert shares[-1] == pytest.approx(last)
