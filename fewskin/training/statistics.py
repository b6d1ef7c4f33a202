"""How the features of base rows spread: what learners on a shared base fit compare features by."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from fewskin.functional.whitening import squashed, within_covariance
from fewskin.nets.backbones import normalise
from fewskin.nets.reading import Extractor
from fewskin.protocols import ImageTable
from fewskin.training.batches import class_positions
from fewskin.training.features import features

__all__ = ["Statistics", "floored", "measure"]


class Statistics(NamedTuple):
    """Of the features of base rows.

    Attributes:
        mean: (d,).
        std: (d,) standard deviation, floored: a feature that hardly moves on base may move on a
            new class and must not outweigh all others.
        centre: (d,) mean of the features after `squashed`.
        spread: (d,) standard deviation of the features after `squashed`, floored.
        within: (d, d) covariance within the base classes, their mean, after `squashed` and in
            units of `spread`.
        sizes: (b,) int64 features of each block, d in all.
    """

    mean: Tensor
    std: Tensor
    centre: Tensor
    spread: Tensor
    within: Tensor
    sizes: Tensor


def measure(extractor: nn.Module, base: ImageTable) -> Statistics:
    """Return the statistics of what a frozen net or `Extractor` makes of base rows.

    Args:
        extractor: from normalised images to features, in eval mode.
        base: rows of one class or more.
    """
    known = features(extractor, base)
    sizes = _sizes(extractor, base, known.shape[1])
    mean, std = known.mean(0), _deviation(known, sizes)
    moved = squashed(known, mean, std)
    centre, spread = moved.mean(0), _deviation(moved, sizes)
    codes = torch.from_numpy(class_positions(base.labels, base.classes))
    within = within_covariance(moved / spread, codes, len(base.classes))
    return Statistics(mean, std, centre, spread, within, sizes)


def _deviation(known: Tensor, sizes: Tensor) -> Tensor:
    # Blocks have scales of their own, so each has its own floor.
    parts = torch.split(known.std(0, correction=0), sizes.tolist())
    return torch.cat([floored(part) for part in parts])


def _sizes(extractor: nn.Module, base: ImageTable, d: int) -> Tensor:
    if not isinstance(extractor, Extractor):
        return torch.tensor([d])
    with torch.inference_mode():
        blocks = extractor.blocks(normalise(base.images([0])))
    return torch.tensor([block.shape[1] for block in blocks])


def floored(std: Tensor) -> Tensor:
    """Return standard deviations of at least a tenth of their mean.

    Example:
        >>> floored(torch.tensor([0.0, 1.0])).tolist()
        [0.05000000074505806, 1.0]
    """
    return std.clamp_min(max(0.1 * float(std.mean()), 1e-6))
