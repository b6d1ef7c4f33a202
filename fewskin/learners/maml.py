"""MAML: a starting point from which a few gradient steps on a task go far.

Finn et al., Model-agnostic meta-learning for fast adaptation of deep networks, 2017,
arXiv:1703.03400; with the options of Antoniou et al., How to train your MAML, 2019,
arXiv:1810.09502, and of Li et al., Difficulty-aware meta-learning, 2020, arXiv:1907.00354.
Differs from the papers: query images never see each other, BatchNorm has the statistics of the
support or of the base images; the head starts anew for each task, so any number of classes fits;
episodes never have one patient on both sides; images are augmented.
"""

from typing import Literal

from fewskin.functional.inner_loop import Order
from fewskin.training.meta import Inner
from fewskin.training.meta_steps import Batching, MetaTraining, Outer
from fewskin.training.on_tasks import OnTasks

__all__ = ["MAML"]


class MAML(OnTasks):
    """Model-agnostic meta-learning, MAML++ and DAML.

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
        inner_steps: gradient steps on a task in meta-training.
        inner_lr: their size, or where learnt sizes start.
        order: "second" differentiates through the inner steps, "first" does not.
        head: the linear head of a task starts at "zero" or as a nearest-"prototype" classifier.
        norm: BatchNorm uses statistics of the task's "support" images or of the "base" images.
        learn_rates: learn a rate for each layer and step (MAML++).
        multi_step: share of meta-training over which the loss after every inner step fades to
            that after the last (MAML++).
        first_order: share of meta-training, at its beginning, that is first-order (MAML++).
        schedule: of the learning rate of meta-training, "cosine" (MAML++) or "constant".
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
        inner_steps: int = 5,
        inner_lr: float = 0.05,
        order: Order = "first",
        head: Literal["prototype", "zero"] = "zero",
        norm: Literal["base", "support"] = "support",
        learn_rates: bool = False,
        multi_step: float = 0.0,
        first_order: float = 0.0,
        schedule: Literal["cosine", "constant"] = "cosine",
        difficulty: float = 0.0,
        steps: int = 20,
        views: int = 1,
        base_rows: int = 20,
        batching: Batching = "auto",
    ) -> None:
        self.backbone, self.weights, self.pretrain_steps = backbone, weights, pretrain_steps
        self.fit_steps, self.fit_lr = fit_steps, fit_lr
        self.way, self.shot, self.query, self.tasks = way, shot, query, tasks
        self.inner_steps, self.inner_lr, self.order = inner_steps, inner_lr, order
        self.head, self.norm, self.learn_rates = head, norm, learn_rates
        self.multi_step, self.first_order = multi_step, first_order
        self.schedule, self.difficulty = schedule, difficulty
        self.steps, self.views, self.base_rows = steps, views, base_rows
        self.batching = batching

    def _inner(self) -> Inner:
        return Inner(
            steps=self.inner_steps,
            lr=self.inner_lr,
            order=self.order,
            head=self.head,
            norm=self.norm,
            rates="layer" if self.learn_rates else "fixed",
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
            schedule=self.schedule,
            multi_step=self.multi_step,
            first_order=self.first_order,
            difficulty=self.difficulty,
            batching=self.batching,
        )
