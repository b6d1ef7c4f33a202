"""With the real learn2learn: these tests fail, not skip, where it is absent."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from fewskin.compat import import_learn2learn
from fewskin.data.episodes import EpisodeSampler
from fewskin.data.images import open_table
from fewskin.data.tasksets import EpisodeTasks, taskset_batches
from fewskin.errors import ConfigError, DataError
from fewskin.nets.backbones import normalise
from fewskin.protocols import ImageTable
from fewskin.training.episodic import prepared

WAY, SHOT = 3, 2


@pytest.fixture
def table(synthetic_manifest: Callable[..., Path]) -> ImageTable:
    return open_table(synthetic_manifest(6), 8)


def sampler(table: ImageTable, **settings: Any) -> EpisodeSampler:
    cell = {"way": WAY, "shot": SHOT, "query": SHOT, "seed": 1, **settings}
    return EpisodeSampler(table.labels, table.groups, **cell)


def taskset(images: torch.Tensor, labels: torch.Tensor, k: int, *, num_tasks: int = 4) -> Any:
    data = import_learn2learn().data
    dataset = data.MetaDataset(torch.utils.data.TensorDataset(images, labels))
    steps = [
        data.transforms.NWays(dataset, WAY),
        data.transforms.KShots(dataset, k),
        data.transforms.LoadData(dataset),
    ]
    return data.Taskset(dataset, steps, num_tasks=num_tasks)


def test_partition_task_of_learn2learn_finds_our_support_and_query(table: ImageTable) -> None:
    partition_task = import_learn2learn().data.partition_task
    tasks = EpisodeTasks(table, sampler(table, query=3), num_tasks=5)
    for i, (images, labels) in enumerate(tasks):
        episode = sampler(table, query=3).at(i)
        support, query = partition_task(images, labels, shots=SHOT)
        assert torch.equal(support[0], normalise(table.images(episode.support)))
        assert torch.equal(query[0], normalise(table.images(episode.query)))
        assert support[1].tolist() == episode.support_labels.tolist()
        assert query[1].tolist() == episode.query_labels.tolist()


def test_the_even_rows_of_an_alternating_task_are_our_support(table: ImageTable) -> None:
    # The split of learn2learn's examples: every second of way * 2 * shot rows adapts.
    images, labels = EpisodeTasks(table, sampler(table), num_tasks=5, layout="alternate")[3]
    adapts = np.zeros(len(images), dtype=bool)
    adapts[np.arange(SHOT * WAY) * 2] = True
    episode = sampler(table).at(3)
    assert torch.equal(images[adapts], normalise(table.images(episode.support)))
    assert torch.equal(images[~adapts], normalise(table.images(episode.query)))
    assert labels[adapts].tolist() == episode.support_labels.tolist()


def test_maml_of_learn2learn_learns_from_our_tasks(table: ImageTable) -> None:
    learn2learn = import_learn2learn()
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, WAY))
    maml = learn2learn.algorithms.MAML(net, lr=0.01)
    images, labels = EpisodeTasks(table, sampler(table), num_tasks=1).sample()
    support, query = learn2learn.data.partition_task(images, labels, shots=SHOT)
    loss = torch.nn.functional.cross_entropy
    learner = maml.clone()
    before = loss(learner(query[0]), query[1])
    learner.adapt(loss(learner(support[0]), support[1]))
    after = loss(learner(query[0]), query[1])
    after.backward()
    assert after.item() < before.item()
    assert all(p.grad is not None for p in maml.parameters())


def test_tasks_have_the_length_and_the_turn_of_a_taskset(table: ImageTable) -> None:
    tasks = EpisodeTasks(table, sampler(table), num_tasks=3)
    assert len(tasks) == len(list(tasks)) == 3
    turn = [tasks.sample()[0] for _ in range(4)]
    assert all(torch.equal(turn[i], tasks[i % 3][0]) for i in range(4))
    with pytest.raises(IndexError):
        tasks[3]


def test_classes_too_small_for_a_task_are_named_by_number() -> None:
    pixels = np.zeros((9, 3, 8, 8), dtype=np.uint8)
    rows = pd.DataFrame({"label": [*"aabbbbbbb"], "group_id": [*"pqrstuvwx"]})
    small = ImageTable(rows, pixels, np.arange(9))
    tasks = EpisodeTasks(small, sampler(small, way=2), num_tasks=1)
    with pytest.raises(DataError, match=r"\[.*1.*\] support .* equal numbers"):
        tasks[0]


@pytest.mark.parametrize("layout", ["first", "alternate"])
def test_a_taskset_of_learn2learn_reads_as_episodes(layout: Any) -> None:
    # Each image holds its own row number, so that the rows can be read off.
    numbers = torch.arange(40)
    images = numbers.float()[:, None, None, None].expand(40, 3, 4, 4)
    made = taskset(images, numbers % 5 + 10, 2 * SHOT)
    batch = taskset_batches(made, tasks=2, shot=SHOT, layout=layout)(1)
    assert batch.support.shape == batch.query.shape == (2, WAY * SHOT, 3, 4, 4)
    for i in range(2):
        drawn, labels = made[2 + i]
        names = labels.unique()
        rows = drawn[:, 0, 0, 0].long()
        for side, codes in (
            (batch.support, batch.support_labels),
            (batch.query, batch.query_labels),
        ):
            own = side[i, :, 0, 0, 0].long()
            assert (names[codes[i]] == own % 5 + 10).all()
        asked, known = (side[i, :, 0, 0, 0].long() for side in (batch.query, batch.support))
        assert sorted([*asked.tolist(), *known.tolist()]) == sorted(rows.tolist())
        by_class = rows.reshape(WAY, 2 * SHOT)
        expected = by_class[:, :SHOT] if layout == "first" else by_class[:, ::2]
        assert known.tolist() == expected.flatten().tolist()
    assert torch.equal(prepared(batch).support, batch.support)


def test_our_tasks_read_back_are_our_episodes(table: ImageTable) -> None:
    tasks = EpisodeTasks(table, sampler(table), num_tasks=4)
    batch = taskset_batches(tasks, tasks=2, shot=SHOT)(1)
    for i in range(2):
        episode = sampler(table).at(2 + i)
        assert torch.equal(batch.support[i], normalise(table.images(episode.support)))
        assert torch.equal(batch.query[i], normalise(table.images(episode.query)))
        assert batch.query_labels[i].tolist() == episode.query_labels.tolist()


def test_a_task_without_query_rows_is_refused_with_the_counts() -> None:
    made = taskset(torch.zeros(40, 3, 4, 4), torch.arange(40) % 5, SHOT)
    with pytest.raises(DataError, match=r"rows per class of a task: \d 2, .* more than shot=2"):
        taskset_batches(made, tasks=1, shot=SHOT)(0)


def test_a_taskset_without_end_is_refused() -> None:
    made = taskset(torch.zeros(40, 3, 4, 4), torch.arange(40) % 5, 4, num_tasks=-1)
    with pytest.raises(ConfigError, match="num_tasks"):
        taskset_batches(made, tasks=1, shot=SHOT)
