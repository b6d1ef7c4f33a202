"""Several episodes as one tensor, and their augmentation on the device the tensor lies on."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fewskin.data.episodes import Episode, EpisodeSampler
from fewskin.data.orientation import is_upright, tiles_of
from fewskin.functional.augment import UPRIGHT, Policy, augment
from fewskin.nets.backbones import normalise
from fewskin.protocols import ImageTable
from fewskin.seeding import seed_for

__all__ = ["EpisodeBatch", "episode_batches", "prepared", "stack_episodes"]

Rows = npt.NDArray[np.int64]


class EpisodeBatch(NamedTuple):
    """t episodes; where they differ in size, the smaller ones are padded.

    Padding repeats rows of its own episode, so that BatchNorm sees no foreign images.

    Attributes:
        support: (t, s, 3, H, W) uint8 sRGB, or float32 after `prepared`.
        support_labels: (t, s) int64 in [0, way).
        support_weights: (t, s) float32, 1, or 0 for padding.
        query: (t, q, 3, H, W), as `support`.
        query_labels: (t, q) int64 in [0, way), or -1 for padding, as `ignore_index=-1` wants.
        support_seeds: (t, s) int64, of the augmentation.
        query_seeds: (t, q) int64.
        way: (t,) int64, number of classes of each episode.
        upright: the images have an up and a down, as faces have.
        tiles: tiles along a side, where they are sheets of tiles; else 1.
    """

    support: Tensor
    support_labels: Tensor
    support_weights: Tensor
    query: Tensor
    query_labels: Tensor
    support_seeds: Tensor
    query_seeds: Tensor
    way: Tensor
    upright: bool = False
    tiles: int = 1


def episode_batches(
    base: ImageTable, sampler: EpisodeSampler, *, tasks: int, seed: int
) -> Callable[[int], EpisodeBatch]:
    """Return step -> episodes step * tasks to step * tasks + tasks - 1, on the CPU.

    Args:
        base: the rows that `sampler` draws from.
        sampler: which rows make an episode.
        tasks: episodes a batch.
        seed: of the augmentation.
    """
    upright, tiles = is_upright(base), tiles_of(base)

    def batch(step: int) -> EpisodeBatch:
        numbers = range(step * tasks, (step + 1) * tasks)
        episodes = [sampler.at(number) for number in numbers]
        # Neighbouring seeds are independent; 2**61 leaves room for the rows of an episode.
        first = [seed_for(seed, "views", number) % 2**61 for number in numbers]
        return stack_episodes(episodes, base.images, first)._replace(upright=upright, tiles=tiles)

    return batch


def stack_episodes(
    episodes: Sequence[Episode], images: Callable[[Rows], Tensor], seeds: Sequence[int]
) -> EpisodeBatch:
    """Return episodes as one batch, the smaller ones padded.

    Args:
        episodes: t episodes.
        images: (n,) rows -> (n, 3, H, W).
        seeds: (t,) in [0, 2**62); image i of an episode, support first, is augmented by its
            episode's seed + i.
    """
    after = [start + len(e.support) for start, e in zip(seeds, episodes, strict=True)]
    support = _Side.of([(e.support, e.support_labels) for e in episodes], seeds, 2**40)
    query = _Side.of([(e.query, e.query_labels) for e in episodes], after, 2**41)
    return EpisodeBatch(
        support=images(support.rows.ravel()).unflatten(0, support.rows.shape),
        support_labels=torch.from_numpy(support.labels),
        support_weights=torch.from_numpy(support.real.astype(np.float32)),
        query=images(query.rows.ravel()).unflatten(0, query.rows.shape),
        query_labels=torch.from_numpy(np.where(query.real, query.labels, -1)),
        support_seeds=torch.from_numpy(support.seeds),
        query_seeds=torch.from_numpy(query.seeds),
        way=torch.tensor([episode.way for episode in episodes]),
    )


def prepared(
    batch: EpisodeBatch, policy: Policy | Literal["suited"] | None = "suited"
) -> EpisodeBatch:
    """Return the batch with augmented and normalised images, where it lies: CPU or GPU.

    Each image depends only on its own pixels, its seed and the policy. Flattened to (n, 3, H, W)
    the images are `channels_last`, which is 1.5 to 2.7 times faster on a CPU.

    Args:
        batch: of `episode_batches`; one whose images are float already is returned as it is.
        policy: of the augmentation; "suited" to what the images show, None for none.

    Returns:
        float32 images as `normalise` makes them; all else unchanged.
    """
    if batch.support.dtype != torch.uint8:
        return batch
    sides = ((batch.support, batch.support_seeds), (batch.query, batch.query_seeds))
    images = torch.cat([side.flatten(0, 1) for side, _ in sides])  # (t * (s + q), 3, H, W)
    if policy == "suited":
        policy = UPRIGHT if batch.upright else Policy()
    if policy is not None:
        seeds = torch.cat([own.flatten() for _, own in sides]).cpu().numpy()
        policy = replace(policy, tiles=batch.tiles)
        images = augment(images.float() / 255.0, seeds, policy)
    made = normalise(images).contiguous(memory_format=torch.channels_last)
    support, query = made.split([side.shape[0] * side.shape[1] for side, _ in sides])
    t = len(batch.way)
    return batch._replace(support=support.unflatten(0, (t, -1)), query=query.unflatten(0, (t, -1)))


class _Side(NamedTuple):
    """Support or query of t episodes, each (t, n): rows, labels, what is real, seeds."""

    rows: Rows
    labels: Rows
    real: npt.NDArray[np.bool_]
    seeds: Rows

    @classmethod
    def of(cls, parts: Sequence[tuple[Rows, Rows]], first: Sequence[int], padding: int) -> "_Side":
        sizes = np.array([len(rows) for rows, _ in parts])[:, None]
        place = np.arange(sizes.max())[None]  # (1, n)
        real = place < sizes
        # Padding has seeds of its own, far from those of real rows.
        seeds = np.array(first, dtype=np.int64)[:, None] + place + np.where(real, 0, padding)
        again = place % sizes
        rows, labels = (
            np.stack([values[i][own] for values, own in zip(parts, again, strict=True)])
            for i in (0, 1)
        )
        return cls(rows, labels, real, seeds)
