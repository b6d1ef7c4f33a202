"""Layers of style-based GANs: equalised rates, modulated convolutions, minibatch statistics.

Karras et al., Progressive growing of GANs, 2018, arXiv:1710.10196 (equalised rates, minibatch
standard deviation); Karras et al., Analyzing and improving the image quality of StyleGAN, 2020,
arXiv:1912.04958 (modulated convolution).
Differs from the papers: maps are enlarged by bilinear interpolation, which is their [1, 3, 3, 1]
filter, and halved by a mean over 2 x 2; the gain of an activation is put on the weights before it,
which is the same and saves a pass over the maps.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, leaky_relu, linear

__all__ = [
    "GAIN",
    "Affine",
    "EqualConv",
    "EqualLinear",
    "MinibatchStd",
    "ModulatedConv",
    "doubled",
    "leaky",
    "modulated_conv",
    "normalised",
]


_COLOUR_GAIN = 0.25
GAIN = math.sqrt(2.0)  # of the weights before a leaky ReLU: the variance stays


def leaky(x: Tensor) -> Tensor:
    """Return leaky ReLU with slope 0.2.

    Example:
        >>> [round(value, 3) for value in leaky(torch.tensor([-1.0, 1.0])).tolist()]
        [-0.2, 1.0]
    """
    return leaky_relu(x, 0.2)


def normalised(x: Tensor) -> Tensor:
    """Return rows of mean square 1, (n, d).

    Example:
        >>> round(float(normalised(torch.tensor([[3.0, 4.0]])).square().mean()), 6)
        1.0
    """
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class EqualLinear(nn.Module):
    """A linear layer whose weights have unit variance and are scaled when used.

    Args:
        n_in: features in.
        n_out: features out.
        bias: first value of the bias.
        rate: factor of the learning rate of this layer.
        gain: factor of the output.
    """

    def __init__(
        self, n_in: int, n_out: int, *, bias: float = 0.0, rate: float = 1.0, gain: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in) / rate)
        self.bias = nn.Parameter(torch.full((n_out,), bias / rate))
        self.scale, self.rate = gain * rate / math.sqrt(n_in), gain * rate

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, n_in) to (n, n_out)."""
        return linear(x, self.weight * self.scale, self.bias * self.rate)


class EqualConv(nn.Module):
    """A convolution whose weights have unit variance and are scaled when used; the side stays.

    Args:
        n_in: channels in.
        n_out: channels out.
        kernel: side of the filters, odd.
        bias: whether there is one.
        gain: factor of the output.
    """

    def __init__(
        self, n_in: int, n_out: int, kernel: int = 3, *, bias: bool = True, gain: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(n_out)) if bias else None
        self.scale, self.gain = gain / math.sqrt(n_in * kernel**2), gain

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, n_in, h, w) to (n, n_out, h, w)."""
        bias = None if self.bias is None else self.bias * self.gain
        return conv2d(x, self.weight * self.scale, bias, padding=self.weight.shape[-1] // 2)


def modulated_conv(
    x: Tensor, weight: Tensor, style: Tensor, *, demodulate: bool = True, gain: float = 1.0
) -> Tensor:
    """Convolve each image with filters of its own: `weight` scaled by its style, by channel in.

    The scale is put on the maps, not on the filters, so one convolution serves all images: the
    result is the same, and images of a batch stay independent.

    Args:
        x: (n, c_in, h, w).
        weight: (c_out, c_in, k, k), k odd.
        style: (n, c_in).
        demodulate: scale the filters of each image and channel out to length `gain`.
        gain: see `demodulate`.

    Returns:
        (n, c_out, h, w).
    """
    made = conv2d(x * style[:, :, None, None], weight, padding=weight.shape[-1] // 2)
    if not demodulate:
        return made
    length = style.square() @ weight.square().sum((2, 3)).T  # (n, c_out)
    return made * (gain * (length + 1e-8).rsqrt())[:, :, None, None]


def doubled(x: Tensor) -> Tensor:
    """Return maps of twice the side, interpolated.

    Example:
        >>> doubled(torch.ones(1, 1, 2, 2)).shape
        torch.Size([1, 1, 4, 4])
    """
    return interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class Affine(EqualLinear):
    """From a latent to a style about 1, with an optional low-rank part that alone is adapted.

    Args:
        n_in: size of the latent.
        n_out: channels.
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(n_in, n_out, bias=1.0)
        self.down: nn.Parameter | None
        self.up: nn.Parameter | None
        self.register_parameter("down", None)
        self.register_parameter("up", None)

    def widen(self, rank: int) -> list[nn.Parameter]:
        """Add a product of matrices of `rank`, at first 0; return what is to be trained."""
        n_out, n_in = self.weight.shape
        self.down = nn.Parameter(torch.randn(rank, n_in, device=self.weight.device))
        self.up = nn.Parameter(torch.zeros(n_out, rank, device=self.weight.device))
        return [self.down, self.up, self.bias]

    def copy_low_rank(self, other: "Affine") -> None:
        """Take the low-rank part of another layer, as parameters that are not trained."""
        assert other.down is not None
        assert other.up is not None
        self.down = nn.Parameter(other.down.detach().clone(), requires_grad=False)
        self.up = nn.Parameter(other.up.detach().clone(), requires_grad=False)

    def merge(self) -> None:
        """Fold the low-rank part into the weights."""
        if self.down is not None and self.up is not None:
            self.weight.data.add_(self.up.data @ self.down.data)
            self.down = self.up = None

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, n_in) to (n, n_out)."""
        made = super().forward(x)
        if self.down is None or self.up is None:
            return made
        return made + (x @ self.down.T * self.scale) @ self.up.T


class ModulatedConv(nn.Module):
    """A modulated convolution with its style, bias, noise and activation.

    Args:
        n_in: channels in.
        n_out: channels out.
        latent: size of the latent.
        kernel: side of the filters, odd.
        plain: neither demodulation, noise nor activation, as for colours.
        doubled: double the side, after the convolution.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        latent: int,
        *,
        kernel: int = 3,
        plain: bool = False,
        doubled: bool = False,
    ) -> None:
        super().__init__()
        self.affine = Affine(latent, n_in)
        self.weight = nn.Parameter(torch.randn(n_out, n_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(n_out))
        self.strength = None if plain else nn.Parameter(torch.zeros(()))
        # Colours start small: the sum of those of all sides would be far outside [-1, 1].
        gain = _COLOUR_GAIN if plain else 1.0
        self.scale, self.doubled = gain / math.sqrt(n_in * kernel**2), doubled

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None = None) -> Tensor:
        """Map maps (n, n_in, h, w) and latents (n, latent) to (n, n_out, h, w), or (2h, 2w).

        Args:
            x: maps.
            w: latents.
            noise: (n, 1, h, w), or (2h, 2w), standard normal; none for plain ones.
        """
        bias, style = self.bias[:, None, None], self.affine(w)
        if self.strength is None:
            return modulated_conv(x, self.weight * self.scale, style, demodulate=False) + bias
        y = modulated_conv(x, self.weight * self.scale, style, gain=GAIN)
        y = doubled(y) if self.doubled else y
        shift: Tensor = bias if noise is None else torch.addcmul(bias, noise, self.strength)
        return leaky(y + shift)


class MinibatchStd(nn.Module):
    """Append one map: how much the images of a group of the batch differ.

    Args:
        group: images compared with each other; of a batch that it does not divide, the largest
            number below it that does.
    """

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, c + 1, h, w)."""
        n, c, h, w = x.shape
        size = next(g for g in range(min(self.group, n), 0, -1) if n % g == 0)
        split = x.reshape(size, n // size, c, h, w)
        spread = (split.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))  # (n // size)
        return torch.cat([x, spread.repeat(size)[:, None, None, None].expand(n, 1, h, w)], 1)
