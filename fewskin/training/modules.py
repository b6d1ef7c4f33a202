"""What the engine trains: a thin module around a classifier, with its optimiser and schedule."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from fewskin import compat
from fewskin.errors import ConfigError

compat.import_lightning()
from pytorch_lightning import LightningModule  # noqa: E402

__all__ = ["Classifier", "OptimizerName", "Recipe", "cosine", "make_optimizer"]

OptimizerName = Literal["adam", "adamw", "rmsprop", "sgd"]
_WARMUP_SHARE = 0.05


@dataclass(frozen=True)
class Recipe:
    """How a classifier is trained.

    Attributes:
        steps: number of optimiser steps; the learning rate falls to 0 over them along a cosine.
        lr: highest learning rate.
        optimizer: "adam", "adamw", "rmsprop" or "sgd" (momentum 0.9, Nesterov).
        weight_decay: of matrices and filters, not of biases and norms.
        label_smoothing: share of each label spread over all classes, in [0, 1).
        ema: decay of the moving average of the weights that is kept as the result; 0 is none.
    """

    steps: int
    lr: float
    optimizer: OptimizerName = "adamw"
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    ema: float = 0.0


def cosine(steps: int) -> Callable[[int], float]:
    """Return step -> factor of the learning rate: a short linear rise, then a cosine to 0."""
    rise = max(1, round(_WARMUP_SHARE * steps))

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        return 0.5 * (1.0 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))

    return factor


def make_optimizer(
    parameters: Iterable[nn.Parameter], name: OptimizerName, *, lr: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Return an optimiser that decays matrices and filters only.

    Raises:
        ConfigError: unknown name.
    """
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for parameter in parameters:
        if parameter.requires_grad:
            (decayed if parameter.ndim > 1 else plain).append(parameter)
    groups: list[dict[str, Any]] = [{"params": decayed, "weight_decay": weight_decay}]
    groups.append({"params": plain, "weight_decay": 0.0})
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=lr, fused=True)
    if name == "adam":
        return torch.optim.Adam(groups, lr=lr, fused=True)
    if name == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=0.9, nesterov=True, fused=True)
    if name == "rmsprop":
        return torch.optim.RMSprop(groups, lr=lr)
    raise ConfigError(f"optimizer={name!r}: expected adam, adamw, rmsprop or sgd.")


class Classifier(LightningModule):
    """Cross-entropy of a net's logits against class shares.

    Args:
        net: inputs -> (n, C) logits.
        recipe: how to train it.
        still: modules kept in eval mode: BatchNorm keeps the statistics it has.
    """

    still: tuple[nn.Module, ...]

    def __init__(self, net: nn.Module, recipe: Recipe, *, still: Sequence[nn.Module] = ()) -> None:
        super().__init__()
        self.net, self.recipe = net, recipe
        # Not registered: they are parts of `net` already.
        self.__dict__["still"] = tuple(still)
        self.average = _average(net, recipe.ema) if recipe.ema > 0 else None

    @property
    def result(self) -> nn.Module:
        """The trained net: the moving average where there is one."""
        if self.average is None:
            return self.net
        averaged: nn.Module = self.average.module
        return averaged

    @property
    def trained(self) -> list[nn.Parameter]:
        """The parameters that the optimiser moves."""
        return list(self.net.parameters())

    def train(self, mode: bool = True) -> "Classifier":
        """Set the mode of all but the still parts."""
        super().train(mode)
        for part in self.still:
            part.eval()
        return self

    def on_train_start(self) -> None:
        """Enter train mode, whatever mode the net came in."""
        self.train()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the loss of inputs (n, ...) and targets (n, C) that sum to 1."""
        inputs, targets = batch
        return cross_entropy(self.net(inputs), targets, label_smoothing=self.recipe.label_smoothing)

    def configure_optimizers(self) -> Any:
        """Return the optimiser and its schedule by step."""
        recipe = self.recipe
        optimizer = make_optimizer(
            self.trained, recipe.optimizer, lr=recipe.lr, weight_decay=recipe.weight_decay
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, cosine(recipe.steps))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step, then move the average; here, so that a checkpoint of this step holds both."""
        super().optimizer_step(*args, **kwargs)
        if self.average is not None:
            self.average.update_parameters(self.net)


def _average(net: nn.Module, decay: float) -> AveragedModel:
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(decay))
    return average.requires_grad_(False)
