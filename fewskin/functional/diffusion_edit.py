"""New images from real ones by diffusion: noise and back, repainting, and between two.

Meng et al., SDEdit, 2021, arXiv:2108.01073; Lugmayr et al., RePaint, 2022, arXiv:2201.09865;
Song et al., Denoising diffusion implicit models, 2020, arXiv:2010.02502 (encoding).
Differs from the papers: what is known is put into each denoised image, so that any solver may be
used, and a step is not repeated.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from fewskin.functional.diffusion import SIGMA_MIN, noised
from fewskin.functional.samplers import SAMPLERS, Denoiser, SamplerName, ddim

__all__ = ["between", "edited", "encoded", "knowing", "slerp"]


def edited(
    denoiser: Denoiser,
    clean: Tensor,
    noise: Tensor,
    sigmas: Sequence[float],
    sampler: SamplerName = "dpmpp",
) -> Tensor:
    """Return images after noise and back (SDEdit); without levels, as they were.

    Args:
        denoiser: (x, sigma) -> expected clean images.
        clean: (n, ...) images.
        noise: (n, ...) standard normal.
        sigmas: levels from the highest to be reached down to 0, see `samplers.levels`.
        sampler: "dpmpp", "heun" or "ddim".

    Example:
        >>> image = torch.ones(1, 2)
        >>> edited(lambda x, sigma: image, image, torch.zeros(1, 2), [1.0, 0.0]).tolist()
        [[1.0, 1.0]]
    """
    if not len(sigmas):
        return clean
    first = torch.full((len(clean),), sigmas[0], device=clean.device)
    return SAMPLERS[sampler](denoiser, noised(clean, noise, first), sigmas)


def knowing(denoiser: Denoiser, clean: Tensor, mask: Tensor) -> Denoiser:
    """Return a denoiser that knows the images outside a mask.

    Args:
        denoiser: (x, sigma) -> expected clean images.
        clean: (n, c, h, w) what is known.
        mask: (n, 1, h, w) in [0, 1]: 1 where it is not.

    Example:
        >>> image, mask = torch.ones(1, 1, 1, 2), torch.tensor([[[[0.0, 1.0]]]])
        >>> knowing(lambda x, sigma: 5 * x, image, mask)(image, 1.0).tolist()
        [[[[1.0, 5.0]]]]
    """
    return lambda x, sigma: clean + mask * (denoiser(x, sigma) - clean)


def encoded(denoiser: Denoiser, clean: Tensor, sigmas: Sequence[float]) -> Tensor:
    """Return the noisy images from which `samplers.ddim` comes back to `clean`, nearly.

    Args:
        denoiser: (x, sigma) -> expected clean images.
        clean: (n, ...) images.
        sigmas: falling levels, the last 0; the first finite.
    """
    rising = [level for level in reversed(sigmas) if level > 0.0]
    if rising[0] > SIGMA_MIN:
        rising = [SIGMA_MIN, *rising]
    return ddim(denoiser, clean, rising)


def slerp(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """Return noise between two, on the arc of a circle: as long as they are, unlike a mean.

    Args:
        a: (n, ...) standard normal.
        b: (n, ...) standard normal.
        share: (n,) of b, [0, 1].

    Example:
        >>> mid = slerp(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), torch.tensor([0.5]))
        >>> [round(value, 4) for value in mid[0].tolist()]
        [0.7071, 0.7071]
    """
    flat, other = a.flatten(1), b.flatten(1)
    lengths = (flat.norm(dim=1) * other.norm(dim=1)).clamp_min(1e-12)
    angle = torch.acos(((flat * other).sum(1) / lengths).clamp(-1.0, 1.0))
    share = share.to(a)
    sine = angle.sin().clamp_min(1e-6)
    straight = angle < 1e-3  # nearly the same: no arc to speak of
    first = torch.where(straight, 1.0 - share, ((1.0 - share) * angle).sin() / sine)
    second = torch.where(straight, share, (share * angle).sin() / sine)
    shape = (-1, *[1] * (a.ndim - 1))
    return first.reshape(shape) * a + second.reshape(shape) * b


def between(
    denoiser: Denoiser,
    first: Tensor,
    second: Tensor,
    share: Tensor,
    sigmas: Sequence[float],
    sampler: SamplerName = "dpmpp",
) -> Tensor:
    """Return images between two: both encoded, their noise mixed on an arc, and decoded.

    Args:
        denoiser: (x, sigma) -> expected clean images.
        first: (n, ...) images.
        second: (n, ...) images.
        share: (n,) of the second, [0, 1].
        sigmas: falling levels, the last 0; the first finite. Without any: the mean of both.
        sampler: "dpmpp", "heun" or "ddim".
    """
    if not len(sigmas):
        part = share.reshape(-1, *[1] * (first.ndim - 1)).to(first)
        return first + part * (second - first)
    ends = [encoded(denoiser, one, sigmas) for one in (first, second)]
    return SAMPLERS[sampler](denoiser, slerp(ends[0], ends[1], share), sigmas)
