"""Shrunk class means: one image says little about a class, so its mean moves towards a prior one.

The posterior mean of a normal mean with a normal prior (James and Stein 1961; Efron and Morris
1973, Stein's estimation rule and its competitors: an empirical Bayes approach). A class mean m of n
images with variance w within classes, whose classes vary by b around t, becomes

    t + n b / (n b + w) (m - t)        in each feature.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from fewskin.functional.prototypes import centres as class_means

__all__ = ["Spread", "shrunk", "spread"]

# Classes' worth of trust in the ratio of variances that all features share: base sets have few
# classes, so the ratio of a single feature is hardly known.
_PRIOR_CLASSES = 10


class Spread(NamedTuple):
    """How features of known classes vary.

    Attributes:
        middle: (d,) mean of the class means.
        within: (d,) mean variance inside a class.
        between: (d,) variance of the true class means.
    """

    middle: Tensor
    within: Tensor
    between: Tensor


def spread(features: Tensor, labels: Tensor, n_classes: int) -> Spread:
    """Return how features vary within and between classes, each class counting the same.

    The variance of the class means is freed of what their images' own variance adds, and its ratio
    to the variance within is pulled towards the one that all features share.

    Args:
        features: (n, d) float.
        labels: (n,) integers in [0, n_classes); every class at least twice.
        n_classes: number of classes, two or more.

    Example:
        >>> rows = torch.tensor([[-1.0], [1.0], [9.0], [11.0]])
        >>> made = spread(rows, torch.tensor([0, 0, 1, 1]), 2)
        >>> made.middle.tolist(), made.within.tolist(), made.between.tolist()
        ([5.0], [2.0], [49.0])
    """
    means = class_means(features, labels, n_classes)
    counts = torch.bincount(labels, minlength=n_classes).to(features)
    square = torch.zeros_like(means).index_add_(0, labels, (features - means[labels]).square())
    own = square / (counts - 1).clamp_min(1)[:, None]  # (c, d)
    within = own.mean(0)
    between = (means.var(0) - (own / counts[:, None]).mean(0)).clamp_min(0)
    shared = between.sum() / within.sum().clamp_min(1e-12)
    degrees = n_classes - 1
    pulled = (degrees * between + _PRIOR_CLASSES * shared * within) / (degrees + _PRIOR_CLASSES)
    return Spread(means.mean(0), within, pulled)


def shrunk(centres: Tensor, counts: Tensor, known: Spread, target: Tensor) -> Tensor:
    """Return class means moved towards `target`, the more the fewer images they are of.

    Args:
        centres: (c, d) class means.
        counts: (c,) images of each class.
        known: how the base features vary.
        target: (d,) the prior mean.

    Returns:
        (c, d).

    Example:
        >>> known = Spread(torch.zeros(1), within=torch.tensor([2.0]), between=torch.tensor([1.0]))
        >>> means, counts = torch.tensor([[3.0], [3.0]]), torch.tensor([1, 4])
        >>> shrunk(means, counts, known, known.middle).flatten().tolist()
        [1.0, 2.0]
    """
    signal = counts.to(centres)[:, None] * known.between  # (c, d)
    trust = signal / (signal + known.within).clamp_min(1e-12)
    return target + trust * (centres - target)
