import pytest
import torch

from fewskin.errors import ConfigError
from fewskin.functional.diffusion import N_MOVED, SIGMA_DATA
from fewskin.nets.diffusion_unet import DiffusionNet, DiffusionShape

X = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
SIGMA = torch.tensor([0.3, 5.0])


def net(trained: bool = False, **settings) -> DiffusionNet:
    torch.manual_seed(0)
    shape = DiffusionShape(32, **{"channels": (8, 16), "n_classes": 2, **settings})
    made = DiffusionNet(shape).eval()
    if trained:  # the last layer and the embedding of augmentations are 0 at first
        torch.nn.init.normal_(made.unet.conv_out.weight, std=0.1)
        torch.nn.init.normal_(made.fine.last.weight, std=0.1)
        torch.nn.init.normal_(made.moved.weight)
    return made


@pytest.mark.parametrize(
    "settings", [{}, {"patch": 1}, {"patch": 2}, {"attention": 1, "layers": 2}, {"prediction": "v"}]
)
def test_it_returns_images_of_their_size_and_predicts_nothing_at_first(settings: dict) -> None:
    labels = torch.tensor([0, 2])
    made = net(**settings)(X, SIGMA, labels)
    skip = SIGMA_DATA**2 / (SIGMA_DATA**2 + SIGMA**2)
    torch.testing.assert_close(made, skip[:, None, None, None] * X)


def test_it_hears_the_label_the_level_and_the_augmentation() -> None:
    made, level = net(trained=True), torch.tensor([0.1, 0.1])
    plain = made.predict(X, level, torch.tensor([0, 0]))
    assert not torch.allclose(plain, made.predict(X, level, torch.tensor([1, 1])))
    assert not torch.allclose(plain, made.predict(X, level + 0.05, torch.tensor([0, 0])))
    told = torch.zeros(2, N_MOVED)
    torch.testing.assert_close(plain, made.predict(X, level, torch.tensor([0, 0]), told))
    told[:, 2] = 1.0
    assert not torch.allclose(plain, made.predict(X, level, torch.tensor([0, 0]), told))


def test_images_do_not_see_each_other() -> None:
    made, labels = net(trained=True), torch.tensor([0, 1])
    whole = made(X, SIGMA, labels)
    torch.testing.assert_close(whole[1:], made(X[1:], SIGMA[1:], labels[1:]), rtol=1e-4, atol=1e-4)


def test_measured_images_have_the_deviation_that_noise_levels_are_made_for() -> None:
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(100, 180, (16, 3, 32, 32), generator=rng).to(torch.uint8)
    images[:, 0] += 60
    made = net()
    made.measure(images)
    scaled = made.scaled(images.float() / 127.5 - 1.0)
    assert float(scaled.std()) == pytest.approx(SIGMA_DATA, rel=1e-3)
    assert float(scaled.mean((0, 2, 3)).abs().max()) < 1e-5
    torch.testing.assert_close(made.unscaled(scaled), images.float() / 127.5 - 1.0)
    made.measure(torch.full((2, 3, 32, 32), 7, dtype=torch.uint8))
    assert float(made.scale) > 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"image_size": 33}, r"image_size=33: patch=4 and 2 levels need a multiple of 8 from 16"),
        ({"image_size": 8}, "image_size=8"),
        ({"image_size": 32, "channels": (12, 16)}, r"channels=\[12, 16\]: expected multiples of 8"),
        ({"image_size": 32, "attention": 3}, "attention=3"),
        ({"image_size": 32, "prediction": "eps"}, "prediction='eps': expected edm or v"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(settings: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        DiffusionShape(**settings)
