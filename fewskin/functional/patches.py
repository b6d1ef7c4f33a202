"""A dictionary of small patches, learnt without labels, and how near an image's patches are to it.

Coates, Lee and Ng, An analysis of single-layer networks in unsupervised feature learning, 2011.
Differs from the paper: colours are minus the log of sRGB, patches are not normalised one by one
(their brightness matters on skin), and codes are pooled as mean, spread and middle of the image,
not in quadrants, so that a turned image has the same ones.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate, unfold

from fewskin.functional.descriptors import rings

__all__ = ["Dictionary", "encode", "fit_dictionary"]

_SIDE, _PATCH, _STRIDE = 32, 3, 2
_PER_IMAGE, _AT_MOST, _ROUNDS = 40, 40_000, 8
_CHUNK = 8192


class Dictionary(NamedTuple):
    """Patches of 3 x 3 pixels and three channels, d = 27.

    Attributes:
        mean: (d,) of all patches.
        whiten: (d, d) that makes their covariance the identity.
        atoms: (k, d) whitened.
    """

    mean: Tensor
    whiten: Tensor
    atoms: Tensor


def _patches(images: Tensor) -> Tensor:
    """Map (n, 3, h, h) sRGB in [0, 1] to (n, l, d) patches, row by row."""
    small = interpolate(images, size=(_SIDE, _SIDE), mode="area")
    found: Tensor = unfold(-small.clamp_min(1 / 64).log(), _PATCH, stride=_STRIDE)
    return found.mT  # (n, d, l) -> (n, l, d)


def fit_dictionary(images: Tensor, *, n_atoms: int = 128, seed: int = 0) -> Dictionary:
    """Return a dictionary by k-means of whitened patches.

    Args:
        images: (n, 3, h, h) sRGB, uint8 or in [0, 1].
        n_atoms: k; fewer when there are fewer patches.
        seed: of which patches are taken, and of the start.
    """
    rng = torch.Generator().manual_seed(seed % 2**63)
    taken = []
    for part in torch.split(images, 64):
        found = _patches(part.float() / 255.0 if part.dtype == torch.uint8 else part)
        which = torch.randint(found.shape[1], (len(found), _PER_IMAGE), generator=rng)
        taken.append(found.gather(1, which[..., None].expand(-1, -1, found.shape[2])).flatten(0, 1))
    rows = torch.cat(taken)
    rows = rows[torch.randperm(len(rows), generator=rng)[:_AT_MOST]]
    mean = rows.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov(rows.T))
    floor = 0.02 * values.mean() + 1e-8
    whiten = vectors @ torch.diag((values.clamp_min(0) + floor).rsqrt()) @ vectors.T
    return Dictionary(mean, whiten, _k_means((rows - mean) @ whiten, n_atoms, rng))


def _k_means(rows: Tensor, k: int, rng: torch.Generator) -> Tensor:
    atoms = rows[torch.randperm(len(rows), generator=rng)[:k]].clone()
    for _ in range(_ROUNDS):
        half = 0.5 * atoms.square().sum(1)
        nearest = torch.cat(
            [(part @ atoms.T - half).argmax(1) for part in torch.split(rows, _CHUNK)]
        )
        count = torch.bincount(nearest, minlength=len(atoms))[:, None]
        total = torch.zeros_like(atoms).index_add_(0, nearest, rows)
        # An atom that nobody is near stays where it is.
        atoms = torch.where(count > 0, total / count.clamp_min(1), atoms)
    return atoms


def encode(images: Tensor, dictionary: Dictionary) -> Tensor:
    """Return (n, 3 k) codes: mean, spread and middle of how near patches are to each atom.

    A patch's code is how much nearer than on average an atom is, 0 for the farther ones (the
    "triangle" of section 3.2.2).

    Args:
        images: (n, 3, h, h) sRGB in [0, 1].
        dictionary: from `fit_dictionary`.

    Example:
        >>> images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        >>> encode(images, fit_dictionary(images, n_atoms=5)).shape
        torch.Size([4, 15])
    """
    rows = (_patches(images) - dictionary.mean) @ dictionary.whiten
    n, n_patches, _ = rows.shape
    # (n, l, d) and (k, d) -> (n, l, k)
    distance = torch.cdist(rows.flatten(0, 1), dictionary.atoms).reshape(n, n_patches, -1)
    near = (distance.mean(2, keepdim=True) - distance).clamp_min(0.0)
    middle = rings(round(n_patches**0.5)).to(near)[0] @ near  # (l) @ (n, l, k) -> (n, k)
    return torch.cat([near.mean(1), near.std(1, correction=0), middle], 1)
