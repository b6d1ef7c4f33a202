"""What meta-training leaves, and how it becomes a predictor for a support set."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from fewskin.data.orientation import policy_of
from fewskin.errors import DataError, PluginError
from fewskin.functional.augment import augment
from fewskin.functional.inner_loop import Parameters, balanced
from fewskin.nets.backbones import Backbone, make_backbone, normalise
from fewskin.protocols import ImageTable
from fewskin.seeding import rng_for, seed_for
from fewskin.training.batches import class_positions
from fewskin.training.features import features, in_batches
from fewskin.training.fitted import load_backbone, row_weights, save_backbone
from fewskin.training.inputs import by_id
from fewskin.training.meta import Inner, Task, TaskNet
from fewskin.training.predictor import NetPredictor

__all__ = [
    "MetaFitted",
    "TaskRows",
    "adapt_rows",
    "load_meta",
    "save_meta",
    "table_rows",
    "task_tables",
]


@dataclass(frozen=True, eq=False)
class MetaFitted:
    """What meta-training leaves.

    Attributes:
        net: the backbone in eval mode; None without base rows.
        rates: learnt rates, the state of `TaskNet.rates`.
        seed: of the fit; without base rows it decides the first weights.
    """

    net: Backbone | None = None
    rates: dict[str, Tensor] = field(default_factory=dict)
    seed: int = 0

    @property
    def pretrained_on(self) -> str:
        """What the net has seen; "" from scratch and before a fit."""
        return self.net.pretrained_on if self.net else ""

    def backbone(self, name: str, weights: str | None, image_size: int) -> Backbone:
        """Return the fitted net, or without one the first net of the seed; in eval mode."""
        if self.net is not None:
            return self.net
        return make_backbone(name, weights=weights, image_size=image_size, seed=self.seed).eval()


def save_meta(fitted: MetaFitted, folder: Path) -> None:
    """Write what `load_meta` reads: safetensors and JSON."""
    save_backbone(fitted.net, folder, seed=fitted.seed)
    if fitted.rates:
        save_file(fitted.rates, folder / "rates.safetensors")


def load_meta(folder: Path, backbone: str, inner: Inner | None = None) -> MetaFitted:
    """Return what `save_meta` wrote.

    Args:
        folder: what it wrote to.
        backbone: the backbone that is expected.
        inner: the inner loop whose rates are expected; None takes what there is.

    Raises:
        PluginError: the folder holds none, or one of another backbone or with other rates.
    """
    net, seed = load_backbone(folder, backbone)
    file = folder / "rates.safetensors"
    rates = load_file(file) if file.is_file() else {}
    if net is not None and inner is not None:
        wanted = TaskNet(copy.deepcopy(net), inner).rates.state_dict()
        if {k: v.shape for k, v in wanted.items()} != {k: v.shape for k, v in rates.items()}:
            raise PluginError(
                f"{folder} holds learnt rates of another inner loop; "
                "load it with the settings it was fitted with."
            )
    return MetaFitted(net, rates, seed)


def task_tables(
    support: ImageTable,
    extra: ImageTable | None,
    base: ImageTable | None,
    *,
    base_rows: int,
    seed: int,
) -> list[ImageTable]:
    """Return the tables of a task, each in the order of its ids, with some rows of base.

    Args:
        support: the few real images.
        extra: generated images, or None.
        base: rows of the common classes, or None.
        base_rows: how many of each base class to take, at most.
        seed: of which.
    """
    tables = [by_id(table) for table in (support, extra) if table is not None]
    if base is not None:
        whole = by_id(base)
        labels = np.array(whole.labels)
        chosen = [
            rng_for(seed, "base rows", name).permutation(np.flatnonzero(labels == name))[:base_rows]
            for name in whole.classes
        ]
        tables.append(whole.take(np.sort(np.concatenate(chosen))))
    return tables


class TaskRows(NamedTuple):
    """A task at test.

    Attributes:
        task: images or features, labels, and weights by which every class counts the same.
        classes: names of the labels.
    """

    task: Task
    classes: tuple[str, ...]


def table_rows(
    tables: Sequence[ImageTable], *, views: int = 1, images: Tensor | None = None
) -> TaskRows:
    """Return the rows of all tables as one support set.

    Args:
        tables: real, generated and base rows.
        views: the images themselves and views - 1 augmented versions of each.
        images: (views * n, ...) what stands for the images, where they are not wanted.

    Raises:
        DataError: fewer than two classes.
    """
    labels = [label for table in tables for label in table.labels]
    classes = tuple(sorted(set(labels)))
    if len(classes) < 2:
        raise DataError(f"adapting needs two classes or more, got {', '.join(classes) or 'none'}.")
    codes = torch.from_numpy(np.tile(class_positions(labels, classes), views))
    weights = np.tile(np.concatenate([row_weights(table) for table in tables]), views)
    shares = balanced(codes, torch.from_numpy(weights), len(classes)).float()
    if images is None:
        images = _views(tables, views).contiguous(memory_format=torch.channels_last)
    return TaskRows(Task(images, codes, shares), classes)


def adapt_rows(
    fitted: Backbone,
    rates: dict[str, Tensor],
    inner: Inner,
    tables: Sequence[ImageTable],
    *,
    steps: int,
    views: int = 1,
) -> NetPredictor:
    """Return the net after gradient steps on all rows at once, every class counting the same.

    The order of the rows does not matter, and nothing is random but what the ids decide.

    Args:
        fitted: not changed.
        rates: learnt rates, as in `MetaFitted`.
        inner: how it adapts.
        tables: real, generated and base rows.
        steps: gradient steps.
        views: the images themselves and views - 1 augmented versions of each.

    Raises:
        DataError: fewer than two classes.
    """
    head_only = inner.moving == "head"
    rows = table_rows(
        tables, views=views, images=_known(fitted, tables, views) if head_only else None
    )
    net = TaskNet(copy.deepcopy(fitted), inner)
    if rates:
        net.rates.load_state_dict(rates)
    n_classes, size = len(rows.classes), tables[0].image_size
    if head_only:
        known = rows.task.images
        start = net.start(rows.task, n_classes, known=known)
        end = net.adapted(rows.task, start, steps=steps, order="none", known=known)[-1]
        return NetPredictor(fitted, _head(end), rows.classes, size, frozen="all")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    task = Task(*(part.to(device) for part in rows.task))
    net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch stubs
    end = net.adapted(task, net.start(task, n_classes), steps=steps, order="none")[-1]
    net.keep_statistics(end, task.images)
    made = copy.deepcopy(fitted)
    made.load_state_dict(net.body_state(end))
    return NetPredictor(made, _head(end), rows.classes, size)


def _head(end: Parameters) -> nn.Linear:
    weight, bias = end["head.weight"].cpu(), end["head.bias"].cpu()
    head = nn.Linear(weight.shape[1], len(weight))
    head.load_state_dict({"weight": weight, "bias": bias})
    return head


def _known(net: Backbone, tables: Sequence[ImageTable], views: int) -> Tensor:
    if views == 1:
        return torch.cat([features(net, table) for table in tables])
    images = _views(tables, views)
    return in_batches(net, len(images), lambda rows: images[rows])


def _views(tables: Sequence[ImageTable], views: int) -> Tensor:
    plain = torch.cat([table.images() for table in tables])
    ids = [name for table in tables for name in table.rows["image_id"]]
    made, policy = [normalise(plain)], policy_of(*tables)
    for view in range(1, views):
        seeds = [seed_for(0, "view", name, view) for name in ids]
        made.append(normalise(augment(plain.float() / 255.0, seeds, policy)))
    return torch.cat(made)
