"""A denoising U-Net that is told the noise level, the label and how the image was augmented.

Ho et al., Denoising diffusion probabilistic models, 2020, arXiv:2006.11239 (the U-Net, here
diffusers' `UNet2DModel`); Karras et al., 2022, arXiv:2206.00364 (preconditioning, augmentation
parameters as a condition); Hoogeboom et al., Simple diffusion, 2023, arXiv:2301.11093 (squares of
pixels as channels, which costs a CPU a quarter of the time at equal parameters).
Differs from the papers: images are shifted by their mean colour and scaled to one deviation, so
that noise levels mean the same for any set of photographs; and two small convolutions see the
single pixels beside the U-Net, which would be slow to learn what little noise looks like.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle, silu

from fewskin import compat
from fewskin.errors import ConfigError
from fewskin.functional.diffusion import N_MOVED, SIGMA_DATA, Prediction, denoise

__all__ = ["DiffusionNet", "DiffusionShape"]

_GROUPS, _HEAD = 8, 32
_FINE, _OCTAVES = 16, 8
_TIME = 100.0  # levels differ by hundredths, the embedding tells whole numbers apart


@dataclass(frozen=True)
class DiffusionShape:
    """What decides the layers.

    Attributes:
        image_size: side in pixels, a multiple of patch * 2^(levels - 1).
        channels: of each level, each at half the side of the one before; multiples of 8.
        patch: side of the squares of pixels that become channels.
        layers: residual blocks a level.
        attention: how many of the deepest levels attend; the middle always does.
        prediction: "edm" or "v".
        n_classes: number of labels.
    """

    image_size: int
    channels: tuple[int, ...] = (64, 128)
    patch: int = 4
    layers: int = 1
    attention: int = 0
    prediction: Prediction = "edm"
    n_classes: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))  # a list from YAML or JSON
        if self.prediction not in ("edm", "v"):
            raise ConfigError(f"prediction={self.prediction!r}: expected edm or v.")
        if not self.channels or any(one < 8 or one % _GROUPS for one in self.channels):
            raise ConfigError(f"channels={list(self.channels)}: expected multiples of {_GROUPS}.")
        if min(self.patch, self.layers) < 1 or not 0 <= self.attention <= len(self.channels):
            raise ConfigError(
                f"patch={self.patch}, layers={self.layers}, attention={self.attention}: expected "
                f"1 or more, 1 or more, and 0 to {len(self.channels)}."
            )
        step = self.patch * 2 ** (len(self.channels) - 1)
        if self.image_size < 2 * step or self.image_size % step:
            raise ConfigError(
                f"image_size={self.image_size}: patch={self.patch} and {len(self.channels)} levels "
                f"need a multiple of {step} from {2 * step} on; change image_size, patch or "
                "channels."
            )


class _Fine(nn.Module):
    """Two convolutions at full size, scaled by the noise level; they return 0 at first."""

    octaves: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, _FINE, 3, padding=1)
        self.last = nn.Conv2d(_FINE, 3, 3, padding=1)
        self.level = nn.Sequential(
            nn.Linear(2 * _OCTAVES, 2 * _FINE), nn.SiLU(), nn.Linear(2 * _FINE, 2 * _FINE)
        )
        self.register_buffer("octaves", 2.0 ** torch.arange(-1, _OCTAVES - 1))
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]  # it has one

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """Return (n, 3, S, S) of images (n, 3, S, S) at levels (n,)."""
        waves = level[:, None] * self.octaves
        told = self.level(torch.cat([waves.sin(), waves.cos()], 1))[:, :, None, None]
        gain, offset = told.chunk(2, 1)  # (n, 2 C, 1, 1) -> 2 x (n, C, 1, 1)
        return self.last(silu(self.first(x) * (1.0 + gain) + offset))


class DiffusionNet(nn.Module):
    """The U-Net with its embeddings of labels and augmentations, and the scale of its images.

    Args:
        shape: decides the layers.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, shape: DiffusionShape) -> None:
        super().__init__()
        self.shape = shape
        self.unet = _unet(shape)
        self.fine = _Fine()
        width = 4 * shape.channels[0]
        self.labels = nn.Parameter(torch.randn(shape.n_classes + 1, width))  # the last: no label
        self.moved = nn.Linear(N_MOVED, width, bias=False)
        nn.init.zeros_(self.moved.weight)
        nn.init.zeros_(self.unet.conv_out.weight)
        nn.init.zeros_(self.unet.conv_out.bias)
        self.register_buffer("mean", torch.zeros(3, 1, 1))
        self.register_buffer("scale", torch.ones(()))

    @property
    def no_label(self) -> int:
        """Position of the embedding that says nothing of the label."""
        return self.shape.n_classes

    def predict(
        self, x: Tensor, level: Tensor, labels: Tensor, moved: Tensor | None = None
    ) -> Tensor:
        """Return the raw prediction of the net.

        Args:
            x: (n, 3, S, S) of variance 1.
            level: (n,) as `diffusion.scaling` tells it.
            labels: (n,) int64 positions.
            moved: (n, N_MOVED) of `diffusion.moved_vector`; None for images as they were.
        """
        told = self.labels[labels]
        if moved is not None:
            told = told + self.moved(moved)
        patch = self.shape.patch
        made = self.unet(pixel_unshuffle(x, patch), level * _TIME, told, return_dict=False)[0]
        return pixel_shuffle(made, patch) + self.fine(x, level)

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor) -> Tensor:
        """Return the clean images expected behind noisy ones, all in the scale of the net."""
        return denoise(
            lambda into, level: self.predict(into, level, labels),
            x,
            sigma,
            self.shape.prediction,
        )

    def measure(self, images: Tensor) -> None:
        """Take the mean colour and the deviation from it of (n, 3, S, S) uint8 images."""
        plain = images.float() / 127.5 - 1.0
        mean = plain.mean((0, 2, 3)).reshape(3, 1, 1)
        self.mean.copy_(mean)
        # Images of one flat colour have no deviation; a grey level is the least to tell.
        self.scale.copy_(((plain - mean).square().mean().sqrt() / SIGMA_DATA).clamp_min(0.01))

    def scaled(self, images: Tensor) -> Tensor:
        """Return float images in [-1, 1] in the scale of the net."""
        return (images - self.mean) / self.scale

    def unscaled(self, x: Tensor) -> Tensor:
        """Return images in [-1, 1] from the scale of the net, not clipped."""
        return x * self.scale + self.mean


def _unet(shape: DiffusionShape) -> Any:  # Any: diffusers has no types
    compat.import_torchvision()  # diffusers may import it, and it may need a hand
    from diffusers import UNet2DModel

    n = len(shape.channels)
    attends = [i >= n - shape.attention for i in range(n)]
    return UNet2DModel(
        sample_size=shape.image_size // shape.patch,
        in_channels=3 * shape.patch**2,
        out_channels=3 * shape.patch**2,
        down_block_types=tuple("AttnDownBlock2D" if one else "DownBlock2D" for one in attends),
        up_block_types=tuple("AttnUpBlock2D" if one else "UpBlock2D" for one in attends[::-1]),
        block_out_channels=shape.channels,
        layers_per_block=shape.layers,
        norm_num_groups=_GROUPS,
        attention_head_dim=next(one for one in (_HEAD, 16, 8) if _divides(one, shape.channels)),
        resnet_time_scale_shift="scale_shift",
        class_embed_type="identity",
    )


def _divides(head: int, channels: tuple[int, ...]) -> bool:
    return all(one % head == 0 for one in channels)
