"""A net that adapts to a task by gradient steps: what meta-training trains and `adapt` uses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from fewskin.errors import ConfigError
from fewskin.functional import inner_loop
from fewskin.functional.inner_loop import Order, Parameters, Rates
from fewskin.nets.backbones import Backbone
from fewskin.nets.support_norm import norm_role, with_support_norm

__all__ = ["Inner", "Task", "TaskNet"]

_BODY, _WEIGHT, _BIAS = "backbone.", "head.weight", "head.bias"


@dataclass(frozen=True)
class Inner:
    """How a net adapts to a task.

    Attributes:
        steps: gradient steps on the support set.
        lr: their size, or where learnt rates start.
        order: "second" differentiates through the steps, "first" takes their gradients as
            constants.
        moving: "all" parameters adapt, or the "head" only.
        head: where a task's linear head starts: at "zero", or as the nearest-"prototype"
            classifier of the support. It has no weights of its own, so any number of classes fits.
        norm: BatchNorm's statistics: the running ones of the "base" images, or those of the
            task's "support" images, which keep steps on all parameters from running away. Either
            way query images never see each other.
        rates: "fixed", learnt by "layer" and step (MAML++), or by "parameter" (Meta-SGD).
    """

    steps: int = 5
    lr: float = 0.05
    order: Order = "first"
    moving: Literal["all", "head"] = "all"
    head: Literal["prototype", "zero"] = "zero"
    norm: Literal["base", "support"] = "support"
    rates: Literal["fixed", "layer", "parameter"] = "fixed"

    def __post_init__(self) -> None:
        choices = {
            "order": ("second", "first", "none"),
            "moving": ("all", "head"),
            "head": ("prototype", "zero"),
            "norm": ("base", "support"),
            "rates": ("fixed", "layer", "parameter"),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ConfigError(f"{name}={getattr(self, name)!r}: expected {', '.join(known)}.")
        if self.steps < 1 or self.lr <= 0:
            raise ConfigError(
                f"inner_steps={self.steps}, inner_lr={self.lr}: expected 1 or more, and above 0."
            )


class Task(NamedTuple):
    """The support set of one task.

    Attributes:
        images: (s, 3, H, W) of `normalise`.
        labels: (s,) int64 in [0, n_classes).
        weights: (s,) float32 that sum to 1, as of `inner_loop.balanced`.
    """

    images: Tensor
    labels: Tensor
    weights: Tensor

    def take(self, rows: Tensor) -> "Task":
        """Return the task of these rows, (n,) int64."""
        return Task(self.images[rows], self.labels[rows], self.weights[rows])


class TaskNet(nn.Module):
    """A backbone, a linear head made anew for each task, and the rates of its steps.

    Args:
        backbone: used as it is, and changed by training.
        inner: how it adapts.
    """

    def __init__(self, backbone: Backbone, inner: Inner) -> None:
        super().__init__()
        if inner.norm == "support":
            with_support_norm(backbone)
        self.backbone, self.inner = backbone.eval(), inner
        body = dict(backbone.named_parameters()) if inner.moving == "all" else {}
        self.names = [*(_BODY + name for name in body), _WEIGHT, _BIAS]
        self.rates = nn.ParameterList()
        if inner.rates == "layer":
            self.rates.append(torch.full((inner.steps, len(self.names)), inner.lr))
        elif inner.rates == "parameter":
            # A head of any number of classes shares its rates between them.
            shapes = [*(value.shape for value in body.values()), (1, backbone.feature_dim), (1,)]
            self.rates.extend(torch.full(shape, inner.lr) for shape in shapes)

    def train(self, mode: bool = True) -> "TaskNet":
        """Stay in eval mode: BatchNorm must not see query images together."""
        return super().train(False)

    def step_rates(self) -> Sequence[Rates]:
        """Return the learning rates by name, one entry a step or one for all."""
        if self.inner.rates == "layer":
            return [dict(zip(self.names, row.unbind(), strict=True)) for row in self.rates[0]]
        if self.inner.rates == "parameter":
            return [dict(zip(self.names, self.rates, strict=True))]
        return [dict.fromkeys(self.names, self.inner.lr)]

    def adapted(
        self,
        task: Task,
        start: Parameters,
        *,
        steps: int | None = None,
        order: Order | None = None,
        batched: bool = False,
        known: Tensor | None = None,
    ) -> list[Parameters]:
        """Return the parameters after each step on a task.

        Args:
            task: its support set.
            start: where to begin, see `start`.
            steps: as in `inner` by default.
            order: as in `inner` by default.
            batched: under `torch.func.vmap`.
            known: (s, d) features of the support, where only the head moves.
        """
        if self.inner.moving == "head" and known is None:
            known = self._features({}, task.images)

        def loss(parameters: Parameters) -> Tensor:
            if known is None:
                made = self.logits(parameters, task)
            else:
                made = linear(known, parameters[_WEIGHT], parameters[_BIAS])
            return inner_loop.weighted_loss(made, task.labels, task.weights)

        return inner_loop.adapt(
            loss,
            start,
            rates=self.step_rates(),
            steps=self.inner.steps if steps is None else steps,
            order=order or self.inner.order,
            batched=batched,
        )

    def start(self, task: Task, n_classes: int, known: Tensor | None = None) -> Parameters:
        """Return what moves, before the first step: the body, and a head for this task.

        Args:
            task: the support set.
            n_classes: number of classes.
            known: (s, d) its features, where they are known.
        """
        start: Parameters = {name: self.get_parameter(name) for name in self.names[:-2]}
        if self.inner.head == "prototype":
            if known is None:
                known = self._features({}, task.images)
            start[_WEIGHT], start[_BIAS] = inner_loop.prototype_head(
                known, task.labels, n_classes, task.weights
            )
        else:
            empty = task.images.new_zeros(n_classes, self.backbone.feature_dim)
            start[_WEIGHT], start[_BIAS] = empty, empty[:, 0].clone()
        return start

    def _features(
        self, parameters: Parameters, images: Tensor, support: Tensor | None = None
    ) -> Tensor:
        body = _body(parameters)
        if self.inner.norm == "base":
            return torch.func.functional_call(self.backbone, body, (images,))
        with norm_role(self.backbone) as say:
            if support is None:
                say("support")
            else:
                # Apart from the query: one batch of both would be cut in two at every BatchNorm.
                say("first")
                torch.func.functional_call(self.backbone, body, (support,))
                say("query")
            return torch.func.functional_call(self.backbone, body, (images,))

    def logits(self, parameters: Parameters, task: Task, query: Tensor | None = None) -> Tensor:
        """Return (n, n_classes) logits of the support images, or of query images (n, 3, H, W)."""
        images = task.images if query is None else query
        support = None if query is None else task.images
        made = self._features(parameters, images, support)
        return linear(made, parameters[_WEIGHT], parameters[_BIAS])

    def query_losses(
        self,
        task: Task,
        query: Tensor,
        labels: Tensor,
        n_classes: int,
        *,
        order: Order,
        every: bool = False,
        batched: bool = False,
    ) -> Tensor:
        """Return the query loss after the last step, (1,), or after every step, (steps,).

        Args:
            task: the support set.
            query: (q, 3, H, W) images.
            labels: (q,) int64; -1 for rows that do not count.
            n_classes: number of classes.
            order: of the inner gradients.
            every: whether the loss after each step is wanted.
            batched: under `torch.func.vmap`.
        """
        ends = self.adapted(task, self.start(task, n_classes), order=order, batched=batched)
        ends = ends if every else ends[-1:]
        made = [self.logits(end, task, query) for end in ends]
        return torch.stack([cross_entropy(one, labels, ignore_index=-1) for one in made])

    def keep_statistics(self, parameters: Parameters, images: Tensor) -> None:
        """Make the statistics of these support images, (s, 3, H, W), the running ones."""
        with torch.no_grad(), norm_role(self.backbone) as say:
            say("last")
            torch.func.functional_call(self.backbone, _body(parameters), (images,))

    def body_state(self, parameters: Parameters) -> Parameters:
        """Return the state of the backbone with these parameters, on the CPU."""
        state = self.backbone.state_dict() | _body(parameters)
        return {name: value.detach().cpu() for name, value in state.items()}


def _body(parameters: Parameters) -> Parameters:
    return {
        name.removeprefix(_BODY): value
        for name, value in parameters.items()
        if name.startswith(_BODY)
    }
