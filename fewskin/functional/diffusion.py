"""Noise levels, preconditioning and loss of diffusion models.

Karras et al., Elucidating the design space of diffusion-based generative models, 2022,
arXiv:2206.00364 ("edm"); Salimans and Ho, Progressive distillation, 2022, arXiv:2202.00512, and
Lin et al., Common diffusion noise schedules and sample steps are flawed, 2023, arXiv:2305.08891
("v": the net predicts a velocity, and the last noise level holds nothing of the image).

A noisy image is `clean + sigma * noise` throughout, with standard normal noise and clean images of
standard deviation `sigma_data`. At sigma = inf, which only "v" reaches, it is the noise itself.
Differs from the papers: uniform numbers behind the levels of a batch are stratified (Kingma et al.,
Variational diffusion models, 2021, arXiv:2107.00630), which makes the loss less noisy.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fewskin.errors import ConfigError

__all__ = [
    "N_MOVED",
    "SIGMA_DATA",
    "SIGMA_MAX",
    "SIGMA_MIN",
    "Prediction",
    "Scaling",
    "denoise",
    "drawn_sigmas",
    "guided",
    "loss_weight",
    "moved_vector",
    "noised",
    "scaling",
    "seeded_noise",
    "sigma_at",
    "stratified",
    "target",
]

Prediction = Literal["edm", "v"]
SIGMA_DATA = 0.5
SIGMA_MIN, SIGMA_MAX = 0.002, 80.0
N_MOVED = 7  # numbers that describe an augmentation
_LOG_MEAN, _LOG_STD = -1.2, 1.2  # of ln sigma in training, for images of 64 px and less
_HALF_TURN = math.pi / 2


class Scaling(NamedTuple):
    """What surrounds a net: D(x) = skip * x + out * net(into * x, noise)."""

    skip: Tensor
    out: Tensor
    into: Tensor
    noise: Tensor


def scaling(sigma: Tensor, kind: Prediction, sigma_data: float = SIGMA_DATA) -> Scaling:
    """Return the factors around the net at each noise level (table 1 of EDM).

    Net input and target have variance 1 at every level. Both kinds differ only in the sign of what
    the net predicts and in how it is told the level: a quarter of ln(sigma) for "edm"; for "v" the
    angle atan(sigma / sigma_data), which stays finite.

    Args:
        sigma: (n,) noise levels, > 0; inf for "v" only.
        kind: "edm" or "v".
        sigma_data: standard deviation of clean images.

    Example:
        >>> [round(float(one), 3) for one in scaling(torch.tensor([0.5]), "edm")]
        [0.5, 0.354, 1.414, -0.173]
    """
    if kind not in ("edm", "v"):
        raise ConfigError(f"prediction={kind!r}: expected edm or v.")
    angle = torch.atan(sigma / sigma_data)
    last = torch.isinf(sigma)
    into = torch.where(last, 1.0, 1.0 / torch.sqrt(sigma**2 + sigma_data**2))
    skip = torch.where(last, 0.0, angle.cos() ** 2)
    sine = torch.where(last, 1.0, angle.sin())
    if kind == "edm":
        return Scaling(skip, sigma_data * sine, into, sigma.log() / 4)
    return Scaling(skip, -sigma_data * sine, into, angle)


def _spread(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.ndim - 1)).to(like)  # (n,) -> (n, 1, ...)


def denoise(
    net: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    sigma: Tensor,
    kind: Prediction,
    sigma_data: float = SIGMA_DATA,
) -> Tensor:
    """Return the clean images that a net expects behind noisy ones.

    Args:
        net: (input (n, ...), level (n,)) -> prediction (n, ...).
        x: (n, ...) noisy images.
        sigma: (n,) their noise levels.
        kind: "edm" or "v".
        sigma_data: standard deviation of clean images.

    Example:
        >>> x = torch.ones(1, 1)
        >>> made = denoise(lambda x, level: 0 * x, x, torch.tensor([0.5]), "edm")  # skip * x
        >>> round(float(made), 4)
        0.5
    """
    factors = scaling(sigma, kind, sigma_data)
    made = net(_spread(factors.into, x) * x, factors.noise)
    return _spread(factors.skip, x) * x + _spread(factors.out, x) * made


def noised(clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """Return clean images with noise; at sigma = inf the noise alone.

    Args:
        clean: (n, ...).
        noise: (n, ...) standard normal.
        sigma: (n,) levels.

    Example:
        >>> noised(torch.ones(2, 1), torch.ones(2, 1), torch.tensor([2.0, torch.inf])).tolist()
        [[3.0], [1.0]]
    """
    level = _spread(sigma, clean)
    last = torch.isinf(level)
    return torch.where(last, noise, clean + torch.where(last, 0.0, level) * noise)


def target(clean: Tensor, noise: Tensor, sigma: Tensor, kind: Prediction) -> Tensor:
    """Return what the net should predict; its squared error has the same weight at every level.

    Args:
        clean: (n, ...) images of standard deviation `SIGMA_DATA`.
        noise: (n, ...) standard normal.
        sigma: (n,) levels, > 0.
        kind: "edm" or "v".

    Example:
        >>> float(target(torch.ones(1, 1), torch.ones(1, 1), torch.tensor([torch.inf]), "v"))
        -2.0
    """
    angle = _spread(torch.atan(sigma / SIGMA_DATA), clean)
    # (clean - skip * x) / out, multiplied out: no difference of large numbers.
    made = clean * angle.sin() / SIGMA_DATA - noise * angle.cos()
    return made if kind == "edm" else -made


def loss_weight(sigma: Tensor, sigma_data: float = SIGMA_DATA) -> Tensor:
    """Return the weight of the squared error of a denoised image that equals that of the target.

    Example:
        >>> float(loss_weight(torch.tensor([0.5])))
        8.0
    """
    return (sigma**2 + sigma_data**2) / (sigma * sigma_data) ** 2


def stratified(n: int, device: torch.device | str = "cpu") -> Tensor:
    """Return n uniform numbers in (0, 1), one in each n-th of it, in random order.

    Example:
        >>> sorted((stratified(4) * 4).int().tolist())
        [0, 1, 2, 3]
    """
    places = torch.randperm(n, device=device, dtype=torch.float32)
    return ((places + torch.rand(n, device=device)) / n).clamp(1e-6, 1.0 - 1e-6)


def drawn_sigmas(u: Tensor, kind: Prediction, image_size: int = 64) -> Tensor:
    """Return the noise levels to train at, from uniform numbers.

    "edm": ln(sigma) is normal; large images need more noise to lose as much (Hoogeboom et al.,
    Simple diffusion, 2023, arXiv:2301.11093), so its mean grows with ln(side / 64) beyond 64 px.
    "v": the angle is uniform up to a right one, so that noise without an image is trained.

    Args:
        u: (n,) in (0, 1).
        kind: "edm" or "v".
        image_size: side in pixels.

    Example:
        >>> [round(float(drawn_sigmas(torch.tensor([0.5]), kind)), 3) for kind in ("edm", "v")]
        [0.301, 0.5]
    """
    if kind == "edm":
        normal = math.sqrt(2.0) * torch.erfinv(2.0 * u - 1.0)
        mean = _LOG_MEAN + math.log(max(1.0, image_size / 64))
        return (mean + _LOG_STD * normal).exp()
    # The highest thousandth is all noise: a level that is met, not only neared.
    return torch.where(u > 0.999, torch.inf, SIGMA_DATA * torch.tan(_HALF_TURN * u))


def sigma_at(strength: float, kind: Prediction) -> float:
    """Return the noise level of a strength: half is as much noise as image, 1 the highest level.

    Args:
        strength: share of a right angle, [0, 1].
        kind: "edm" ends at 80, "v" at inf.

    Example:
        >>> [round(sigma_at(strength, "edm"), 3) for strength in (0.0, 0.5, 1.0)]
        [0.0, 0.5, 80.0]
    """
    top = SIGMA_MAX if kind == "edm" else math.inf
    if strength >= 1.0:
        return top
    return min(top, SIGMA_DATA * math.tan(_HALF_TURN * strength))


def guided(
    with_label: Callable[[Tensor, float], Tensor],
    without: Callable[[Tensor, float], Tensor],
    guidance: float,
) -> Callable[[Tensor, float], Tensor]:
    """Return a denoiser that goes beyond what the label says (Ho and Salimans, arXiv:2207.12598).

    Args:
        with_label: denoiser that is told the label.
        without: denoiser that is not.
        guidance: 1 is the label alone, 0 no label, more exaggerates their difference.

    Example:
        >>> denoiser = guided(lambda x, sigma: x + 1, lambda x, sigma: x, 3.0)
        >>> float(denoiser(torch.zeros(1), 1.0))
        3.0
    """
    if guidance == 1.0:
        return with_label
    if guidance == 0.0:
        return without

    def denoiser(x: Tensor, sigma: float) -> Tensor:
        plain = without(x, sigma)
        return plain + guidance * (with_label(x, sigma) - plain)

    return denoiser


def seeded_noise(seeds: Sequence[int] | npt.NDArray[np.int64], shape: Sequence[int]) -> Tensor:
    """Return (n, *shape) standard normal noise; row i depends only on seeds[i].

    Example:
        >>> bool(torch.equal(seeded_noise([5, 7], (3,))[1], seeded_noise([7], (3,))[0]))
        True
    """
    rows = [
        torch.randn(tuple(shape), generator=torch.Generator().manual_seed(int(seed)))
        for seed in seeds
    ]
    return torch.stack(rows) if rows else torch.empty(0, *shape)


def moved_vector(drawn: Mapping[str, npt.NDArray[np.float64]]) -> Tensor:
    """Return what a net is told of each image's augmentation; 0 for an image left alone.

    Args:
        drawn: name -> (n,), as `augment.parameters` or `gan_augment.gated_parameters` gives.

    Returns:
        (n, N_MOVED): mirror, cosine less 1 and sine of the angle, log zoom, shifts, log light;
        scaled so that the ranges of the default policy are about 1.

    Example:
        >>> still = {"mirror": 1, "angle_deg": 0, "zoom": 1, "shift_x": 0, "shift_y": 0, "light": 1}
        >>> moved_vector({name: np.array([float(v)]) for name, v in still.items()}).abs().sum()
        tensor(0.)
    """
    angle = np.radians(drawn["angle_deg"])
    columns = [
        (1.0 - drawn["mirror"]) / 2.0,
        np.cos(angle) - 1.0,
        np.sin(angle),
        5.0 * np.log(drawn["zoom"]),
        10.0 * drawn["shift_x"],
        10.0 * drawn["shift_y"],
        10.0 * np.log(drawn["light"]),
    ]
    return torch.from_numpy(np.stack(columns, 1)).float()
