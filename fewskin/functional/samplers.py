"""From noise to images: solvers of the diffusion ODE, as pure functions of a denoiser.

Karras et al., Elucidating the design space of diffusion-based generative models, 2022,
arXiv:2206.00364 (levels, Heun); Lu et al., DPM-Solver++, 2022, arXiv:2211.01095 (second order,
multistep); Song et al., Denoising diffusion implicit models, 2020, arXiv:2010.02502.

A noisy image is `clean + sigma * noise`. A step from sigma = inf, where it is the noise itself,
is DDIM's in every solver. Nothing here mixes the images of a batch.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Literal

from torch import Tensor

from fewskin.errors import ConfigError
from fewskin.functional.diffusion import SIGMA_DATA, SIGMA_MIN, Prediction, sigma_at

__all__ = ["SAMPLERS", "Denoiser", "SamplerName", "ddim", "dpmpp", "heun", "levels"]

Denoiser = Callable[[Tensor, float], Tensor]
SamplerName = Literal["dpmpp", "heun", "ddim"]
_RHO = 7.0  # of EDM: steps are short where there is little noise


def levels(n: int, kind: Prediction, strength: float = 1.0) -> list[float]:
    """Return noise levels from that of `strength` down to 0.

    Args:
        n: steps from the highest level; fewer from a lower one, in proportion.
        kind: "edm": EDM's levels; "v": even angles, inf first at strength 1.
        strength: where they begin, see `diffusion.sigma_at`.

    Returns:
        steps + 1 levels; empty at strength 0.

    Raises:
        ConfigError: no step, or a strength outside [0, 1].

    Example:
        >>> [round(sigma, 3) for sigma in levels(3, "edm")]
        [80.0, 2.515, 0.002, 0.0]
        >>> [round(sigma, 3) for sigma in levels(2, "v")]
        [inf, 0.5, 0.0]
    """
    if n < 1:
        raise ConfigError(f"sample_steps={n}: expected 1 or more.")
    if not 0.0 <= strength <= 1.0:
        raise ConfigError(f"strength={strength}: expected 0 to 1.")
    steps, top = math.ceil(n * strength), sigma_at(strength, kind)
    if top <= SIGMA_MIN:
        return []
    if kind == "v":
        angles = [math.pi / 2 * strength * (1.0 - i / steps) for i in range(1, steps)]
        return [top, *[SIGMA_DATA * math.tan(angle) for angle in angles], 0.0]
    high, low = top ** (1 / _RHO), SIGMA_MIN ** (1 / _RHO)
    ramp = [high + i / max(1, steps - 1) * (low - high) for i in range(steps)]
    return [top, *[value**_RHO for value in ramp[1:]], 0.0]


def ddim(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Sequence[float],
    *,
    eta: float = 0.0,
    fresh: Callable[[int], Tensor] | None = None,
) -> Tensor:
    """Follow the levels by Euler's method; upwards too, which encodes an image.

    Args:
        denoiser: (x, sigma) -> expected clean images.
        x: (n, ...) images at sigmas[0].
        sigmas: levels.
        eta: 0 is deterministic, 1 as random as the forward process.
        fresh: step -> (n, ...) standard normal noise; needed where eta > 0.

    Example:
        >>> import torch
        >>> float(ddim(lambda x, sigma: 0 * x + 3.0, torch.tensor([5.0]), [2.0, 1.0, 0.0]))
        3.0
    """
    for i, (sigma, after) in enumerate(pairwise(sigmas)):
        clean = denoiser(x, sigma)
        again = 0.0
        if eta > 0.0 and 0.0 < after < sigma:
            again = eta * after * math.sqrt(1.0 - (after / sigma) ** 2)
        kept = math.sqrt(after**2 - again**2)
        x = clean + kept * (x if math.isinf(sigma) else (x - clean) / sigma)
        if again > 0.0:
            if fresh is None:
                raise ConfigError(f"eta={eta}: expected fresh noise for each step.")
            x = x + again * fresh(i)
    return x


def heun(denoiser: Denoiser, x: Tensor, sigmas: Sequence[float]) -> Tensor:
    """Follow the levels with the mean of the slopes at both ends of a step: two calls a step.

    Args:
        denoiser: (x, sigma) -> expected clean images.
        x: (n, ...) images at sigmas[0].
        sigmas: levels, falling.

    Example:
        >>> import torch
        >>> float(heun(lambda x, sigma: 0 * x + 3.0, torch.tensor([5.0]), [2.0, 1.0, 0.0]))
        3.0
    """
    for sigma, after in pairwise(sigmas):
        clean = denoiser(x, sigma)
        if math.isinf(sigma):
            x = clean + after * x
            continue
        slope = (x - clean) / sigma
        ahead = x + (after - sigma) * slope
        if after > 0.0:
            slope = (slope + (ahead - denoiser(ahead, after)) / after) / 2
            ahead = x + (after - sigma) * slope
        x = ahead
    return x


def dpmpp(denoiser: Denoiser, x: Tensor, sigmas: Sequence[float]) -> Tensor:
    """Follow the levels with DPM-Solver++(2M): one call a step, clean images extrapolated.

    Args:
        denoiser: (x, sigma) -> expected clean images.
        x: (n, ...) images at sigmas[0].
        sigmas: levels, falling.

    Example:
        >>> import torch
        >>> float(dpmpp(lambda x, sigma: 0 * x + 3.0, torch.tensor([5.0]), [2.0, 1.0, 0.0]))
        3.0
    """
    before: Tensor | None = None
    width = 0.0  # of the last step, in -ln sigma
    for sigma, after in pairwise(sigmas):
        clean = denoiser(x, sigma)
        if math.isinf(sigma):
            x, before = clean + after * x, None
            continue
        if after == 0.0:
            return clean
        ahead, step = clean, math.log(sigma / after)
        if before is not None:
            ahead = clean + (clean - before) * (step / (2.0 * width))
        x = (after / sigma) * x - math.expm1(-step) * ahead
        before, width = clean, step
    return x


SAMPLERS: Mapping[SamplerName, Callable[[Denoiser, Tensor, Sequence[float]], Tensor]] = {
    "dpmpp": dpmpp,
    "heun": heun,
    "ddim": ddim,
}
