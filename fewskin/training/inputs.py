"""Batches for adapting a net to support, generated and base rows, from images or frozen maps."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from fewskin.data.orientation import policy_of
from fewskin.functional.augment import augment
from fewskin.nets.backbones import normalise
from fewskin.protocols import ImageTable
from fewskin.seeding import rng_for, seed_for
from fewskin.training.batches import BalancedRows, Mixer, class_positions
from fewskin.training.features import view_maps
from fewskin.training.fitted import row_weights

__all__ = ["by_id", "image_batches", "map_batches"]

Batches = Callable[[int], tuple[Tensor, Tensor]]
Rows = npt.NDArray[np.int64]


def by_id(table: ImageTable) -> ImageTable:
    """Return the rows in the order of their ids, so that the order of a table changes nothing."""
    return table.take(np.argsort(table.rows["image_id"].to_numpy(dtype=str), kind="stable"))


def image_batches(
    tables: Sequence[ImageTable],
    classes: Sequence[str],
    *,
    batch_size: int,
    mixer: Mixer,
    seed: int,
) -> Batches:
    """Return step -> (images, targets): class-balanced, augmented afresh, normalised.

    Args:
        tables: rows to draw from, by class and then by weight.
        classes: names of the targets' columns.
        batch_size: images a batch.
        mixer: made by `mixed`.
        seed: of rows and augmentation.
    """
    targets = class_positions([label for table in tables for label in table.labels], classes)
    weights = np.concatenate([row_weights(table) for table in tables])
    rows = BalancedRows(targets, weights, len(classes), batch_size, seed)
    policy = policy_of(*tables)

    def batch(step: int) -> tuple[Tensor, Tensor]:
        chosen = rows(step)
        images = augment(_gather(tables, chosen).float() / 255.0, rows.seeds(step), policy)
        return mixer(step, normalise(images), _shares(targets[chosen], len(classes)))

    return batch


def map_batches(
    frozen: nn.Module,
    tables: Sequence[ImageTable],
    base: ImageTable | None,
    classes: Sequence[str],
    *,
    views: int,
    steps: int,
    batch_size: int,
    mixer: Mixer,
    seed: int,
) -> Batches:
    """Return step -> (maps, targets): a frozen part is applied once to some views of each row.

    The views of base rows do not depend on the cell, so they are kept on disk and shared.

    Args:
        frozen: the part below what is trained.
        tables: support and generated rows.
        base: rows of the common classes, or None.
        classes: names of the targets' columns.
        views: augmented versions of a row, at most.
        steps: batches that will be asked for.
        batch_size: rows a batch.
        mixer: made by `mixed`; it mixes maps here.
        seed: of the rows.
    """
    slots = -(-steps * batch_size // len(classes))
    seen = [_views(table, views, slots) for table in (*tables, *([base] if base else []))]
    targets = class_positions([label for table, _ in seen for label in table.labels], classes)
    weights = np.concatenate([row_weights(table) for table, _ in seen])
    rows = BalancedRows(targets, weights, len(classes), batch_size, seed)
    drawn = np.unique(np.concatenate([rows(step) for step in range(steps)]))
    place = np.zeros(len(targets), dtype=np.int64)
    policy = policy_of(*tables, *([base] if base else []))
    made: list[Tensor] = []
    start = 0
    for i, (table, seeds) in enumerate(seen):
        mine = np.arange(len(table))
        if i < len(tables):
            # These rows change by draw: not worth keeping, nor worth computing if never drawn.
            mine = drawn[(drawn >= start) & (drawn < start + len(table))] - start
            table = replace(table.take(mine), pixels_key="")
        if len(mine):
            place[start + mine] = sum(map(len, made)) + np.arange(len(mine))
            made.append(view_maps(frozen, table, seeds[mine], policy))
        start += len(seeds)
    maps = torch.cat(made)

    def batch(step: int) -> tuple[Tensor, Tensor]:
        chosen = rows(step)
        return mixer(step, maps[place[chosen]], _shares(targets[chosen], len(classes)))

    return batch


def _views(table: ImageTable, views: int, slots: int) -> tuple[ImageTable, Rows]:
    # A class has `slots` places in the whole run: more rows or views would hardly be seen.
    labels = np.array(table.labels)
    picked, shares = [], []
    for label in table.classes:
        rows = np.flatnonzero(labels == label)
        if len(rows) > slots:
            rows = np.sort(rng_for(0, "some", label).choice(rows, slots, replace=False))
        n = min(views, -(-slots // len(rows)))
        picked += [(row, view) for row in rows.tolist() for view in range(n)]
        shares += [1.0 / n] * (len(rows) * n)
    chosen = table.take([row for row, _ in picked])
    ids = chosen.rows["image_id"]
    seeds = [seed_for(0, "view", name, view) for name, (_, view) in zip(ids, picked, strict=True)]
    weighted = replace(chosen, weights=row_weights(chosen) * np.array(shares))
    return weighted, np.array(seeds, dtype=np.int64)


def _gather(tables: Sequence[ImageTable], rows: Rows) -> Tensor:
    ends = np.cumsum([len(table) for table in tables])
    which = np.searchsorted(ends, rows, side="right")
    side = tables[0].image_size
    images = torch.empty(len(rows), 3, side, side, dtype=torch.uint8)
    for i, table in enumerate(tables):
        mine = np.flatnonzero(which == i)
        if len(mine):
            images[torch.from_numpy(mine)] = table.images(rows[mine] - (ends[i] - len(table)))
    return images


def _shares(targets: Rows, n_classes: int) -> Tensor:
    return one_hot(torch.from_numpy(targets), n_classes).float()
