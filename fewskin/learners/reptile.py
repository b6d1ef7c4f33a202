"""Reptile: train on a task, then move the starting point some of the way to where that ended.

Nichol et al., On first-order meta-learning algorithms, 2018, arXiv:1803.02999.
Differs from the paper: plain SGD on the task instead of Adam; the head starts anew for each task,
so any number of classes fits; query images never see each other in BatchNorm; images are augmented.
"""

import copy
from pathlib import Path
from typing import ClassVar, Literal

from fewskin.protocols import ImageTable
from fewskin.training.meta import Inner
from fewskin.training.meta_adapt import MetaFitted, adapt_rows, load_meta, save_meta, task_tables
from fewskin.training.meta_fit import meta_fit
from fewskin.training.meta_steps import Outer, ReptileTraining
from fewskin.training.predictor import NetPredictor

__all__ = ["Reptile"]


class Reptile:
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

    transductive: ClassVar[bool] = False
    output: ClassVar[Literal["class", "mask", "boxes"]] = "class"

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
        self._fitted = MetaFitted()

    def fit(self, base: ImageTable | None, *, seed: int, out: Path) -> "Reptile":
        """Return a learner meta-trained on the base classes.

        Without base it only remembers the seed, which then decides the first weights.

        Raises:
            ConfigError: a setting is out of range.
            DataError: fewer than two base classes have two patients.
        """
        fitted, inner, outer = copy.copy(self), self._inner(), self._outer()
        fitted._fitted = MetaFitted(seed=seed)
        if base is not None:
            net = fitted._fitted.backbone(self.backbone, self.weights, base.image_size)
            fitted._fitted = meta_fit(
                net, base, inner, outer, training=ReptileTraining, seed=seed, out=out
            )
        return fitted

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

    def adapt(
        self,
        support: ImageTable,
        *,
        extra: ImageTable | None,
        base: ImageTable | None,
        seed: int,
        out: Path,
    ) -> NetPredictor:
        """Return the net after `steps` gradient steps on support, extra and some base rows."""
        tables = task_tables(support, extra, base, base_rows=self.base_rows, seed=seed)
        net = self._fitted.backbone(self.backbone, self.weights, support.image_size)
        rates, inner = self._fitted.rates, self._inner()
        return adapt_rows(net, rates, inner, tables, steps=self.steps, views=self.views)

    @property
    def pretrained_on(self) -> str:
        """What the fitted backbone has seen; "" before `fit` and from scratch."""
        return self._fitted.pretrained_on

    def save(self, folder: Path) -> None:
        """Write the fitted net."""
        save_meta(self._fitted, folder)

    def load(self, folder: Path) -> "Reptile":
        """Return a learner with these hyper-parameters and the state written by `save`.

        Raises:
            PluginError: the folder holds none, or one of another backbone.
        """
        loaded = copy.copy(self)
        loaded._fitted = load_meta(folder, self.backbone, self._inner())
        return loaded
