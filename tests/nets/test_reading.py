import pytest
import torch

from fewskin.errors import ConfigError
from fewskin.nets.backbones import make_backbone
from fewskin.nets.reading import Reading, level_maps, square_views


def images(n: int = 2, size: int = 32) -> torch.Tensor:
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("name", "sides"),
    [("conv4", [16, 8, 4, 2]), ("conv6", [16, 8, 4, 2]), ("resnet18", [16, 8, 4, 2, 1])],
)
def test_a_level_is_the_last_map_of_each_resolution(name: str, sides: list[int]) -> None:
    net = make_backbone(name, image_size=32).eval()
    maps = level_maps(net, images())
    assert [level.shape[-1] for level in maps] == sides
    torch.testing.assert_close(net.pool(maps[-1]), net(images()))


def test_all_levels_are_means_and_deviations_of_their_maps() -> None:
    net = make_backbone("conv4", image_size=32).eval()
    read = Reading("all").of(net)(images())
    first = level_maps(net, images())[0]
    torch.testing.assert_close(read[:, :64], first.mean((2, 3)))
    torch.testing.assert_close(read[:, 64:128], first.std((2, 3), correction=0))
    assert read.shape == (2, 4 * 2 * 64)


@pytest.mark.parametrize("levels", ["last", "all"])
def test_eight_views_do_not_see_which_way_is_up(levels: str) -> None:
    net = Reading(levels, views=8).of(make_backbone("conv4", image_size=32).eval())
    for view in square_views(images())[1:]:
        torch.testing.assert_close(net(view), net(images()), atol=1e-5, rtol=1e-4)


def test_the_plain_reading_is_the_backbone_itself() -> None:
    net = make_backbone("conv4", image_size=32)
    assert Reading().of(net) is net


@pytest.mark.parametrize("wrong", [{"levels": "some"}, {"views": 3}])
def test_another_reading_is_refused(wrong: dict) -> None:
    with pytest.raises(ConfigError, match="expected"):
        Reading(**wrong)
