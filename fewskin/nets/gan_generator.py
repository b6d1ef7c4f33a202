"""A class-conditional style-based generator, and its light variant.

Karras et al., Analyzing and improving the image quality of StyleGAN, 2020, arXiv:1912.04958
(mapping, modulated convolutions, noise, sum of colours over resolutions); Liu et al., Towards
faster and stabilized GAN training for high-fidelity few-shot image synthesis, 2021,
arXiv:2101.04775 (light: one convolution a resolution, skip-layer excitation, maps of 4 x 4 from
the latent).
Differs from the papers: light layers are demodulated, not batch-normalised, so images never see
each other; a larger resolution begins with a convolution at the smaller one, then interpolation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle

from fewskin.errors import ConfigError
from fewskin.nets.gan_layers import (
    GAIN,
    Affine,
    EqualLinear,
    ModulatedConv,
    doubled,
    leaky,
    normalised,
)
from fewskin.nets.gan_light import Excitation

__all__ = ["GanShape", "GanVariant", "Mapping", "StyleGenerator", "Synthesis", "sides"]

GanVariant = Literal["style", "light"]
_EXCITATION_SPAN = 4
_MAPPING_RATE = 0.01


@dataclass(frozen=True)
class GanShape:
    """What decides the layers of a GAN's nets.

    Attributes:
        variant: "style", or "light" for CPUs and tiny sets.
        image_size: side in pixels: 32, 64, 128, 256 or 512.
        channel_base: maps of side s have channel_base / s channels.
        channel_max: but never more than this.
        latent: size of z and w.
        n_classes: number of labels.
    """

    variant: GanVariant
    image_size: int
    channel_base: int = 4096
    channel_max: int = 128
    latent: int = 128
    n_classes: int = 1

    def __post_init__(self) -> None:
        if self.variant not in ("style", "light"):
            raise ConfigError(f"variant={self.variant!r}: expected style or light.")
        if self.image_size not in (32, 64, 128, 256, 512):
            raise ConfigError(
                f"image_size={self.image_size}: a GAN makes images of 32, 64, 128, 256 or 512 px; "
                "set image_size to one of these."
            )
        if min(self.channel_base // self.image_size, self.channel_max, self.latent) < 4:
            raise ConfigError(
                f"channel_base={self.channel_base} leaves "
                f"{self.channel_base // self.image_size} channels at {self.image_size} px and "
                f"channel_max={self.channel_max}, latent={self.latent}: expected 4 or more each."
            )

    def channels(self, side: int) -> int:
        """Return the channels of maps of `side`."""
        return min(self.channel_base // side, self.channel_max)


def sides(image_size: int) -> list[int]:
    """Return the sides of the maps from 4 to the image's.

    Example:
        >>> sides(32)
        [4, 8, 16, 32]
    """
    return [4 * 2**i for i in range((image_size // 4).bit_length())]


class Mapping(nn.Module):
    """From z and a label to the latent w.

    Args:
        shape: of the nets.
        depth: number of layers.
    """

    def __init__(self, shape: GanShape, depth: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(shape.n_classes, shape.latent))
        widths = [2 * shape.latent] + [shape.latent] * depth
        self.layers = nn.ModuleList(
            EqualLinear(n_in, n_out, rate=_MAPPING_RATE, gain=GAIN)
            for n_in, n_out in pairwise(widths)
        )

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Map (n, latent) and (n,) int64 to (n, latent)."""
        x = torch.cat([normalised(z), normalised(self.embedding[labels])], 1)
        for layer in self.layers:
            x = leaky(layer(x))
        return x


class Synthesis(nn.Module):
    """From a latent to an image: the sum of the colours of all resolutions."""

    def __init__(self, shape: GanShape) -> None:
        super().__init__()
        self.light = shape.variant == "light"
        # The light one ends at half the side; its last colours come four pixels at a time.
        self.sides = sides(shape.image_size // 2 if self.light else shape.image_size)
        widths, latent = [shape.channels(side) for side in self.sides], shape.latent
        self.start = EqualLinear(latent, widths[0] * 16, gain=GAIN) if self.light else None
        self.constant = None if self.light else nn.Parameter(torch.randn(1, widths[0], 4, 4))
        self.up, self.convs, self.colours = nn.ModuleList(), nn.ModuleDict(), nn.ModuleList()
        self.gates = nn.ModuleDict()
        for n_in, width in pairwise(widths):
            self.up.append(ModulatedConv(n_in, width, latent, doubled=True))
        for side, width in zip(self.sides, widths, strict=True):
            last = side == self.sides[-1]
            if not self.light or side == 4 or last:
                self.convs[str(side)] = ModulatedConv(width, width, latent)
            self.colours.append(_colours(width, latent, fine=self.light and last))
            if self.light and side // _EXCITATION_SPAN >= 4:
                low = shape.channels(side // _EXCITATION_SPAN)
                self.gates[str(side)] = Excitation(low, width)

    @property
    def noise_sides(self) -> list[int]:
        """Side of each noise map that `forward` takes."""
        made = []
        for i, side in enumerate(self.sides):
            made += [side] * ((i > 0) + (str(side) in self.convs))
        return made

    def forward(self, w: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """Map latents (n, latent) to images (n, 3, S, S), about [-1, 1].

        Args:
            w: latents.
            noise: one (n, 1, s, s) for each of `noise_sides`.
        """
        left = iter(noise)
        x = self._first(w)
        seen: dict[int, Tensor] = {}
        image = torch.zeros((), device=w.device)
        for i, side in enumerate(self.sides):
            if i:
                x = self.up[i - 1](x, w, next(left))
                image = doubled(image)
            if str(side) in self.convs:
                x = self.convs[str(side)](x, w, next(left))
            if str(side) in self.gates:
                x = self.gates[str(side)](seen[side // _EXCITATION_SPAN], x)
            seen[side] = x
            colours = self.colours[i](x, w)
            if colours.shape[1] == 3:
                image = image + colours
            else:
                image = doubled(image) + pixel_shuffle(colours, 2)
        return image

    def _first(self, w: Tensor) -> Tensor:
        if self.start is not None:
            return leaky(self.start(w)).reshape(len(w), -1, 4, 4)
        assert self.constant is not None
        return self.constant.expand(len(w), -1, -1, -1)


def _colours(width: int, latent: int, *, fine: bool) -> ModulatedConv:
    if not fine:
        return ModulatedConv(width, 3, latent, kernel=1, plain=True)
    made = ModulatedConv(width, 12, latent, plain=True)
    # The four pixels of a place start alike, else there is a chequerboard to unlearn.
    made.weight.data.copy_(made.weight.data[::4].repeat_interleave(4, 0))
    return made


class StyleGenerator(nn.Module):
    """A mapping and a synthesis.

    Args:
        shape: of the nets.
    """

    def __init__(self, shape: GanShape) -> None:
        super().__init__()
        self.shape = shape
        self.mapping = Mapping(shape, depth=2 if shape.variant == "light" else 4)
        self.synthesis = Synthesis(shape)

    def noise(self, n: int, rng: torch.Generator | None = None) -> list[Tensor]:
        """Return normal noise maps for `n` images, from `rng` or else torch's own state."""
        where = self.mapping.embedding.device if rng is None else rng.device
        return [
            torch.randn(n, 1, side, side, generator=rng, device=where)
            for side in self.synthesis.noise_sides
        ]

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Map z (n, latent) and labels (n,) to images (n, 3, S, S), about [-1, 1]."""
        return self.synthesis(self.mapping(z, labels), self.noise(len(z)))

    def styles(self) -> list[Affine]:
        """Return the layers that turn latents into styles."""
        return [module for module in self.modules() if isinstance(module, Affine)]
