"""A residual discriminator with projection, and its light variant with decoders.

Karras et al., Analyzing and improving the image quality of StyleGAN, 2020, arXiv:1912.04958
(residual blocks, minibatch standard deviation); Miyato and Koyama, cGANs with projection
discriminator, 2018, arXiv:1802.05637; Liu et al. 2021, arXiv:2101.04775 (light: half the side from
the start, decoders). Differs from the papers: maps are halved by a mean over 2 x 2.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pixel_unshuffle

from fewskin.errors import ConfigError
from fewskin.nets.gan_generator import GanShape, sides
from fewskin.nets.gan_layers import GAIN, EqualConv, EqualLinear, MinibatchStd, leaky
from fewskin.nets.gan_light import Decoder, redraw_loss

__all__ = ["Discriminator", "Judged"]


class Judged(NamedTuple):
    """Logits (n,), and the maps of side 8 and 16 that decoders redraw images from."""

    logits: Tensor
    at_8: Tensor
    at_16: Tensor


class _Block(nn.Module):
    """Halve the side: two convolutions beside a short way."""

    def __init__(self, n_in: int, n_out: int, *, light: bool) -> None:
        super().__init__()
        self.first = None if light else EqualConv(n_in, n_in, gain=GAIN)
        # The sum of two is divided by sqrt(2), here, on the weights.
        self.second = EqualConv(n_in, n_out, gain=1.0)
        self.skip = EqualConv(n_in, n_out, 1, bias=False, gain=math.sqrt(0.5))

    def forward(self, x: Tensor) -> Tensor:
        small = avg_pool2d(x, 2)
        y = small if self.first is None else avg_pool2d(leaky(self.first(x)), 2)
        return leaky(self.second(y)) + self.skip(small)


class Discriminator(nn.Module):
    """From images and labels to logits of being real.

    Args:
        shape: of the nets.
        group: images whose spread is compared, see `MinibatchStd`.
    """

    def __init__(self, shape: GanShape, group: int = 4) -> None:
        super().__init__()
        self.shape, self.light = shape, shape.variant == "light"
        largest = shape.image_size // 2 if self.light else shape.image_size
        self.start = EqualConv(
            12 if self.light else 3,
            shape.channels(largest),
            3 if self.light else 1,
            gain=GAIN,
        )
        down = sides(largest)[:0:-1]
        self.blocks = nn.ModuleList(
            _Block(shape.channels(side), shape.channels(side // 2), light=self.light)
            for side in down
        )
        last = shape.channels(4)
        self.spread = MinibatchStd(group)
        self.conv = EqualConv(last + 1, last, gain=GAIN)
        self.dense = EqualLinear(last * 16, last, gain=GAIN)
        self.real = EqualLinear(last, 1)
        self.embedding = nn.Parameter(torch.randn(shape.n_classes, last) / math.sqrt(last))
        self.whole = Decoder(shape.channels(8)) if self.light else None
        self.part = Decoder(shape.channels(16)) if self.light else None

    def judge(self, images: Tensor, labels: Tensor) -> Judged:
        """Map (n, 3, S, S) in [-1, 1] and (n,) int64 to logits and maps."""
        x = pixel_unshuffle(images, 2) if self.light else images
        x = leaky(self.start(x))
        seen = {x.shape[-1]: x}
        for block in self.blocks:
            x = block(x)
            seen[x.shape[-1]] = x
        x = leaky(self.conv(self.spread(x)))
        x = leaky(self.dense(x.flatten(1)))
        logits = self.real(x)[:, 0]
        if len(self.embedding) > 1:
            logits = logits + (x * self.embedding[labels]).sum(1)
        return Judged(logits, seen[8], seen[16])

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Map (n, 3, S, S) in [-1, 1] and (n,) int64 to logits (n,)."""
        return self.judge(images, labels).logits

    def redrawn(self, images: Tensor, judged: Judged, corner: int) -> Tensor:
        """Return how badly decoders redraw real images from their maps, a scalar; 0 without.

        Args:
            images: (n, 3, S, S) in [-1, 1].
            judged: what `judge` made of them.
            corner: which quarter is redrawn beside the whole, 0 to 3.
        """
        if self.whole is None or self.part is None:
            return images.new_zeros(())
        return redraw_loss(self.whole, self.part, images, judged.at_8, judged.at_16, corner)

    def layers(self) -> list[nn.Module]:
        """Return the layers that freezeD counts, from the image on: start, then of each block."""
        found: list[nn.Module] = [self.start]
        for block in self.blocks:
            found += [layer for layer in block.children() if layer is not None]
        return found

    def freeze(self, n: int) -> None:
        """Stop training the first `n` layers: freezeD, Mo et al. 2020, arXiv:2002.10964.

        Raises:
            ConfigError: there are not so many.
        """
        layers = self.layers()
        if not 0 <= n <= len(layers):
            raise ConfigError(f"freeze_d={n}: this discriminator has {len(layers)} such layers.")
        for layer in layers[:n]:
            layer.requires_grad_(False)
