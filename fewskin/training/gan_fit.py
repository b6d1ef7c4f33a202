"""Train a GAN on the rows of a table, or adapt one to a few images."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from fewskin.errors import ConfigError
from fewskin.functional.augment import uniforms
from fewskin.protocols import ImageTable
from fewskin.training.batches import BalancedRows, class_positions
from fewskin.training.engine import run_steps
from fewskin.training.fitted import row_weights
from fewskin.training.gan import GanRecipe, GanTraining, Watch
from fewskin.training.gan_nets import GanNets
from fewskin.training.gan_watch import reference
from fewskin.training.inputs import by_id

__all__ = ["Moves", "Symmetry", "adapt_gan", "gan_batches", "train_gan"]

Symmetry = Literal["none", "mirror", "square"]
Moves = Literal["embedding", "modulation", "all"]


def gan_batches(
    table: ImageTable, nets: GanNets, *, batch_size: int, symmetry: Symmetry, seed: int
) -> Callable[[int], tuple[Tensor, Tensor]]:
    """Return step -> (images (n, 3, S, S) uint8, labels (n,)): class-balanced.

    Args:
        table: real images of the nets' classes.
        nets: their classes number the labels.
        batch_size: images a batch.
        symmetry: "mirror" shows half of the images mirrored; "square" also turns them by quarters,
            for pictures without an upright, as in dermoscopy.
        seed: of the rows and views.

    Raises:
        ConfigError: unknown symmetry.
    """
    if symmetry not in ("none", "mirror", "square"):
        raise ConfigError(f"symmetry={symmetry!r}: expected none, mirror or square.")
    table = by_id(table)
    targets = class_positions(table.labels, nets.classes)
    present, places = np.unique(targets, return_inverse=True)
    rows = BalancedRows(places, row_weights(table), len(present), batch_size, seed)

    def batch(step: int) -> tuple[Tensor, Tensor]:
        chosen = rows(step)
        images = table.images(chosen)
        if symmetry != "none":
            images = _turned(images, uniforms(rows.seeds(step), 2), quarters=symmetry == "square")
        return images, torch.from_numpy(targets[chosen])

    return batch


def _turned(images: Tensor, u: np.ndarray, *, quarters: bool) -> Tensor:
    for i in range(len(images)):
        one = images[i].flip(-1) if u[i, 0] < 0.5 else images[i]
        images[i] = torch.rot90(one, int(4 * u[i, 1]), (1, 2)) if quarters else one
    return images


def train_gan(
    nets: GanNets,
    table: ImageTable,
    recipe: GanRecipe,
    *,
    steps: int,
    symmetry: Symmetry = "mirror",
    trained: list[nn.Parameter] | None = None,
    watch_every: int = 500,
    precision: str = "32-true",
    label: str = "gan",
    seed: int,
    out: Path | None,
) -> GanTraining:
    """Train the nets in place; continues from a checkpoint under `out`.

    Args:
        nets: what is trained.
        table: real images of the nets' classes.
        recipe: how.
        steps: how many, a turn of each net each.
        symmetry: see `gan_batches`.
        trained: parameters of the generator that move; all by default.
        watch_every: steps between rows of the log, sample sheets and snapshots.
        precision: "32-true", or "bf16-mixed" on an accelerator.
        label: name of this run, where several share `out`.
        seed: of everything random.
        out: folder of the log, of samples and of the checkpoint, or None.

    Returns:
        what trained them, with its log.
    """
    batches = gan_batches(table, nets, batch_size=recipe.batch_size, symmetry=symmetry, seed=seed)
    scored = reference(table, nets.classes, seed=seed) if len(table) >= 16 else None
    watch = Watch(watch_every, None if out is None else out / label, scored, seed)
    module = GanTraining(nets, recipe, trained=trained, watch=watch)
    module.to(memory_format=torch.channels_last)
    run_steps(
        module,
        batches,
        steps=steps,
        out=out,
        label=label,
        seed=seed,
        checkpoint_every=watch_every,
        precision=precision,
    )
    module.to("cpu", memory_format=torch.contiguous_format)
    return module


def adapt_gan(
    fitted: GanNets,
    support: ImageTable,
    recipe: GanRecipe,
    *,
    steps: int,
    moves: Moves,
    rank: int,
    freeze_d: int,
    symmetry: Symmetry,
    watch_every: int = 500,
    precision: str = "32-true",
    seed: int,
    out: Path | None,
) -> GanNets:
    """Return nets for the labels of `support`, from nets that know others.

    Args:
        fitted: nets trained on plentiful classes; not changed.
        support: the few images.
        recipe: how.
        steps: how many.
        moves: "embedding" of the new labels only; "modulation", also a low-rank part of the styles;
            or "all" of the generator.
        rank: of that part.
        freeze_d: layers of the discriminator, from the image on, that stay.
        symmetry: see `gan_batches`.
        watch_every: steps between rows of the log.
        precision: see `train_gan`.
        seed: of everything random.
        out: folder of the log and the checkpoint.

    Raises:
        ConfigError: unknown `moves`, or more frozen layers than there are.
    """
    nets = fitted.with_classes(support.classes)
    trained = _moving(nets, moves, rank, seed)
    nets.discriminator.freeze(freeze_d)
    train_gan(
        nets,
        support,
        recipe,
        steps=steps,
        symmetry=symmetry,
        trained=trained,
        watch_every=watch_every,
        precision=precision,
        label="adapted",
        seed=seed,
        out=out,
    )
    for net in (nets.generator, nets.average):
        for style in net.styles():
            style.merge()
    nets.discriminator.requires_grad_(True)
    return nets


def _moving(nets: GanNets, moves: Moves, rank: int, seed: int) -> list[nn.Parameter] | None:
    if moves == "all":
        return None
    if moves not in ("embedding", "modulation"):
        raise ConfigError(f"moves={moves!r}: expected embedding, modulation or all.")
    trained = [nets.generator.mapping.embedding]
    if moves == "modulation":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for style in nets.generator.styles():
                trained += style.widen(rank)
        for style, average in zip(nets.generator.styles(), nets.average.styles(), strict=True):
            average.copy_low_rank(style)
    return trained
