"""The base fit: a classifier of the plentiful classes, whose backbone the rare ones then use."""

import copy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from fewskin.errors import DataError
from fewskin.functional.augment import Policy, augment, fork_seeds
from fewskin.nets.backbones import Backbone, normalise
from fewskin.protocols import ImageTable
from fewskin.seeding import seed_for
from fewskin.training.batches import BalancedRows, class_positions
from fewskin.training.contrast import TwoViews
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
    contrast: float = 0.0,
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
        batch_size: images a batch, views counted.
        lr: highest learning rate.
        optimizer: "adam", "adamw", "rmsprop" or "sgd".
        weight_decay: of matrices and filters.
        label_smoothing: share of each label spread over the classes.
        contrast: weight of a second aim, that two views of an image are near each other and far
            from the other images of the batch (`nt_xent`); 0 is none.
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
    recipe = Recipe(steps, lr, optimizer, weight_decay, label_smoothing)
    module = _module(fitted, len(classes), recipe, contrast, seed)
    # Filters laid out by pixel train about a fifth faster on CPUs.
    module.to(memory_format=torch.channels_last)
    targets = class_positions(base.labels, classes)
    weights = np.ones(len(base)) if base.weights is None else base.weights
    views = 2 if contrast else 1
    rows = BalancedRows(targets, weights, len(classes), max(2, batch_size // views), seed)

    def batch(step: int) -> tuple[Tensor, Tensor]:
        chosen = np.tile(rows(step), views)
        seeds = np.concatenate([fork_seeds(rows.seeds(step), 1 + i) for i in range(views)])
        images = augment(base.images(chosen).float() / 255.0, seeds, policy)
        wanted = one_hot(torch.from_numpy(targets[chosen]), len(classes)).float()
        return normalise(images).contiguous(memory_format=torch.channels_last), wanted

    run_steps(module, batch, steps=steps, out=out, label="base", seed=seed)
    fitted.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # as above
    fitted.pretrained_on = seen(fitted.pretrained_on, base)
    return fitted.eval()


def _module(
    backbone: Backbone, n_classes: int, recipe: Recipe, contrast: float, seed: int
) -> Classifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, "head"))
        net = nn.Sequential(backbone, nn.Linear(backbone.feature_dim, n_classes))
        return TwoViews(net, recipe, contrast) if contrast else Classifier(net, recipe)
