"""Group-equivariant convolutional nets: a turned lesion has the same features, exactly.

Cohen and Welling, Group equivariant convolutional networks, 2016, arXiv:1602.07576.
Differs from the paper: conv6-like blocks (as the nets of Meta-DermDiagnosis, Mahajan et al. 2020),
the first one narrower, for speed, the last one wider, so that as many features are left after
pooling over orientations.

A map holds one channel for each orientation: of p4 the 4 quarter turns, of p4m their mirror images
too. Our own layer rather than escnn's: on the quarter turns a filter is turned by re-ordering its
weights, which needs no steerable basis, and escnn depends on packages that no longer install.
"""

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

__all__ = ["GroupConv", "gconv_net"]

_POOLED_BLOCKS = 4
_SIDE = 3  # of a filter; the smallest on which all 8 orientations differ


class GroupConv(nn.Module):
    """Convolution of 3 x 3 filters and all their orientations, without bias.

    Turning (and, with mirror, flipping) the input turns each output map and exchanges orientations:
    `conv(turn(x))[g] == turn(conv(x)[turn^-1 g])`. Channels are ordered by orientation first.

    Args:
        n_in: channels of the input, an orientation.
        n_out: channels of the output, an orientation.
        mirror: 8 orientations (p4m) instead of 4 (p4).
        lifting: the input is an image, which has no orientations.
    """

    index: Tensor

    def __init__(self, n_in: int, n_out: int, *, mirror: bool, lifting: bool = False) -> None:
        super().__init__()
        moves = _moves(mirror)  # (G, 9)
        self.order = len(moves)
        self.n_in, self.g_in = n_in, 1 if lifting else self.order
        # Four axes, (n_out, n_in * G_in, 3, 3), which channels_last wants.
        self.weight = nn.Parameter(torch.empty(n_out, n_in * self.g_in, _SIDE, _SIDE))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # as torch's own convolutions
        places = moves[:, None] if lifting else _relative(moves)[..., None] * 9 + moves[:, None]
        self.register_buffer("index", places.flatten(), persistent=False)

    def bank(self) -> Tensor:
        """Return (G * n_out, G_in * n_in, 3, 3): each filter in every orientation."""
        n_out = len(self.weight)
        turned = self.weight.reshape(n_out, self.n_in, -1).index_select(2, self.index)
        turned = turned.reshape(n_out, self.n_in, self.order, self.g_in, _SIDE, _SIDE)
        return turned.permute(2, 0, 3, 1, 4, 5).reshape(-1, self.g_in * self.n_in, _SIDE, _SIDE)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (n, G_in * n_in, h, w) to (n, G * n_out, h, w)."""
        return conv2d(maps, self.bank(), padding=1)


class GroupBatchNorm(nn.BatchNorm2d):
    """BatchNorm with one mean and scale for all orientations of a channel."""

    def forward(self, maps: Tensor) -> Tensor:
        """Map (n, G * c, h, w) to the same shape."""
        n, channels, height, width = maps.shape
        # In channels_last memory all of this is a view: (n, h, w, G * c) -> (n, h, w * G, c).
        rows = maps.permute(0, 2, 3, 1).reshape(n, height, -1, self.num_features)
        made = super().forward(rows.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return made.reshape(n, height, width, channels).permute(0, 3, 1, 2)


class OrientationPool(nn.Module):
    """The largest value of a channel over its orientations."""

    def __init__(self, order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, maps: Tensor) -> Tensor:
        """Map (n, G * c, h, w) to (n, c, h, w)."""
        return maps.unflatten(1, (self.order, -1)).amax(1)


def _block(n_in: int, n_out: int, *, mirror: bool, lifting: bool, pool: bool) -> nn.Sequential:
    layers: list[nn.Module] = [
        GroupConv(n_in, n_out, mirror=mirror, lifting=lifting),
        GroupBatchNorm(n_out),
        nn.ReLU(inplace=True),
    ]
    return nn.Sequential(*layers, nn.MaxPool2d(2)) if pool else nn.Sequential(*layers)


def gconv_net(
    *, depth: int, width: int, n_features: int, mirror: bool
) -> tuple[nn.Sequential, nn.Module, int]:
    """Return the blocks but the last, the last block, and the number of features.

    Averaged over positions, the features of an image and of its quarter turns (and mirror images)
    are equal where its side is a multiple of 16: pooling then drops no row.

    Args:
        depth: number of blocks of convolution, BatchNorm and ReLU; the first four halve the side.
        width: channels of the middle blocks, an orientation; the first block, which works on the
            whole side, has half as many.
        n_features: channels of the last block, an orientation.
        mirror: p4m instead of p4.
    """
    sizes = [3, width // 2] + [width] * (depth - 2) + [n_features]
    blocks = [
        _block(n_in, n_out, mirror=mirror, lifting=i == 0, pool=i < _POOLED_BLOCKS)
        for i, (n_in, n_out) in enumerate(itertools.pairwise(sizes))
    ]
    last = nn.Sequential(*blocks[-1], OrientationPool(8 if mirror else 4))
    return nn.Sequential(*blocks[:-1]), last, n_features


def _moves(mirror: bool) -> Tensor:
    """Return (G, 9): orientation g of a flat filter w is w[moves[g]]; the first leaves it."""
    places = torch.arange(_SIDE * _SIDE).reshape(_SIDE, _SIDE)
    starts = (places, places.flip(1)) if mirror else (places,)
    return torch.stack([start.rot90(turn).flatten() for start in starts for turn in range(4)])


def _relative(moves: Tensor) -> Tensor:
    """Return (G, G): the orientation g^-1 h of each pair g, h."""
    undone = moves.argsort(1)  # (G, 9), of g^-1
    # w[h][of g^-1]: first h, then g^-1; (G, G, 9)
    both = (
        moves[None].expand(len(moves), -1, -1).gather(2, undone[:, None].expand(-1, len(moves), -1))
    )
    return (both[:, :, None] == moves).all(3).long().argmax(2)
