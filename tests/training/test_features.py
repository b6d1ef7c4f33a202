from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fewskin.functional.augment import Policy, augment
from fewskin.nets.backbones import make_backbone, normalise
from fewskin.protocols import ImageTable
from fewskin.testing import synthetic_table
from fewskin.training import features as cache
from fewskin.training.features import features, maps, state_hash, view_maps


def named(key: str = "pixels of this test") -> ImageTable:
    whole = synthetic_table(n=6)
    return replace(whole, pixels_key=key).take([7, 2, 2])


def direct(net, images: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return net.eval()(normalise(images))


def test_features_are_those_of_the_net_in_eval_mode() -> None:
    net, table = make_backbone("conv4"), named()
    net.train()
    made = features(net, table)
    assert net.training, "the caller's mode is left as it was"
    torch.testing.assert_close(made, direct(net, table.images()), atol=1e-5, rtol=1e-5)
    assert torch.equal(made[1], made[2])


def test_maps_are_those_below_the_last_block() -> None:
    net, table = make_backbone("conv4", image_size=32), named()
    expected = direct(net.trunk, table.images())
    torch.testing.assert_close(maps(net, table), expected, atol=1e-5, rtol=1e-5)


def test_features_of_named_pixels_are_computed_once(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, table = make_backbone("conv4"), named()
    first = features(net, table)
    assert len(list((runs / "features").glob("*.npy"))) == 1
    cache._memory.clear()

    def forbidden(*given):
        raise AssertionError("computed again")

    monkeypatch.setattr(cache, "in_batches", forbidden)
    assert torch.equal(features(net, table), first)


def test_unnamed_pixels_are_not_kept(runs: Path) -> None:
    features(make_backbone("conv4"), named(""))
    assert not (runs / "features").exists()


def test_a_large_array_is_computed_for_its_rows_only(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = make_backbone("conv4")
    kept = features(net, named())
    monkeypatch.setattr(cache, "_MAX_BYTES", 1)
    torch.testing.assert_close(features(net, named("other")), kept, atol=1e-5, rtol=1e-5)
    assert len(list((runs / "features").glob("*.npy"))) == 1


def test_another_net_has_another_hash() -> None:
    one, other = make_backbone("conv4", seed=1), make_backbone("conv4", seed=2)
    assert state_hash(one) == state_hash(make_backbone("conv4", seed=1))
    assert state_hash(one) != state_hash(other)
    one.trunk[1][0][1].running_mean += 1
    assert state_hash(one) != state_hash(make_backbone("conv4", seed=1))


@pytest.mark.parametrize("key", ["", "named"])
def test_views_are_augmented_before_the_net(key: str) -> None:
    net, table, seeds = make_backbone("conv4"), named(key), np.array([5, 6, 7])
    made = view_maps(net.trunk, table, seeds, Policy())
    images = augment(table.images().float() / 255, seeds, Policy())
    torch.testing.assert_close(made, direct(net.trunk, images), atol=1e-5, rtol=1e-5)
    assert torch.equal(view_maps(net.trunk, table, seeds, Policy()), made)


def test_kept_features_cost_no_forward_pass() -> None:
    calls = []
    net = make_backbone("conv4").eval()
    net.register_forward_hook(lambda *_: calls.append(1))
    table = replace(synthetic_table(n=2), pixels_key="of this test")
    first = features(net, table)
    n = len(calls)
    assert torch.equal(features(net, table), first)
    assert len(calls) == n
