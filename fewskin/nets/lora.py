"""Low-rank changes of a net's filters and matrices, for adapting it to few images.

Hu et al., LoRA: low-rank adaptation of large language models, 2021, arXiv:2106.09685.
Differs from the paper: the change is added to the weight, not to the output, so that filters and
matrices are treated alike and a merged net costs nothing more.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

from fewskin.errors import ConfigError

__all__ = ["LowRank", "add_low_rank", "merge_low_rank"]


class LowRank(nn.Module):
    """A convolution or linear layer whose weight changes by a product of two thin matrices.

    Args:
        layer: kept as it is.
        rank: of the change, which is 0 at first.
    """

    def __init__(self, layer: nn.Conv2d | nn.Linear, rank: int) -> None:
        super().__init__()
        self.layer = layer
        weight = layer.weight
        n_out, n_in = len(weight), weight[0].numel()
        self.down = nn.Parameter(torch.randn(rank, n_in, device=weight.device) / math.sqrt(n_in))
        self.up = nn.Parameter(torch.zeros(n_out, rank, device=weight.device))

    def changed(self) -> Tensor:
        """Return the weight with its change."""
        weight = self.layer.weight
        return weight + (self.up @ self.down).reshape(weight.shape)

    def forward(self, x: Tensor) -> Tensor:
        """Do what the layer does, with the changed weight."""
        layer, weight = self.layer, self.changed()
        if isinstance(layer, nn.Linear):
            return linear(x, weight, layer.bias)
        return conv2d(
            x, weight, layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups
        )


def add_low_rank(net: nn.Module, rank: int) -> list[nn.Parameter]:
    """Give every convolution and linear layer inside a net a low-rank change; freeze all else.

    Args:
        net: changed in place; computes the same until the change is trained.
        rank: of the changes; a layer with fewer rows or columns gets as many as it has.

    Returns:
        the parameters of the changes, the only ones that require gradients.

    Raises:
        ConfigError: a rank below 1.

    Example:
        >>> net = nn.Sequential(nn.Linear(3, 2))
        >>> [tuple(one.shape) for one in add_low_rank(net, 1)]
        [(1, 3), (2, 1)]
    """
    if rank < 1:
        raise ConfigError(f"rank={rank}: expected 1 or more.")
    net.requires_grad_(False)
    made: list[nn.Parameter] = []
    for parent in list(net.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.Conv2d | nn.Linear):
                most = min(len(layer.weight), layer.weight[0].numel())
                change = LowRank(layer, min(rank, most))
                setattr(parent, name, change)
                made += [change.down, change.up]
    return made


def merge_low_rank(net: nn.Module) -> None:
    """Add the changes to the weights they belong to, in place; the net computes the same."""
    for parent in list(net.modules()):
        for name, change in list(parent.named_children()):
            if isinstance(change, LowRank):
                with torch.no_grad():
                    change.layer.weight.copy_(change.changed())
                setattr(parent, name, change.layer)
