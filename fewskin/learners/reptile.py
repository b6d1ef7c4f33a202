"""Reptile: train on a task, then move the starting point some of the way to where that ended.

Nichol et al., On first-order meta-learning algorithms, 2018, arXiv:1803.02999.
Differs from the paper: plain SGD on the task instead of Adam; the head starts anew for each task,
so any number of classes fits; query images never see each other in BatchNorm; images are augmented.
"""

from typing import Literal

from fewskin.training.meta import Inner
from fewskin.training.meta_steps import Outer, ReptileTraining
from fewskin.training.on_tasks import OnTasks

__all__ = ["Reptile"]


class Reptile(OnTasks):
    """Interpolation towards the weights that ordinary training on tasks ends with.

    Args:
        backbone: name of the net, see `fewskin list backbones`.
        weights: None starts from scratch, else a file of weights or "pretrained".
        pretrain_steps: batches of ordinary classification of the base classes before.
        fit_steps: batches of tasks in meta-training; 0 for none.
        fit_lr: share of the way at first, in (0, 1]; it falls to 0 on a straight line.
        way: classes a task, at most.
        shot: patients a class, of one half of a task's images.
        query: images a class, of the other half; Reptile trains on both.
        tasks: tasks a batch.
        inner_steps: gradient steps on a task in meta-training, on a part of its images each.
        inner_lr: their size.
        head: the linear head of a task starts at "zero" or as a nearest-"prototype" classifier.
        norm: BatchNorm uses statistics of the task's "support" images or of the "base" images.
        steps: gradient steps on the few images.
        views: the few images themselves and views - 1 augmented versions of each.
        base_rows: rows of each common class that take part, at most, where all are told apart.
    """

    training = ReptileTraining

    def __init__(
        self,
        *,
        backbone: str = "conv6",
        weights: str | None = None,
        pretrain_steps: int = 0,
        fit_steps: int = 300,
        fit_lr: float = 0.5,
        way: int = 2,
        shot: int = 10,
        query: int = 10,
        tasks: int = 4,
        inner_steps: int = 5,
        inner_lr: float = 0.1,
        head: Literal["prototype", "zero"] = "zero",
        norm: Literal["base", "support"] = "support",
        steps: int = 20,
        views: int = 1,
        base_rows: int = 20,
    ) -> None:
        self.backbone, self.weights, self.pretrain_steps = backbone, weights, pretrain_steps
        self.fit_steps, self.fit_lr = fit_steps, fit_lr
        self.way, self.shot, self.query, self.tasks = way, shot, query, tasks
        self.inner_steps, self.inner_lr = inner_steps, inner_lr
        self.head, self.norm = head, norm
        self.steps, self.views, self.base_rows = steps, views, base_rows

    def _inner(self) -> Inner:
        return Inner(
            steps=self.inner_steps,
            lr=self.inner_lr,
            order="none",
            head=self.head,
            norm=self.norm,
        )

    def _outer(self) -> Outer:
        return Outer(
            steps=self.fit_steps,
            lr=self.fit_lr,
            way=self.way,
            shot=self.shot,
            query=self.query,
            tasks=self.tasks,
            pretrain_steps=self.pretrain_steps,
        )
