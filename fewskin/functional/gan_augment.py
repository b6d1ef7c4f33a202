"""Augmentation inside GAN training: adaptive, or DiffAugment; both on the disease-safe policy.

Karras et al., Training generative adversarial networks with limited data, 2020, arXiv:2006.06676
(each transform with probability p, so that what it does to the distribution can be undone; p
follows how sure the discriminator is of real images); Zhao et al., Differentiable augmentation for
data-efficient GAN training, 2020, arXiv:2006.10738 (translation and cutout, always).
Differs from the papers: colours other than brightness are left alone, redness is the disease;
pictures are warped with bilinear interpolation and are mirrored beyond their edge.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fewskin.functional.augment import (
    Policy,
    affine,
    fork_seeds,
    parameters,
    relight,
    uniforms,
    warp,
)

__all__ = ["MAX_P", "ada_augment", "cutout", "diff_augment", "gated_parameters", "next_p"]

# At p = 1 quarter turns are uniform and cannot be undone; the paper warns above 0.85.
MAX_P = 0.85
_STILL = {"mirror": 1.0, "angle_deg": 0.0, "zoom": 1.0, "shift_x": 0.0, "shift_y": 0.0}
_GATES, _CUT = 21, 22  # streams of the seeds
_CUT_SIDE = 0.5

Seeds = Sequence[int] | npt.NDArray[np.int64]


def next_p(p: float, sign: float, target: float, n_images: int, kimg: float) -> float:
    """Return p after `n_images` more real images: up when the discriminator is too sure of them.

    Args:
        p: probability of each transform, [0, MAX_P].
        sign: mean sign of the discriminator's logits of real images, [-1, 1].
        target: what `sign` should be, 0.6 in the paper.
        n_images: images since the last change.
        kimg: thousands of images that p takes from 0 to 1.

    Example:
        >>> next_p(0.1, 0.9, 0.6, 64, 500.0) > 0.1 > next_p(0.1, 0.2, 0.6, 64, 500.0)
        True
    """
    moved = p + np.sign(sign - target) * n_images / (1000.0 * kimg)
    return float(np.clip(moved, 0.0, MAX_P))


def gated_parameters(
    seeds: Seeds, policy: Policy, p: float
) -> tuple[dict[str, npt.NDArray[np.float64]], npt.NDArray[np.bool_]]:
    """Draw the transform of each image, each part of it with probability p, else left out.

    Args:
        seeds: (n,) integers in [0, 2**63).
        policy: the ranges.
        p: probability of mirror, quarter turn, turn, zoom, shift and light, each on its own.

    Returns:
        what `augment.parameters` returns, and (n,) whether an image moves at all.
    """
    drawn = parameters(seeds, policy)
    gate = uniforms(fork_seeds(seeds, _GATES), 6) < p
    # `parameters` adds quarter turns to small ones; each has a gate of its own.
    small = parameters(seeds, policy.__class__(**{**vars(policy), "rot90": False}))["angle_deg"]
    quarter = drawn["angle_deg"] - small
    gated = {
        "mirror": np.where(gate[:, 0], drawn["mirror"], 1.0),
        "angle_deg": np.where(gate[:, 1], quarter, 0.0) + np.where(gate[:, 2], small, 0.0),
        "zoom": np.where(gate[:, 3], drawn["zoom"], 1.0),
        "shift_x": np.where(gate[:, 4], drawn["shift_x"], 0.0),
        "shift_y": np.where(gate[:, 4], drawn["shift_y"], 0.0),
        "light": np.where(gate[:, 5], drawn["light"], 1.0),
    }
    moved = np.any([gated[name] != still for name, still in _STILL.items()], axis=0)
    return gated, moved


def ada_augment(images: Tensor, seeds: Seeds, policy: Policy, p: float) -> Tensor:
    """Augment images adaptively; image i depends only on images[i], seeds[i], policy and p.

    Args:
        images: (n, 3, h, w) in [-1, 1]; gradients flow to them.
        seeds: (n,) integers in [0, 2**63).
        policy: the ranges of the transforms.
        p: probability of each transform, [0, 1]; at 0 the images come back as they are.

    Example:
        >>> images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> ada_augment(images, [1, 2], Policy(), 0.0) is images
        True
    """
    if p <= 0.0:
        return images
    drawn, moved = gated_parameters(seeds, policy, p)
    made = images
    if moved.any():
        rows = torch.from_numpy(np.flatnonzero(moved)).to(images.device)
        warped = warp(images[rows], torch.from_numpy(affine(drawn)[moved]))
        made = images.index_copy(0, rows, warped.to(images.dtype))
    return _relit(made, drawn["light"])


def _relit(images: Tensor, light: npt.NDArray[np.float64]) -> Tensor:
    lit = np.flatnonzero(light != 1.0)
    if not len(lit):
        return images
    rows = torch.from_numpy(lit).to(images.device)
    gain = torch.from_numpy(light[lit]).to(images)
    made = relight(images[rows] * 0.5 + 0.5, gain) * 2.0 - 1.0
    return images.index_copy(0, rows, made.to(images.dtype))


def diff_augment(images: Tensor, seeds: Seeds, policy: Policy) -> Tensor:
    """Shift by whole pixels, cut a square out and change the light, always.

    Args:
        images: (n, 3, h, w) in [-1, 1]; gradients flow to them.
        seeds: (n,) integers in [0, 2**63).
        policy: its translation and brightness are used.

    Returns:
        as `images`.
    """
    side = images.shape[-1]
    drawn = parameters(seeds, policy)
    maps = affine(
        {
            **{name: np.full(len(images), v) for name, v in _STILL.items()},
            **{name: np.round(drawn[name] * side) / side for name in ("shift_x", "shift_y")},
        }
    )
    moved = warp(images, torch.from_numpy(maps)) if policy.translation else images
    return cutout(_relit(moved, drawn["light"]), seeds)


def cutout(images: Tensor, seeds: Seeds, share: float = _CUT_SIDE) -> Tensor:
    """Set a square anywhere in each image to 0, also partly outside.

    Args:
        images: (n, c, h, h).
        seeds: (n,) integers in [0, 2**63).
        share: side of the square, a share of the image's.

    Example:
        >>> float(cutout(torch.ones(1, 1, 8, 8), [3]).mean()) < 1.0
        True
    """
    side = images.shape[-1]
    middle = torch.from_numpy(uniforms(fork_seeds(seeds, _CUT), 2)).to(images) * side  # (n, 2)
    place = torch.arange(side, device=images.device, dtype=images.dtype) + 0.5
    inside = (place - middle[:, :, None]).abs() < share * side / 2  # (n, 2, side)
    return images * ~(inside[:, 0, None, :, None] & inside[:, 1, None, None, :])
