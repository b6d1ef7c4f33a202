"""Train a diffusion net on the rows of a table, or adapt one to a few images."""

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from fewskin.errors import ConfigError
from fewskin.functional.diffusion import N_MOVED
from fewskin.nets.diffusion_unet import DiffusionNet
from fewskin.nets.lora import add_low_rank, merge_low_rank
from fewskin.paths import atomic_write
from fewskin.protocols import ImageTable
from fewskin.seeding import seed_for
from fewskin.training.diffusion import DiffusionRecipe, DiffusionTraining
from fewskin.training.diffusion_nets import DiffusionNets, still
from fewskin.training.diffusion_watch import DiffusionWatch
from fewskin.training.engine import run_steps
from fewskin.training.gan_fit import Symmetry, gan_batches
from fewskin.training.gan_watch import reference

__all__ = [
    "DiffusionMoves",
    "adapt_diffusion",
    "batch_size_for",
    "largest_batch",
    "train_diffusion",
]

DiffusionMoves = Literal["embedding", "lora", "all"]
_ON_CPU, _MOST, _LEAST = 16, 256, 4
_MEMORY = 0.8  # of the accelerator's: the moving average and Adam come on top


def largest_batch(fits: Callable[[int], bool], most: int = _MOST, least: int = _LEAST) -> int:
    """Return the largest of most, most / 2, most / 4, ... that fits, or `least`.

    Example:
        >>> largest_batch(lambda n: n <= 100)
        64
    """
    n = most
    while n > least and not fits(n):
        n //= 2
    return n


def batch_size_for(net: DiffusionNet, given: int, folder: Path | None) -> int:
    """Return the batch size: as given, or for 0 what the machine has room for.

    A choice is written to `folder`, so that a run that goes on elsewhere keeps it.

    Args:
        net: what is trained.
        given: images a step, or 0: 16 on a CPU, and on an accelerator the largest power of two up
            to 256 whose gradients fit into its memory.
        folder: of `batch.json`; None writes nothing.

    Raises:
        ConfigError: a negative number.
    """
    if given < 0:
        raise ConfigError(f"batch_size={given}: expected 1 or more, or 0 to choose by memory.")
    if given:
        return given
    file = None if folder is None else folder / "batch.json"
    if file is not None and file.is_file():
        return int(json.loads(file.read_text())["batch_size"])
    chosen = largest_batch(lambda n: _fits(net, n)) if torch.cuda.is_available() else _ON_CPU
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(file, json.dumps({"batch_size": chosen}) + "\n")
    return chosen


def _fits(net: DiffusionNet, n: int) -> bool:
    tried, side = copy.deepcopy(net).cuda(), net.shape.image_size
    torch.cuda.reset_peak_memory_stats()
    try:
        x = torch.zeros(n, 3, side, side, device="cuda")
        labels = torch.zeros(n, dtype=torch.int64, device="cuda")
        moved = torch.zeros(n, N_MOVED, device="cuda")
        tried.predict(x, torch.zeros(n, device="cuda"), labels, moved).sum().backward()
    except torch.cuda.OutOfMemoryError:
        return False
    finally:
        del tried
        torch.cuda.empty_cache()
    whole = torch.cuda.get_device_properties(0).total_memory
    return torch.cuda.max_memory_allocated() < _MEMORY * whole


def train_diffusion(
    nets: DiffusionNets,
    table: ImageTable,
    recipe: DiffusionRecipe,
    *,
    symmetry: Symmetry = "mirror",
    trained: Sequence[nn.Parameter] | None = None,
    watch_every: int = 1000,
    precision: str = "32-true",
    label: str = "diffusion",
    seed: int,
    out: Path | None,
) -> DiffusionTraining:
    """Train the nets in place; continues from a checkpoint under `out`.

    Args:
        nets: what is trained.
        table: real images of the nets' classes.
        recipe: how, and for how long.
        symmetry: see `gan_fit.gan_batches`.
        trained: parameters that move; all by default.
        watch_every: steps between rows of the log, sample sheets and snapshots.
        precision: "32-true", or "bf16-mixed" on an accelerator.
        label: name of this run, where several share `out`.
        seed: of everything random.
        out: folder of the log, of samples and of the checkpoint, or None.

    Returns:
        what trained them, with its log.
    """
    batches = gan_batches(
        table,
        nets,  # type: ignore[arg-type]  # its classes are all that is used
        batch_size=recipe.batch_size,
        symmetry=symmetry,
        seed=seed,
    )
    scored = reference(table, nets.classes, seed=seed) if len(table) >= 16 else None
    watch = DiffusionWatch(watch_every, None if out is None else out / label, scored, seed)
    module = DiffusionTraining(nets, recipe, trained=trained, watch=watch)
    if torch.cuda.is_available():
        # On CPUs it makes no difference that can be measured.
        module.to(memory_format=torch.channels_last)
    run_steps(
        module,
        batches,
        steps=recipe.steps,
        out=out,
        label=label,
        seed=seed,
        checkpoint_every=watch_every,
        precision=precision,
    )
    module.to("cpu", memory_format=torch.contiguous_format)
    return module


def adapt_diffusion(
    fitted: DiffusionNets,
    support: ImageTable,
    recipe: DiffusionRecipe,
    *,
    moves: DiffusionMoves,
    rank: int,
    symmetry: Symmetry,
    watch_every: int = 1000,
    precision: str = "32-true",
    seed: int,
    out: Path | None,
) -> DiffusionNets:
    """Return nets for the labels of `support`, from nets that know others.

    Args:
        fitted: nets trained on plentiful classes; not changed.
        support: the few images.
        recipe: how, and for how long.
        moves: "embedding" of the labels only (what the net makes without a label then stays);
            "lora", also low-rank changes of all filters and matrices; or "all".
        rank: of those changes.
        symmetry: see `gan_fit.gan_batches`.
        watch_every: steps between rows of the log.
        precision: see `train_diffusion`.
        seed: of everything random.
        out: folder of the log and the checkpoint.

    Raises:
        ConfigError: unknown `moves`, or a rank below 1.
    """
    if moves not in ("embedding", "lora", "all"):
        raise ConfigError(f"moves={moves!r}: expected embedding, lora or all.")
    nets = fitted.with_classes(support.classes)
    trained: list[nn.Parameter] | None = None
    if moves == "embedding":
        nets.net.requires_grad_(False)
        trained, recipe = [nets.net.labels], replace(recipe, label_dropout=0.0)
    elif moves == "lora":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_for(seed, "lora"))
            changes = add_low_rank(nets.net, rank)
        trained = [nets.net.labels, *changes]
        nets = DiffusionNets(nets.classes, nets.net, still(nets.net))
    for one in trained or ():
        one.requires_grad_(True)
    train_diffusion(
        nets,
        support,
        recipe,
        symmetry=symmetry,
        trained=trained,
        watch_every=watch_every,
        precision=precision,
        label="adapted",
        seed=seed,
        out=out,
    )
    for net in (nets.net, nets.average):
        merge_low_rank(net)
        net.requires_grad_(net is nets.net)
    return nets
