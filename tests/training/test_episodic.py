from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from fewskin.data.episodes import EpisodeSampler
from fewskin.data.images import open_table
from fewskin.functional.augment import Policy, augment
from fewskin.nets.backbones import normalise
from fewskin.protocols import ImageTable
from fewskin.training.episodic import EpisodeBatch, episode_batches, prepared

Manifests = Callable[..., Path]


def table(synthetic_manifest: Manifests) -> ImageTable:
    return open_table(synthetic_manifest(6), 16)


def batches(base: ImageTable, tasks: int = 3, **sizes: object) -> Callable[[int], EpisodeBatch]:
    cell = {"way": 3, "shot": 2, "query": 2, "seed": 5, **sizes}
    return episode_batches(
        base, EpisodeSampler(base.labels, base.groups, **cell), tasks=tasks, seed=7
    )


def test_a_batch_holds_the_episodes_of_its_step(synthetic_manifest: Manifests) -> None:
    base = table(synthetic_manifest)
    batch = batches(base)(4)
    sampler = EpisodeSampler(base.labels, base.groups, way=3, shot=2, query=2, seed=5)
    for i in range(3):
        episode = sampler.at(4 * 3 + i)
        assert torch.equal(batch.support[i], base.images(episode.support))
        assert torch.equal(batch.query[i], base.images(episode.query))
        assert batch.support_labels[i].tolist() == episode.support_labels.tolist()
        assert batch.query_labels[i].tolist() == episode.query_labels.tolist()
    assert batch.support.dtype == torch.uint8
    assert batch.way.tolist() == [3, 3, 3]
    assert batch.support_weights.all()


def test_the_grouping_of_episodes_into_batches_changes_nothing(
    synthetic_manifest: Manifests,
) -> None:
    base = table(synthetic_manifest)
    together = prepared(batches(base, tasks=3)(2))
    for i in range(3):
        alone = prepared(batches(base, tasks=1)(6 + i))
        assert torch.equal(together.support[i], alone.support[0])
        assert torch.equal(together.query[i], alone.query[0])


def test_smaller_episodes_are_padded_by_their_own_rows(synthetic_manifest: Manifests) -> None:
    base = table(synthetic_manifest)
    batch = batches(base, tasks=8, way=(2, 4), shot=(1, 3), imbalance=True)(0)
    sampler = EpisodeSampler(
        base.labels, base.groups, way=(2, 4), shot=(1, 3), query=2, seed=5, imbalance=True
    )
    assert not batch.support_weights.all()
    for i in range(8):
        episode, n = sampler.at(i), len(sampler.at(i).support)
        assert batch.support_weights[i].tolist() == [1.0] * n + [0.0] * (len(batch.support[i]) - n)
        assert int((batch.query_labels[i] >= 0).sum()) == len(episode.query)
        again = np.arange(len(batch.support[i])) % n
        assert torch.equal(batch.support[i], base.images(episode.support[again]))
        assert int(batch.support_labels[i].max()) < int(batch.way[i]) == episode.way


def test_every_image_of_a_batch_is_augmented_by_another_seed(
    synthetic_manifest: Manifests,
) -> None:
    base = table(synthetic_manifest)
    batch = batches(base, tasks=8, way=(2, 4), shot=(1, 3))(0)
    seeds = torch.cat([batch.support_seeds.flatten(), batch.query_seeds.flatten()])
    assert len(seeds.unique()) == seeds.numel()


def test_an_image_depends_only_on_its_pixels_and_seed(synthetic_manifest: Manifests) -> None:
    batch = batches(table(synthetic_manifest))(0)
    made = prepared(batch)
    one = augment(batch.query[1, 3][None].float() / 255, [int(batch.query_seeds[1, 3])], Policy())
    assert torch.equal(made.query[1, 3], normalise(one)[0])
    other = batch._replace(query_seeds=batch.query_seeds + 1)
    assert torch.equal(prepared(other).support, made.support)
    assert not torch.equal(prepared(other).query[1, 3], made.query[1, 3])


def test_without_a_policy_images_are_only_normalised(synthetic_manifest: Manifests) -> None:
    batch = batches(table(synthetic_manifest))(0)
    made = prepared(batch, None)
    torch.testing.assert_close(made.support, batch.support.float() / 255 * 4 - 2)
    assert torch.equal(made.query_labels, batch.query_labels)


def test_prepared_images_are_channels_last_when_flattened(synthetic_manifest: Manifests) -> None:
    made = prepared(batches(table(synthetic_manifest))(0))
    for images in (made.support, made.query):
        assert images.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)


def test_everything_is_made_on_the_device_of_the_batch(synthetic_manifest: Manifests) -> None:
    # The meta device computes shapes and devices only; mixing it with the CPU is an error.
    batch = batches(table(synthetic_manifest))(0)
    there = batch._replace(support=batch.support.to("meta"), query=batch.query.to("meta"))
    made = prepared(there)
    assert made.support.device.type == made.query.device.type == "meta"
    assert made.support.shape == batch.support.shape
