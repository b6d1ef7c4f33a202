"""Images from a diffusion net: new ones, and changes of real ones; a few at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fewskin.functional.diffusion import guided, seeded_noise
from fewskin.functional.diffusion_edit import between, edited, knowing
from fewskin.functional.samplers import SAMPLERS, Denoiser, SamplerName, levels
from fewskin.nets.diffusion_unet import DiffusionNet
from fewskin.training.gan_watch import as_pixels

__all__ = ["Drawing", "label_denoiser"]

_AT_ONCE = {"cpu": 16, "cuda": 128}
_MOST = 0.999  # an image is encoded up to here: at 1 nothing of it would be left
Seeds = Sequence[int] | npt.NDArray[np.int64]


def label_denoiser(net: DiffusionNet, labels: Tensor, guidance: float) -> Denoiser:
    """Return (x, sigma) -> expected clean images of the labels, within the range of pixels.

    Args:
        net: in eval mode.
        labels: (n,) int64 positions.
        guidance: see `diffusion.guided`.
    """

    def told(which: Tensor) -> Denoiser:
        return lambda x, sigma: net(x, torch.full((len(x),), sigma, device=x.device), which)

    raw = guided(told(labels), told(torch.full_like(labels, net.no_label)), guidance)
    return lambda x, sigma: net.scaled(net.unscaled(raw(x, sigma)).clamp(-1.0, 1.0))


@dataclass(frozen=True, eq=False)
class Drawing:
    """Draws with one net and one solver; image i depends only on what is given for it.

    Attributes:
        net: in eval mode; moved to the accelerator if there is one.
        sampler: "dpmpp", "heun" or "ddim".
        steps: from pure noise.
    """

    net: DiffusionNet
    sampler: SamplerName = "dpmpp"
    steps: int = 18

    def new(self, labels: Sequence[int], seeds: Seeds, guidance: float = 1.0) -> Tensor:
        """Return (n, 3, S, S) uint8 images from noise.

        Args:
            labels: (n,) positions.
            seeds: (n,) of the noise.
            guidance: see `diffusion.guided`.
        """
        sigmas = levels(self.steps, self.net.shape.prediction)

        def make(rows: slice, denoiser: Denoiser, device: torch.device) -> Tensor:
            first = self._noise(seeds[rows]).to(device)
            if np.isfinite(sigmas[0]):
                first = first * sigmas[0]
            return SAMPLERS[self.sampler](denoiser, first, sigmas)

        return self._drawn(labels, guidance, make)

    def edited(
        self,
        images: Tensor,
        labels: Sequence[int],
        seeds: Seeds,
        guidance: float,
        strength: float,
    ) -> Tensor:
        """Return images after noise and back.

        Args:
            images: (n, 3, S, S) uint8.
            labels: (n,) positions to go back by.
            seeds: (n,) of the noise.
            guidance: see `diffusion.guided`.
            strength: see `diffusion.sigma_at`; 0 leaves the images.
        """
        sigmas = levels(self.steps, self.net.shape.prediction, strength)

        def make(rows: slice, denoiser: Denoiser, device: torch.device) -> Tensor:
            noise = self._noise(seeds[rows]).to(device)
            return edited(denoiser, self._clean(images[rows], device), noise, sigmas, self.sampler)

        return self._drawn(labels, guidance, make)

    def repainted(
        self,
        images: Tensor,
        masks: Tensor,
        labels: Sequence[int],
        seeds: Seeds,
        guidance: float,
        strength: float,
    ) -> Tensor:
        """Return images with something else inside a mask; outside it they keep their bytes.

        Args:
            images: (n, 3, S, S) uint8.
            masks: (n, S, S) uint8, 0 where the image stays; between 0 and 255 both are mixed.
            labels: (n,) positions of what is painted.
            seeds: (n,) of the noise.
            guidance: see `diffusion.guided`.
            strength: see `diffusion.sigma_at`; 1 forgets what was inside the mask.
        """
        sigmas = levels(self.steps, self.net.shape.prediction, strength)

        def make(rows: slice, denoiser: Denoiser, device: torch.device) -> Tensor:
            clean = self._clean(images[rows], device)
            open_here = (masks[rows, None].float() / 255.0).to(device)  # (n, S, S) -> (n, 1, S, S)
            known = knowing(denoiser, clean, open_here)
            return edited(known, clean, self._noise(seeds[rows]).to(device), sigmas, self.sampler)

        made = self._drawn(labels, guidance, make)
        return torch.where(masks[:, None] == 0, images, made)

    def between(
        self,
        first: Tensor,
        second: Tensor,
        shares: Tensor,
        labels: Sequence[int],
        guidance: float,
        strength: float,
    ) -> Tensor:
        """Return images between two.

        Args:
            first: (n, 3, S, S) uint8.
            second: (n, 3, S, S) uint8.
            shares: (n,) of the second, [0, 1].
            labels: (n,) positions.
            guidance: of the way back; images are encoded with 1.
            strength: noise at which they are mixed, see `diffusion.sigma_at`.
        """
        sigmas = levels(self.steps, self.net.shape.prediction, min(strength, _MOST))

        def make(rows: slice, denoiser: Denoiser, device: torch.device) -> Tensor:
            ends = [self._clean(one[rows], device) for one in (first, second)]
            return between(denoiser, ends[0], ends[1], shares[rows], sigmas, self.sampler)

        return self._drawn(labels, guidance, make)

    def _noise(self, seeds: Seeds) -> Tensor:
        return seeded_noise(seeds, (3, self.net.shape.image_size, self.net.shape.image_size))

    def _clean(self, images: Tensor, device: torch.device) -> Tensor:
        return self.net.scaled(images.to(device).float() / 127.5 - 1.0)

    @torch.inference_mode()
    def _drawn(
        self,
        labels: Sequence[int],
        guidance: float,
        make: Callable[[slice, Denoiser, torch.device], Tensor],
    ) -> Tensor:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        net, at_once = self.net.to(device), _AT_ONCE[device.type]
        side = net.shape.image_size
        made = [torch.empty(0, 3, side, side, dtype=torch.uint8)]
        for begin in range(0, len(labels), at_once):
            rows = slice(begin, begin + at_once)
            denoiser = label_denoiser(net, torch.tensor(labels[rows], device=device), guidance)
            x = make(rows, denoiser, device)
            made.append(as_pixels(net.unscaled(x)).cpu())
        return torch.cat(made).clone()
