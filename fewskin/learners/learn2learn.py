"""learn2learn itself: its MAML, MetaSGD and GBML with Meta-Curvature, behind the same protocol.

Arnold et al., learn2learn: a library for meta-learning research, 2020, arXiv:2008.12284; Park and
Oliva, Meta-curvature, 2019, arXiv:1902.03356.
Differs from its examples: query images never see each other in BatchNorm; the head starts from zero
for each task, so any number of classes fits; episodes never have one patient on both sides.
"""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fewskin import compat
from fewskin.data.episodes import EpisodeSampler
from fewskin.errors import ConfigError
from fewskin.functional.inner_loop import balanced, weighted_loss
from fewskin.nets.backbones import Backbone
from fewskin.nets.support_norm import norm_role, with_support_norm
from fewskin.protocols import ImageTable
from fewskin.training.engine import run_steps
from fewskin.training.episodic import EpisodeBatch, episode_batches, prepared
from fewskin.training.fitted import seen
from fewskin.training.meta_adapt import MetaFitted, load_meta, save_meta, table_rows, task_tables
from fewskin.training.modules import cosine, make_optimizer
from fewskin.training.predictor import NetPredictor

compat.import_lightning()
from pytorch_lightning import LightningModule  # noqa: E402

__all__ = ["Learn2Learn"]

_ALGORITHMS = ("maml", "metasgd", "metacurvature")


class Learn2Learn:
    """The algorithms of the learn2learn package.

    Args:
        algorithm: "maml", "metasgd" or "metacurvature".
        backbone: name of the net, see `fewskin list backbones`.
        weights: None starts from scratch, else a file of weights or "pretrained".
        fit_steps: batches of tasks in meta-training; 0 for none.
        fit_lr: highest learning rate of meta-training (Adam).
        way: classes a task, at most.
        shot: support patients a class.
        query: query images a class.
        tasks: tasks a batch.
        inner_steps: gradient steps on a task in meta-training.
        inner_lr: their size, or where learnt sizes start.
        order: "second" differentiates through the inner steps, "first" does not.
        steps: gradient steps on the few images.
        base_rows: rows of each common class that take part, at most, where all are told apart.
    """

    transductive: ClassVar[bool] = False
    output: ClassVar[Literal["class", "mask", "boxes"]] = "class"

    def __init__(
        self,
        *,
        algorithm: Literal["maml", "metasgd", "metacurvature"] = "maml",
        backbone: str = "conv6",
        weights: str | None = None,
        fit_steps: int = 300,
        fit_lr: float = 1e-3,
        way: int = 2,
        shot: int = 5,
        query: int = 10,
        tasks: int = 4,
        inner_steps: int = 3,
        inner_lr: float = 0.1,
        order: Literal["second", "first"] = "first",
        steps: int = 20,
        base_rows: int = 20,
    ) -> None:
        self.algorithm, self.backbone, self.weights = algorithm, backbone, weights
        self.fit_steps, self.fit_lr = fit_steps, fit_lr
        self.way, self.shot, self.query, self.tasks = way, shot, query, tasks
        self.inner_steps, self.inner_lr, self.order = inner_steps, inner_lr, order
        self.steps, self.base_rows = steps, base_rows
        self._fitted = MetaFitted()

    def fit(self, base: ImageTable | None, *, seed: int, out: Path) -> "Learn2Learn":
        """Return a learner meta-trained on the base classes.

        Without base it only remembers the seed, which then decides the first weights.

        Raises:
            ConfigError: unknown algorithm.
            DataError: fewer than two base classes have two patients.
            MissingExtra: learn2learn is not installed.
        """
        compat.import_learn2learn()
        fitted = copy.copy(self)
        fitted._fitted = MetaFitted(seed=seed)
        if base is not None:
            net = fitted._fitted.backbone(self.backbone, self.weights, base.image_size)
            fitted._fitted = self._trained(net, base, seed, out)
        return fitted

    def _trained(self, net: Backbone, base: ImageTable, seed: int, out: Path) -> MetaFitted:
        wrapped = self._wrapped(net)
        sampler = EpisodeSampler(
            base.labels, base.groups, way=self.way, shot=self.shot, query=self.query, seed=seed
        )
        if self.fit_steps:
            module = _Training(wrapped, self)
            batches = episode_batches(base, sampler, tasks=self.tasks, seed=seed)
            run_steps(module, batches, steps=self.fit_steps, out=out, seed=seed)
        made = copy.deepcopy(net)
        made.load_state_dict(_cpu(wrapped.module.backbone))
        if self.fit_steps:
            made.pretrained_on = seen(net.pretrained_on, base)
        rates = {k: v for k, v in _cpu(wrapped).items() if not k.startswith("module.")}
        return MetaFitted(made.eval(), rates, seed)

    def _wrapped(self, net: Backbone) -> Any:  # Any: learn2learn has no types
        """Return learn2learn's wrapper around a copy of the net."""
        l2l = compat.import_learn2learn()
        module = _Net(copy.deepcopy(net))
        first = self.order == "first"
        if self.algorithm == "maml":
            return l2l.algorithms.MAML(module, lr=self.inner_lr, first_order=first)
        body = list(module.backbone.parameters())
        if self.algorithm == "metasgd":
            # A head of any number of classes shares its rates between them.
            shapes = [*(p.shape for p in body), (1, net.feature_dim), (1,)]
            rates = [nn.Parameter(torch.full(shape, self.inner_lr)) for shape in shapes]
            lrs = nn.ParameterList(rates)
            return l2l.algorithms.MetaSGD(module, lrs=lrs, first_order=first)
        if self.algorithm == "metacurvature":
            mine = {id(p) for p in body}
            curved = l2l.optim.transforms.MetaCurvatureTransform
            return l2l.algorithms.GBML(
                module,
                # The head's own curvature would fix the number of classes.
                transform=lambda p: curved(p) if id(p) in mine else None,
                lr=self.inner_lr,
                first_order=first,
            )
        known = ", ".join(_ALGORITHMS)
        raise ConfigError(f"algorithm={self.algorithm!r}: expected one of {known}.")

    def adapt(
        self,
        support: ImageTable,
        *,
        extra: ImageTable | None,
        base: ImageTable | None,
        seed: int,
        out: Path,
    ) -> NetPredictor:
        """Return the net after `steps` of learn2learn's steps on support, extra and base rows."""
        rows = table_rows(task_tables(support, extra, base, base_rows=self.base_rows, seed=seed))
        fitted = self._fitted.backbone(self.backbone, self.weights, support.image_size)
        wrapped = self._wrapped(fitted)
        if self._fitted.rates:
            wrapped.load_state_dict(self._fitted.rates, strict=False)
        images, labels, weights = rows.task
        clone = _clone(wrapped, len(rows.classes))
        for _ in range(self.steps):
            clone.adapt(weighted_loss(clone.module(images), labels, weights), first_order=True)
            # Without meta-training there is no gradient to keep, and memory would grow by step.
            _detach(clone.module)
        clone.module.keep_statistics(images)
        made = copy.deepcopy(fitted)
        made.load_state_dict(_cpu(clone.module.backbone))
        head = nn.Linear(made.feature_dim, len(rows.classes))
        head.load_state_dict(_cpu(clone.module.head))
        return NetPredictor(made, head, rows.classes, support.image_size)

    @property
    def pretrained_on(self) -> str:
        """What the fitted backbone has seen; "" before `fit` and from scratch."""
        return self._fitted.pretrained_on

    def save(self, folder: Path) -> None:
        """Write the fitted net and what the algorithm learnt beside it."""
        save_meta(self._fitted, folder)

    def load(self, folder: Path) -> "Learn2Learn":
        """Return a learner with these hyper-parameters and the state written by `save`.

        Raises:
            PluginError: the folder holds none, or one of another backbone.
        """
        loaded = copy.copy(self)
        loaded._fitted = load_meta(folder, self.backbone)
        return loaded


class _Net(nn.Module):
    """A backbone and a head; BatchNorm has the statistics of a task's support."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = with_support_norm(backbone)
        self.head = nn.Linear(backbone.feature_dim, 1)
        self.train(False)

    def train(self, mode: bool = True) -> "_Net":
        """Stay in eval mode."""
        return super().train(False)

    def forward(self, support: Tensor, query: Tensor | None = None) -> Tensor:
        """Return (n, C) logits of the support images, or of the query images."""
        with norm_role(self) as say:
            say("support" if query is None else "first")
            made = self.backbone(support)
            if query is not None:
                say("query")
                made = self.backbone(query)
        logits: Tensor = self.head(made)
        return logits

    def keep_statistics(self, support: Tensor) -> None:
        """Make the statistics of the support the running ones."""
        with torch.no_grad(), norm_role(self) as say:
            say("last")
            self.backbone(support)


class _Training(LightningModule):
    """learn2learn's documented loop: clone, adapt, query loss backward, task by task."""

    def __init__(self, wrapped: Any, settings: Learn2Learn) -> None:  # Any: has no types
        super().__init__()
        self.automatic_optimization = False
        self.wrapped, self.settings = wrapped, settings

    def training_step(self, batch: EpisodeBatch, batch_idx: int) -> Tensor:
        """Take one step on a batch of tasks and return their mean loss, for the record."""
        optimizer = cast(torch.optim.Optimizer, self.optimizers())
        optimizer.zero_grad()
        total = torch.zeros((), device=batch.support.device)
        tasks = prepared(batch)
        for loss in self.losses(tasks):
            self.manual_backward(loss / len(tasks.way))
            total += loss.detach() / len(tasks.way)
        optimizer.step()
        cast(torch.optim.lr_scheduler.LambdaLR, self.lr_schedulers()).step()
        return total

    def losses(self, tasks: EpisodeBatch) -> Iterator[Tensor]:
        """Return the query loss of each prepared task after adapting."""
        for i, n_classes in enumerate(tasks.way.tolist()):
            keep = tasks.support_weights[i] > 0
            images, labels = tasks.support[i][keep], tasks.support_labels[i][keep]
            weights = balanced(labels, tasks.support_weights[i][keep], n_classes)
            clone = _clone(self.wrapped, n_classes)
            for _ in range(self.settings.inner_steps):
                clone.adapt(weighted_loss(clone.module(images), labels, weights))
            logits = clone.module(images, tasks.query[i])
            yield cross_entropy(logits, tasks.query_labels[i], ignore_index=-1)

    def configure_optimizers(self) -> Any:  # Any: one of the forms Lightning takes
        """Return Adam and its schedule by step."""
        settings = self.settings
        optimizer = make_optimizer(
            self.wrapped.parameters(), "adam", lr=settings.fit_lr, weight_decay=0.0
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, cosine(settings.fit_steps))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def _clone(wrapped: Any, n_classes: int) -> Any:  # Any: learn2learn has no types
    clone = wrapped.clone()
    head = clone.module.head
    device = head.weight.device
    head._parameters["weight"] = torch.zeros(n_classes, head.in_features, device=device)
    head._parameters["bias"] = torch.zeros(n_classes, device=device)
    for value in head._parameters.values():
        value.requires_grad_()
    return clone


def _detach(module: nn.Module) -> None:
    for part in module.modules():
        for name, value in part._parameters.items():
            if value is not None:
                part._parameters[name] = value.detach().requires_grad_()  # type: ignore[assignment]


def _cpu(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}
