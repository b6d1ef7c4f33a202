import copy

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from fewskin.errors import ConfigError
from fewskin.nets.gan_discriminator import Discriminator
from fewskin.nets.gan_generator import GanShape, StyleGenerator
from fewskin.nets.gan_layers import Affine, EqualLinear, MinibatchStd, modulated_conv

VARIANTS = ["style", "light"]


def shape(variant: str = "style", size: int = 32, classes: int = 3) -> GanShape:
    return GanShape(variant, size, channel_base=256, channel_max=16, latent=16, n_classes=classes)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def nets(variant: str, size: int = 32, classes: int = 3) -> tuple[StyleGenerator, Discriminator]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = StyleGenerator(shape(variant, size, classes))
        return made, Discriminator(shape(variant, size, classes))


def image(net: StyleGenerator, labels: Tensor, seed: int = 0) -> Tensor:
    n = len(labels)
    z = torch.randn(n, net.shape.latent, generator=rng(seed))
    return net.synthesis(net.mapping(z, labels), net.noise(n, rng(seed + 1)))


@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize("kernel", [1, 3])
def test_a_modulated_convolution_is_a_convolution_with_filters_of_each_image(
    kernel: int, demodulate: bool
) -> None:
    x = torch.randn(3, 4, 6, 6, generator=rng(), dtype=torch.float64)
    weight = torch.randn(5, 4, kernel, kernel, generator=rng(1), dtype=torch.float64)
    style = torch.randn(3, 4, generator=rng(2), dtype=torch.float64)
    made = modulated_conv(x, weight, style, demodulate=demodulate)
    for i in range(3):
        for o in range(5):
            mine = torch.stack([weight[o, c] * style[i, c] for c in range(4)])
            if demodulate:
                mine = mine / (mine.square().sum() + 1e-8).sqrt()
            naive = conv2d(x[i : i + 1], mine[None], padding=kernel // 2)[0, 0]
            torch.testing.assert_close(made[i, o], naive)


def test_a_rate_scales_steps_and_not_the_output() -> None:
    torch.manual_seed(0)
    one = EqualLinear(64, 64)
    torch.manual_seed(0)
    slow = EqualLinear(64, 64, rate=0.01)
    x = torch.randn(2, 64, generator=rng())
    torch.testing.assert_close(one(x), slow(x))
    moved = []
    for layer in (one, slow):
        before = layer(x).detach()
        torch.optim.Adam(layer.parameters(), lr=0.01).zero_grad()
        optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
        layer(x).sum().backward()
        optimizer.step()
        moved.append(float((layer(x) - before).abs().mean().detach()))
    assert moved[1] == pytest.approx(0.01 * moved[0], rel=0.01)


def test_minibatch_statistics_are_the_mean_deviation_over_a_group() -> None:
    x = torch.randn(4, 3, 5, 5, generator=rng())
    made = MinibatchStd(2)(x)
    assert torch.equal(made[:, :3], x)
    # Groups of two out of four are images 0 and 2, and 1 and 3.
    expected = (x[0] - x[2]).abs().mean() / 2
    torch.testing.assert_close(made[0, 3], expected.expand(5, 5))
    assert torch.equal(made[0, 3], made[2, 3])
    assert not torch.equal(made[0, 3], made[1, 3])


def test_a_group_that_does_not_divide_the_batch_becomes_smaller() -> None:
    assert MinibatchStd(4)(torch.randn(7, 2, 4, 4, generator=rng())).shape == (7, 3, 4, 4)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size", [32, 64, 128])
def test_nets_make_and_judge_images_of_every_size(variant: str, size: int) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        given = GanShape(variant, size, channel_base=1024, channel_max=8, latent=8, n_classes=2)
        generator, discriminator = StyleGenerator(given), Discriminator(given)
    labels = torch.tensor([0, 1])
    made = image(generator, labels)
    assert made.shape == (2, 3, size, size)
    judged = discriminator.judge(made, labels)
    assert judged.logits.shape == (2,)
    assert judged.at_8.shape[-1] == 8
    assert judged.at_16.shape[-1] == 16


@pytest.mark.parametrize("variant", VARIANTS)
def test_labels_change_the_image_and_the_verdict(variant: str) -> None:
    generator, discriminator = nets(variant)
    one, other = image(generator, torch.tensor([0])), image(generator, torch.tensor([1]))
    assert float((one - other).abs().mean().detach()) > 1e-3
    assert discriminator(one, torch.tensor([0])) != discriminator(one, torch.tensor([1]))


@pytest.mark.parametrize("variant", VARIANTS)
def test_images_of_a_batch_do_not_see_each_other(variant: str) -> None:
    generator, _ = nets(variant)
    labels = torch.tensor([0, 1, 2])
    z = torch.randn(3, 16, generator=rng())
    noise = generator.noise(3, rng(1))
    together = generator.synthesis(generator.mapping(z, labels), noise)
    mine = [one[1:2] for one in noise]
    alone = generator.synthesis(generator.mapping(z[1:2], labels[1:2]), mine)
    torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
def test_noise_changes_an_image_once_it_has_a_strength(variant: str) -> None:
    generator, _ = nets(variant)
    w = generator.mapping(torch.randn(1, 16, generator=rng()), torch.tensor([0]))
    one, other = generator.noise(1, rng(1)), generator.noise(1, rng(2))
    assert torch.equal(generator.synthesis(w, one), generator.synthesis(w, other))
    for name, parameter in generator.named_parameters():
        if name.endswith("strength"):
            parameter.data.fill_(0.5)
    assert not torch.equal(generator.synthesis(w, one), generator.synthesis(w, other))


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_parameter_has_a_part_in_the_game(variant: str) -> None:
    generator, discriminator = nets(variant)
    labels = torch.tensor([0, 1, 2])
    made = image(generator, labels)
    judged = discriminator.judge(made, labels)
    (judged.logits.square().sum() + discriminator.redrawn(made, judged, 3)).backward()
    for net in (generator, discriminator):
        for name, parameter in net.named_parameters():
            assert parameter.grad is not None, name


@pytest.mark.parametrize(("variant", "n"), [("style", 10), ("light", 5)])
def test_frozen_layers_are_counted_from_the_image_on(variant: str, n: int) -> None:
    # 32 px: style has a start and three blocks of three, light a start and two blocks of two.
    _, discriminator = nets(variant)
    assert len(discriminator.layers()) == n
    discriminator.freeze(2)
    assert not any(one.requires_grad for one in discriminator.start.parameters())
    moving = [layer.weight.requires_grad for layer in discriminator.layers()]
    assert moving == [False, False] + [True] * (n - 2)
    with pytest.raises(ConfigError, match="freeze_d=99"):
        discriminator.freeze(99)


def test_a_low_rank_style_starts_as_it_was_and_merges_into_the_weights() -> None:
    style = Affine(8, 4)
    x = torch.randn(5, 8, generator=rng())
    before, plain = style(x), copy.deepcopy(style)
    style.widen(2)
    assert torch.equal(style(x), before)
    assert style.up is not None
    style.up.data.normal_(generator=rng(1))
    moved = style(x)
    assert not torch.equal(moved, before)
    style.merge()
    torch.testing.assert_close(style(x), moved)
    assert style.state_dict().keys() == plain.state_dict().keys()


@pytest.mark.parametrize("size", [48, 63, 16, 1024])
def test_a_side_that_no_net_makes_is_refused(size: int) -> None:
    with pytest.raises(ConfigError, match=rf"image_size={size}.*32, 64, 128, 256 or 512 px"):
        GanShape("style", size)


def test_widths_that_leave_no_channels_are_refused() -> None:
    with pytest.raises(ConfigError, match="channel_base=64 leaves 2 channels at 32 px"):
        GanShape("light", 32, channel_base=64)
    with pytest.raises(ConfigError, match=r"variant='heavy': expected style or light"):
        GanShape("heavy", 32)  # type: ignore[arg-type]


def test_the_four_pixels_of_a_place_start_alike_in_the_light_one() -> None:
    generator, _ = nets("light")
    fine = generator.synthesis.colours[-1]
    maps = torch.randn(1, fine.weight.shape[1], 16, 16, generator=rng())
    twelve = fine(maps, torch.randn(1, 16, generator=rng(1)))
    image = torch.nn.functional.pixel_shuffle(twelve, 2)
    torch.testing.assert_close(image[..., ::2, ::2], image[..., 1::2, 1::2])
