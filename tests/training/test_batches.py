import numpy as np
import pytest
import torch

from fewskin.errors import ConfigError
from fewskin.training.batches import BalancedRows, class_positions, mixed


def rows(targets, weights=None, **settings) -> BalancedRows:
    weights = np.ones(len(targets)) if weights is None else np.array(weights, dtype=float)
    given = {"n_classes": max(targets) + 1, "batch_size": 30, "seed": 1, **settings}
    return BalancedRows(np.array(targets), weights, **given)


def test_every_class_fills_the_same_number_of_slots() -> None:
    targets = np.array([0] * 50 + [1] * 3 + [2])
    drawn = np.concatenate([rows(targets)(t) for t in range(10)])
    assert np.bincount(targets[drawn]).tolist() == [100, 100, 100]


def test_rows_of_a_class_are_drawn_by_weight() -> None:
    # One real row of weight 1 and two generated ones that weigh 1 together: ratio 1.
    drawn = np.concatenate([rows([0, 0, 0], [1.0, 0.5, 0.5])(t) for t in range(100)])
    share = np.bincount(drawn) / len(drawn)
    # 3000 draws: standard deviation .009.
    np.testing.assert_allclose(share, [0.5, 0.25, 0.25], atol=0.04)


def test_a_row_of_no_weight_is_never_drawn() -> None:
    drawn = np.concatenate([rows([0, 0, 1], [0.0, 1.0, 1.0])(t) for t in range(50)])
    assert 0 not in drawn


def test_a_batch_depends_on_seed_and_step_only() -> None:
    drawer = rows([0, 0, 1, 1])
    assert np.array_equal(drawer(7), rows([0, 0, 1, 1])(7))
    assert not np.array_equal(drawer(7), drawer(8))
    assert not np.array_equal(drawer(7), rows([0, 0, 1, 1], seed=2)(7))
    assert np.array_equal(drawer.seeds(7), rows([0, 1]).seeds(7))


def test_arms_share_random_numbers() -> None:
    # Copies after each row leave the drawn place in the class, so the same source row is drawn.
    alone = rows([0, 0])(3)
    doubled = rows([0, 0, 0, 0])(3)
    assert np.array_equal(alone, doubled // 2)


def test_class_positions_follow_the_given_order() -> None:
    assert class_positions(["b", "a", "b"], ["b", "a"]).tolist() == [0, 1, 0]


def test_mixup_mixes_inputs_and_targets_by_the_same_share() -> None:
    inputs, targets = torch.eye(6), torch.eye(6)
    images, shares = mixed("mixup", 1.0, 4)(2, inputs, targets)
    assert torch.equal(images, shares)
    torch.testing.assert_close(shares.sum(1), torch.ones(6))
    assert ((images > 0) & (images < 1)).any()


def test_cutmix_share_is_the_share_of_pixels() -> None:
    # Image i is i everywhere, so the share of its own pixels can be counted.
    inputs = torch.arange(4.0).reshape(4, 1, 1, 1).expand(4, 1, 16, 16)
    mixer = mixed("cutmix", 1.0, 4)
    for step in range(5):
        images, shares = mixer(step, inputs, torch.eye(4))
        for i in range(4):
            counted = torch.stack([(images[i] == j).float().mean() for j in range(4)])
            torch.testing.assert_close(shares[i], counted)


def test_no_mixing_returns_what_came() -> None:
    inputs, targets = torch.rand(2, 3), torch.eye(2)
    made = mixed("none", 0.4, 0)(0, inputs, targets)
    assert made[0] is inputs
    assert made[1] is targets


def test_mixing_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="none, mixup or cutmix"):
        mixed("mixin", 0.4, 0)
    with pytest.raises(ConfigError, match="above 0"):
        mixed("mixup", 0.0, 0)
