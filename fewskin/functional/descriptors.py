"""Descriptors of a lesion that need no training: colour against the skin around it, and texture.

Optical density, minus the log of linear light, is additive in melanin and haemoglobin (Tsumura et
al. 1999) and a change of exposure only shifts it, so the border of the image, mostly skin, is taken
as its zero. Texture is the strength of edges and blobs over a pyramid of scales (Burt and Adelson,
The Laplacian pyramid, 1983).
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from fewskin.errors import ConfigError

__all__ = ["colour", "rings", "skin_density", "texture"]

MIN_SIDE = 32
_BORDER = 0.1  # of the side
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_RADII, _SPREAD = (0.2, 0.6, 1.0), 0.25  # of half the side
_LEVELS = 5


def skin_density(images: Tensor) -> Tensor:
    """Return optical density relative to the border of the image, clipped to [-3, 4] halves.

    Args:
        images: (n, 3, h, w) sRGB in [0, 1].

    Returns:
        (n, 3, h, w); 0 is the median of the border, 1 is half a unit of natural-log density.

    Example:
        >>> even = torch.full((1, 3, 32, 32), 0.5)
        >>> float(skin_density(even).abs().max())
        0.0
    """
    linear = torch.where(images > 0.04045, ((images + 0.055) / 1.055) ** 2.4, images / 12.92)
    density = -linear.clamp_min(1 / 512).log()
    side = images.shape[-1]
    width = max(2, int(_BORDER * side))
    inside = slice(width, -width)
    border = [
        density[:, :, :width].flatten(2),
        density[:, :, -width:].flatten(2),
        density[:, :, inside, :width].flatten(2),
        density[:, :, inside, -width:].flatten(2),
    ]
    skin = torch.cat(border, 2).median(2).values[..., None, None]
    return ((density - skin) / 0.5).clamp(-3.0, 4.0)


@lru_cache(maxsize=16)
def rings(side: int) -> Tensor:
    """Return the weights of a disc and two rings around the middle, (3, side * side).

    Each is a Gaussian of the distance from its radius, and sums to 1.

    Example:
        >>> rings(8).shape, rings(8).sum(1).round(decimals=4).tolist()
        (torch.Size([3, 64]), [1.0, 1.0, 1.0])
    """
    place = (torch.arange(side) + 0.5) / side * 2 - 1
    radius = (place[:, None] ** 2 + place**2).sqrt().flatten()
    weight = torch.exp(-(((radius - torch.tensor(_RADII)[:, None]) / _SPREAD) ** 2))
    return weight / weight.sum(1, keepdim=True)


def _opponent(density: Tensor) -> Tensor:
    red, green, blue = density.unbind(1)
    return torch.stack([red - green, green - blue, (red + green + blue) / 3], 1)


def _check(images: Tensor) -> None:
    if images.shape[-1] != images.shape[-2] or images.shape[-1] < MIN_SIDE:
        size = "x".join(map(str, images.shape[-2:]))
        raise ConfigError(
            f"descriptors need square images of {MIN_SIDE} px or more, got {size}; set image_size."
        )


def colour(images: Tensor) -> Tensor:
    """Return (n, 54) colour against the skin and as it is: where, how spread, and quantiles.

    Args:
        images: (n, 3, h, h) sRGB in [0, 1], h >= 32.

    Raises:
        ConfigError: images are not square or too small.

    Example:
        >>> colour(torch.full((2, 3, 32, 32), 0.5)).shape
        torch.Size([2, 54])
    """
    _check(images)
    plain = -images.clamp_min(1 / 64).log()
    weights = rings(images.shape[-1]).to(images)
    level = torch.tensor(_QUANTILES).to(images)
    found = []
    for channels in (_opponent(skin_density(images)), _opponent(plain)):
        flat = channels.flatten(2)  # (n, 3, h, h) -> (n, 3, h * h)
        found += [(flat @ weights.T).flatten(1), flat.std(2)]
        found.append(flat.quantile(level, dim=2).permute(1, 2, 0).flatten(1))  # (5, n, 3)
    return torch.cat(found, 1)


def texture(images: Tensor) -> Tensor:
    """Return (n, 78) strength, spread and sign of edges and blobs at five scales.

    Args:
        images: (n, 3, h, h) sRGB in [0, 1], h >= 32.

    Raises:
        ConfigError: images are not square or too small.

    Example:
        >>> texture(torch.full((2, 3, 32, 32), 0.5)).shape
        torch.Size([2, 78])
    """
    _check(images)
    first = maps = _opponent(skin_density(images))
    found = []
    for _ in range(_LEVELS):
        found += _edges(maps) + _blobs(maps)
        maps = avg_pool2d(maps, 2)
    flat = first.flatten(2)
    flat = flat - flat.mean(2, keepdim=True)
    flat = flat / flat.std(2, keepdim=True).clamp_min(1e-6)
    together = flat @ flat.mT / flat.shape[2]  # (n, 3, 3) correlations
    found.append(together[:, [0, 0, 1], [1, 2, 2]])
    return torch.cat(found, 1)


def _edges(maps: Tensor) -> list[Tensor]:
    across = maps[..., :-1, 1:] - maps[..., :-1, :-1]
    down = maps[..., 1:, :-1] - maps[..., :-1, :-1]
    strength = (across**2 + down**2 + 1e-6).sqrt().flatten(2)
    return [strength.mean(2).log(), strength.std(2, correction=0).add(1e-3).log()]


def _blobs(maps: Tensor) -> list[Tensor]:
    around = avg_pool2d(maps, 3, stride=1, padding=1, count_include_pad=False)
    blobs = (maps - around).flatten(2)
    spread = blobs.std(2, correction=0)
    skewness = (blobs**3).mean(2) / (spread**3 + 1e-6)
    middle = blobs @ rings(maps.shape[-1]).to(maps)[0]
    return [spread.add(1e-3).log(), skewness, middle]
