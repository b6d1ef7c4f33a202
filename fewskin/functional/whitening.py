"""Directions in which images of one class vary count less: whitening by the spread within classes.

Fisher, The use of multiple measurements in taxonomic problems, 1936; shrinkage towards a multiple
of the identity of Ledoit and Wolf, A well-conditioned estimator, 2004. A handful of images cannot
say how a class varies, but base classes can: the covariance within them is used for the new ones.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

__all__ = [
    "block_whitener",
    "shrink",
    "squashed",
    "to_unit_blocks",
    "whitener",
    "within_covariance",
]


def within_covariance(features: Tensor, codes: Tensor, n_classes: int) -> Tensor:
    """Return the mean over classes of the covariance within each, (d, d).

    Args:
        features: (n, d) float.
        codes: (n,) class of each row, in [0, n_classes); classes of one row say nothing.
        n_classes: number of classes.

    Example:
        >>> rows = torch.tensor([[0.0, 0.0], [2.0, 0.0], [5.0, 1.0], [5.0, 3.0]])
        >>> within_covariance(rows, torch.tensor([0, 0, 1, 1]), 2).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    total = torch.zeros(features.shape[1], features.shape[1], dtype=torch.float64)
    n_known = 0
    for code in range(n_classes):
        rows = features[codes == code].double()
        if len(rows) > 1:
            rows = rows - rows.mean(0)
            total += rows.T @ rows / (len(rows) - 1)  # (d, n) @ (n, d) -> (d, d)
            n_known += 1
    return (total / max(n_known, 1)).to(features.dtype)


def shrink(covariance: Tensor, amount: float) -> Tensor:
    """Return the covariance moved towards the same total variance in every direction.

    Args:
        covariance: (d, d).
        amount: 0 leaves it, 1 gives a multiple of the identity.

    Example:
        >>> shrink(torch.tensor([[3.0, 0.0], [0.0, 1.0]]), 0.5).tolist()
        [[2.5, 0.0], [0.0, 1.5]]
    """
    d = len(covariance)
    level = covariance.diagonal().mean()
    return (1.0 - amount) * covariance + amount * level * torch.eye(d).to(covariance)


def whitener(covariance: Tensor) -> Tensor:
    """Return the symmetric matrix W with W covariance W = identity, (d, d).

    Args:
        covariance: (d, d) positive definite, as `shrink` gives for an amount above 0.

    Example:
        >>> whitener(torch.tensor([[4.0, 0.0], [0.0, 0.25]])).round(decimals=4).tolist()
        [[0.5, 0.0], [0.0, 2.0]]
    """
    values, vectors = torch.linalg.eigh(covariance.double())
    floor = values.max().clamp_min(1e-12) * 1e-10
    scaled = vectors / values.clamp_min(floor).sqrt()
    return (scaled @ vectors.T).to(covariance.dtype)  # (d, d) @ (d, d) -> (d, d)


def squashed(features: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return standardised features with their tails drawn in: 2 tanh(z / 2), about z near 0.

    One odd photograph then cannot move a mean of five far.

    Args:
        features: (..., d).
        mean: (d,).
        std: (d,) > 0.

    Example:
        >>> z = squashed(torch.tensor([1.0, 1.1, 99.0]), torch.tensor(1.0), torch.tensor(1.0))
        >>> z.round(decimals=3).tolist()
        [0.0, 0.10000000149011612, 2.0]
    """
    return 2.0 * torch.tanh((features - mean) / (2.0 * std))


def block_whitener(covariance: Tensor, sizes: Sequence[int], amount: float) -> Tensor:
    """Return a whitening matrix of each block of features, on the diagonal of one, (d, d).

    Args:
        covariance: (d, d).
        sizes: features of each block, d in all.
        amount: of `shrink`, in (0, 1], in each block.

    Example:
        >>> block_whitener(torch.diag(torch.tensor([4.0, 4.0, 1.0])), [2, 1], 1.0).tolist()
        [[0.5, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 1.0]]
    """
    made, start = torch.zeros_like(covariance), 0
    for size in sizes:
        block = slice(start, start + size)
        made[block, block] = whitener(shrink(covariance[block, block], amount))
        start += size
    return made


def to_unit_blocks(features: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return features (..., d) with every block at unit length, so that each counts the same.

    Example:
        >>> to_unit_blocks(torch.tensor([3.0, 4.0, 9.0]), [2, 1]).round(decimals=2).tolist()
        [0.6000000238418579, 0.800000011920929, 1.0]
    """
    parts = torch.split(features, list(sizes), dim=-1)
    return torch.cat([normalize(part, dim=-1) for part in parts], -1)
