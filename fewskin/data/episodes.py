"""Which rows make episode t: a pure function of the seed and t, with no patient on both sides."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fewskin.errors import DataError
from fewskin.seeding import rng_for

__all__ = ["Episode", "EpisodeSampler"]

Rows = npt.NDArray[np.int64]


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

    Args:
        labels: (n) label of each row.
        groups: (n) patient of each row; support and query of an episode share none.
        way: classes an episode, at most; fewer when there are fewer.
        shot: support patients a class, one image each; fewer when a class has fewer than shot + 1.
        query: query images a class, at most.
        seed: of every draw.

    Raises:
        DataError: fewer than two classes have two patients.
    """

    def __init__(
        self,
        labels: Sequence[str],
        groups: Sequence[str],
        *,
        way: int,
        shot: int,
        query: int,
        seed: int,
    ) -> None:
        self._rows: dict[str, dict[str, list[int]]] = {}
        for row, (label, group) in enumerate(zip(labels, groups, strict=True)):
            self._rows.setdefault(label, {}).setdefault(group, []).append(row)
        self._classes = sorted(label for label, own in self._rows.items() if len(own) > 1)
        if len(self._classes) < 2:
            counts = ", ".join(f"{label} {len(own)}" for label, own in sorted(self._rows.items()))
            raise DataError(
                f"episodes need two classes of two patients or more; patients per class: {counts}."
            )
        self._way, self._shot, self._query = min(way, len(self._classes)), shot, query
        self._seed = seed

    def at(self, step: int) -> Episode:
        """Return episode `step`; the same step gives the same rows in any order of calls."""
        rng = rng_for(self._seed, "episode", step)
        chosen = [self._classes[i] for i in rng.permutation(len(self._classes))[: self._way]]
        orders = [self._shuffled(rng, label) for label in chosen]
        n_support = [min(self._shot, len(order) - 1) for order in orders]
        taken = {g for order, n in zip(orders, n_support, strict=True) for g in order[:n]}
        support, query = _Rows(), _Rows()
        for code, (label, order, n) in enumerate(zip(chosen, orders, n_support, strict=True)):
            own = self._rows[label]
            support.add(code, [own[group][rng.integers(len(own[group]))] for group in order[:n]])
            # A patient may have two diseases: free means in no class's support.
            free = [row for group in order[n:] if group not in taken for row in own[group]]
            query.add(code, [free[i] for i in rng.permutation(len(free))[: self._query]])
        return Episode(*support.arrays(), *query.arrays(), way=len(chosen))

    def _shuffled(self, rng: np.random.Generator, label: str) -> list[str]:
        groups = list(self._rows[label])
        return [groups[i] for i in rng.permutation(len(groups))]


class _Rows:
    def __init__(self) -> None:
        self.rows: list[int] = []
        self.codes: list[int] = []

    def add(self, code: int, rows: list[int]) -> None:
        self.rows += rows
        self.codes += [code] * len(rows)

    def arrays(self) -> tuple[Rows, Rows]:
        return np.array(self.rows, dtype=np.int64), np.array(self.codes, dtype=np.int64)
