import numpy as np
import torch

from fewskin.functional.lesion_mask import lesion_masks, otsu
from fewskin.testing import synthetic_table


def lesion(side: int, radius: float, centre: tuple[float, float] = (0.0, 0.0)) -> torch.Tensor:
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    inside = np.hypot(y - centre[0], x - centre[1]) < radius
    image = np.where(inside, [[[90]], [[60]], [[50]]], [[[210]], [[170]], [[150]]])
    return torch.from_numpy(image.astype(np.uint8)), torch.from_numpy(inside)


def test_a_dark_disc_is_found_with_little_around_it() -> None:
    for side in (32, 64):
        image, inside = lesion(side, 0.5, (0.2, -0.1))
        mask = lesion_masks(image[None])[0]
        assert bool((mask[inside] > 250).all())
        assert float((mask > 0).float().mean()) < 1.8 * float(inside.float().mean())
        assert bool((mask[[0, -1]] == 0).all())


def test_lesions_of_the_test_images_lie_inside_their_masks() -> None:
    table = synthetic_table(("rare_brown", "rare_red"), 4)
    masks = lesion_masks(table.images())
    assert masks.shape == (8, 32, 32)
    shares = (masks > 127).float().mean((1, 2))
    assert bool(((shares > 0.1) & (shares < 0.9)).all()), shares


def test_an_even_image_and_none_have_no_lesion() -> None:
    assert int(lesion_masks(torch.full((1, 3, 32, 32), 128, dtype=torch.uint8)).max()) == 0
    assert lesion_masks(torch.empty(0, 3, 32, 32, dtype=torch.uint8)).shape == (0, 32, 32)


def test_the_threshold_lies_between_two_groups() -> None:
    values = np.concatenate([np.random.default_rng(0).normal(0, 1, 900), np.full(100, 12.0)])
    assert 3.0 < otsu(values) < 12.0
