"""Which way is up: a lesion seen from near may be turned at will, a face may not."""

from fewskin.functional.augment import UPRIGHT, Policy
from fewskin.protocols import ImageTable

__all__ = ["is_upright", "policy_of"]


def is_upright(*tables: ImageTable) -> bool:
    """Return whether rows show faces: every `view` that is given is "face", and one is.

    Args:
        tables: rows; generated ones say no view and follow the others.

    Example:
        >>> import pandas as pd
        >>> import numpy as np
        >>> rows, pixels = pd.DataFrame({"view": ["face", ""]}), np.zeros((2, 3, 8, 8), np.uint8)
        >>> is_upright(ImageTable(rows, pixels, np.arange(2)))
        True
    """
    views: set[str] = set()
    for table in tables:
        if "view" in table.rows:
            views |= set(table.rows["view"].astype(str))
    return views - {""} == {"face"}


def policy_of(*tables: ImageTable) -> Policy:
    """Return the augmentation that suits what rows show: faces are not turned upside down."""
    return UPRIGHT if is_upright(*tables) else Policy()
