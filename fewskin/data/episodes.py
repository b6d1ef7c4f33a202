"""Which rows make episode t: a pure function of the seed and t, with no patient on both sides."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fewskin.errors import ConfigError, DataError
from fewskin.seeding import rng_for

__all__ = ["Episode", "EpisodeSampler"]

log = logging.getLogger(__name__)
Rows = npt.NDArray[np.int64]
_TRIES = 100


@dataclass(frozen=True)
class Episode:
    """Rows of one episode; labels are 0..way-1 in the order the classes were drawn."""

    support: Rows
    support_labels: Rows
    query: Rows
    query_labels: Rows
    way: int


class EpisodeSampler:
    """Draws N-way K-shot episodes from labelled rows.

    A class of one patient is left out, and one of fewer than shot + 1 patients gives fewer
    support images; a warning says which, once.

    Args:
        labels: (n) label of each row.
        groups: (n) patient of each row; support and query of an episode share none.
        way: classes an episode, at most; fewer when there are fewer. A pair (low, high) draws it
            anew in each episode.
        shot: support patients a class, one image each; fewer when a class has fewer than shot + 1.
            A pair (low, high) draws it anew in each episode.
        query: query images a class, at most.
        seed: of every draw.
        imbalance: each class of an episode has its own number of support patients, drawn from 1
            to `shot`.

    Raises:
        ConfigError: way below 2, shot or query below 1, or a pair whose low is above its high.
        DataError: fewer than two classes have two patients.
    """

    def __init__(
        self,
        labels: Sequence[str],
        groups: Sequence[str],
        *,
        way: int | tuple[int, int],
        shot: int | tuple[int, int],
        query: int,
        seed: int,
        imbalance: bool = False,
    ) -> None:
        self._ways, self._shots = _pair("way", way, 2), _pair("shot", shot, 1)
        self._query, self._seed = _pair("query", query, 1)[1], seed
        self._imbalance = imbalance
        found = _by_class(labels, groups)
        self._patients = {label: len(own.groups) for label, own in sorted(found.items())}
        self._classes = [label for label, n in self._patients.items() if n > 1]
        if len(self._classes) < 2:
            raise DataError(
                "episodes need two classes of two patients or more; patients per class: "
                f"{self._counts()}."
            )
        self._own = [found[label] for label in self._classes]
        self._n_groups = len(set(groups))
        self._warn()

    @property
    def classes(self) -> tuple[str, ...]:
        """Labels that episodes are made of, sorted: those of two patients or more."""
        return tuple(self._classes)

    def at(self, step: int) -> Episode:
        """Return episode `step`; the same step gives the same rows in any order of calls.

        Raises:
            DataError: the classes have the same few patients, so that none is left to ask.
        """
        way, shots = self._sizes(step)
        rng = rng_for(self._seed, "episode", step)
        for _ in range(_TRIES):
            episode = self._draw(rng, way, shots)
            if len(episode.query):
                return episode
        raise DataError(
            "no query image is free of the support's patients: the classes share them. Lower "
            f"shot; patients per class: {self._counts()}."
        )

    def _sizes(self, step: int) -> tuple[int, list[int]]:
        # Its own stream: episodes of fixed size are the same with or without it.
        rng = rng_for(self._seed, "episode sizes", step)
        way, shot = (int(rng.integers(low, high + 1)) for low, high in (self._ways, self._shots))
        way = min(way, len(self._classes))
        return way, rng.integers(1, shot + 1, way).tolist() if self._imbalance else [shot] * way

    def _draw(self, rng: np.random.Generator, way: int, shots: Sequence[int]) -> Episode:
        chosen = [self._own[i] for i in rng.permutation(len(self._classes))[:way]]
        orders = [rng.permutation(len(own.groups)) for own in chosen]
        n_support = [min(n, len(order) - 1) for n, order in zip(shots, orders, strict=True)]
        parts = list(zip(chosen, orders, n_support, strict=True))
        taken = np.zeros(self._n_groups, dtype=np.bool_)
        for own, order, n in parts:
            taken[own.groups[order[:n]]] = True
        support, query = [], []
        for own, order, n in parts:
            support.append(
                np.array([own.photo(i, rng) for i in order[:n].tolist()], dtype=np.int64)
            )
            # A patient may have two diseases: free means in no class's support.
            left = order[n:]
            free = own.photos(left[~taken[own.groups[left]]])
            query.append(free[rng.permutation(len(free))[: self._query]])
        return Episode(*_labelled(support), *_labelled(query), way=way)

    def _counts(self) -> str:
        return ", ".join(f"{label} {n}" for label, n in self._patients.items())

    def _warn(self) -> None:
        left_out = [f"{label} {n}" for label, n in self._patients.items() if n < 2]
        if left_out:
            log.warning(
                "episodes leave out classes of one patient: %s; %d classes stay, %d asked for",
                ", ".join(left_out),
                len(self._classes),
                self._ways[1],
            )
        elif self._ways[1] > len(self._classes):
            log.warning(
                "episodes have %d classes, not %d: there are no more (%s patients)",
                len(self._classes),
                self._ways[1],
                self._counts(),
            )
        few = [
            f"{c} {self._patients[c]}" for c in self._classes if self._patients[c] <= self._shots[1]
        ]
        if few:
            log.warning(
                "classes of fewer than shot + 1 = %d patients give a smaller support: %s",
                self._shots[1] + 1,
                ", ".join(few),
            )


@dataclass(frozen=True)
class _Own:
    """The rows of one class, patient by patient.

    Attributes:
        groups: (g,) number of each patient, in the order of their first row.
        start: (g,) where the patient's rows begin in `rows`.
        n_rows: (g,) how many they are.
        rows: (n,) rows of the first patient, then of the second, ...
    """

    groups: Rows
    start: Rows
    n_rows: Rows
    rows: Rows

    def photo(self, i: int, rng: np.random.Generator) -> int:
        """Return a row of patient i, drawn."""
        return int(self.rows[self.start[i] + rng.integers(self.n_rows[i])])

    def photos(self, patients: Rows) -> Rows:
        """Return all rows of the patients, in their order."""
        n_rows = self.n_rows[patients]
        within = np.arange(n_rows.sum()) - np.repeat(np.cumsum(n_rows) - n_rows, n_rows)
        return self.rows[np.repeat(self.start[patients], n_rows) + within]


def _by_class(labels: Sequence[str], groups: Sequence[str]) -> dict[str, _Own]:
    number = {group: i for i, group in enumerate(dict.fromkeys(groups))}
    rows: dict[str, dict[int, list[int]]] = {}
    for row, (label, group) in enumerate(zip(labels, groups, strict=True)):
        rows.setdefault(label, {}).setdefault(number[group], []).append(row)
    return {label: _own(by_group) for label, by_group in rows.items()}


def _own(by_group: dict[int, list[int]]) -> _Own:
    n_rows = np.array([len(own) for own in by_group.values()], dtype=np.int64)
    rows = np.array([row for own in by_group.values() for row in own], dtype=np.int64)
    groups = np.array(list(by_group), dtype=np.int64)
    return _Own(groups, np.cumsum(n_rows) - n_rows, n_rows, rows)


def _labelled(rows: Sequence[Rows]) -> tuple[Rows, Rows]:
    codes = np.repeat(np.arange(len(rows), dtype=np.int64), [len(own) for own in rows])
    return np.concatenate(rows), codes


def _pair(name: str, value: int | tuple[int, int], least: int) -> tuple[int, int]:
    low, high = value if isinstance(value, Sequence) else (value, value)
    if not least <= low <= high:
        raise ConfigError(
            f"{name}={value}: expected {least} or more, or a pair (low, high) of such numbers."
        )
    return low, high
