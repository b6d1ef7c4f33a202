from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fewskin.errors import ConfigError
from fewskin.functional.tiles import MIDDLE, join, split
from fewskin.nets.backbones import make_backbone
from fewskin.nets.patches import KINDS, kind_of
from fewskin.nets.reading import Reading

AROUND = [i for i in range(9) if i != MIDDLE]


def sheets(n: int = 2, side: int = 96) -> torch.Tensor:
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(0))


def by_tile(net: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """(n, 9, d): features of every tile by the net for single images."""
    with torch.inference_mode():
        return net(split(images)).unflatten(0, (len(images), 9))


@pytest.mark.parametrize("name", ["resnet18", "conv4", "vit_tiny_patch16_224"])
def test_each_kind_is_the_single_net_on_tiles_then_pooled(name: str) -> None:
    single = by_tile(make_backbone(name, image_size=32, seed=3).eval(), sheets())
    around = single[:, AROUND]
    sides = [around[:, [0]], around[:, [1]], around[:, [2]]]
    sides += [around[:, [3, 4]], around[:, [5, 7]], around[:, [6]]]
    wanted = {
        "whole": single[:, MIDDLE],
        "patches": around.mean(1),
        "two_branch": torch.cat([single[:, MIDDLE], around.mean(1)], 1),
        "regions": torch.cat([part.mean(1) for part in sides], 1),
    }
    assert tuple(sorted(wanted)) == KINDS
    for kind, expected in wanted.items():
        net = make_backbone(f"{kind}:{name}", image_size=96, seed=3).eval()
        with torch.inference_mode():
            made, seam = net(sheets()), net.pool(net.last_block(net.trunk(sheets())))
        assert (net.feature_dim, net.image_size) == (made.shape[1], 96)
        assert torch.equal(made, seam)
        torch.testing.assert_close(made, expected, atol=1e-4, rtol=1e-4)


def test_the_trunk_ends_where_that_of_the_net_ends() -> None:
    net = make_backbone("patches:resnet18", image_size=96).eval()
    assert not isinstance(net.last_block, torch.nn.Identity)
    frozen = {name for name, _ in net.trunk.named_parameters()}
    single = make_backbone("resnet18", image_size=32)
    assert len(frozen) == len(list(single.trunk.parameters()))


def test_the_order_of_patches_does_not_matter_to_their_mean() -> None:
    net, images = make_backbone("patches:conv4", image_size=96).eval(), sheets()
    turned = images.rot90(2, (2, 3)).reshape(images.shape)
    tiles = split(turned).rot90(2, (2, 3))  # each upright again, in other places
    with torch.inference_mode():
        torch.testing.assert_close(net(join(tiles)), net(images), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["patches", "two_branch", "regions"])
def test_a_tile_of_one_colour_does_not_count(kind: str) -> None:
    net = make_backbone(f"{kind}:resnet18", image_size=96).eval()
    tiles = split(sheets(1))
    tiles[0] = 0.02
    grey = join(tiles)
    single = by_tile(make_backbone("resnet18", image_size=32).eval(), grey)[0]
    with torch.inference_mode():
        made = net(grey)[0]
    if kind == "regions":
        assert (made[:512] == 0).all()
        torch.testing.assert_close(made[512:1024], single[1], atol=1e-4, rtol=1e-4)
    else:
        torch.testing.assert_close(made[-512:], single[AROUND[1:]].mean(0), atol=1e-4, rtol=1e-4)


def test_a_sheet_that_shows_nothing_gives_zeros_and_no_nan() -> None:
    for kind in KINDS:
        net = make_backbone(f"{kind}:conv4", image_size=48).eval()
        with torch.inference_mode():
            assert (net(torch.full((2, 3, 48, 48), 0.3)) == 0).all()


def test_all_levels_are_read_tile_by_tile() -> None:
    reading, images = Reading(levels="all"), sheets()
    net = make_backbone("patches:resnet18", image_size=96).eval()
    changed = split(images).unflatten(0, (2, 9))
    changed = join(changed[:, [1, 0, *range(2, 9)]].flatten(0, 1))  # two patches change places
    with torch.inference_mode():
        one, other = (reading.of(net)(x) for x in (images, changed))
    torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_weights_of_the_net_and_of_the_whole_both_load(tmp_path: Path) -> None:
    single = make_backbone("conv4", seed=7).eval()
    save_file(single.state_dict(), tmp_path / "single.safetensors")
    net = make_backbone("patches:conv4", weights=tmp_path / "single.safetensors", image_size=96)
    expected = by_tile(single, sheets())[:, AROUND].mean(1)
    with torch.inference_mode():
        torch.testing.assert_close(net.eval()(sheets()), expected, atol=1e-5, rtol=1e-5)
    assert net.pretrained_on == "unknown"
    save_file(net.state_dict(), tmp_path / "whole.safetensors")
    again = make_backbone("patches:conv4", weights=tmp_path / "whole.safetensors", image_size=96)
    with torch.inference_mode():
        assert torch.equal(again.eval()(sheets()), net(sheets()))


def test_gradients_reach_the_shared_net() -> None:
    net = make_backbone("two_branch:conv4", image_size=48)
    net(sheets(side=48)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def test_names_and_sides_that_do_not_fit_are_refused() -> None:
    assert kind_of("conv4") == ("", "conv4")
    for name in ("patch:resnet18", "patches:", "patches:regions:conv4"):
        with pytest.raises(ConfigError, match="before the colon expected one of patches"):
            make_backbone(name, image_size=96)
    with pytest.raises(ConfigError, match="3 x 3 tiles cannot have a side of 64"):
        make_backbone("patches:conv4", image_size=64)
    with pytest.raises(ConfigError, match="unknown backbone 'resnet1x'"):
        make_backbone("patches:resnet1x", image_size=96)
