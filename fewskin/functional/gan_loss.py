"""Losses of GANs: non-saturating logistic, R1 and path length.

Goodfellow et al., Generative adversarial nets, 2014, arXiv:1406.2661; Mescheder et al., Which
training methods for GANs do actually converge?, 2018, arXiv:1801.04406 (R1); Karras et al.,
Analyzing and improving the image quality of StyleGAN, 2020, arXiv:1912.04958 (lazy regularisation,
path length).
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

__all__ = ["auto_gamma", "discriminator_loss", "ema_decay", "generator_loss", "path_lengths", "r1"]


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Return the mean logistic loss of logits (n,) of real and (m,) of generated images.

    Example:
        >>> round(float(discriminator_loss(torch.zeros(2), torch.zeros(2))), 4)  # 2 log 2
        1.3863
    """
    return softplus(-real).mean() + softplus(fake).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """Return the mean non-saturating loss of logits (n,) of generated images.

    Example:
        >>> round(float(generator_loss(torch.zeros(2))), 4)
        0.6931
    """
    return softplus(-fake).mean()


def r1(logits: Tensor, images: Tensor) -> Tensor:
    """Return the squared length of the gradient of each logit by its image, (n,).

    Args:
        logits: (n,), made from `images`.
        images: (n, c, h, w), requires grad.

    Example:
        >>> images = torch.ones(1, 3, 2, 2, requires_grad=True)
        >>> r1((2.0 * images).sum((1, 2, 3)), images).tolist()  # 12 pixels, slope 2
        [48.0]
    """
    (slope,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return slope.square().sum((1, 2, 3))


def auto_gamma(image_size: int, batch_size: int) -> float:
    """Return the weight of R1 that suits a resolution: 0.0002 res^2 / batch (Karras et al. 2020).

    Example:
        >>> round(auto_gamma(256, 16), 4)
        0.8192
    """
    return 0.0002 * image_size**2 / batch_size


def path_lengths(images: Tensor, latents: Tensor, noise: Tensor) -> Tensor:
    """Return how far images move for a step of their latent, (n,).

    Args:
        images: (n, 3, h, w), made from `latents`.
        latents: (n, d), part of the graph of `images`.
        noise: as `images`, standard normal.
    """
    along = (images * noise).sum() / math.sqrt(images.shape[2] * images.shape[3])
    (slope,) = torch.autograd.grad(along, latents, create_graph=True)
    return slope.square().sum(1).sqrt()


def ema_decay(seen: int, batch_size: int, half_life: float, ramp: float = 0.05) -> float:
    """Return the decay of the moving average of weights; short at first.

    Args:
        seen: images trained on so far.
        batch_size: images a step.
        half_life: images after which a weight counts half, in the end.
        ramp: until then, this share of the images seen.

    Example:
        >>> round(ema_decay(1000, 50, 10_000.0), 4), ema_decay(0, 50, 10_000.0)
        (0.5, 0.0)
    """
    life = min(half_life, ramp * seen)
    return 0.5 ** (batch_size / life) if life > 0 else 0.0
