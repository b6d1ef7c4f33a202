"""ResNet10, narrow: four residual blocks behind a stem that quarters the side.

He et al., Deep residual learning for image recognition, 2016, arXiv:1512.03385; shortcuts that pool
before they project of He et al., Bag of tricks for image classification, 2019, arXiv:1812.01187.
Differs from the papers: one block a stage and half the width (32 to 256 channels), a 3x3 stem; made
for a few thousand images of 64 to 128 px and no GPU.
"""

from torch import Tensor, nn

__all__ = ["resnet10"]

_WIDTHS = (32, 64, 128, 256)


def _conv(n_in: int, n_out: int, side: int, stride: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(n_in, n_out, side, stride=stride, padding=side // 2, bias=False)
    return [conv, nn.BatchNorm2d(n_out)]


class _Block(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        first = [*_conv(n_in, n_out, 3, stride), nn.ReLU(inplace=True)]
        self.convolutions = nn.Sequential(*first, *_conv(n_out, n_out, 3))
        pool = [nn.AvgPool2d(stride)] if stride > 1 else []
        same = n_in == n_out and stride == 1
        shortcut = [] if same else [*pool, *_conv(n_in, n_out, 1)]
        self.shortcut = nn.Sequential(*shortcut)
        self.finish = nn.ReLU(inplace=True)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (n, n_in, h, w) to (n, n_out, h // stride, w // stride)."""
        made: Tensor = self.finish(self.convolutions(maps) + self.shortcut(maps))
        return made


def resnet10() -> tuple[nn.Sequential, nn.Module, int]:
    """Return the blocks but the last, the last block, and the number of features."""
    stem = nn.Sequential(
        *_conv(3, _WIDTHS[0], 3, stride=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, padding=1)
    )
    blocks = [
        _Block(n_in, n, stride=1 if i == 0 else 2)
        for i, (n_in, n) in enumerate(zip((_WIDTHS[0], *_WIDTHS), _WIDTHS, strict=False))
    ]
    # Stem and first block are one level: they have the same resolution.
    return nn.Sequential(nn.Sequential(stem, blocks[0]), *blocks[1:-1]), blocks[-1], _WIDTHS[-1]
