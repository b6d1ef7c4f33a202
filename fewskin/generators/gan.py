"""A conditional GAN that is fitted to common classes and adapted to the few images of rare ones.

Karras et al., Training generative adversarial networks with limited data, 2020, arXiv:2006.06676
(variant "style"); Liu et al., Towards faster and stabilized GAN training for high-fidelity few-shot
image synthesis, 2021, arXiv:2101.04775 (variant "light"); Mo et al., Freeze the discriminator,
2020, arXiv:2002.10964. Written from the papers; what differs is said in `nets/gan_*` and
`training/gan`.
"""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from fewskin.data.support_images import knob_values
from fewskin.errors import ConfigError, PluginError
from fewskin.functional.augment import Policy, fork_seeds
from fewskin.functional.gan_loss import auto_gamma
from fewskin.nets.gan_generator import GanShape, GanVariant, StyleGenerator
from fewskin.paths import atomic_write
from fewskin.protocols import ImageTable, Knob, Samples
from fewskin.provenance import unknown
from fewskin.training.fitted import seen
from fewskin.training.gan import AugmentName, GanRecipe
from fewskin.training.gan_fit import Moves, Symmetry, adapt_gan, train_gan
from fewskin.training.gan_nets import GanNets, load_generator, save_generator
from fewskin.training.gan_watch import as_pixels

__all__ = ["Gan"]

_STREAM = 5  # of a sample's seed
_MEAN_OF = 512  # latents whose mean truncation moves to


@dataclass(frozen=True)
class Gan:
    """A style-based or light GAN, conditional on the label.

    Attributes:
        variant: "style", or "light" for CPUs and tiny sets.
        channel_base: maps of side s have channel_base / s channels,
        channel_max: and at most so many.
        latent: size of z and w.
        batch_size: images a step.
        fit_steps: steps on base rows; or on the support, where there was no fit.
        adapt_steps: steps on the support after a fit.
        lr: learning rate of both nets.
        gamma: weight of R1; None is 0.0002 S^2 / batch_size, 0 none.
        r1_every: steps between R1.
        path_every: steps between path length regularisation; 0 none.
        augment: "ada" (adaptive), "diff" (DiffAugment) or "none", of real and generated images.
        strength: factor of the ranges of the disease-safe policy.
        brightness: largest change of light, a share of linear RGB.
        ada_target: sign of the discriminator's logits of real images to keep to.
        ada_kimg: thousands of images in which p goes from 0 to 1.
        ema_kimg: half-life of the moving average, thousands of images.
        symmetry: "mirror", "square" (also quarter turns) or "none" of the training images.
        moves: what of the generator adapts: "embedding", "modulation" or "all".
        rank: of the low-rank change of the styles that "modulation" learns.
        freeze_d: layers of the discriminator, from the image on, that do not adapt.
        truncation: default of the knob; latents move to their class's mean, 1 leaves them.
        watch_every: steps between rows of the log and sheets of samples.
        precision: "32-true", or "bf16-mixed" on an accelerator.
    """

    variant: GanVariant = "light"
    channel_base: int = 1024
    channel_max: int = 128
    latent: int = 128
    batch_size: int = 16
    fit_steps: int = 2500
    adapt_steps: int = 300
    lr: float = 0.004
    gamma: float | None = None
    r1_every: int = 16
    path_every: int = 0
    augment: AugmentName = "ada"
    strength: float = 1.0
    brightness: float = 0.1
    ada_target: float = 0.6
    ada_kimg: float = 50.0
    ema_kimg: float = 5.0
    symmetry: Symmetry = "mirror"
    moves: Moves = "modulation"
    rank: int = 4
    freeze_d: int = 4
    truncation: float = 0.8
    watch_every: int = 500
    precision: str = "32-true"
    _fitted: GanNets | None = field(default=None, init=False, repr=False, compare=False)
    _history: str = field(default="", init=False, repr=False, compare=False)

    @property
    def pretrained_on(self) -> str:
        """What the nets have seen before the support set; "" when nothing."""
        return self._history

    def fit(self, base: ImageTable | None, *, seed: int, out: Path) -> "Gan":
        """Return a generator trained on the base classes; without base, an equal copy.

        Raises:
            ConfigError: images of another side than 32, 64, 128, 256 or 512, or settings that do
                not fit together.
        """
        if base is None:
            return self._with(None, "")
        return self._with(self._trained(base, seed, out), seen("", base))

    def adapt(self, support: ImageTable, *, seed: int, out: Path) -> "GanSampler":
        """Return a sampler for the labels of `support`.

        Labels that the fit has all seen are sampled as they are; without a fit the nets are trained
        on the support alone.

        Raises:
            ConfigError: as `fit`; or images of another side than the fit's.
        """
        if self._fitted is None:
            nets = self._trained(support, seed, out)
        elif set(support.classes) <= set(self._fitted.classes):
            self._check_size(support)
            nets = self._fitted
        else:
            self._check_size(support)
            nets = self._adapted(self._fitted, support, seed, out)
        net = copy.deepcopy(nets.average)
        return GanSampler(net, nets.classes, support.classes, _class_means(net), self.truncation)

    def _with(self, fitted: GanNets | None, history: str) -> "Gan":
        made = replace(self)
        object.__setattr__(made, "_fitted", fitted)
        object.__setattr__(made, "_history", history)
        return made

    def _trained(self, table: ImageTable, seed: int, out: Path) -> GanNets:
        shape = GanShape(
            self.variant, table.image_size, self.channel_base, self.channel_max, self.latent
        )
        nets = GanNets.new(shape, table.classes, seed)
        train_gan(
            nets,
            table,
            self._recipe(table.image_size),
            steps=self.fit_steps,
            symmetry=self.symmetry,
            watch_every=self.watch_every,
            precision=self.precision,
            seed=seed,
            out=out,
        )
        return nets

    def _adapted(self, fitted: GanNets, support: ImageTable, seed: int, out: Path) -> GanNets:
        return adapt_gan(
            fitted,
            support,
            self._recipe(support.image_size),
            steps=self.adapt_steps,
            moves=self.moves,
            rank=self.rank,
            freeze_d=self.freeze_d,
            symmetry=self.symmetry,
            watch_every=self.watch_every,
            precision=self.precision,
            seed=seed,
            out=out,
        )

    def _recipe(self, image_size: int) -> GanRecipe:
        policy = replace(Policy().scaled(self.strength), brightness=self.brightness)
        gamma = auto_gamma(image_size, self.batch_size) if self.gamma is None else self.gamma
        return GanRecipe(
            batch_size=self.batch_size,
            lr=self.lr,
            gamma=gamma,
            r1_every=self.r1_every,
            path_every=self.path_every,
            augment=self.augment,
            policy=policy,
            ada_target=self.ada_target,
            ada_kimg=self.ada_kimg,
            ema_kimg=self.ema_kimg,
        )

    def _check_size(self, support: ImageTable) -> None:
        assert self._fitted is not None
        side = self._fitted.shape.image_size
        if support.image_size != side:
            raise ConfigError(
                f"image_size={support.image_size}: this GAN was fitted at {side} px; "
                f"set image_size={side} or fit again."
            )

    def save(self, folder: Path) -> None:
        """Write the fitted nets, or that there are none."""
        folder.mkdir(parents=True, exist_ok=True)
        if self._fitted is not None:
            self._fitted.save(folder)
        about = {"fitted": self._fitted is not None, "pretrained_on": self._history}
        atomic_write(folder / "gan.json", json.dumps(about) + "\n")

    def load(self, folder: Path) -> "Gan":
        """Return a generator with these settings and the nets written by `save`.

        Raises:
            PluginError: the folder holds none, or nets of another variant.
        """
        try:
            about = json.loads((folder / "gan.json").read_text())
        except (OSError, ValueError) as error:
            raise PluginError(f"{folder} holds no fitted GAN: {error}.") from error
        nets = GanNets.load(folder) if about["fitted"] else None
        if nets is not None and nets.shape.variant != self.variant:
            raise PluginError(
                f"{folder} holds a GAN of variant {nets.shape.variant}, expected {self.variant}."
            )
        return self._with(nets, about["pretrained_on"])


@torch.inference_mode()
def _class_means(net: StyleGenerator) -> Tensor:
    """Return (C, latent) mean latent of each class, over the same z."""
    z = torch.randn(_MEAN_OF, net.shape.latent, generator=torch.Generator().manual_seed(0))
    means = [net.mapping(z, torch.full((_MEAN_OF,), i)).mean(0) for i in range(net.shape.n_classes)]
    return torch.stack(means).clone()


@dataclass(frozen=True, eq=False)
class GanSampler:
    """New images of the labels it was adapted to, one a seed.

    Attributes:
        net: the generator, averaged over training.
        known: label of each of its embeddings.
        classes: labels that may be asked for.
        means: (C, latent) mean latent of each of `known`.
        truncation: default of the knob.
    """

    net: StyleGenerator
    known: tuple[str, ...]
    classes: tuple[str, ...]
    means: Tensor
    truncation: float = 0.8

    @property
    def knobs(self) -> Mapping[str, Knob]:
        """`truncation`: 0 gives the mean image of the class, 1 the spread it was trained with."""
        return {"truncation": Knob(0.0, 1.0, self.truncation, "share of the spread")}

    def sample(
        self, label: str, seeds: Sequence[int], *, knobs: Mapping[str, float] | None = None
    ) -> Samples:
        """Return one image of `label` a seed; it has no single parent.

        Raises:
            ConfigError: unknown label or knob.
        """
        if label not in self.classes:
            raise ConfigError(unknown("label", label, self.classes))
        psi = knob_values(self.knobs, knobs)["truncation"]
        place = self.known.index(label)
        # One by one: the bits of an image do not depend on its company, at little cost on a CPU.
        made = [self._one(place, int(seed), psi) for seed in fork_seeds(seeds, _STREAM)]
        side = self.net.shape.image_size
        images = torch.cat(made) if made else torch.empty(0, 3, side, side, dtype=torch.uint8)
        return Samples(images, [()] * len(made), [{"truncation": psi}] * len(made))

    @torch.inference_mode()
    def _one(self, place: int, seed: int, psi: float) -> Tensor:
        rng = torch.Generator().manual_seed(seed)
        z = torch.randn(1, self.net.shape.latent, generator=rng)
        w = self.means[place] + psi * (
            self.net.mapping(z, torch.tensor([place])) - self.means[place]
        )
        return as_pixels(self.net.synthesis(w, self.net.noise(1, rng))).clone()

    def save(self, folder: Path) -> None:
        """Write the generator and its labels as safetensors and JSON."""
        save_generator(self.net, self.known, folder)
        about = {"classes": list(self.classes), "truncation": self.truncation}
        atomic_write(folder / "sampler.json", json.dumps(about) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "GanSampler":
        """Return the sampler written by `save`.

        Raises:
            PluginError: the folder holds none.
        """
        net, known = load_generator(folder)
        about = json.loads((folder / "sampler.json").read_text())
        return cls(net, known, tuple(about["classes"]), _class_means(net), about["truncation"])
