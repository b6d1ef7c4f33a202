"""Meta-SGD: MAML that also learns how far, and in which direction, each parameter steps.

Li et al., Meta-SGD: learning to learn quickly for few-shot learning, 2017, arXiv:1707.09835.
Differs from the paper: more than one inner step, if wanted; the head starts anew for each task and
its classes share their rates; query images never see each other in BatchNorm; episodes never have
one patient on both sides; images are augmented.
"""

from typing import Literal

from fewskin.functional.inner_loop import Order
from fewskin.training.meta import Inner
from fewskin.training.meta_steps import Batching, MetaTraining, Outer
from fewskin.training.on_tasks import OnTasks

__all__ = ["MetaSGD"]


class MetaSGD(OnTasks):
    """MAML with a learnt rate for every parameter.

    Args:
        backbone: name of the net, see `fewskin list backbones`.
        weights: None starts from scratch, else a file of weights or "pretrained".
        pretrain_steps: batches of ordinary classification of the base classes before.
        fit_steps: batches of tasks in meta-training; 0 for none.
        fit_lr: highest learning rate of meta-training (Adam), of weights and rates.
        way: classes a task, at most.
        shot: support patients a class.
        query: query images a class.
        tasks: tasks a batch.
        inner_steps: gradient steps on a task in meta-training.
        inner_lr: where the learnt rates start.
        order: "second" differentiates through the inner steps, "first" does not.
        head: the linear head of a task starts at "zero" or as a nearest-"prototype" classifier.
        norm: BatchNorm uses statistics of the task's "support" images or of the "base" images.
        difficulty: exponent of the weights of hard tasks (DAML); 0 for none.
        steps: gradient steps on the few images.
        views: the few images themselves and views - 1 augmented versions of each.
        base_rows: rows of each common class that take part, at most, where all are told apart.
        batching: tasks by "vmap" or in a "loop"; "auto" takes vmap on GPUs and the loop on CPUs.
    """

    training = MetaTraining

    def __init__(
        self,
        *,
        backbone: str = "conv6",
        weights: str | None = None,
        pretrain_steps: int = 0,
        fit_steps: int = 300,
        fit_lr: float = 1e-3,
        way: int = 2,
        shot: int = 5,
        query: int = 10,
        tasks: int = 4,
        inner_steps: int = 3,
        inner_lr: float = 0.05,
        order: Order = "first",
        head: Literal["prototype", "zero"] = "zero",
        norm: Literal["base", "support"] = "support",
        difficulty: float = 0.0,
        steps: int = 10,
        views: int = 1,
        base_rows: int = 20,
        batching: Batching = "auto",
    ) -> None:
        self.backbone, self.weights, self.pretrain_steps = backbone, weights, pretrain_steps
        self.fit_steps, self.fit_lr = fit_steps, fit_lr
        self.way, self.shot, self.query, self.tasks = way, shot, query, tasks
        self.inner_steps, self.inner_lr, self.order = inner_steps, inner_lr, order
        self.head, self.norm, self.difficulty = head, norm, difficulty
        self.steps, self.views, self.base_rows = steps, views, base_rows
        self.batching = batching

    def _inner(self) -> Inner:
        return Inner(
            steps=self.inner_steps,
            lr=self.inner_lr,
            order=self.order,
            head=self.head,
            norm=self.norm,
            rates="parameter",
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
            batching=self.batching,
        )
