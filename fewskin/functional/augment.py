"""The one disease-safe augmentation policy: geometry, and light as a scale of linear RGB.

Hue, saturation and white balance are never touched: on skin, redness is the disease. Everything is
differentiable in the images, so that GAN training may augment real and generated images alike.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from fewskin.errors import ConfigError
from fewskin.functional.tiles import join, split

__all__ = [
    "UPRIGHT",
    "Policy",
    "affine",
    "augment",
    "fork_seeds",
    "parameters",
    "relight",
    "uniforms",
    "warp",
]

_N_UNIFORMS = 7


@dataclass(frozen=True)
class Policy:
    """What augmentation may change, each drawn uniformly and independently.

    Attributes:
        flip: mirror left and right, half of the time.
        rot90: turn by 0, 90, 180 or 270 degrees.
        rotation_deg: turn by up to this angle either way.
        scale: zoom by a factor in [1 / (1 + scale), 1 + scale], log-uniform.
        translation: shift by up to this share of the side, per axis.
        brightness: scale linear RGB by a factor in [1 - brightness, 1 + brightness].
        tiles: tiles along a side of sheets (`functional.tiles`): each is turned and shifted for
            itself, so that none shows a part of another; the light is one for the sheet. 1 is a
            plain image.
    """

    flip: bool = True
    rot90: bool = True
    rotation_deg: float = 30.0
    scale: float = 0.2
    translation: float = 0.1
    brightness: float = 0.1
    tiles: int = 1

    def __post_init__(self) -> None:
        top = {"rotation_deg": 180.0, "scale": 9.0, "translation": 1.0, "brightness": 0.9}
        for name, high in top.items():
            if not 0.0 <= getattr(self, name) <= high:
                raise ConfigError(f"{name}={getattr(self, name)}: expected 0 to {high:g}.")
        if self.tiles < 1:
            raise ConfigError(f"tiles={self.tiles}: expected 1 or more.")

    def scaled(self, strength: float) -> "Policy":
        """Return the policy with every range times `strength`; flips and quarter turns stay."""
        return replace(
            self,
            rotation_deg=self.rotation_deg * strength,
            scale=self.scale * strength,
            translation=self.translation * strength,
            brightness=self.brightness * strength,
        )


# For what has an up and a down, a face say.
UPRIGHT = Policy(rot90=False, rotation_deg=15.0)


def uniforms(seeds: Sequence[int] | npt.NDArray[np.int64], n: int) -> npt.NDArray[np.float64]:
    """Return (len(seeds), n) numbers in [0, 1); row i depends only on seeds[i].

    A counter-based hash (splitmix64, Steele et al. 2014) instead of one generator an image, which
    would cost more than the warp.

    Args:
        seeds: integers in [0, 2**63).
        n: numbers per seed.

    Example:
        >>> bool((uniforms([5, 7], 3)[1] == uniforms([7], 3)[0]).all())
        True
    """
    start = np.asarray(seeds, dtype=np.int64).astype(np.uint64)[:, None]
    # The seed is mixed before the counter is added: neighbouring seeds must not share numbers.
    counter = np.arange(1, n + 1, dtype=np.uint64)[None] * np.uint64(0x9E3779B97F4A7C15)
    mixed = _splitmix(_splitmix(start) + counter)  # (n_seeds, n)
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _splitmix(z: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def fork_seeds(seeds: Sequence[int] | npt.NDArray[np.int64], stream: int) -> npt.NDArray[np.int64]:
    """Return (n,) new seeds in [0, 2**63) for another use of the same seeds.

    Args:
        seeds: (n,) integers in [0, 2**63).
        stream: number of the use, 1 or more.

    Example:
        >>> bool(fork_seeds([5], 1)[0] == fork_seeds([5], 2)[0])
        False
    """
    start = np.asarray(seeds, dtype=np.int64).astype(np.uint64)
    step = np.uint64(stream * 0xD1B54A32D192ED03 & 0xFFFFFFFFFFFFFFFF)
    return (_splitmix(_splitmix(start) ^ step) >> np.uint64(1)).astype(np.int64)


def parameters(
    seeds: Sequence[int] | npt.NDArray[np.int64], policy: Policy
) -> dict[str, npt.NDArray[np.float64]]:
    """Draw the transform of each image.

    Returns:
        name -> (n,): mirror (1 or -1), angle_deg, zoom, shift_x and shift_y (shares of the side),
        light (factor of linear RGB).

    Example:
        >>> parameters([1, 2], Policy(flip=False))["mirror"].tolist()
        [1.0, 1.0]
    """
    u = uniforms(seeds, _N_UNIFORMS)
    signed = 2.0 * u - 1.0
    quarter = np.floor(4.0 * u[:, 1]) if policy.rot90 else np.zeros(len(u))
    return {
        "mirror": np.where(policy.flip & (u[:, 0] < 0.5), -1.0, 1.0),
        "angle_deg": 90.0 * quarter + policy.rotation_deg * signed[:, 2],
        "zoom": np.exp(math.log1p(policy.scale) * signed[:, 3]),
        "shift_x": policy.translation * signed[:, 4],
        "shift_y": policy.translation * signed[:, 5],
        "light": 1.0 + policy.brightness * signed[:, 6],
    }


def affine(drawn: Mapping[str, npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Return (n, 2, 3) maps from output to input positions, both in [-1, 1].

    Args:
        drawn: what `parameters` returned.

    Example:
        >>> still = Policy(False, False, 0.0, 0.0, 0.0, 0.0)
        >>> bool((affine(parameters([1], still))[0] == np.eye(2, 3)).all())
        True
    """
    angle = np.radians(drawn["angle_deg"])
    cos, sin = np.cos(angle) / drawn["zoom"], np.sin(angle) / drawn["zoom"]
    mirror, x, y = drawn["mirror"], 2.0 * drawn["shift_x"], 2.0 * drawn["shift_y"]
    rows = np.array([[mirror * cos, -sin, x], [mirror * sin, cos, y]])
    return np.moveaxis(rows, 2, 0)  # (2, 3, n) -> (n, 2, 3)


def warp(images: Tensor, maps: Tensor) -> Tensor:
    """Resample images through affine maps, bilinear, mirrored beyond the edge.

    Args:
        images: (n, c, h, w) float.
        maps: (n, 2, 3) from output to input positions in [-1, 1], as `affine` gives.

    Example:
        >>> image = torch.arange(4.0).reshape(1, 1, 2, 2)
        >>> warp(image, torch.tensor([[[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])).flatten().tolist()
        [1.0, 0.0, 3.0, 2.0]
    """
    height, width = images.shape[-2:]
    y = (torch.arange(height, device=images.device, dtype=images.dtype) * 2 + 1) / height - 1
    x = (torch.arange(width, device=images.device, dtype=images.dtype) * 2 + 1) / width - 1
    # Written out rather than affine_grid, whose matrix product may round by batch size.
    m = maps.to(images)[:, :, None, None, :]  # (n, 2, 1, 1, 3)
    grid = (m[..., 1] * y[:, None] + m[..., 2]) + m[..., 0] * x  # (n, 2, h, w)
    return grid_sample(
        images,
        grid.permute(0, 2, 3, 1),
        mode="bilinear",
        padding_mode="reflection",
        align_corners=False,
    )


def relight(images: Tensor, gain: Tensor) -> Tensor:
    """Scale linear RGB, in closed form on the sRGB values; chromaticity stays.

    Exact but for values that cross the end of the straight part of the sRGB curve (at 0.04), where
    it is off by less than 0.0003.

    Args:
        images: (n, c, h, w) sRGB in [0, 1].
        gain: (n,) factor of linear RGB.

    Example:
        >>> round(float(relight(torch.full((1, 3, 1, 1), 0.5), torch.tensor([1.1]))[0, 0, 0, 0]), 4)
        0.5225
    """
    gain = gain.to(images)[:, None, None, None]
    # s = 1.055 L^(1/2.4) - 0.055, so g L gives g^(1/2.4) (s + 0.055) - 0.055.
    root = gain ** (1 / 2.4)
    curved = torch.addcmul(root * 0.055 - 0.055, images, root)
    straight = images * gain
    return torch.where(images > 0.04045, curved, straight).clamp(0.0, 1.0)


def augment(
    images: Tensor, seeds: Sequence[int] | npt.NDArray[np.int64], policy: Policy = Policy()
) -> Tensor:
    """Augment images; image i depends only on images[i], seeds[i] and the policy.

    Args:
        images: (n, 3, h, w) float, sRGB in [0, 1]; gradients flow to them.
        seeds: (n,) integers in [0, 2**63).
        policy: what may change.

    Example:
        >>> images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> bool(torch.equal(augment(images, [1, 2])[1:], augment(images[1:], [2])))
        True
    """
    drawn = parameters(seeds, policy)
    if policy.tiles == 1:
        warped = warp(images, torch.from_numpy(affine(drawn)))
    else:
        own = np.stack([fork_seeds(seeds, 1 + k) for k in range(policy.tiles**2)], axis=1)
        maps = torch.from_numpy(affine(parameters(own.ravel(), policy)))
        warped = join(warp(split(images, policy.tiles), maps), policy.tiles)
    return relight(warped, torch.from_numpy(drawn["light"])) if policy.brightness else warped
