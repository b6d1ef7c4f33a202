"""Sheets of tiles: several views of one picture in a square of 3 x 3, and how to take it apart.

A learner's images are all of one square shape. A face as its patches is one such image: the whole
face in the middle, eight patches round it. So a flip or a quarter turn of the sheet only moves the
patches about, and the middle stays the middle.
"""

from typing import TYPE_CHECKING, Final

from fewskin.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["GRID", "LAYOUTS", "MIDDLE", "TILED", "join", "split", "tile_side"]

GRID: Final = 3  # tiles along a side
MIDDLE: Final = 4  # position of the middle tile, row by row
LAYOUTS: Final = ("patches", "face", "masked")  # values of the manifest's column `layout`
TILED: Final = ("patches", "masked")  # those that are sheets


def tile_side(side: int) -> int:
    """Return the side of one tile of a sheet.

    Raises:
        ConfigError: the sheet's side is no multiple of 3.

    Example:
        >>> tile_side(192)
        64
    """
    if side < GRID or side % GRID:
        near = max(GRID, round(side / GRID) * GRID)
        raise ConfigError(
            f"a sheet of {GRID} x {GRID} tiles cannot have a side of {side} pixels; set image_size "
            f"to a multiple of {GRID}, {near} or 192 (tiles of 64 pixels) say."
        )
    return side // GRID


def split(sheets: "Tensor", grid: int = GRID) -> "Tensor":
    """Return the tiles of sheets, row by row, (n * grid^2, c, h / grid, w / grid).

    Args:
        sheets: (n, c, h, w).
        grid: tiles along a side.

    Example:
        >>> import torch
        >>> split(torch.arange(4.0).reshape(1, 1, 2, 2), 2).flatten().tolist()
        [0.0, 1.0, 2.0, 3.0]
    """
    n, c, height, width = sheets.shape
    high, wide = height // grid, width // grid
    parts = sheets.reshape(n, c, grid, high, grid, wide).permute(0, 2, 4, 1, 3, 5)
    return parts.reshape(n * grid * grid, c, high, wide)


def join(tiles: "Tensor", grid: int = GRID) -> "Tensor":
    """Return the sheets, (n, c, h * grid, w * grid), that `split` takes apart into these tiles.

    Example:
        >>> import torch
        >>> sheets = torch.arange(36.0).reshape(1, 1, 6, 6)
        >>> bool((join(split(sheets)) == sheets).all())
        True
    """
    m, c, high, wide = tiles.shape
    parts = tiles.reshape(m // grid**2, grid, grid, c, high, wide).permute(0, 3, 1, 4, 2, 5)
    return parts.reshape(m // grid**2, c, grid * high, grid * wide)
