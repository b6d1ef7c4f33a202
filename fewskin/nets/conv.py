"""The plain convolutional nets of few-shot learning: conv4 and conv6.

Vinyals et al., Matching networks for one shot learning, 2016, arXiv:1606.04080 (conv4);
Chen et al., A closer look at few-shot classification, 2019, arXiv:1904.04232 (conv6).
Differs from the papers: features are averaged over positions, so their number does not depend on
the image size and a turned image has nearly the same ones.
"""

from torch import nn

__all__ = ["conv_net"]

_POOLED_BLOCKS = 4


def _block(n_in: int, n_out: int, *, pool: bool) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(n_in, n_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(n_out),
    ]
    # The largest of four and the larger of it and 0 may be taken in either order; this one leaves
    # ReLU a quarter of the maps.
    layers += [nn.MaxPool2d(2)] if pool else []
    return nn.Sequential(*layers, nn.ReLU(inplace=True))


def conv_net(*, depth: int, width: int) -> tuple[nn.Sequential, nn.Module, int]:
    """Return the blocks but the last, the last block, and the number of features.

    Args:
        depth: number of blocks of convolution, BatchNorm and ReLU; the first four halve the side.
        width: channels of every block.
    """
    inputs = [3] + [width] * (depth - 1)
    blocks = [_block(n, width, pool=i < _POOLED_BLOCKS) for i, n in enumerate(inputs)]
    return nn.Sequential(*blocks[:-1]), blocks[-1], width
