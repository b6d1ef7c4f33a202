"""Backbones that read a sheet of tiles: one shared net on every tile, then pooled.

`patches:<net>` is the mean over the patches, `regions:<net>` the patches side by side with left and
right averaged, `two_branch:<net>` the whole face beside that mean, and `whole:<net>` the whole face
alone. Published work on rosacea finds patches as good as whole faces: Zhao et al., "A novel
convolutional neural network for the diagnosis and classification of rosacea", JMIR Medical
Informatics 2021; Mohanty et al. 2022 mask the faces.

A tile of one even colour shows nothing, and does not count.
"""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from fewskin.errors import ConfigError
from fewskin.functional.tiles import GRID, MIDDLE, split

__all__ = ["KINDS", "TilePool", "TileWise", "kind_of", "on_tiles"]

Parts = tuple[nn.Module, nn.Module, nn.Module]

KINDS: Final = ("patches", "regions", "two_branch", "whole")
_AROUND: Final = tuple(i for i in range(GRID * GRID) if i != MIDDLE)
# Of the eight patches: those that are the same place on the two sides of a face come together.
_PLACES: Final = ((0,), (1,), (2,), (3, 4), (5, 7), (6,))
_EVEN: Final = 1e-3  # range of a normalised tile under which it is of one colour


def kind_of(name: str) -> tuple[str, str]:
    """Return what a name of a backbone asks for: how tiles are read ("" for no tiles), and the net.

    Raises:
        ConfigError: tiles are read in another way than those of `KINDS`.

    Example:
        >>> kind_of("two_branch:resnet18"), kind_of("resnet18")
        (('two_branch', 'resnet18'), ('', 'resnet18'))
    """
    kind, colon, net = name.partition(":")
    if not colon:
        return "", name
    if kind not in KINDS or not net or ":" in net:
        raise ConfigError(
            f"unknown backbone {name!r}: before the colon expected one of {', '.join(KINDS)}, "
            "after it a net, e.g. patches:resnet18."
        )
    return kind, net


def on_tiles(kind: str, parts: Parts, n_features: int) -> tuple[Parts, int]:
    """Return trunk, last block and pool that read sheets by a net for single tiles.

    Args:
        kind: one of `KINDS`.
        parts: trunk, last block and pool of the net.
        n_features: of the net.

    Returns:
        the three parts, with the seam where the net has it, and the number of features.
    """
    trunk, last, pool = parts
    shown = {"whole": (MIDDLE,), "two_branch": (MIDDLE, *_AROUND)}.get(kind, _AROUND)
    layers = list(trunk.children()) if isinstance(trunk, nn.Sequential) else [trunk]
    first, *rest = layers
    wise = [TileWise(first, len(shown), shown), *(TileWise(one, len(shown)) for one in rest)]
    block = last if isinstance(last, nn.Identity) else TileWise(last, len(shown))
    times = {"regions": len(_PLACES), "two_branch": 2}.get(kind, 1)
    return (nn.Sequential(*wise), block, TilePool(kind, pool, len(shown))), times * n_features


class TileWise(nn.Module):
    """A layer of the net on every tile; maps of the tiles lie under each other.

    Args:
        each: (m, c, h, w) to maps, or to (m, d).
        n_tiles: that are read.
        shown: which ones of the sheet, where the input is one; None where the input is maps.
    """

    def __init__(self, each: nn.Module, n_tiles: int, shown: Sequence[int] | None = None) -> None:
        super().__init__()
        self.each, self.n_tiles = each, n_tiles
        self.shown = None if shown is None else tuple(shown)

    def forward(self, images: Tensor) -> Tensor:
        """Map sheets (n, 3, H, W), or maps (n, c, t h, w), to maps (n, c', t h', w')."""
        if self.shown is None:
            tiles = _apart(images, self.n_tiles)
            seen = tiles.detach().abs().amax((1, 2, 3)) > 0
        else:
            whole = split(images).unflatten(0, (len(images), -1))
            tiles = whole[:, list(self.shown)].flatten(0, 1)
            ends = tiles.detach()
            seen = (ends.amax((2, 3)) - ends.amin((2, 3))).amax(1) > _EVEN
        made: Tensor = self.each(tiles)
        if made.ndim == 2:
            made = made[:, :, None, None]
        # Zero tells what follows that the tile shows nothing.
        return _under(made * seen.to(made)[:, None, None, None], self.n_tiles)


class TilePool(nn.Module):
    """The net's pool on every tile, and over the tiles.

    Args:
        kind: one of `KINDS`.
        each: maps of a tile to (m, d).
        n_tiles: that are read; the whole face is the first where it is one of them.
    """

    def __init__(self, kind: str, each: nn.Module, n_tiles: int) -> None:
        super().__init__()
        self.kind, self.each, self.n_tiles = kind, each, n_tiles

    def forward(self, maps: Tensor) -> Tensor:
        """Map (n, c, t h, w) to (n, d) features."""
        tiles = _apart(maps, self.n_tiles)
        seen = (tiles.detach().abs().amax((1, 2, 3)) > 0).to(maps)
        features = (self.each(tiles).flatten(1) * seen[:, None]).unflatten(0, (-1, self.n_tiles))
        seen = seen.reshape(-1, self.n_tiles)
        if self.kind == "whole":
            return features[:, 0]
        if self.kind == "two_branch":
            return torch.cat([features[:, 0], _mean(features[:, 1:], seen[:, 1:])], 1)
        if self.kind == "regions":
            pairs = (list(place) for place in _PLACES)
            return torch.cat([_mean(features[:, pair], seen[:, pair]) for pair in pairs], 1)
        return _mean(features, seen)


def _mean(features: Tensor, seen: Tensor) -> Tensor:
    """Return (n, d) means over the tiles that show something; 0 where none does."""
    return features.sum(1) / seen.sum(1, keepdim=True).clamp(min=1.0)


def _under(tiles: Tensor, n_tiles: int) -> Tensor:
    """Return (n, c, t h, w) of tiles (n t, c, h, w): a picture's tiles under each other."""
    return tiles.unflatten(0, (-1, n_tiles)).transpose(1, 2).flatten(2, 3)


def _apart(maps: Tensor, n_tiles: int) -> Tensor:
    """Return the (n t, c, h, w) tiles that `_under` laid under each other."""
    return maps.unflatten(2, (n_tiles, -1)).transpose(1, 2).flatten(0, 1)
