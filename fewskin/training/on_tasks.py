"""What learners that adapt by gradient steps have in common: meta-training, then the steps."""

import copy
from pathlib import Path
from typing import ClassVar, Literal, Self

from fewskin.protocols import ImageTable
from fewskin.training.meta import Inner
from fewskin.training.meta_adapt import MetaFitted, adapt_rows, load_meta, save_meta, task_tables
from fewskin.training.meta_fit import meta_fit
from fewskin.training.meta_steps import HeadTraining, MetaTraining, Outer, ReptileTraining
from fewskin.training.predictor import NetPredictor

__all__ = ["OnTasks"]


class OnTasks:
    """The half of a learner that says neither how a task is learnt nor how that is trained."""

    transductive: ClassVar[bool] = False
    output: ClassVar[Literal["class", "mask", "boxes"]] = "class"
    training: ClassVar[type[HeadTraining] | type[MetaTraining] | type[ReptileTraining]]

    backbone: str
    weights: str | None
    steps: int
    views: int
    base_rows: int
    _fitted: MetaFitted = MetaFitted()

    def _inner(self) -> Inner:
        """Return how a task is learnt."""
        raise NotImplementedError

    def _outer(self) -> Outer:
        """Return how meta-training goes."""
        raise NotImplementedError

    def fit(self, base: ImageTable | None, *, seed: int, out: Path) -> Self:
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
                net, base, inner, outer, training=self.training, seed=seed, out=out
            )
        return fitted

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
        """Write the fitted net and learnt rates."""
        save_meta(self._fitted, folder)

    def load(self, folder: Path) -> Self:
        """Return a learner with these hyper-parameters and the state written by `save`.

        Raises:
            PluginError: the folder holds none, or one of another backbone.
        """
        loaded = copy.copy(self)
        loaded._fitted = load_meta(folder, self.backbone, self._inner())
        return loaded
