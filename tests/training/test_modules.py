import math

import pytest
import torch
from torch import nn

from fewskin.errors import ConfigError
from fewskin.training.engine import run_steps
from fewskin.training.modules import Classifier, Recipe, cosine, make_optimizer


def constant(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.ones(2, 3), torch.tensor([[1.0, 0.0], [0.0, 1.0]])


def test_learning_rate_rises_and_falls_along_a_cosine() -> None:
    factor = cosine(100)
    # 5 steps of rise, then half a cosine over the other 95.
    assert [round(factor(t), 6) for t in range(5)] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert factor(5) == 1.0
    assert math.isclose(factor(52), 0.5 * (1 + math.cos(math.pi * 47 / 95)))
    assert factor(100) == 0.0


def test_only_matrices_decay() -> None:
    groups = make_optimizer(
        nn.Linear(3, 2).parameters(), "adamw", lr=0.1, weight_decay=0.5
    ).param_groups
    assert [(group["weight_decay"], len(group["params"])) for group in groups] == [
        (0.5, 1),
        (0.0, 1),
    ]


def test_an_unknown_optimizer_names_the_known() -> None:
    with pytest.raises(ConfigError, match="adam, adamw, rmsprop or sgd"):
        make_optimizer([], "lion", lr=0.1, weight_decay=0.0)


def test_the_result_is_the_moving_average_of_the_weights() -> None:
    net = nn.Linear(3, 2, bias=False)
    module = Classifier(net, Recipe(4, 0.1, "sgd", 0.0, ema=0.5))
    seen: list[torch.Tensor] = []

    def watched(step: int):
        seen.append(net.weight.detach().clone())
        return constant(step)

    inputs = torch.eye(3)[:2]
    run_steps(module, lambda t: (inputs * (1 + t), watched(t)[1]), steps=4, out=None)
    seen.append(net.weight.detach().clone())
    expected = seen[1]  # the average starts at the weights after the first step
    for weight in seen[2:]:
        expected = 0.5 * expected + 0.5 * weight
    torch.testing.assert_close(module.result.weight, expected)
    assert not torch.equal(seen[1], seen[4])


def test_still_parts_keep_their_statistics() -> None:
    moving, still = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    net = nn.Sequential(moving, still, nn.Linear(3, 2))
    module = Classifier(net, Recipe(3, 0.1), still=[still])
    run_steps(module, lambda t: (torch.randn(2, 3) + 5, constant(t)[1]), steps=3, out=None)
    assert float(moving.running_mean.abs().sum()) > 1
    assert float(still.running_mean.abs().sum()) == 0


def test_label_smoothing_spreads_the_target() -> None:
    net = nn.Linear(3, 2)
    inputs, targets = constant(0)
    loss = Classifier(net, Recipe(1, 0.1, label_smoothing=0.2)).training_step((inputs, targets), 0)
    # Mueller et al. 2019: (1 - a) y + a / C.
    spread = 0.8 * targets + 0.1
    expected = -(spread * net(inputs).log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(loss, expected)
