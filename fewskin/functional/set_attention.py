"""Attention of a set to itself: each row moves by what it sees in the others.

Ye et al., Few-shot learning via embedding adaptation with set-to-set functions, 2020,
arXiv:1812.03664, equations 4 and 5.
"""

import math

from torch import Tensor

__all__ = ["attended"]


def attended(rows: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return what each row of a set sees: a weighted mean of the projected rows.

    Args:
        rows: (..., n, d) float.
        query: (e, d) projection of the row that looks.
        key: (e, d) projection of the rows it looks at.
        value: (e, d) projection of what it sees there.

    Returns:
        (..., n, e); the order of the rows is that given.

    Example:
        >>> import torch
        >>> rows, nothing, same = torch.tensor([[0.0], [2.0]]), torch.zeros(1, 1), torch.eye(1)
        >>> attended(rows, nothing, nothing, same).flatten().tolist()
        [1.0, 1.0]
    """
    near = (rows @ query.T) @ (rows @ key.T).mT / math.sqrt(len(query))  # (..., n, n)
    seen: Tensor = near.softmax(-1) @ (rows @ value.T)
    return seen
