import pytest
import torch

from fewskin.errors import ConfigError
from fewskin.functional.augment import relight
from fewskin.functional.descriptors import colour, rings, skin_density, texture
from fewskin.nets.reading import square_views


def lesions(n: int = 3, size: int = 64) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    dark = torch.sigmoid(12 * (0.5 - (x**2 + y**2).sqrt()))
    skin = torch.tensor([0.8, 0.6, 0.5])[:, None, None] * (1 - 0.4 * dark)
    return (skin + 0.01 * torch.randn(n, 3, size, size, generator=rng)).clamp(0.05, 0.95)


def test_density_does_not_see_how_bright_the_light_was() -> None:
    images = lesions()
    darker = relight(images, torch.full((3,), 0.8))
    torch.testing.assert_close(skin_density(darker), skin_density(images), atol=2e-3, rtol=0)


def test_density_is_the_log_of_how_much_less_light_comes_back() -> None:
    image = torch.full((1, 3, 40, 40), 0.8)
    image[:, :, 15:25, 15:25] = 0.4
    linear = ((torch.tensor([0.8, 0.4]) + 0.055) / 1.055) ** 2.4
    expected = float((linear[0] / linear[1]).log() / 0.5)
    assert float(skin_density(image)[0, 0, 20, 20]) == pytest.approx(expected, rel=1e-5)


def test_rings_weigh_the_middle_then_the_outside() -> None:
    centre, _, outer = rings(32).reshape(3, 32, 32)
    assert centre[16, 16] > 100 * centre[0, 16]
    assert outer[0, 16] > 5 * outer[16, 16]


@pytest.mark.parametrize("describe", [colour, texture])
def test_an_image_is_described_alone(describe) -> None:
    images = lesions()
    torch.testing.assert_close(describe(images)[1:2], describe(images[1:2]))


def test_colour_does_not_see_which_way_is_up() -> None:
    images = lesions(1)
    for view in square_views(images)[1:]:
        torch.testing.assert_close(colour(view), colour(images), atol=1e-4, rtol=1e-3)


def test_even_images_give_numbers() -> None:
    even = torch.full((1, 3, 32, 32), 0.5)
    assert colour(even).isfinite().all()
    assert texture(even).isfinite().all()


def test_stronger_texture_has_stronger_edges() -> None:
    rng = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 3, 64, 64, generator=rng)
    weak, strong = (texture((0.6 + s * noise).clamp(0.1, 0.9))[0, :3] for s in (0.01, 0.05))
    assert (strong > weak + 1).all()  # log of five times the contrast is 1.6


@pytest.mark.parametrize("shape", [(1, 3, 16, 16), (1, 3, 32, 48)])
def test_small_or_oblong_images_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="square images of 32 px or more"):
        colour(torch.zeros(shape))
