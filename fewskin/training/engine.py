"""The one place that builds a Lightning Trainer: counted steps, resumable to the bit."""

import json
import logging
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fewskin import compat
from fewskin.errors import StageError
from fewskin.paths import atomic_write
from fewskin.seeding import seed_for

compat.import_lightning()
from pytorch_lightning import Callback, LightningModule, Trainer  # noqa: E402

__all__ = ["run_steps"]

_SECONDS_BETWEEN_PROGRESS = 1.0
_LOGGERS = ("pytorch_lightning", "lightning.pytorch", "lightning.fabric", "lightning_fabric")


def run_steps(
    module: LightningModule,
    batches: Callable[[int], Any],  # Any: whatever the module's training_step takes
    *,
    steps: int,
    out: Path | None,
    checkpoint_every: int = 50,
    label: str = "fit",
    seed: int = 0,
    precision: str = "32-true",
) -> None:
    """Train `module` in place for a fixed number of steps.

    Step t sees `batches(t)` and a random state that depends on `seed` and t alone, so a run that
    was killed and started again ends with the same bits as one that was not (on CPU, at the same
    number of threads).

    Args:
        module: its `training_step` returns the loss; all state it needs is in its `state_dict`.
        batches: step -> batch; a pure function.
        steps: how many.
        out: folder for `checkpoint/<label>.pt`, removed at the end, and `progress.json`; None
            keeps neither.
        checkpoint_every: steps between checkpoints.
        label: name of this run, where several share `out`.
        seed: of dropout and whatever else the module draws.
        precision: "32-true", or "bf16-mixed" for sixteen bits where an accelerator has them.

    Raises:
        StageError: the loss is no longer a number, or a checkpoint cannot be written or read.
    """
    file = None if out is None else out / "checkpoint" / f"{label}.pt"
    saved = _read(file)
    start = 0
    if saved is not None:
        module.load_state_dict(saved["module"])
        start = int(saved["step"])
    if start < steps:
        callback = _Steps(start, steps, file, out, checkpoint_every, seed, saved)
        with _quiet(), torch.random.fork_rng():
            trainer = Trainer(
                accelerator="auto",
                devices=1,
                precision=precision,  # type: ignore[arg-type]  # Lightning says what it knows
                max_epochs=1,
                logger=False,
                callbacks=[callback],
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
            trainer.fit(module, train_dataloaders=_Batches(batches, start, steps))
    _remove(file)


class _Batches:
    """The batches from `start` on, as something Lightning iterates over."""

    def __init__(self, batches: Callable[[int], Any], start: int, stop: int) -> None:
        self.batches, self.start, self.stop = batches, start, stop

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[Any]:
        return map(self.batches, range(self.start, self.stop))


class _Steps(Callback):
    """Seeds each step, restores optimisers, writes checkpoints and progress."""

    def __init__(
        self,
        start: int,
        steps: int,
        file: Path | None,
        out: Path | None,
        every: int,
        seed: int,
        saved: dict[str, Any] | None,
    ) -> None:
        self.step, self.steps, self.every, self.seed = start, steps, every, seed
        self.file, self.out, self.saved = file, out, saved
        self.told = time.monotonic()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put optimisers and schedules where the checkpoint left them."""
        if self.saved is not None:
            for optimizer, state in zip(trainer.optimizers, self.saved["optimizers"], strict=True):
                optimizer.load_state_dict(state)
            for made, state in zip(
                trainer.lr_scheduler_configs, self.saved["schedules"], strict=True
            ):
                made.scheduler.load_state_dict(state)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed this step."""
        torch.manual_seed(seed_for(self.seed, "step", self.step))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the step; now and then check the loss, tell it, and save."""
        self.step += 1
        saving = self.file is not None and self.step % self.every == 0 and self.step < self.steps
        telling = time.monotonic() - self.told >= _SECONDS_BETWEEN_PROGRESS
        if saving or telling or self.step == self.steps:
            loss = _loss(outputs, self.step)
            if telling and self.out is not None:
                self._tell(loss)
            if saving and self.file is not None:
                _write(self.file, self.step, trainer, pl_module)

    def _tell(self, loss: float | None) -> None:
        self.told = time.monotonic()
        said = {"step": self.step, "steps": self.steps, "loss": loss}
        atomic_write(self.out / "progress.json", json.dumps(said) + "\n")  # type: ignore[operator]  # checked


def _loss(outputs: Any, step: int) -> float | None:  # Any: what Lightning passes on
    loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
    if not isinstance(loss, Tensor):
        return None
    value = float(loss.detach())
    if not math.isfinite(value):
        raise StageError(f"the loss is {value} at step {step}; lower the learning rate (lr=).")
    return value


def _write(file: Path, step: int, trainer: Trainer, module: LightningModule) -> None:
    state = {
        "step": step,
        "module": module.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in trainer.optimizers],
        "schedules": [made.scheduler.state_dict() for made in trainer.lr_scheduler_configs],
    }
    part = file.with_suffix(".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, part)
        os.replace(part, file)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        raise StageError(f"cannot write checkpoint {file}: {error}. Free some space.") from error


def _read(file: Path | None) -> dict[str, Any] | None:
    if file is None or not file.is_file():
        return None
    try:
        saved: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises many kinds
        raise StageError(
            f"cannot read checkpoint {file}: {error}. Delete it and run again."
        ) from error
    return saved


def _remove(file: Path | None) -> None:
    if file is not None and file.parent.is_dir():
        file.unlink(missing_ok=True)
        file.with_suffix(".part").unlink(missing_ok=True)
        if not any(file.parent.iterdir()):
            file.parent.rmdir()
        (file.parent.parent / "progress.json").unlink(missing_ok=True)


@contextmanager
def _quiet(names: Sequence[str] = _LOGGERS) -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
