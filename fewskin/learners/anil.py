"""ANIL: almost no inner loop; a shared body, and a head that adapts by gradient steps.

Raghu et al., Rapid learning or feature reuse?, 2020, arXiv:1909.09157.
Differs from the paper: the head starts anew for each task, so any number of classes fits; BatchNorm
has the running statistics of the base images at test; episodes never have one patient on both
sides; images are augmented.
"""

from typing import Literal

from fewskin.functional.inner_loop import Order
from fewskin.training.meta import Inner
from fewskin.training.meta_steps import HeadTraining, Outer
from fewskin.training.on_tasks import OnTasks

__all__ = ["ANIL"]


class ANIL(OnTasks):
    """Gradient steps of a linear head on features that were meta-trained for them.

    Args:
        backbone: name of the net, see `fewskin list backbones`.
        weights: None starts from scratch, else a file of weights or "pretrained".
        pretrain_steps: batches of ordinary classification of the base classes before.
        fit_steps: batches of tasks in meta-training; 0 for none.
        fit_lr: highest learning rate of meta-training (Adam).
        way: classes a task, at most.
        shot: support patients a class.
        query: query images a class.
        tasks: tasks a batch.
        inner_steps: gradient steps of the head in meta-training.
        inner_lr: their size.
        order: "second" differentiates through the inner steps, "first" does not.
        head: the head starts at "zero" or as a nearest-"prototype" classifier.
        difficulty: exponent of the weights of hard tasks (DAML); 0 for none.
        steps: gradient steps on the few images.
        views: the few images themselves and views - 1 augmented versions of each.
        base_rows: rows of each common class that take part, at most, where all are told apart.
    """

    training = HeadTraining

    def __init__(
        self,
        *,
        backbone: str = "conv6",
        weights: str | None = None,
        pretrain_steps: int = 0,
        fit_steps: int = 300,
        fit_lr: float = 1e-3,
        way: int = 4,
        shot: int = 5,
        query: int = 10,
        tasks: int = 4,
        inner_steps: int = 5,
        inner_lr: float = 0.1,
        order: Order = "second",
        head: Literal["prototype", "zero"] = "prototype",
        difficulty: float = 0.0,
        steps: int = 10,
        views: int = 1,
        base_rows: int = 20,
    ) -> None:
        self.backbone, self.weights, self.pretrain_steps = backbone, weights, pretrain_steps
        self.fit_steps, self.fit_lr = fit_steps, fit_lr
        self.way, self.shot, self.query, self.tasks = way, shot, query, tasks
        self.inner_steps, self.inner_lr = inner_steps, inner_lr
        self.order, self.head, self.difficulty = order, head, difficulty
        self.steps, self.views, self.base_rows = steps, views, base_rows

    def _inner(self) -> Inner:
        return Inner(
            steps=self.inner_steps,
            lr=self.inner_lr,
            order=self.order,
            moving="head",
            head=self.head,
            norm="base",
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
            difficulty=self.difficulty,
        )
