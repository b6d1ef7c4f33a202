"""Fine-tune a base-trained or pre-trained net on the few images, all of it or its last block.

Chen et al., A closer look at few-shot classification, 2019, arXiv:1904.04232 (the "baseline");
Dhillon et al., A baseline for few-shot image classification, 2020, arXiv:1909.02729.
Differs from the papers: class-balanced batches, augmentation that leaves colour alone, a cosine
schedule, and BatchNorm keeps the statistics of the base, since a few images have none worth taking.
"""

import copy
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Literal, cast

from torch import Tensor, nn

from fewskin.errors import ConfigError, DataError
from fewskin.nets.backbones import Backbone, make_backbone
from fewskin.nets.reading import Levels
from fewskin.protocols import ImageTable
from fewskin.seeding import seed_for
from fewskin.training.base import BaseFit, Fitted, fit_base, load_fitted, save_fitted
from fewskin.training.batches import Mix, mixed
from fewskin.training.engine import run_steps
from fewskin.training.inputs import by_id, image_batches, map_batches
from fewskin.training.modules import Classifier, OptimizerName, Recipe
from fewskin.training.predictor import Frozen, NetPredictor

__all__ = ["Finetune"]

log = logging.getLogger(__name__)


class Finetune:
    """Fine-tuning of any backbone.

    Args:
        backbone: conv4, conv6, resnet12 or any timm name.
        weights: None (from scratch), a local file, or "pretrained".
        fit_steps: batches of the base fit; 0 skips it.
        fit_batch_size: images a batch of the base fit.
        fit_lr: highest learning rate of the base fit.
        fit_contrast: weight of telling images apart whatever the view in the base fit; 0 is none.
        fit_strength: of the augmentation in the base fit, a factor of the ranges.
        fit_levels: not used here; equal to another learner's, one base fit serves both.
        fit_views: not used here, as fit_levels.
        fit_also: not used here, as fit_levels.
        steps: batches per support set.
        batch_size: images a batch.
        lr: highest learning rate.
        optimizer: "adam", "adamw", "rmsprop" or "sgd".
        weight_decay: of matrices and filters.
        freeze: "none" trains everything, "trunk" the last block and the head, "all" the head.
        label_smoothing: share of each label spread over all classes, in [0, 1).
        mix: "none", "mixup" or "cutmix", across classes; of maps where the trunk is frozen.
        mix_alpha: of the Beta distribution of the share, > 0.
        ema: decay of the moving average of the weights that predicts; 0 is none.
        views: augmented versions of each image that a frozen part is applied to.
    """

    transductive: ClassVar[bool] = False
    output: ClassVar[Literal["class", "mask", "boxes"]] = "class"
    fit_as: ClassVar[str] = "probe"

    def __init__(
        self,
        *,
        backbone: str = "resnet18",
        weights: str | None = None,
        fit_steps: int = 600,
        fit_batch_size: int = 64,
        fit_lr: float = 1e-3,
        fit_contrast: float = 0.0,
        fit_strength: float = 1.0,
        fit_levels: Levels = "last",
        fit_views: int = 1,
        fit_also: Sequence[str] = (),
        steps: int = 150,
        batch_size: int = 32,
        lr: float = 3e-4,
        optimizer: OptimizerName = "adamw",
        weight_decay: float = 0.01,
        freeze: Frozen = "none",
        label_smoothing: float = 0.0,
        mix: Mix = "none",
        mix_alpha: float = 0.4,
        ema: float = 0.0,
        views: int = 4,
    ) -> None:
        self.backbone, self.weights = backbone, weights
        self.fit_steps, self.fit_batch_size, self.fit_lr = fit_steps, fit_batch_size, fit_lr
        self.fit_contrast, self.fit_strength = fit_contrast, fit_strength
        self.fit_levels, self.fit_views, self.fit_also = fit_levels, fit_views, tuple(fit_also)
        self.steps, self.batch_size, self.views = steps, batch_size, views
        self.lr, self.optimizer, self.weight_decay = lr, optimizer, weight_decay
        self.freeze, self.label_smoothing = freeze, label_smoothing
        self.mix, self.mix_alpha, self.ema = mix, mix_alpha, ema
        self._fitted = Fitted()

    @property
    def pretrained_on(self) -> str:
        """What the fitted backbone has seen; "" before `fit` and from scratch."""
        return self._fitted.pretrained_on

    def fit(self, base: ImageTable | None, *, seed: int, out: Path) -> "Finetune":
        """Return a learner whose backbone tells the base classes apart."""
        self._check()
        fitted = copy.copy(self)
        fitted._fitted = fit_base(BaseFit.of(self), base, seed=seed, out=out)
        return fitted

    def adapt(
        self,
        support: ImageTable,
        *,
        extra: ImageTable | None,
        base: ImageTable | None,
        seed: int,
        out: Path,
    ) -> NetPredictor:
        """Return the net fine-tuned on support, extra and base rows, in class-balanced batches."""
        self._check()
        tables = [by_id(table) for table in (support, extra) if table is not None]
        base = None if base is None else by_id(base)
        classes = tuple(sorted({*support.classes, *(base.classes if base else ())}))
        if len(classes) < 2:
            raise DataError(f"finetune needs two classes or more, got {', '.join(classes)}.")
        net = self._start(support.image_size, seed)
        moving = self._moving(net, len(classes))
        inputs = self._inputs(net, tables, base, classes, seed)
        recipe = Recipe(
            self.steps, self.lr, self.optimizer, self.weight_decay, self.label_smoothing, self.ema
        )
        # From scratch there are no statistics to keep.
        module = Classifier(moving, recipe, still=[net] if net.pretrained_on else [])
        # Steps above a frozen trunk are quick to repeat, and saving costs as much as several.
        every = 50 if self.freeze == "none" else 500
        run_steps(
            module,
            inputs,
            steps=self.steps,
            out=out,
            checkpoint_every=every,
            label="adapt",
            seed=seed,
        )
        return self._predictor(net, module.result, classes, support.image_size)

    def _check(self) -> None:
        if self.freeze not in ("none", "trunk", "all"):
            raise ConfigError(f"freeze={self.freeze!r}: expected none, trunk or all.")
        for name in ("steps", "batch_size", "views"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)}: expected 1 or more.")
        mixed(self.mix, self.mix_alpha, 0)

    def _start(self, image_size: int, seed: int) -> Backbone:
        if self._fitted.net is not None:
            return copy.deepcopy(self._fitted.net)
        net = make_backbone(
            self.backbone, weights=self.weights, image_size=image_size, seed=seed_for(seed, "net")
        )
        if not net.pretrained_on and self.freeze != "none":
            log.warning("freeze=%s without a base fit or weights: random features", self.freeze)
        return net

    def _moving(self, net: Backbone, n_classes: int) -> nn.Sequential:
        head = nn.Linear(net.feature_dim, n_classes)
        # From zero, so that what an untrained head would say plays no part.
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        if self.freeze == "none":
            return nn.Sequential(net, head)
        if self.freeze == "trunk":
            return nn.Sequential(nn.Sequential(net.last_block, net.pool), head)
        return nn.Sequential(nn.Identity(), head)

    def _inputs(
        self,
        net: Backbone,
        tables: list[ImageTable],
        base: ImageTable | None,
        classes: tuple[str, ...],
        seed: int,
    ) -> Callable[[int], tuple[Tensor, Tensor]]:
        mixer = mixed(self.mix, self.mix_alpha, seed)
        if self.freeze == "none":
            rows = [*tables, base] if base is not None else tables
            return image_batches(rows, classes, batch_size=self.batch_size, mixer=mixer, seed=seed)
        return map_batches(
            net.trunk if self.freeze == "trunk" else net,
            tables,
            base,
            classes,
            views=self.views,
            steps=self.steps,
            batch_size=self.batch_size,
            mixer=mixer,
            seed=seed,
        )

    def _predictor(
        self, net: Backbone, trained: nn.Module, classes: tuple[str, ...], image_size: int
    ) -> NetPredictor:
        body, head = trained.children()
        if self.freeze == "none":
            net = cast(Backbone, body)
        elif self.freeze == "trunk":
            net.last_block, net.pool = body.children()
        # Maps of a frozen part are shared only where it comes from the base fit.
        shared: Frozen = self.freeze if self._fitted.net is not None else "none"
        return NetPredictor(net, cast(nn.Linear, head), classes, image_size, frozen=shared)

    def save(self, folder: Path) -> None:
        """Write the fitted backbone, if there is one."""
        save_fitted(self._fitted, folder)

    def load(self, folder: Path) -> "Finetune":
        """Return a learner with these hyper-parameters and the backbone written by `save`.

        Raises:
            PluginError: the folder holds none, or one of another architecture.
        """
        loaded = copy.copy(self)
        loaded._fitted = load_fitted(folder, self.backbone)
        return loaded
