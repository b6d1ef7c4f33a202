import copy

import pytest
import torch
from torch import nn

from fewskin.errors import ConfigError
from fewskin.nets.lora import add_low_rank, merge_low_rank


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.GroupNorm(2, 8),
        nn.Conv2d(8, 8, 3, padding=1, groups=2, bias=False),
        nn.Flatten(),
        nn.Linear(8 * 16, 5),
    )


X = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def step(made: nn.Module, trained: list[nn.Parameter]) -> None:
    optimizer = torch.optim.Adam(trained, lr=0.1)
    for _ in range(2):  # the thin matrix that is not 0 moves only once the other has
        optimizer.zero_grad()
        made(X).square().sum().backward()
        optimizer.step()


def test_a_fresh_change_changes_nothing() -> None:
    plain = net()
    changed = copy.deepcopy(plain)
    add_low_rank(changed, 2)
    torch.testing.assert_close(changed(X), plain(X))


def test_only_the_changes_learn() -> None:
    made = net()
    before = {name: value.clone() for name, value in made.state_dict().items()}
    trained = add_low_rank(made, 2)
    assert {id(one) for one in made.parameters() if one.requires_grad} == {id(p) for p in trained}
    start = [one.detach().clone() for one in trained]
    step(made, trained)
    after = {name.replace(".layer.", "."): v for name, v in made.state_dict().items()}
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert not any(torch.equal(a, b) for a, b in zip(start, trained, strict=True))


def test_a_merged_net_computes_the_same_with_the_names_it_had() -> None:
    plain = net()
    made = copy.deepcopy(plain)
    trained = add_low_rank(made, 2)
    copied = copy.deepcopy(made)
    step(made, trained)
    expected = made(X)
    merge_low_rank(made)
    torch.testing.assert_close(made(X), expected)
    assert list(made.state_dict()) == list(plain.state_dict())
    # A copy made before is a net of its own.
    torch.testing.assert_close(copied(X), plain(X))


def test_a_change_has_the_rank_it_says_and_few_numbers() -> None:
    made = net()
    before = made[4].weight.detach().clone()
    trained = add_low_rank(made, 3)
    step(made, trained)
    merge_low_rank(made)
    assert int(torch.linalg.matrix_rank(made[4].weight - before, rtol=1e-4)) == 3
    assert sum(one.numel() for one in trained) < sum(one.numel() for one in made.parameters())


def test_a_rank_below_1_is_refused_and_one_beyond_the_layer_is_cut() -> None:
    with pytest.raises(ConfigError, match="rank=0"):
        add_low_rank(net(), 0)
    assert max(len(one) for one in add_low_rank(nn.Sequential(nn.Linear(3, 2)), 9)) == 2
