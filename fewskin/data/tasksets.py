"""Episodes as learn2learn tasks, and learn2learn tasksets as episodes.

Arnold et al., learn2learn: a library for meta-learning research, 2020, arXiv:2008.12284.
Differs from learn2learn: a task is a function of its number, whichever is asked for first, and no
patient is in both halves of it.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fewskin.data.episodes import Episode, EpisodeSampler
from fewskin.errors import ConfigError, DataError
from fewskin.functional.augment import Policy
from fewskin.protocols import ImageTable
from fewskin.seeding import seed_for
from fewskin.training.episodic import EpisodeBatch, episode_batches, prepared, stack_episodes

__all__ = ["EpisodeTasks", "Layout", "taskset_batches"]

Layout = Literal["first", "alternate"]
Rows = npt.NDArray[np.int64]


class EpisodeTasks:
    """Our episodes with the face of a `learn2learn.data.Taskset`: length, index, loop, `sample`.

    A task is `(images, labels)`, class by class. learn2learn code then splits it in one of two
    ways: `learn2learn.data.partition_task(images, labels, shots=...)` takes the first rows of each
    class as support, its examples every second row.

    Args:
        table: the rows that `sampler` draws from.
        sampler: which rows make an episode.
        num_tasks: number of tasks.
        layout: "first" for `partition_task`, "alternate" for support on even positions, which
            wants as many query as support rows.
        policy: of the augmentation; None for none.
        seed: of the augmentation.

    Raises:
        ConfigError: an unknown layout, or no task.
    """

    def __init__(
        self,
        table: ImageTable,
        sampler: EpisodeSampler,
        *,
        num_tasks: int,
        layout: Layout = "first",
        policy: Policy | None = None,
        seed: int = 0,
    ) -> None:
        if num_tasks < 1:
            raise ConfigError(f"num_tasks={num_tasks}: expected 1 or more.")
        _check(layout)
        self.dataset, self.num_tasks = table, num_tasks
        self._batch = episode_batches(table, sampler, tasks=1, seed=seed)
        self._layout, self._policy = layout, policy
        self._turn = itertools.count()

    def __len__(self) -> int:
        return self.num_tasks

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        """Return task i: (n, 3, H, W) float32 of `normalise`, and (n,) int64 labels.

        Raises:
            IndexError: there is no such task.
            DataError: the halves of a class do not fit the layout, for want of patients.
        """
        if not -self.num_tasks <= i < self.num_tasks:
            raise IndexError(f"task {i} of {self.num_tasks}")
        batch = prepared(self._batch(i % self.num_tasks), self._policy)
        support, query = batch.support_labels[0], batch.query_labels[0]
        order = torch.from_numpy(_order(support.numpy(), query.numpy(), self._layout))
        images = torch.cat([batch.support[0], batch.query[0]])
        return images[order], torch.cat([support, query])[order]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return (self[i] for i in range(self.num_tasks))

    def sample(self) -> tuple[Tensor, Tensor]:
        """Return the tasks in turn, from the first again after the last."""
        return self[next(self._turn) % self.num_tasks]


def taskset_batches(
    taskset: Any,  # a learn2learn.data.Taskset, which has no types
    *,
    tasks: int,
    shot: int,
    layout: Layout = "first",
    seed: int = 0,
) -> Callable[[int], EpisodeBatch]:
    """Return step -> tasks step * tasks to step * tasks + tasks - 1 of a taskset, as episodes.

    Images stay as the taskset gives them: uint8 ones are for `prepared`, float ones are ready. Past
    its end a taskset begins again. learn2learn draws a task when it is first asked for, from
    Python's global random state, and then keeps it.

    Args:
        taskset: gives `(images, labels)` by index, images (n, c, H, W); labels need not begin at 0.
        tasks: episodes a batch.
        shot: support rows a class; with layout "alternate" half of the class's rows.
        layout: which rows of a class are support: its "first" ones, or, "alternate", every second.
        seed: of the augmentation.

    Raises:
        ConfigError: unknown layout, or a taskset without a number of tasks (num_tasks=-1).
        DataError: a class of a task has no query row, or not twice `shot` for "alternate".
    """
    _check(layout)
    if getattr(taskset, "num_tasks", 1) == -1:
        raise ConfigError("the taskset draws anew each time; give it a number: num_tasks=20000.")

    def batch(step: int) -> EpisodeBatch:
        numbers = range(step * tasks, (step + 1) * tasks)
        drawn = [taskset[number % len(taskset)] for number in numbers]
        starts = np.cumsum([0, *(len(images) for images, _ in drawn)])
        episodes = [
            _episode(np.asarray(labels), start, shot, layout)
            for (_, labels), start in zip(drawn, starts[:-1].tolist(), strict=True)
        ]
        together = torch.cat([images for images, _ in drawn])
        seeds = [seed_for(seed, "views", number) % 2**61 for number in numbers]
        return stack_episodes(episodes, lambda rows: together[torch.from_numpy(rows)], seeds)

    return batch


def _check(layout: str) -> None:
    if layout not in ("first", "alternate"):
        raise ConfigError(f"layout={layout!r}: expected first or alternate.")


def _order(support: Rows, query: Rows, layout: Layout) -> Rows:
    """Return the order of support, then query rows that puts them class by class."""
    n_support, n_query = np.bincount(support), np.bincount(query, minlength=support.max() + 1)
    even = len(set(n_support)) == len(set(n_query)) == 1
    if not even or (layout == "alternate" and n_support[0] != n_query[0]):
        raise DataError(
            f"classes with {n_support.tolist()} support and {n_query.tolist()} query rows; "
            f"layout={layout!r} needs {'one number' if layout == 'alternate' else 'equal numbers'}"
            " in all classes. Lower shot and query, or leave small classes out."
        )
    place = np.concatenate([_count(support), _count(query)])  # 0, 1, ... within class and side
    side = np.repeat([0, 1], [len(support), len(query)])
    codes = np.concatenate([support, query])
    keys = (place, side, codes) if layout == "first" else (side, place, codes)
    return np.lexsort(keys)


def _count(codes: Rows) -> Rows:
    """Return how many earlier rows have the same code, (n,)."""
    return np.array([np.sum(codes[:i] == code) for i, code in enumerate(codes)], dtype=np.int64)


def _episode(labels: npt.NDArray[Any], start: int, shot: int, layout: Layout) -> Episode:
    names, codes = np.unique(labels, return_inverse=True)
    place, n_rows = _count(codes), np.bincount(codes)
    enough = n_rows == 2 * shot if layout == "alternate" else n_rows > shot
    if not enough.all():
        counts = ", ".join(f"{name} {n}" for name, n in zip(names, n_rows, strict=True))
        wanted = f"{2 * shot}" if layout == "alternate" else f"more than shot={shot}"
        raise DataError(
            f"rows per class of a task: {counts}; expected {wanted} each. Change k of KShots."
        )
    is_support = place % 2 == 0 if layout == "alternate" else place < shot
    support, query = np.flatnonzero(is_support), np.flatnonzero(~is_support)
    return Episode(start + support, codes[support], start + query, codes[query], way=len(names))
