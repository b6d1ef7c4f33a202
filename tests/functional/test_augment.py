from dataclasses import replace

import numpy as np
import pytest
import torch

from fewskin.errors import ConfigError
from fewskin.functional.augment import (
    Policy,
    affine,
    augment,
    fork_seeds,
    parameters,
    relight,
    uniforms,
    warp,
)

STILL = Policy(flip=False, rot90=False, rotation_deg=0, scale=0, translation=0, brightness=0)


def images(n: int = 4, size: int = 16, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def linear(srgb: torch.Tensor) -> torch.Tensor:
    # IEC 61966-2-1, written independently of relight.
    return torch.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert torch.equal(augment(images(), range(4)), augment(images(), range(4)))


def test_another_seed_gives_another_image() -> None:
    assert (augment(images(), range(4)) - augment(images(), range(4, 8))).abs().mean() > 0.05


def test_an_image_does_not_depend_on_its_batch() -> None:
    batch = augment(images(9), range(9))
    for i in range(9):
        assert torch.equal(batch[i : i + 1], augment(images(9)[i : i + 1], [i]))


def test_a_policy_of_zeros_changes_nothing() -> None:
    assert torch.allclose(augment(images(), range(4), STILL), images(), atol=1e-5)


def test_gradients_flow_to_the_images() -> None:
    leaf = images().requires_grad_()
    augment(leaf, range(4)).sum().backward()
    assert leaf.grad is not None
    assert (leaf.grad != 0).float().mean() > 0.3


@pytest.mark.parametrize("field", ["flip", "rot90"])
def test_flips_and_quarter_turns_are_exact_rearrangements(field: str) -> None:
    policy = Policy(**{**vars(STILL), field: True})
    before, after = images(40), augment(images(40), range(40), policy)
    torch.testing.assert_close(
        before.flatten(2).sort()[0], after.flatten(2).sort()[0], atol=1e-4, rtol=0
    )
    assert (
        5
        < sum(not torch.allclose(a, b, atol=1e-3) for a, b in zip(before, after, strict=True))
        < 38
    )


def test_a_map_of_one_quarter_turn_is_rot90() -> None:
    turned = warp(images(), torch.tensor([[[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]]).expand(4, 2, 3))
    assert torch.allclose(turned, images().rot90(1, (2, 3)), atol=1e-5)


def test_mean_redness_is_preserved() -> None:
    # Redness is R / (R + G + B) of linear light; a smooth red patch on skin, clear of clipping.
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    red = 0.3 * np.exp(-(x**2 + y**2) / 0.1)
    skin = np.stack([0.6 + red, 0.45 - red / 3, 0.4 - red / 3]).clip(0, 0.85)
    before = torch.tensor(skin, dtype=torch.float32).expand(200, 3, 64, 64)
    light = linear(augment(before, range(200))).mean((0, 2, 3))
    was = linear(before).mean((0, 2, 3))
    assert abs(light[0] / light.sum() - was[0] / was.sum()) < 0.003


def test_relight_scales_linear_rgb_within_a_tenth_of_a_grey_level() -> None:
    srgb = torch.linspace(0, 0.9, 2000)[None, None, None].expand(41, 1, 1, 2000)
    gain = torch.linspace(0.9, 1.1, 41)
    light = linear(srgb) * gain[:, None, None, None]
    exact = torch.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    assert (relight(srgb, gain) - exact).abs().max() < 3e-4


def test_relight_is_identity_at_gain_one() -> None:
    assert torch.allclose(relight(images(), torch.ones(4)), images(), atol=1e-6)


def test_parameters_stay_in_their_ranges() -> None:
    drawn = parameters(np.arange(5000), Policy())
    ranges = {"zoom": (1 / 1.2, 1.2), "light": (0.9, 1.1), "shift_x": (-0.1, 0.1)}
    for name, (low, high) in ranges.items():
        assert drawn[name].min() == pytest.approx(low, abs=2e-3)
        assert drawn[name].max() == pytest.approx(high, abs=2e-3)
    assert np.abs((drawn["angle_deg"] + 45) % 90 - 45).max() <= 30
    assert set(drawn["mirror"]) == {-1.0, 1.0}


def test_the_map_undoes_the_zoom() -> None:
    drawn = parameters(np.arange(50), Policy())
    area = np.abs(np.linalg.det(affine(drawn)[:, :, :2]))
    np.testing.assert_allclose(area, drawn["zoom"] ** -2)


def test_a_policy_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"brightness=1\.5: expected 0"):
        Policy(brightness=1.5)


def test_forked_seeds_give_numbers_independent_of_the_first() -> None:
    seeds = np.arange(20000)
    both = np.concatenate([uniforms(seeds, 3), uniforms(fork_seeds(seeds, 1), 3)], axis=1)
    assert np.abs(np.corrcoef(both.T) - np.eye(6)).max() < 0.03  # 4 x 1 / sqrt(20000)


def test_uniforms_of_neighbouring_seeds_are_uncorrelated_and_flat() -> None:
    u = uniforms(np.arange(20000), 7)
    assert np.abs(u.mean(0) - 0.5).max() < 0.01  # sd of a mean: 0.289 / sqrt(20000) = 0.002
    columns = np.concatenate([u[:-1], u[1:]], axis=1)
    assert np.abs(np.corrcoef(columns.T) - np.eye(14)).max() < 0.03  # 4 x 1 / sqrt(20000)


TILED = Policy(rot90=False, tiles=3)


def test_the_tiles_of_a_sheet_never_mix() -> None:
    sheet = torch.zeros(5, 3, 48, 48)
    shades = torch.linspace(0.2, 0.9, 9).reshape(3, 3)
    for row in range(3):
        for column in range(3):
            sheet[:, :, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16] = shades[
                row, column
            ]
    made = augment(sheet, range(5), replace(TILED, brightness=0.0))
    torch.testing.assert_close(made, sheet, atol=1e-5, rtol=0)
    assert (augment(sheet, range(5), replace(TILED, tiles=1, brightness=0.0)) != sheet).any()


def test_each_tile_moves_for_itself_and_all_have_one_light() -> None:
    tile = images(1, 16)
    made = augment(tile.repeat(1, 1, 3, 3), [3], replace(TILED, brightness=0.0))
    parts = [made[..., 16 * r : 16 * r + 16, 16 * c : 16 * c + 16] for r, c in ((0, 0), (2, 1))]
    assert (parts[0] - parts[1]).abs().mean() > 0.05
    grey = augment(torch.full((4, 3, 48, 48), 0.5), range(4), TILED)
    assert grey.flatten(1).std(1).max() < 1e-4
    assert grey.mean((1, 2, 3)).std() > 0.005


def test_a_sheet_does_not_depend_on_its_batch() -> None:
    batch = augment(images(4, 48), range(4), TILED)
    assert torch.equal(batch[2:3], augment(images(4, 48)[2:3], [2], TILED))
