"""ResNet12, the residual net of few-shot learning.

Oreshkin et al., TADAM, 2018, arXiv:1805.10123; widths of Lee et al., Meta-learning with
differentiable convex optimization, 2019, arXiv:1904.03758.
Differs from the papers: no DropBlock.
"""

from torch import Tensor, nn

__all__ = ["resnet12"]

_WIDTHS = (64, 160, 320, 640)
_SLOPE = 0.1


class _Block(nn.Module):
    """Three convolutions and a shortcut, then half the side."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for n in (n_in, n_out, n_out):
            layers += [nn.Conv2d(n, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out)]
            layers.append(nn.LeakyReLU(_SLOPE, inplace=True))
        self.convolutions = nn.Sequential(*layers[:-1])
        self.shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1, bias=False), nn.BatchNorm2d(n_out))
        self.finish = nn.Sequential(nn.LeakyReLU(_SLOPE, inplace=True), nn.MaxPool2d(2))

    def forward(self, maps: Tensor) -> Tensor:
        """Map (n, n_in, h, w) to (n, n_out, h // 2, w // 2)."""
        made: Tensor = self.finish(self.convolutions(maps) + self.shortcut(maps))
        return made


def resnet12() -> tuple[nn.Sequential, nn.Module, int]:
    """Return the blocks but the last, the last block, and the number of features."""
    blocks = [_Block(n_in, n) for n_in, n in zip((3, *_WIDTHS), _WIDTHS, strict=False)]
    return nn.Sequential(*blocks[:-1]), blocks[-1], _WIDTHS[-1]
