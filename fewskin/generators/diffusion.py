"""A diffusion model in pixels, fitted to common classes and adapted to the few images of rare ones.

Karras et al., Elucidating the design space of diffusion-based generative models, 2022,
arXiv:2206.00364; Ho and Salimans, Classifier-free diffusion guidance, 2022, arXiv:2207.12598; Hu et
al., LoRA, 2021, arXiv:2106.09685; Meng et al., SDEdit, 2021, arXiv:2108.01073. Five modes:

- sample: new images from noise; one too near to a support image is rejected as a copy of it.
- sdedit: a support image of the label, noised up to `strength` and brought back as the label.
- inpaint: the label inside a mask, on a healthy photograph of the base rows if there is any, else
  on the support image itself; outside the mask every byte stays.
- interpolate: between two support images of the label; copies are rejected.
- round_trip: as sdedit with the same noise, but back without a label: the control that shows what
  the pipeline alone does to a photograph.

Written from the papers; what differs is said in `functional/diffusion*` and `training/diffusion`.
"""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from fewskin.data.orientation import policy_of
from fewskin.data.support_images import SupportImages
from fewskin.errors import ConfigError, PluginError
from fewskin.functional.diffusion import Prediction
from fewskin.functional.near_copies import copy_limit
from fewskin.functional.samplers import SamplerName
from fewskin.nets.diffusion_unet import DiffusionShape
from fewskin.paths import atomic_write
from fewskin.protocols import ImageTable
from fewskin.seeding import rng_for
from fewskin.training.diffusion import DiffusionRecipe
from fewskin.training.diffusion_fit import (
    DiffusionMoves,
    adapt_diffusion,
    batch_size_for,
    train_diffusion,
)
from fewskin.training.diffusion_masks import masks_of
from fewskin.training.diffusion_nets import DiffusionNets
from fewskin.training.diffusion_sampler import DiffusionMode, DiffusionSampler, DrawSettings
from fewskin.training.fitted import seen
from fewskin.training.gan_fit import Symmetry

__all__ = ["Diffusion"]

_COMPARED = 200  # base images that the limit of copies is measured on


@dataclass(frozen=True)
class Diffusion:
    """A denoising U-Net, conditional on the label, and ways to draw with it.

    Attributes:
        mode: "sample" new images, "sdedit" noises support images and brings them back, "inpaint"
            paints on a lesion or a healthy photograph, "interpolate" between two support images,
            "round_trip" is sdedit without the label: its control.
        channels: of each level of the net, each at half the side of the one before.
        patch: side of the squares of pixels that the net sees as channels.
        layers: residual blocks a level.
        attention: how many of the deepest levels attend; the middle always does.
        prediction: "edm" (EDM preconditioning), or "v" (velocity, zero terminal SNR).
        batch_size: images a step; 0 is 16 on a CPU, and what fits on an accelerator.
        fit_steps: steps on base rows; or on the support, where there was no fit.
        adapt_steps: steps on the support after a fit.
        lr: highest learning rate of a fit.
        adapt_lr: highest learning rate of an adaptation.
        label_dropout: share of images whose label is not told, which guidance needs.
        augment_p: probability of each augmentation; the net is told, so none leaks into samples.
        augment_strength: factor of the ranges of the disease-safe policy.
        symmetry: "mirror", "square" (also quarter turns) or "none" of the training images; these do
            show in samples.
        ema_kimg: half-life of the moving average, thousands of images.
        moves: what adapts: "embedding" (labels), "lora" (also low-rank changes) or "all".
        rank: of the low-rank changes.
        sampler: "dpmpp" (DPM-Solver++ 2M), "heun" (EDM; two calls a step) or "ddim".
        sample_steps: steps from pure noise.
        guidance: default of the knob: 1 the label as learnt, more exaggerates it.
        strength: default of the knob: noise as a share; at 0.5 as much as image, 1 forgets it.
        healthy: label of healthy photographs; base rows of it are what "inpaint" paints on.
        max_targets: healthy base rows that are kept, chosen by seed.
        masks: folder of `<image_id>.png`, white on the lesion, for "inpaint"; by default what is
            unlike the border of the image is taken for it.
        reject_copies: whether "sample" and "interpolate" reject images nearer to a support image
            than 99 % of real images of other patients are.
        watch_every: steps between rows of the log and sheets of samples.
        precision: "32-true", or "bf16-mixed" on an accelerator.
    """

    mode: DiffusionMode = "sample"
    channels: tuple[int, ...] = (64, 128)
    patch: int = 4
    layers: int = 1
    attention: int = 0
    prediction: Prediction = "edm"
    batch_size: int = 0
    fit_steps: int = 3000
    adapt_steps: int = 300
    lr: float = 0.002
    adapt_lr: float = 0.001
    label_dropout: float = 0.1
    augment_p: float = 0.15
    augment_strength: float = 1.0
    symmetry: Symmetry = "mirror"
    ema_kimg: float = 5.0
    moves: DiffusionMoves = "lora"
    rank: int = 4
    sampler: SamplerName = "dpmpp"
    sample_steps: int = 18
    guidance: float = 1.0
    strength: float = 0.5
    healthy: str = "healthy"
    max_targets: int = 100
    masks: str = ""
    reject_copies: bool = True
    watch_every: int = 1000
    precision: str = "32-true"
    _fitted: "_Fit | None" = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))  # a list from YAML or JSON
        self._drawing()  # refused before the training, not after it

    @property
    def pretrained_on(self) -> str:
        """What the net has seen before the support set; "" when nothing."""
        return self._fitted.history if self._fitted else ""

    def fit(self, base: ImageTable | None, *, seed: int, out: Path) -> "Diffusion":
        """Return a generator trained on the base classes; without base, an equal copy.

        Raises:
            ConfigError: images of a side that the net cannot halve, or settings out of range.
        """
        if base is None:
            return self._with(None)
        nets = self._trained(base, seed, out)
        targets = None
        healthy = np.flatnonzero([label == self.healthy for label in base.labels])
        if self.mode == "inpaint" and len(healthy):
            order = rng_for(seed, "healthy").permutation(len(healthy))[: self.max_targets]
            targets = SupportImages.of(base.take(np.sort(healthy[order])))
        return self._with(_Fit(nets, _limit(base, seed), targets, seen("", base)))

    def adapt(self, support: ImageTable, *, seed: int, out: Path) -> "DiffusionSampler":
        """Return a sampler for the labels of `support`.

        Labels that the fit has all seen are drawn as they are; without a fit the net is trained on
        the support alone.

        Raises:
            ConfigError: as `fit`; or images of another side than the fit's.
            DataError: a mask is missing from the folder of masks.
        """
        fitted = self._fitted
        if fitted is not None and support.image_size != fitted.nets.shape.image_size:
            side = fitted.nets.shape.image_size
            raise ConfigError(
                f"image_size={support.image_size}: this diffusion model was fitted at {side} px; "
                f"set image_size={side} or fit again."
            )
        images = SupportImages.of(support)
        masks = masks_of(images, self.masks) if self.mode == "inpaint" else None
        if fitted is None:
            nets = self._trained(support, seed, out)
        elif set(support.classes) <= set(fitted.nets.classes):
            nets = fitted.nets
        else:
            nets = self._adapted(fitted.nets, support, seed, out)
        return DiffusionSampler(
            net=nets.average,
            known=nets.classes,
            support=images,
            settings=self._drawing(),
            limit=_limit(support, seed) if fitted is None else fitted.limit,
            masks=masks,
            targets=None if fitted is None else fitted.targets,
        )

    def _with(self, fitted: "_Fit | None") -> "Diffusion":
        made = replace(self)
        object.__setattr__(made, "_fitted", fitted)
        return made

    def _drawing(self) -> DrawSettings:
        return DrawSettings(
            mode=self.mode,
            sampler=self.sampler,
            steps=self.sample_steps,
            guidance=self.guidance,
            strength=self.strength,
            reject_copies=self.reject_copies,
        )

    def _trained(self, table: ImageTable, seed: int, out: Path) -> DiffusionNets:
        shape = DiffusionShape(
            table.image_size, self.channels, self.patch, self.layers, self.attention,
            self.prediction,
        )  # fmt: skip
        nets = DiffusionNets.new(shape, table.classes, seed)
        nets.net.measure(table.images())
        nets.average.measure(table.images())
        batch_size = batch_size_for(nets.net, self.batch_size, out / "diffusion")
        train_diffusion(
            nets,
            table,
            self._recipe(table, self.fit_steps, batch_size, self.lr),
            symmetry=self.symmetry,
            watch_every=self.watch_every,
            precision=self.precision,
            seed=seed,
            out=out,
        )
        return nets

    def _adapted(
        self, fitted: DiffusionNets, support: ImageTable, seed: int, out: Path
    ) -> DiffusionNets:
        batch_size = batch_size_for(fitted.net, self.batch_size, out / "adapted")
        return adapt_diffusion(
            fitted,
            support,
            self._recipe(support, self.adapt_steps, batch_size, self.adapt_lr),
            moves=self.moves,
            rank=self.rank,
            symmetry=self.symmetry,
            watch_every=self.watch_every,
            precision=self.precision,
            seed=seed,
            out=out,
        )

    def _recipe(self, table: ImageTable, steps: int, batch: int, lr: float) -> DiffusionRecipe:
        return DiffusionRecipe(
            steps=steps,
            batch_size=batch,
            lr=lr,
            label_dropout=self.label_dropout,
            augment_p=self.augment_p,
            policy=policy_of(table).scaled(self.augment_strength),
            ema_kimg=self.ema_kimg,
        )

    def save(self, folder: Path) -> None:
        """Write the fitted net, or that there is none."""
        folder.mkdir(parents=True, exist_ok=True)
        fitted = self._fitted
        about: dict[str, Any] = {"fitted": fitted is not None}
        if fitted is not None:
            fitted.nets.save(folder)
            about |= {"limit": fitted.limit, "pretrained_on": fitted.history}
            if fitted.targets is not None:
                fitted.targets.save(folder / "healthy")
        atomic_write(folder / "fit.json", json.dumps(about) + "\n")

    def load(self, folder: Path) -> "Diffusion":
        """Return a generator with these settings and the net written by `save`.

        Raises:
            PluginError: the folder holds none, or a net of another kind of prediction.
        """
        try:
            about = json.loads((folder / "fit.json").read_text())
        except (OSError, ValueError) as error:
            raise PluginError(f"{folder} holds no fitted diffusion model: {error}.") from error
        if not about["fitted"]:
            return self._with(None)
        nets, healthy = DiffusionNets.load(folder), folder / "healthy"
        if nets.shape.prediction != self.prediction:
            raise PluginError(
                f"{folder} holds a net of prediction={nets.shape.prediction}, expected "
                f"{self.prediction}."
            )
        targets = SupportImages.load(healthy) if healthy.is_dir() else None
        return self._with(_Fit(nets, about["limit"], targets, about["pretrained_on"]))


@dataclass(frozen=True, eq=False)
class _Fit:
    nets: DiffusionNets
    limit: float
    targets: SupportImages | None
    history: str


def _limit(table: ImageTable, seed: int) -> float:
    rows = np.sort(rng_for(seed, "compared").permutation(len(table))[:_COMPARED])
    groups = [table.groups[i] for i in rows]
    return copy_limit(table.images(rows).numpy(), groups, rng_for(seed, "references"))
