"""Training of a diffusion net, with a moving average and a way back.

Karras et al., Elucidating the design space of diffusion-based generative models, 2022,
arXiv:2206.00364 (loss, augmentation that the net is told of, moving average); Ho and Salimans,
Classifier-free diffusion guidance, 2022, arXiv:2207.12598 (labels left out).
Differs from the papers: augmentation keeps to the disease-safe policy, the learning rate falls
along a cosine, and a run that diverges goes back to its last good state at half the rate.
"""

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fewskin import compat
from fewskin.errors import ConfigError
from fewskin.functional.augment import Policy
from fewskin.functional.diffusion import drawn_sigmas, moved_vector, noised, scaling, target
from fewskin.functional.diffusion import stratified as stratified_uniforms
from fewskin.functional.gan_augment import ada_augment, gated_parameters
from fewskin.functional.gan_loss import ema_decay
from fewskin.paths import atomic_write
from fewskin.training.diffusion_nets import DiffusionNets
from fewskin.training.diffusion_watch import (
    DiffusionProgress,
    DiffusionWatch,
    scores,
    write_sheet,
)
from fewskin.training.gan_watch import MAX_ROLLBACKS, write_history
from fewskin.training.modules import cosine

compat.import_lightning()
from pytorch_lightning import LightningModule  # noqa: E402

__all__ = ["DiffusionRecipe", "DiffusionTraining"]

_CLIP = 1.0  # longest gradient
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DiffusionRecipe:
    """How a diffusion net is trained.

    Attributes:
        steps: number of optimiser steps; the learning rate falls to 0 over them along a cosine.
        batch_size: images a step.
        lr: highest learning rate.
        label_dropout: share of images whose label is not told.
        augment_p: probability of each transform; the net is told which.
        policy: ranges of the transforms.
        ema_kimg: half-life of the moving average, thousands of images.
        ema_ramp: until then, this share of the images seen.
    """

    steps: int
    batch_size: int
    lr: float = 0.001
    label_dropout: float = 0.1
    augment_p: float = 0.15
    policy: Policy = Policy()  # noqa: RUF009  # frozen
    ema_kimg: float = 10.0
    ema_ramp: float = 0.1

    def __post_init__(self) -> None:
        for name in ("batch_size", "lr", "ema_kimg"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name}={getattr(self, name)}: expected more than 0.")
        for name in ("label_dropout", "augment_p"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"{name}={getattr(self, name)}: expected 0 to 1.")


class DiffusionTraining(LightningModule):
    """Trains the net in place; a batch is (images (n, 3, S, S) uint8, labels (n,) int64).

    On several devices each takes its share of the batch, and of the noise drawn for all of it.

    Args:
        nets: what is trained.
        recipe: how.
        trained: parameters that move; all by default.
        watch: what is written meanwhile.
    """

    trained: list[nn.Parameter]

    def __init__(
        self,
        nets: DiffusionNets,
        recipe: DiffusionRecipe,
        *,
        trained: Sequence[nn.Parameter] | None = None,
        watch: DiffusionWatch = DiffusionWatch(),  # noqa: B008  # frozen
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.net, self.average, self.classes = nets.net, nets.average, nets.classes
        self.recipe, self.watch = recipe, watch
        self.__dict__["trained"] = list(nets.net.parameters() if trained is None else trained)
        self.progress = DiffusionProgress()
        self.good: dict[str, Any] | None = None
        self.factor = cosine(recipe.steps)

    def get_extra_state(self) -> dict[str, Any]:
        """Return the numbers of training and the last good state, for a checkpoint."""
        return {"progress": self.progress.state(), "good": self.good}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Put back what `get_extra_state` returned."""
        self.progress, self.good = DiffusionProgress(**state["progress"]), state["good"]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam of the parameters that move."""
        return torch.optim.Adam(self.trained, lr=self.recipe.lr, betas=(0.9, 0.99), fused=True)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Take a step; return the loss."""
        if self.progress.stopped:
            return {}
        losses, sigma = self.losses(*batch)
        loss = losses.mean()
        optimizer = self._optimizer()
        for group in optimizer.param_groups:
            group["lr"] = self.recipe.lr * self.progress.rate * self.factor(self.progress.step)
        self.manual_backward(loss)
        torch.nn.utils.clip_grad_norm_(self.trained, _CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if self._world > 1:  # every device must see the same loss, to go back together
            losses, sigma = self._gathered(losses), self._gathered(sigma)
        self._after(losses.detach(), sigma)
        return {"loss": loss.detach()} if loss.isfinite() else {}

    def losses(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss (n,) of each image, and the noise level (n,) it was drawn at.

        Args:
            images: (n, 3, S, S) uint8.
            labels: (n,) int64.
        """
        net, recipe = self.net, self.recipe
        seeds = torch.randint(2**62, (len(images),)).numpy()
        drawn, _ = gated_parameters(seeds, recipe.policy, recipe.augment_p)
        plain = ada_augment(images.float() / 127.5 - 1.0, seeds, recipe.policy, recipe.augment_p)
        moved = moved_vector(drawn).to(plain)
        u = stratified_uniforms(len(images), images.device)
        sigma = drawn_sigmas(u, net.shape.prediction, net.shape.image_size)
        untold = torch.rand(len(labels), device=labels.device) < recipe.label_dropout
        told = torch.where(untold, net.no_label, labels)
        clean, noise = net.scaled(plain), torch.randn_like(plain)
        mine = self._share(len(images))
        clean, noise, sigma, told, moved = (one[mine] for one in (clean, noise, sigma, told, moved))
        factors = scaling(sigma, net.shape.prediction)
        into = noised(clean, noise, sigma) * factors.into[:, None, None, None]
        made = net.predict(into, factors.noise, told, moved).float()
        error = made - target(clean, noise, sigma, net.shape.prediction)
        return error.square().mean((1, 2, 3)), sigma

    @property
    def _world(self) -> int:
        return self._trainer.world_size if self._trainer is not None else 1

    def _gathered(self, values: Tensor) -> Tensor:
        found = self.all_gather(values)
        assert isinstance(found, Tensor)
        return found.flatten()

    def _share(self, n: int) -> slice:
        return slice(self.global_rank if self._world > 1 else 0, n, self._world)

    def _after(self, losses: Tensor, sigma: Tensor) -> None:
        progress, recipe = self.progress, self.recipe
        seen = progress.step * recipe.batch_size
        decay = ema_decay(seen, recipe.batch_size, recipe.ema_kimg * 1000.0, recipe.ema_ramp)
        ours = [one.data for one in self.net.parameters()]
        averaged = [one.data for one in self.average.parameters()]
        torch._foreach_lerp_(averaged, ours, 1.0 - decay)
        progress.note(losses, sigma)
        progress.step += 1
        trouble = progress.trouble()
        if trouble:
            self._go_back(trouble)
        elif progress.step % self.watch.every == 0:
            self._look()
            self.good = self._snapshot()

    def on_train_start(self) -> None:
        """Keep the first state, to go back to."""
        self.train()
        self.average.eval()
        if self.good is None:
            self.good = self._snapshot()

    def _snapshot(self) -> dict[str, Any]:
        nets = {name: net.state_dict() for name, net in self._nets().items()}
        made = {"nets": nets, "optimizer": self._optimizer().state_dict()}
        return copy.deepcopy({**made, "progress": self.progress.state()})

    def _optimizer(self) -> torch.optim.Optimizer:
        # Lightning's wrapper would load a state into itself, not into what it wraps.
        found = self.optimizers(use_pl_optimizer=False)
        assert isinstance(found, torch.optim.Optimizer)
        return found

    def _nets(self) -> dict[str, nn.Module]:
        return {"net": self.net, "average": self.average}

    def _go_back(self, trouble: str) -> None:
        progress, good = self.progress, copy.deepcopy(self.good)
        assert good is not None
        for name, net in self._nets().items():
            net.load_state_dict(good["nets"][name])
        self._optimizer().load_state_dict(good["optimizer"])
        back, events, step = good["progress"]["step"], progress.events, progress.step
        self.progress = DiffusionProgress(**{**good["progress"], "step": step, "events": events})
        self.progress.rate = progress.rate / 2
        self.progress.stopped = len(events) + 1 >= MAX_ROLLBACKS
        done = "stopped there" if self.progress.stopped else "went on at half the rate"
        events.append(f"step {step}: {trouble}; back to the state of step {back}, {done}")
        _log.warning("%s", events[-1])
        self._write()

    def _look(self) -> None:
        progress, watch = self.progress, self.watch
        row = progress.row()
        if watch.reference is not None:
            row |= scores(self.average, watch.reference, watch.seed)
        progress.history.append({name: round(value, 5) for name, value in row.items()})
        if watch.out is not None and self.global_rank == 0:
            file = watch.out / "samples" / f"step-{progress.step:06d}.png"
            write_sheet(self.average, file, watch.seed + 1)
        self._write()

    def _write(self) -> None:
        if self.watch.out is None or self.global_rank > 0:
            return
        write_history(self.progress.history, self.watch.out / "diffusion.csv")
        if self.progress.events:
            lines = "\n".join(self.progress.events) + "\n"
            atomic_write(self.watch.out / "diffusion.log", lines)
