"""Parts of the light GAN: skip-layer excitation, and decoders that keep a discriminator honest.

Liu et al., Towards faster and stabilized GAN training for high-fidelity few-shot image synthesis,
2021, arXiv:2101.04775.
Differs from the paper: an excitation spans a factor 4 of resolution, not 16, so that images of 32
and 64 pixels have one; decoders are scored by absolute differences, as no pretrained perceptual net
is at hand.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate, l1_loss

from fewskin.nets.gan_layers import GAIN, EqualConv, EqualLinear, leaky

__all__ = ["Decoder", "Excitation", "redraw_loss"]


class Excitation(nn.Module):
    """Scale the channels of large maps by what small maps of the same image say.

    Args:
        n_low: channels of the small maps.
        n_high: channels of the large ones.
    """

    def __init__(self, n_low: int, n_high: int) -> None:
        super().__init__()
        self.squeeze = EqualLinear(n_low * 16, n_high, gain=GAIN)
        self.gate = EqualLinear(n_high, n_high, bias=1.0)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        """Map (n, n_low, h, w) and (n, n_high, H, W) to (n, n_high, H, W)."""
        small = adaptive_avg_pool2d(low, 4).flatten(1)
        return high * torch.sigmoid(self.gate(leaky(self.squeeze(small))))[:, :, None, None]


class Decoder(nn.Module):
    """From maps of 8 x 8 back to a small picture of 32 x 32.

    Args:
        n_in: channels of the maps.
        width: channels of the first convolution, halved by the next.
    """

    def __init__(self, n_in: int, width: int = 16) -> None:
        super().__init__()
        self.first = EqualConv(n_in, width, gain=GAIN)
        self.second = EqualConv(width, width // 2, gain=GAIN)
        self.colours = EqualConv(width // 2, 3)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (n, n_in, 8, 8) to (n, 3, 32, 32)."""
        x = leaky(self.first(interpolate(maps, scale_factor=2.0, mode="nearest")))
        x = leaky(self.second(interpolate(x, scale_factor=2.0, mode="nearest")))
        return self.colours(x)


def redraw_loss(
    whole: Decoder, part: Decoder, images: Tensor, at_8: Tensor, at_16: Tensor, corner: int
) -> Tensor:
    """Return how badly the maps of real images give back the images, a scalar.

    Args:
        whole: decoder of all that an image shows.
        part: decoder of a quarter of an image.
        images: (n, 3, S, S) in [-1, 1], S >= 32.
        at_8: (n, c, 8, 8) maps of the images.
        at_16: (n, d, 16, 16) maps of the images.
        corner: which quarter is redrawn, 0 to 3.
    """
    y, x = divmod(corner, 2)
    half = images.shape[-1] // 2
    quarter = images[..., y * half : (y + 1) * half, x * half : (x + 1) * half]
    maps = at_16[..., 8 * y : 8 * y + 8, 8 * x : 8 * x + 8]
    wanted = (adaptive_avg_pool2d(images, 32), _sized(quarter))
    return l1_loss(whole(at_8), wanted[0]) + l1_loss(part(maps), wanted[1])


def _sized(images: Tensor) -> Tensor:
    if images.shape[-1] >= 32:
        return adaptive_avg_pool2d(images, 32)
    return interpolate(images, size=32, mode="bilinear", align_corners=False)
