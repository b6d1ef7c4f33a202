"""Which way is up, and what is a sheet of tiles: how far an image may be turned and shifted.

A lesion seen from near may be turned at will, a face may not; the tiles of a sheet of
`fewskin face crop` are turned and shifted one by one.
"""

from dataclasses import replace

from fewskin.errors import DataError
from fewskin.functional.augment import UPRIGHT, Policy
from fewskin.functional.tiles import GRID, TILED
from fewskin.protocols import ImageTable

__all__ = ["is_upright", "policy_of", "tiles_of"]


def is_upright(*tables: ImageTable) -> bool:
    """Return whether rows show faces: every `view` that is given is "face", and one is.

    Crops of `fewskin face crop`, which have a `layout`, are upright whatever their view.

    Args:
        tables: rows; generated ones say no view and follow the others.

    Example:
        >>> import pandas as pd
        >>> import numpy as np
        >>> rows, pixels = pd.DataFrame({"view": ["face", ""]}), np.zeros((2, 3, 8, 8), np.uint8)
        >>> is_upright(ImageTable(rows, pixels, np.arange(2)))
        True
    """
    if tables and "" not in _values("layout", tables):
        return True
    return _values("view", tables) - {""} == {"face"}


def tiles_of(*tables: ImageTable) -> int:
    """Return how many tiles a side of the images has: 3 for sheets of patches, else 1.

    Args:
        tables: rows; all of them sheets, or none.

    Raises:
        DataError: sheets and plain images together.
    """
    layouts = _values("layout", tables)
    if len(layouts) > 1 and layouts & set(TILED):
        named = ", ".join(repr(layout) for layout in sorted(layouts))
        raise DataError(
            f"images of several layouts in one training: {named}; crop all of them by the same "
            "`fewskin face crop layout=`."
        )
    return GRID if layouts & set(TILED) else 1


def policy_of(*tables: ImageTable) -> Policy:
    """Return the augmentation that suits what rows show: faces are not turned upside down.

    Raises:
        DataError: as `tiles_of`.
    """
    return replace(UPRIGHT if is_upright(*tables) else Policy(), tiles=tiles_of(*tables))


def _values(column: str, tables: tuple[ImageTable, ...]) -> set[str]:
    """Return the values of a column that may be absent; "" where it is."""
    found: set[str] = set()
    for table in tables:
        if column in table.rows:
            found |= set(table.rows[column].fillna("").astype(str))
        elif len(table):
            found.add("")
    return found
