"""The base fit: a classifier of the plentiful classes, whose backbone the rare ones then use."""

import copy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from fewskin.errors import DataError
from fewskin.functional.augment import Policy, augment
from fewskin.nets.backbones import Backbone, normalise
from fewskin.protocols import ImageTable
from fewskin.seeding import seed_for
from fewskin.training.batches import BalancedRows, class_positions
from fewskin.training.engine import run_steps
from fewskin.training.fitted import seen
from fewskin.training.modules import Classifier, OptimizerName, Recipe

__all__ = ["fit_classifier"]


def fit_classifier(
    backbone: Backbone,
    base: ImageTable,
    *,
    steps: int,
    batch_size: int = 64,
    lr: float = 1e-3,
    optimizer: OptimizerName = "adamw",
    weight_decay: float = 0.05,
    label_smoothing: float = 0.1,
    policy: Policy = Policy(),  # noqa: B008  # frozen
    seed: int,
    out: Path | None,
) -> Backbone:
    """Return a copy of the backbone trained to tell the base classes apart.

    Class-balanced batches, the disease-safe augmentation, a cosine schedule; continues from a
    checkpoint under `out`.

    Args:
        backbone: not changed.
        base: rows of two or more classes.
        steps: number of batches.
        batch_size: images a batch.
        lr: highest learning rate.
        optimizer: "adam", "adamw", "rmsprop" or "sgd".
        weight_decay: of matrices and filters.
        label_smoothing: share of each label spread over the classes.
        policy: of the augmentation.
        seed: of the head, the batches and the augmentation.
        out: folder of the checkpoint, or None.

    Raises:
        DataError: fewer than two base classes.
    """
    classes = base.classes
    if len(classes) < 2:
        found = ", ".join(classes) or "none"
        raise DataError(f"a base fit tells classes apart: it needs two or more, got {found}.")
    fitted = copy.deepcopy(backbone)
    # Filters laid out by pixel train about a fifth faster on CPUs.
    net = nn.Sequential(fitted, _head(fitted.feature_dim, len(classes), seed))
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in the stubs
    recipe = Recipe(steps, lr, optimizer, weight_decay, label_smoothing)
    targets = class_positions(base.labels, classes)
    weights = np.ones(len(base)) if base.weights is None else base.weights
    rows = BalancedRows(targets, weights, len(classes), batch_size, seed)

    def batch(step: int) -> tuple[Tensor, Tensor]:
        chosen = rows(step)
        images = augment(base.images(chosen).float() / 255.0, rows.seeds(step), policy)
        wanted = one_hot(torch.from_numpy(targets[chosen]), len(classes)).float()
        return normalise(images).contiguous(memory_format=torch.channels_last), wanted

    run_steps(Classifier(net, recipe), batch, steps=steps, out=out, label="base", seed=seed)
    fitted.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # as above
    fitted.pretrained_on = seen(fitted.pretrained_on, base)
    return fitted.eval()


def _head(n_features: int, n_classes: int, seed: int) -> nn.Linear:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, "head"))
        return nn.Linear(n_features, n_classes)
