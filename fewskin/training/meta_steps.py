"""Steps of meta-training: MAML's through the inner loop, ANIL's through the head, Reptile's."""

from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear
from torch.nn.utils import clip_grad_norm_

from fewskin import compat
from fewskin.errors import ConfigError
from fewskin.functional import inner_loop
from fewskin.functional.inner_loop import Order
from fewskin.nets.support_norm import set_twice
from fewskin.seeding import rng_for
from fewskin.training.episodic import EpisodeBatch, prepared
from fewskin.training.meta import Task, TaskNet
from fewskin.training.modules import cosine, make_optimizer

compat.import_lightning()
from pytorch_lightning import LightningModule  # noqa: E402

__all__ = ["Batching", "HeadTraining", "MetaTraining", "Outer", "ReptileTraining"]

Batching = Literal["auto", "vmap", "loop"]
# Far above what a healthy step has; second-order gradients explode now and then.
_MAX_NORM = 10.0


@dataclass(frozen=True)
class Outer:
    """How meta-training goes.

    Attributes:
        steps: batches of tasks; 0 trains nothing.
        lr: highest learning rate of Adam; of Reptile, the first share of the way.
        way: classes a task, at most.
        shot: support patients a class.
        query: query images a class.
        tasks: tasks a batch.
        pretrain_steps: batches of ordinary classification of the base classes before.
        schedule: of the learning rate, "cosine" or "constant".
        multi_step: share of the steps over which MAML++'s loss after every inner step fades to
            that after the last; 0 for the last only.
        first_order: share of the steps, at the beginning, that are first-order in any case.
        difficulty: exponent of DAML's weights of hard tasks; 0 for none.
        batching: tasks by "vmap" or in a "loop"; "auto" takes vmap on GPUs and the loop on CPUs,
            where vmap was the slower one when measured (28 px, four tasks). A fixed rule, so that
            a resumed run takes the same path.
    """

    steps: int = 300
    lr: float = 1e-3
    way: int = 4
    shot: int = 5
    query: int = 10
    tasks: int = 4
    pretrain_steps: int = 0
    schedule: Literal["cosine", "constant"] = "cosine"
    multi_step: float = 0.0
    first_order: float = 0.0
    difficulty: float = 0.0
    batching: Batching = "auto"

    def __post_init__(self) -> None:
        if self.batching not in ("auto", "vmap", "loop"):
            raise ConfigError(f"batching={self.batching!r}: expected auto, vmap or loop.")
        if self.schedule not in ("cosine", "constant"):
            raise ConfigError(f"schedule={self.schedule!r}: expected cosine or constant.")
        for name in ("way", "shot", "query", "tasks"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)}: expected 1 or more.")
        for name in ("multi_step", "first_order"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"{name}={getattr(self, name)}: expected a share, 0 to 1.")
        if self.difficulty < 0:
            raise ConfigError(f"difficulty={self.difficulty}: expected 0 or more.")


class _Tasks(LightningModule):
    """What MAML's and Reptile's training share: tasks out of a batch, and BatchNorm's statistics.

    Args:
        net: what is trained.
        outer: how.
    """

    done: Tensor

    def __init__(self, net: TaskNet, outer: Outer) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.net, self.outer = net, outer
        # On CPUs pixels first is 1.1 to 1.3 times faster without double backward and 0.7 to 0.9
        # times with it (conv4 at 84 px, conv6 at 64 px; alike at 28 px): it has no such kernels.
        twice = net.inner.order == "second" and net.inner.moving == "all"
        self.format = torch.contiguous_format if twice else torch.channels_last
        net.to(memory_format=self.format)  # type: ignore[call-overload]  # not in the stubs
        self.register_buffer("done", torch.zeros((), dtype=torch.int64))

    @property
    def progress(self) -> float:
        """Share of the steps that are done."""
        return int(self.done) / self.outer.steps

    def laid_out(self, tasks: EpisodeBatch) -> EpisodeBatch:
        """Return the tasks with images in the memory format of the net."""
        t = len(tasks.way)
        # Query images are differentiated once.
        support, query = (
            images.flatten(0, 1).contiguous(memory_format=layout).unflatten(0, (t, -1))
            for images, layout in (
                (tasks.support, self.format),
                (tasks.query, torch.channels_last),
            )
        )
        return tasks._replace(support=support, query=query)

    def follow(self, images: Tensor) -> None:
        """Let the running statistics of BatchNorm follow these images, (t, n, 3, H, W)."""
        if self.net.inner.norm == "base":
            body = self.net.backbone
            with torch.no_grad():
                body.train()
                body(images.flatten(0, 1))
                body.eval()


class MetaTraining(_Tasks):
    """The query loss of tasks after adapting, by Adam: MAML, ANIL and Meta-SGD."""

    def training_step(self, batch: EpisodeBatch, batch_idx: int) -> Tensor:
        """Take one step on a batch of tasks and return their mean loss, for the record."""
        tasks = prepared(batch)
        self.follow(tasks.support)
        optimizer = cast(torch.optim.Optimizer, self.optimizers())
        optimizer.zero_grad()
        loss = self.backward_tasks(tasks)
        clip_grad_norm_(self.net.parameters(), _MAX_NORM)
        optimizer.step()
        if self.outer.schedule == "cosine":
            cast(torch.optim.lr_scheduler.LambdaLR, self.lr_schedulers()).step()
        self.done += 1
        return loss

    def backward_tasks(self, tasks: EpisodeBatch) -> Tensor:
        """Add the gradients of the mean loss of prepared tasks, and return that loss."""
        tasks = self.laid_out(tasks)
        wanted = self.outer.batching
        at_once = tasks.support.is_cuda if wanted == "auto" else wanted == "vmap"
        if at_once and _equal(tasks):
            loss = self._losses_at_once(tasks).mean()
            self.manual_backward(loss)
            return loss.detach()
        total = tasks.support.new_zeros(())
        n_tasks = len(tasks.way)
        for i in range(n_tasks):
            # Task by task, so that one graph at a time is held.
            loss = self._losses(*_one(tasks, i)) / n_tasks
            self.manual_backward(loss)
            total += loss.detach()
        return total

    def _losses(
        self, task: Task, query: Tensor, labels: Tensor, n_classes: int, batched: bool = False
    ) -> Tensor:
        fading = self.progress < self.outer.multi_step
        order: Order = "first" if self.progress < self.outer.first_order else self.net.inner.order
        losses = self.net.query_losses(
            task, query, labels, n_classes, order=order, every=fading, batched=batched
        )
        if fading:
            shares = inner_loop.step_shares(len(losses), self.progress / self.outer.multi_step)
            losses = losses @ losses.new_tensor(shares)
        return inner_loop.difficult(losses.reshape(()), self.outer.difficulty)

    def _losses_at_once(self, tasks: EpisodeBatch) -> Tensor:
        n_classes = int(tasks.way[0])
        n_support = tasks.support.shape[1]

        def loss(images: Tensor, labels: Tensor, query: Tensor, query_labels: Tensor) -> Tensor:
            weights = images.new_full((n_support,), 1.0)
            task = Task(images, labels, inner_loop.balanced(labels, weights, n_classes))
            return self._losses(task, query, query_labels, n_classes, batched=True)

        parts = (tasks.support, tasks.support_labels, tasks.query, tasks.query_labels)
        set_twice(self.net.backbone, self.net.inner.order == "second")
        made: Tensor = torch.func.vmap(loss, randomness="different")(*parts)
        return made

    def configure_optimizers(self) -> Any:  # Any: one of the forms Lightning takes
        """Return Adam and its schedule by step."""
        outer = self.outer
        optimizer = make_optimizer(self.net.parameters(), "adam", lr=outer.lr, weight_decay=0.0)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, cosine(outer.steps))
        if outer.schedule == "constant":
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


class HeadTraining(MetaTraining):
    """ANIL: the body's features are made once for all tasks, and only heads adapt.

    BatchNorm sees the images of all tasks together in training, and has its running statistics
    afterwards: the body does not adapt, so these fit every task.
    """

    def follow(self, images: Tensor) -> None:
        """Leave the statistics to the one forward pass of a step."""

    def backward_tasks(self, tasks: EpisodeBatch) -> Tensor:
        """Add the gradients of the mean loss of prepared tasks, and return that loss."""
        self.net.backbone.train()
        loss = self.loss(tasks)
        self.net.backbone.eval()
        self.manual_backward(loss)
        return loss.detach()

    def loss(self, tasks: EpisodeBatch) -> Tensor:
        """Return the mean query loss of prepared tasks."""
        t, n_support = tasks.support_labels.shape
        images = torch.cat([tasks.support.flatten(0, 1), tasks.query.flatten(0, 1)])
        made = self.net.backbone(images)
        known = made[: t * n_support].unflatten(0, (t, -1))
        asked = made[t * n_support :].unflatten(0, (t, -1))
        losses = []
        for i, n_classes in enumerate(tasks.way.tolist()):
            labels = tasks.support_labels[i]
            shares = inner_loop.balanced(labels, tasks.support_weights[i], n_classes)
            task = Task(known[i], labels, shares)
            start = self.net.start(task, n_classes, known=known[i])
            end = self.net.adapted(task, start, known=known[i])[-1]
            logits = linear(asked[i], end["head.weight"], end["head.bias"])
            losses.append(cross_entropy(logits, tasks.query_labels[i], ignore_index=-1))
        return inner_loop.difficult(torch.stack(losses), self.outer.difficulty).mean()


class ReptileTraining(_Tasks):
    """Reptile: move towards where ordinary training on each task ends."""

    def training_step(self, batch: EpisodeBatch, batch_idx: int) -> Tensor:
        """Take one step on a batch of tasks and return the mean loss after adapting."""
        tasks = prepared(batch)
        images = torch.cat([tasks.support, tasks.query], 1)
        self.follow(images)
        labels = torch.cat([tasks.support_labels, tasks.query_labels], 1)
        own = []
        for i, n_classes in enumerate(tasks.way.tolist()):
            keep = labels[i] >= 0
            own.append(self._end(_rows(images[i], keep), labels[i][keep], n_classes, i))
        names = self.net.names[:-2]
        start = {name: self.net.get_parameter(name) for name in names}
        ends = [{name: end[name] for name in names} for end, _ in own]
        rate = self.outer.lr * (1.0 - self.progress)
        with torch.no_grad():
            for name, value in inner_loop.interpolated(start, ends, rate).items():
                start[name].copy_(value)
        self.done += 1
        return torch.stack([loss for _, loss in own]).mean()

    def _end(
        self, images: Tensor, labels: Tensor, n_classes: int, number: int
    ) -> tuple[inner_loop.Parameters, Tensor]:
        """Return where training on a task ends, in batches of other rows each, and the loss."""
        steps, n = self.net.inner.steps, len(images)
        order = rng_for(int(self.done), "order", number).permutation(n)
        size = max(n_classes, -(-n // steps))
        weights = inner_loop.balanced(labels, images.new_ones(n), n_classes)
        whole = Task(images, labels, weights)
        now = self.net.start(whole, n_classes)
        for step in range(steps):
            rows = torch.from_numpy(order[np.arange(step * size, (step + 1) * size) % n])
            part = whole.take(rows.to(images.device))
            now = self.net.adapted(part, now, steps=1, order="none")[-1]
        with torch.no_grad():
            loss = inner_loop.weighted_loss(self.net.logits(now, whole), labels, weights)
        return now, loss

    def configure_optimizers(self) -> None:
        """Need none: the update is an interpolation."""


def _equal(tasks: EpisodeBatch) -> bool:
    same = bool((tasks.way == tasks.way[0]).all())
    return same and bool(tasks.support_weights.all()) and bool((tasks.query_labels >= 0).all())


def _one(tasks: EpisodeBatch, i: int) -> tuple[Task, Tensor, Tensor, int]:
    """Return support, query, query labels and way of task i, without its padding."""
    n_classes = int(tasks.way[i])
    real, asked = tasks.support_weights[i] > 0, tasks.query_labels[i] >= 0
    labels, weights = tasks.support_labels[i][real], tasks.support_weights[i][real]
    shares = inner_loop.balanced(labels, weights, n_classes)
    task = Task(_rows(tasks.support[i], real), labels, shares)
    return task, _rows(tasks.query[i], asked), tasks.query_labels[i][asked], n_classes


def _rows(images: Tensor, keep: Tensor) -> Tensor:
    return images if bool(keep.all()) else images[keep].contiguous(memory_format=_format(images))


def _format(images: Tensor) -> torch.memory_format:
    return torch.contiguous_format if images.is_contiguous() else torch.channels_last
