"""How features are read: off a backbone's last maps or all, and from descriptors beside them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from fewskin.errors import ConfigError
from fewskin.functional.descriptors import colour, texture
from fewskin.functional.patches import Dictionary, encode
from fewskin.nets.backbones import MEAN, STD, Backbone

__all__ = ["Extractor", "Levels", "Reading", "level_maps", "square_views"]

Levels = Literal["last", "all", "none"]
_DESCRIPTORS = ("colour", "texture", "patches")


@dataclass(frozen=True)
class Reading:
    """What is read of an image.

    Attributes:
        levels: "last" takes the backbone's own features; "all" the mean and the standard deviation
            over positions of the maps at every resolution, so that colour and texture, which early
            layers hold, are there beside shape; "none" leaves the backbone out.
        views: 1, or 8 for the mean over the flips and quarter turns of the image: a lesion has no
            up, and features that say so vary less between photographs.
        also: descriptors that need no training, beside the backbone: of "colour", "texture"
            (`functional.descriptors`) and "patches" (`functional.patches`).

    Raises:
        ConfigError: another value, or nothing to read.
    """

    levels: Levels = "last"
    views: int = 1
    also: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "also", tuple(self.also))
        if self.levels not in ("last", "all", "none"):
            raise ConfigError(f"levels={self.levels!r}: expected last, all or none.")
        if self.views not in (1, 8):
            raise ConfigError(f"views={self.views}: expected 1 or 8.")
        for name in self.also:
            if name not in _DESCRIPTORS:
                raise ConfigError(
                    f"descriptor {name!r}: expected one of {', '.join(_DESCRIPTORS)}."
                )
        if self.levels == "none" and not self.also:
            raise ConfigError("levels=none and no descriptor: nothing is left to read.")

    def of(self, backbone: Backbone, dictionary: Dictionary | None = None) -> nn.Module:
        """Return a module from normalised images (n, 3, H, W) to features (n, d).

        Args:
            backbone: what is read.
            dictionary: of the descriptor "patches", which needs it.
        """
        return backbone if self == Reading() else Extractor(backbone, self, dictionary)


class Extractor(nn.Module):
    """A backbone read in another way than by its own forward, and descriptors.

    Args:
        backbone: what is read.
        reading: how.
        dictionary: of the descriptor "patches", which needs it.
    """

    reading_code: Tensor

    def __init__(
        self, backbone: Backbone, reading: Reading, dictionary: Dictionary | None = None
    ) -> None:
        super().__init__()
        self.backbone, self.reading = backbone, reading
        if "patches" in reading.also and dictionary is None:
            raise ConfigError("the descriptor patches needs a dictionary, which a base fit learns.")
        # Parts of the state, so that what is cached by it is not mistaken for another reading's.
        code = [("last", "all", "none").index(reading.levels), reading.views]
        code += [_DESCRIPTORS.index(name) for name in reading.also]
        self.register_buffer("reading_code", torch.tensor(code, dtype=torch.float32))
        for name, values in (dictionary or Dictionary(*[torch.zeros(0)] * 3))._asdict().items():
            self.register_buffer(f"dictionary_{name}", values)

    @property
    def dictionary(self) -> Dictionary:
        """The dictionary of the descriptor "patches"; empty where it is not read."""
        return Dictionary(*(getattr(self, f"dictionary_{name}") for name in Dictionary._fields))

    def blocks(self, images: Tensor) -> list[Tensor]:
        """Map (n, 3, H, W) of `normalise` to what each source gives, (n, d_i)."""
        made = [] if self.reading.levels == "none" else [self._over_views(self._one, images)]
        plain = (images * STD + MEAN).clamp(0.0, 1.0)
        return made + [self._described(name, plain) for name in self.reading.also]

    def _described(self, name: str, plain: Tensor) -> Tensor:
        # The first two hardly see which way is up.
        if name == "patches":
            return self._over_views(lambda view: encode(view, self.dictionary), plain)
        return colour(plain) if name == "colour" else texture(plain)

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, 3, H, W) of `normalise` to (n, d), the blocks side by side."""
        return torch.cat(self.blocks(images), 1)

    def _over_views(self, read: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        if self.reading.views == 1:
            return read(images)
        return torch.stack([read(view) for view in square_views(images)]).mean(0)

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
