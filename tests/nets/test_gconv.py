from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fewskin.nets.backbones import make_backbone
from fewskin.nets.gconv import GroupConv, gconv_net

Move = Callable[[Tensor], Tensor]
TURNS: dict[str, Move] = {f"turn {90 * k}": lambda x, k=k: x.rot90(k, (-2, -1)) for k in (1, 2, 3)}
MIRRORS: dict[str, Move] = {
    f"mirrored, turn {90 * k}": lambda x, k=k: x.flip(-1).rot90(k, (-2, -1)) for k in range(4)
}
ALL = {"as it is": lambda x: x} | TURNS | MIRRORS


def orientations(mirror: bool) -> list[Move]:
    return list(ALL.values())[: 8 if mirror else 4]


def times(first: int, then: int, mirror: bool) -> int:
    """Return which orientation is `first`, followed by `then`; by trying it on a square."""
    square, moves = torch.arange(9).reshape(3, 3), orientations(mirror)
    both = moves[then](moves[first](square))
    return next(i for i, move in enumerate(moves) if torch.equal(move(square), both))


def moved(maps: Tensor, g: int, mirror: bool) -> Tensor:
    """Apply orientation g to a map of orientations: turn and exchange them; (n, G, c, h, w)."""
    made = torch.empty_like(maps)
    for h in range(maps.shape[1]):
        made[:, times(h, g, mirror)] = orientations(mirror)[g](maps[:, h])
    return made


@pytest.mark.parametrize("mirror", [False, True])
def test_a_lifted_image_turns_with_the_image(mirror: bool) -> None:
    conv, order = GroupConv(3, 5, mirror=mirror, lifting=True), 8 if mirror else 4
    image = torch.randn(2, 3, 8, 8)
    expected = conv(image).unflatten(1, (order, 5))
    for g, move in enumerate(orientations(mirror)):
        made = conv(move(image)).unflatten(1, (order, 5))
        torch.testing.assert_close(made, moved(expected, g, mirror), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("mirror", [False, True])
def test_a_group_convolution_turns_with_its_input(mirror: bool) -> None:
    conv, order = GroupConv(4, 5, mirror=mirror), 8 if mirror else 4
    maps = torch.randn(2, order, 4, 8, 8)
    expected = conv(maps.flatten(1, 2)).unflatten(1, (order, 5))
    for g in range(order):
        made = conv(moved(maps, g, mirror).flatten(1, 2)).unflatten(1, (order, 5))
        torch.testing.assert_close(made, moved(expected, g, mirror), atol=1e-6, rtol=1e-5)


def test_the_first_orientation_of_a_lifting_is_the_plain_convolution() -> None:
    conv, image = GroupConv(3, 5, mirror=True, lifting=True), torch.randn(1, 3, 8, 8)
    plain = torch.nn.functional.conv2d(image, conv.weight, padding=1)
    torch.testing.assert_close(conv(image)[:, :5], plain)


def trained_a_little(name: str) -> torch.nn.Module:
    # Running means and scales away from their start, or BatchNorm would test nothing.
    net = make_backbone(name, image_size=32, seed=3)
    for _ in range(3):
        net(torch.randn(8, 3, 32, 32) + 0.3)
    return net.eval()


@pytest.mark.parametrize(
    ("name", "moves"), [("gconv6", TURNS), ("gconv6m", TURNS | MIRRORS)], ids=["p4", "p4m"]
)
def test_features_of_a_turned_image_are_the_same(name: str, moves: dict[str, Move]) -> None:
    net, images = trained_a_little(name), torch.randn(4, 3, 32, 32)
    with torch.inference_mode():
        expected = net(images)
        for said, move in moves.items():
            apart = (net(move(images)) - expected).abs().max() / expected.abs().max()
            assert apart <= 1e-5, f"{name} {said}: {apart:.1e}"


def test_without_mirror_images_a_mirrored_image_is_another() -> None:
    net, images = trained_a_little("gconv6"), torch.randn(4, 3, 32, 32)
    with torch.inference_mode():
        apart = (net(images.flip(-1)) - net(images)).abs().max() / net(images).abs().max()
    assert apart > 1e-3


def test_features_stay_the_same_in_training_where_batch_statistics_count() -> None:
    net, images = make_backbone("gconv6m", image_size=32), torch.randn(6, 3, 32, 32)
    torch.testing.assert_close(net(images.rot90(1, (-2, -1))), net(images), atol=1e-5, rtol=1e-4)


def test_features_tell_different_images_apart() -> None:
    net = trained_a_little("gconv6m")
    with torch.inference_mode():
        made = net(torch.randn(4, 3, 32, 32))
    assert torch.pdist(made).min() > 0.01 * made.abs().max()


def test_memory_layout_changes_nothing_but_rounding() -> None:
    net, images = trained_a_little("gconv6m"), torch.randn(4, 3, 32, 32)
    with torch.inference_mode():
        laid = net(images.contiguous(memory_format=torch.channels_last))
        torch.testing.assert_close(laid, net(images), atol=1e-6, rtol=1e-5)


def test_every_orientation_of_a_filter_is_trained() -> None:
    net = make_backbone("gconv6m", image_size=32)
    net(torch.randn(8, 3, 32, 32)).square().sum().backward()
    for conv in (part for part in net.modules() if isinstance(part, GroupConv)):
        by_orientation = conv.weight.grad.reshape(-1, conv.g_in, 9)
        assert bool((by_orientation != 0).any(0).all())


def test_the_layout_of_every_training_loop_fits() -> None:
    net = make_backbone("gconv6m", image_size=32, seed=1).eval()
    laid = make_backbone("gconv6m", image_size=32, seed=1).to(memory_format=torch.channels_last)
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(laid.eval()(images), net(images), atol=1e-6, rtol=1e-5)


def test_the_number_of_weights_is_that_of_conv6() -> None:
    conv6 = sum(p.numel() for p in make_backbone("conv6").parameters())
    for name in ("gconv6", "gconv6m"):
        net = make_backbone(name)
        assert 0.7 < sum(p.numel() for p in net.parameters()) / conv6 < 1.3, name
        assert net.feature_dim == 32
    # 3 x 3 filters: lifting 3 v, then 4 v w, three times 4 w^2 and 4 w f, and 2 BatchNorm each.
    v, w, f = 8, 16, 32
    expected = 9 * (3 * v + 4 * v * w + 3 * 4 * w * w + 4 * w * f) + 2 * (v + 4 * w + f)
    trunk, last, _ = gconv_net(depth=6, width=w, n_features=f, mirror=False)
    assert sum(p.numel() for part in (trunk, last) for p in part.parameters()) == expected
