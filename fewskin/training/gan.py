"""Adversarial training of two nets by turns, with adaptive augmentation and a way back.

Karras et al., Training generative adversarial networks with limited data, 2020, arXiv:2006.06676.
Differs from the paper: the generator's images serve both turns of a step, R1 is taken at the
augmented image, and a run that diverges goes back to its last good state at half the rate.
"""

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from fewskin import compat
from fewskin.errors import ConfigError
from fewskin.functional import gan_loss
from fewskin.functional.augment import Policy
from fewskin.functional.gan_augment import ada_augment, diff_augment, next_p
from fewskin.paths import atomic_write
from fewskin.training.gan_nets import GanNets
from fewskin.training.gan_watch import (
    MAX_ROLLBACKS,
    Progress,
    Reference,
    made_images,
    sheet,
    write_history,
)

compat.import_lightning()
from pytorch_lightning import LightningModule  # noqa: E402

__all__ = ["AugmentName", "GanRecipe", "GanTraining", "Watch"]

AugmentName = Literal["ada", "diff", "none"]
_ADA_EVERY = 4  # steps between moves of p
_SHEET_COLUMNS = 8
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GanRecipe:
    """How a GAN is trained.

    Attributes:
        batch_size: images a step.
        lr: learning rate of both nets (equalised, so alike for all layers).
        gamma: weight of R1; 0 is none.
        r1_every: steps between R1, whose weight is multiplied by it.
        path_every: steps between path length regularisation; 0 is none.
        path_weight: its weight.
        augment: "ada", "diff" or "none".
        policy: ranges of the augmentation.
        ada_p: p at the start.
        ada_target: sign of the discriminator's logits of real images to keep to.
        ada_kimg: thousands of images that p takes from 0 to 1.
        ema_kimg: half-life of the generator's moving average, thousands of images.
        redraw: weight of the light discriminator's decoders.
    """

    batch_size: int
    lr: float = 0.002
    gamma: float = 0.1
    r1_every: int = 16
    path_every: int = 0
    path_weight: float = 2.0
    augment: AugmentName = "ada"
    policy: Policy = Policy()  # noqa: RUF009  # frozen
    ada_p: float = 0.0
    ada_target: float = 0.6
    ada_kimg: float = 100.0
    ema_kimg: float = 10.0
    redraw: float = 1.0

    def __post_init__(self) -> None:
        if self.augment not in ("ada", "diff", "none"):
            raise ConfigError(f"augment={self.augment!r}: expected ada, diff or none.")
        for name in ("batch_size", "r1_every", "lr", "ada_kimg"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name}={getattr(self, name)}: expected more than 0.")


@dataclass(frozen=True, eq=False)
class Watch:
    """What is written while training.

    Attributes:
        every: steps between rows of the log, samples, and snapshots to go back to.
        out: folder of `gan.csv` and `samples/`; None writes nothing.
        reference: of the quality figures; None leaves them out.
        seed: of the samples.
    """

    every: int = 500
    out: Path | None = None
    reference: Reference | None = None
    seed: int = 0


class GanTraining(LightningModule):
    """Trains the nets in place; a batch is (images (n, 3, S, S) uint8, labels (n,) int64).

    Args:
        nets: what is trained.
        recipe: how.
        trained: parameters of the generator that move; all by default.
        watch: what is written meanwhile.
    """

    trained: tuple[list[nn.Parameter], list[nn.Parameter]]

    def __init__(
        self,
        nets: GanNets,
        recipe: GanRecipe,
        *,
        trained: Sequence[nn.Parameter] | None = None,
        watch: Watch = Watch(),  # frozen
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator, self.discriminator = nets.generator, nets.discriminator
        self.average, self.classes = nets.average, nets.classes
        self.recipe, self.watch = recipe, watch
        mine = list(nets.generator.parameters()) if trained is None else list(trained)
        judged = [one for one in nets.discriminator.parameters() if one.requires_grad]
        self.__dict__["trained"] = (mine, judged)
        self.progress = Progress(p=recipe.ada_p)
        self.good: dict[str, Any] | None = None

    def get_extra_state(self) -> dict[str, Any]:
        """Return the numbers of training and the last good state, for a checkpoint."""
        return {"progress": self.progress.state(), "good": self.good}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Put back what `get_extra_state` returned."""
        self.progress, self.good = Progress(**state["progress"]), state["good"]

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return Adam for the generator and for the discriminator."""
        return [
            torch.optim.Adam(ours, lr=self.recipe.lr, betas=(0.0, 0.99), fused=True)
            for ours in self.trained
        ]

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Take a turn of each net; return the generator's loss."""
        if self.progress.stopped:
            return {}
        images, labels = batch
        real = images.float() / 127.5 - 1.0
        z = torch.randn(len(labels), self.generator.shape.latent, device=self.device)
        latents = self.generator.mapping(z, labels)
        fake = self.generator.synthesis(latents, self.generator.noise(len(labels)))
        loss_d, on_real, on_fake = self._judge(real, fake.detach(), labels)
        loss_g = gan_loss.generator_loss(self.discriminator(self._augmented(fake), labels))
        self._descend(0, loss_g + self._path_loss(fake, latents))
        self._after(float(loss_g.detach()), loss_d, on_real, on_fake, len(labels))
        return {"loss": loss_g.detach()} if loss_g.isfinite() else {}

    def _judge(self, real: Tensor, fake: Tensor, labels: Tensor) -> tuple[float, Tensor, Tensor]:
        recipe = self.recipe
        lazy = recipe.gamma > 0 and self.progress.step % recipe.r1_every == 0
        seen = self._augmented(real).detach().requires_grad_(lazy)
        judged = self.discriminator.judge(seen, labels)
        on_fake = self.discriminator(self._augmented(fake), labels)
        plain = loss = gan_loss.discriminator_loss(judged.logits, on_fake)
        if lazy:
            penalty = gan_loss.r1(judged.logits, seen).mean()
            self.progress.r1 = float(penalty.detach())
            loss = loss + penalty * (recipe.gamma / 2 * recipe.r1_every)
        if self.discriminator.light and recipe.redraw > 0:
            corner = int(torch.randint(4, ()))
            loss = loss + recipe.redraw * self.discriminator.redrawn(seen.detach(), judged, corner)
        self._descend(1, loss)
        return float(plain.detach()), judged.logits.detach(), on_fake.detach()

    def _augmented(self, images: Tensor) -> Tensor:
        recipe = self.recipe
        if recipe.augment == "none":
            return images
        seeds = torch.randint(2**62, (len(images),)).numpy()
        if recipe.augment == "diff":
            return diff_augment(images, seeds, recipe.policy)
        return ada_augment(images, seeds, recipe.policy, self.progress.p)

    def _path_loss(self, fake: Tensor, latents: Tensor) -> Tensor | float:
        every = self.recipe.path_every
        if not every or self.progress.step % every:
            return 0.0
        lengths = gan_loss.path_lengths(fake, latents, torch.randn_like(fake))
        progress = self.progress
        progress.path_mean += 0.01 * (float(lengths.detach().mean()) - progress.path_mean)
        return (lengths - progress.path_mean).square().mean() * (self.recipe.path_weight * every)

    def _descend(self, which: int, loss: Tensor) -> None:
        # Gradients of the one net only: the other's are never computed.
        parameters = self.trained[which]
        optimizer = self._optimizers()[which]
        slopes = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=which == 1)
        for parameter, slope in zip(parameters, slopes, strict=True):
            parameter.grad = slope
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def _after(self, loss_g: float, loss_d: float, real: Tensor, fake: Tensor, n: int) -> None:
        progress, recipe = self.progress, self.recipe
        seen = progress.step * recipe.batch_size
        decay = gan_loss.ema_decay(seen, recipe.batch_size, recipe.ema_kimg * 1000.0)
        ours = [one.data for one in self.generator.parameters()]
        averaged = [one.data for one in self.average.parameters()]
        torch._foreach_lerp_(averaged, ours, 1.0 - decay)
        progress.note(loss_g, loss_d, real, fake)
        progress.step += 1
        if recipe.augment == "ada" and progress.step % _ADA_EVERY == 0:
            total, count = progress.signs
            progress.p = next_p(
                progress.p, total / count, recipe.ada_target, count, recipe.ada_kimg
            )
            progress.signs = (0.0, 0)
        trouble = progress.trouble()
        if trouble:
            self._go_back(trouble)
        elif progress.step % self.watch.every == 0:
            self._look()
            if progress.bad == 0:
                self.good = self._snapshot()

    def on_train_start(self) -> None:
        """Keep the first state, to go back to."""
        self.train()
        self.average.eval()
        if self.good is None:
            self.good = self._snapshot()

    def _snapshot(self) -> dict[str, Any]:
        nets = {name: net.state_dict() for name, net in self._nets().items()}
        optimizers = [one.state_dict() for one in self._optimizers()]
        progress = self.progress.state()
        return copy.deepcopy({"nets": nets, "optimizers": optimizers, "progress": progress})

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        # Lightning's wrappers would load a state into themselves, not into what they wrap.
        found = self.optimizers(use_pl_optimizer=False)
        assert isinstance(found, list)
        return found

    def _nets(self) -> dict[str, nn.Module]:
        return {"g": self.generator, "d": self.discriminator, "average": self.average}

    def _go_back(self, trouble: str) -> None:
        progress, good = self.progress, copy.deepcopy(self.good)
        assert good is not None
        back = int(good["progress"]["step"])
        for name, net in self._nets().items():
            net.load_state_dict(good["nets"][name])
        step, events = progress.step, progress.events
        self.progress = Progress(**{**good["progress"], "step": step, "events": events})
        self.progress.rate = progress.rate / 2
        for optimizer, state in zip(self._optimizers(), good["optimizers"], strict=True):
            optimizer.load_state_dict(state)
            for group in optimizer.param_groups:
                group["lr"] = self.recipe.lr * self.progress.rate
        self.progress.stopped = len(events) + 1 >= MAX_ROLLBACKS
        done = "stopped there" if self.progress.stopped else "went on at half the rate"
        events.append(f"step {step}: {trouble}; back to the state of step {back}, {done}")
        _log.warning("%s", events[-1])
        self._write()

    def _look(self) -> None:
        progress, watch = self.progress, self.watch
        names = ("loss_g", "loss_d", "real_sign", "fake_sign", "p", "r1", "rate")
        row = {"step": float(progress.step)} | {name: getattr(progress, name) for name in names}
        if watch.reference is not None:
            n = min(128, len(watch.reference.features))
            counts = (watch.reference.shares * n).round().astype(int)
            labels = [i for i, count in enumerate(counts) for _ in range(max(1, count))]
            made = made_images(self.average, labels, watch.seed)
            row["kid"], row["diversity"] = watch.reference.score(made)
        progress.history.append({name: round(value, 5) for name, value in row.items()})
        if watch.out is not None:
            labels = [i for i in range(len(self.classes)) for _ in range(_SHEET_COLUMNS)]
            file = watch.out / "samples" / f"step-{progress.step:06d}.png"
            sheet(made_images(self.average, labels, watch.seed + 1), _SHEET_COLUMNS, file)
        self._write()

    def _write(self) -> None:
        if self.watch.out is None:
            return
        write_history(self.progress.history, self.watch.out / "gan.csv")
        if self.progress.events:
            atomic_write(self.watch.out / "gan.log", "\n".join(self.progress.events) + "\n")
