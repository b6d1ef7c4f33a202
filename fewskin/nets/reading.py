"""How features are read off a backbone: from its last maps or from all, in one view or in eight."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from fewskin.errors import ConfigError
from fewskin.nets.backbones import Backbone

__all__ = ["Extractor", "Levels", "Reading", "level_maps", "square_views"]

Levels = Literal["last", "all"]


@dataclass(frozen=True)
class Reading:
    """What is read off a backbone.

    Attributes:
        levels: "last" takes the backbone's own features; "all" the mean and the standard deviation
            over positions of the maps at every resolution, so that colour and texture, which early
            layers hold, are there beside shape.
        views: 1, or 8 for the mean over the flips and quarter turns of the image: a lesion has no
            up, and features that say so vary less between photographs.

    Raises:
        ConfigError: another value.
    """

    levels: Levels = "last"
    views: int = 1

    def __post_init__(self) -> None:
        if self.levels not in ("last", "all"):
            raise ConfigError(f"levels={self.levels!r}: expected last or all.")
        if self.views not in (1, 8):
            raise ConfigError(f"views={self.views}: expected 1 or 8.")

    def of(self, backbone: Backbone) -> nn.Module:
        """Return a module from normalised images (n, 3, H, W) to features (n, d)."""
        return backbone if self == Reading() else Extractor(backbone, self)


class Extractor(nn.Module):
    """A backbone read in another way than by its own forward.

    Args:
        backbone: what is read.
        reading: how.
    """

    reading_code: Tensor

    def __init__(self, backbone: Backbone, reading: Reading) -> None:
        super().__init__()
        self.backbone, self.reading = backbone, reading
        # A part of the state, so that what is cached by it is not mistaken for another reading's.
        code = [float(reading.levels == "all"), float(reading.views)]
        self.register_buffer("reading_code", torch.tensor(code))

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, 3, H, W) of `normalise` to (n, d)."""
        if self.reading.views == 1:
            return self._one(images)
        return torch.stack([self._one(view) for view in square_views(images)]).mean(0)

    def _one(self, images: Tensor) -> Tensor:
        if self.reading.levels == "last":
            features: Tensor = self.backbone(images)
            return features
        levels = [_moments(maps) for maps in level_maps(self.backbone, images)]
        return torch.cat(levels, 1)


def square_views(images: Tensor) -> list[Tensor]:
    """Return the eight flips and quarter turns of square images (n, c, h, h); the first is itself.

    Example:
        >>> views = square_views(torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]]))
        >>> [view.flatten().int().tolist() for view in views[:2]]
        [[0, 1, 2, 3], [1, 3, 0, 2]]
        >>> len({tuple(view.flatten().tolist()) for view in views})
        8
    """
    turned = [images.rot90(k, (2, 3)) for k in range(4)]
    return turned + [view.flip(3) for view in turned]


def level_maps(backbone: Backbone, images: Tensor) -> list[Tensor]:
    """Return the last maps (n, c, h, w) at every resolution, from fine to coarse.

    A net without known parts has one level: its features, (n, d).
    """
    rescale, trunk = backbone.trunk.children()
    parts = list(trunk.children()) if isinstance(trunk, nn.Sequential) else [trunk]
    if not isinstance(backbone.last_block, nn.Identity):
        parts.append(backbone.last_block)
    levels: list[Tensor] = []
    maps = rescale(images)
    for part in parts:
        before, maps = maps, part(maps)
        if levels and maps.shape[2:] == before.shape[2:]:
            levels[-1] = maps
        else:
            levels.append(maps)
    return levels


def _moments(maps: Tensor) -> Tensor:
    if maps.ndim == 2:
        return maps
    flat = maps.flatten(2)  # (n, c, h, w) -> (n, c, h * w)
    return torch.cat([flat.mean(2), flat.std(2, correction=0)], 1)  # (n, 2 c)
