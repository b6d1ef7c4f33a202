import pytest
import torch
from torch import Tensor

from fewskin.functional.diffusion import SIGMA_DATA, seeded_noise
from fewskin.functional.diffusion_edit import between, edited, encoded, knowing, slerp
from fewskin.functional.samplers import ddim, levels


def gaussian(x: Tensor, sigma: float) -> Tensor:
    return SIGMA_DATA**2 / (SIGMA_DATA**2 + sigma**2) * x


IMAGES = SIGMA_DATA * seeded_noise([1, 2], (3, 8, 8))
NOISE = seeded_noise([3, 4], (3, 8, 8))


def likeness(a: Tensor, b: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


def test_the_more_noise_the_less_is_left_of_the_image() -> None:
    made = [edited(gaussian, IMAGES, NOISE, levels(30, "edm", s)) for s in (0.0, 0.2, 0.5, 1.0)]
    left = [likeness(one, IMAGES) for one in made]
    assert torch.equal(made[0], IMAGES)
    assert left == sorted(left, reverse=True)
    assert left[1] > 0.9
    # As much noise as image: a correlation of 1 / sqrt(2); the highest level leaves nothing.
    assert left[2] == pytest.approx(0.5**0.5, abs=0.1)
    assert abs(left[3]) < 0.15


@pytest.mark.parametrize("kind", ["edm", "v"])
def test_what_is_known_comes_back_and_what_is_not_does_not(kind: str) -> None:
    mask = torch.zeros(2, 1, 8, 8)
    mask[:, :, 2:6, 2:6] = 1.0
    known = knowing(gaussian, IMAGES, mask)
    for sampler in ("dpmpp", "heun", "ddim"):
        made = edited(known, IMAGES, NOISE, levels(12, kind), sampler)
        changed = (made - IMAGES).abs() > 1e-5
        assert torch.equal(changed.any(1, keepdim=True), mask.bool()), sampler


def test_an_encoded_image_is_noise_and_comes_back() -> None:
    sigmas = levels(300, "edm", 0.9)
    code = encoded(gaussian, IMAGES, sigmas)
    assert float(code.std()) == pytest.approx((sigmas[0] ** 2 + 0.25) ** 0.5, rel=0.1)
    back = ddim(gaussian, code, sigmas)
    torch.testing.assert_close(back, IMAGES, rtol=0.1, atol=0.03)


def test_one_step_encodes_too() -> None:
    assert not torch.equal(encoded(gaussian, IMAGES, [1.0, 0.0]), IMAGES)


def test_an_arc_keeps_the_length_of_noise_and_ends_at_both() -> None:
    a, b = NOISE[:1], NOISE[1:]
    half = slerp(a, b, torch.tensor([0.5]))
    assert float(half.norm()) == pytest.approx(float(a.norm() + b.norm()) / 2, rel=0.05)
    torch.testing.assert_close(slerp(a, b, torch.tensor([0.0])), a)
    torch.testing.assert_close(slerp(a, b, torch.tensor([1.0])), b)
    torch.testing.assert_close(slerp(a, a, torch.tensor([0.3])), a)


def test_between_two_images_lies_an_image_like_both() -> None:
    a, b, sigmas = IMAGES[:1], IMAGES[1:], levels(100, "edm", 0.9)
    made = between(gaussian, a, b, torch.tensor([0.5]), sigmas)
    assert likeness(made, a) == pytest.approx(likeness(made, b), abs=0.1)
    assert likeness(made, a) > 0.5
    end = between(gaussian, a, b, torch.tensor([1.0]), sigmas)
    assert likeness(end, b) > 0.99
    assert torch.equal(between(gaussian, a, b, torch.tensor([0.0]), []), a)
