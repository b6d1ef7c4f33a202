"""Prototypical networks: the class whose mean feature is nearest.

Snell et al., Prototypical networks for few-shot learning, 2017, arXiv:1703.05175; several means a
class: Prabhu et al., Prototypical clustering networks for dermatological disease diagnosis, 2018,
arXiv:1811.03066.
Differs from the papers: episodes never have one patient on both sides; images are augmented; the
learning rate follows a cosine; generated images enter a prototype as a weighted mean; several means
come from k-means of the episode's own support, not from a running update over the training set.
"""

import copy
import math
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fewskin import compat
from fewskin.data.episodes import EpisodeSampler
from fewskin.errors import ConfigError, PluginError
from fewskin.functional import episodes as many
from fewskin.functional.prototypes import Metric, centres, clusters, mixture_logits
from fewskin.functional.shrinkage import Spread, shrunk, spread
from fewskin.nets.backbones import Backbone, make_backbone
from fewskin.protocols import ImageTable
from fewskin.training.batches import class_positions
from fewskin.training.engine import run_steps
from fewskin.training.episodic import EpisodeBatch, episode_batches, prepared
from fewskin.training.features import features
from fewskin.training.fitted import load_backbone, save_backbone, seen
from fewskin.training.heads import Centres, Clusters
from fewskin.training.modules import cosine, make_optimizer
from fewskin.training.on_base import Known, known_rows
from fewskin.training.predictor import NetPredictor

compat.import_lightning()
from pytorch_lightning import LightningModule  # noqa: E402

__all__ = ["ProtoNet"]

_STATE = "prototypes.safetensors"


class ProtoNet:
    """Nearest prototype in a space learned from episodes of the base classes.

    Args:
        backbone: name of the net, see `fewskin list backbones`.
        weights: None starts from scratch, else a file of weights or "pretrained".
        fit_steps: batches of training; 0 keeps the first weights.
        fit_lr: highest learning rate (Adam).
        tasks: episodes a batch.
        way: classes an episode, at most.
        shot: support patients a class.
        query: query images a class.
        metric: "euclidean" (squared distance) or "cosine".
        scale: factor of the logits, the inverse of the temperature; the paper has 1, cosine
            needs about 10.
        learn_scale: learn that factor with the net, starting from `scale`.
        clusters: prototypes a class, at most, by k-means inside the class; more than 1 for classes
            of several looks, such as one disease on pale and on dark skin.
        shrink: "none", or where the prototype of a class of few images moves: "base" to the mean
            of the base classes, "grand" to the mean of all prototypes; how far follows from how the
            base features vary within and between classes, see `shrinkage`.
    """

    transductive: ClassVar[bool] = False
    output: ClassVar[Literal["class", "mask", "boxes"]] = "class"

    def __init__(
        self,
        *,
        backbone: str = "conv4",
        weights: str | None = None,
        fit_steps: int = 800,
        fit_lr: float = 1e-3,
        tasks: int = 1,
        way: int = 4,
        shot: int = 10,
        query: int = 10,
        metric: Metric = "euclidean",
        scale: float = 1.0,
        learn_scale: bool = False,
        clusters: int = 1,
        shrink: Literal["none", "base", "grand"] = "none",
    ) -> None:
        self.backbone, self.weights = backbone, weights
        self.fit_steps, self.fit_lr, self.tasks = fit_steps, fit_lr, tasks
        self.way, self.shot, self.query = way, shot, query
        self.metric, self.scale, self.learn_scale = metric, scale, learn_scale
        self.clusters, self.shrink = clusters, shrink
        self._net: Backbone | None = None
        self._spread: Spread | None = None
        self._scale, self._seed = scale, 0

    def fit(self, base: ImageTable | None, *, seed: int, out: Path) -> "ProtoNet":
        """Return a learner whose features were trained on episodes of the base classes.

        Without base it keeps the first weights and only remembers the seed.

        Raises:
            DataError: fewer than two base classes have two patients.
            ConfigError: settings that do not go together.
        """
        self._check()
        fitted = copy.copy(self)
        fitted._net, fitted._spread = None, None
        fitted._scale, fitted._seed = self.scale, seed
        if base is None:
            return fitted
        net = fitted._first_net(base.image_size)
        if self.fit_steps:
            fitted._scale = _train(net, base, self, seed, out)
            net.pretrained_on = seen(net.pretrained_on, base)
        fitted._net = net.eval()
        if self.shrink != "none":
            codes = torch.from_numpy(class_positions(base.labels, base.classes))
            fitted._spread = spread(features(net, base), codes, len(base.classes))
        return fitted

    def _check(self) -> None:
        if self.shrink not in ("none", "base", "grand"):
            raise ConfigError(f"shrink={self.shrink!r}: expected none, base or grand.")
        for name in ("tasks", "clusters"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)}: expected 1 or more.")
        if self.clusters > 1 and self.shrink != "none":
            raise ConfigError(
                f"clusters={self.clusters} with shrink={self.shrink}: only one mean a class can be "
                "shrunk. Leave one of them at its default."
            )
        if self.learn_scale and self.scale <= 0:
            raise ConfigError(f"scale={self.scale}: a learnt scale starts above 0.")

    def _first_net(self, image_size: int) -> Backbone:
        return make_backbone(
            self.backbone, weights=self.weights, image_size=image_size, seed=self._seed
        )

    def adapt(
        self,
        support: ImageTable,
        *,
        extra: ImageTable | None,
        base: ImageTable | None,
        seed: int,
        out: Path,
    ) -> NetPredictor:
        """Return a predictor for the classes of `support`, and of `base` when it is given.

        Raises:
            ConfigError: settings that do not go together.
        """
        self._check()
        net = self._net or self._first_net(support.image_size).eval()
        known = known_rows(net, support, extra, base)
        head = self._head(known, len(known.classes))
        return NetPredictor(net, head, known.classes, support.image_size, frozen="all")

    def _head(self, known: Known, n_classes: int) -> Centres | Clusters:
        rows, codes, weights = known.features, known.codes, known.weights
        if self.clusters > 1:
            middle, owners = clusters(rows, codes, n_classes, self.clusters, weights)
            return Clusters(middle, owners, self.metric, self._scale)
        middle = centres(rows, codes, n_classes, weights)
        if self.shrink != "none" and self._spread is not None:
            target = self._spread.middle if self.shrink == "base" else middle.mean(0)
            middle = shrunk(middle, known.counts, self._spread, target)
        return Centres(middle, self.metric, self._scale)

    @property
    def pretrained_on(self) -> str:
        """What the fitted backbone has seen; "" before `fit` and from scratch."""
        return self._net.pretrained_on if self._net else ""

    def save(self, folder: Path) -> None:
        """Write the fitted net, the scale, and how the base features vary where that is used."""
        save_backbone(self._net, folder, seed=self._seed)
        known = {} if self._spread is None else self._spread._asdict()
        save_file({"scale": torch.tensor(self._scale).double(), **known}, folder / _STATE)

    def load(self, folder: Path) -> "ProtoNet":
        """Return a learner with these hyper-parameters and the state written by `save`.

        Raises:
            PluginError: the folder holds none, or one of another backbone.
        """
        loaded = copy.copy(self)
        loaded._net, loaded._seed = load_backbone(folder, self.backbone)
        try:
            state = load_file(folder / _STATE)
        except Exception as error:  # the reader raises its own kinds beside OSError
            raise PluginError(f"{folder} holds no fitted protonet: {error}.") from error
        loaded._scale = float(state.pop("scale"))
        loaded._spread = Spread(**state) if state else None
        return loaded


class _Episodic(LightningModule):
    """The loss of a batch of episodes."""

    def __init__(self, net: Backbone, settings: ProtoNet) -> None:
        super().__init__()
        self.net, self.settings = net, settings
        self.log_scale: nn.Parameter | None = None
        if settings.learn_scale:
            self.log_scale = nn.Parameter(torch.tensor(math.log(settings.scale)))

    @property
    def scale(self) -> float | Tensor:
        """The factor of the logits."""
        return self.settings.scale if self.log_scale is None else self.log_scale.exp()

    def training_step(self, batch: EpisodeBatch, batch_idx: int) -> Tensor:
        """Return the mean cross-entropy of the query images."""
        ready = prepared(batch)
        known = self.net(torch.cat([ready.support.flatten(0, 1), ready.query.flatten(0, 1)]))
        t, s = batch.support_labels.shape
        support, query = known[: t * s].unflatten(0, (t, s)), known[t * s :].unflatten(0, (t, -1))
        n_classes = int(batch.way.max())
        asked = self._logits(support, batch, query, n_classes)
        return cross_entropy(asked.flatten(0, 1), batch.query_labels.flatten(), ignore_index=-1)

    def _logits(
        self, support: Tensor, batch: EpisodeBatch, query: Tensor, n_classes: int
    ) -> Tensor:
        metric, scale = self.settings.metric, self.scale
        labels, weights = batch.support_labels, batch.support_weights
        if self.settings.clusters == 1:
            middle = many.centres(support, labels, n_classes, weights)
            return many.logits(query, middle, batch.way, metric=metric, scale=scale)
        made = []
        for i, way in enumerate(batch.way.tolist()):
            middle, owners = clusters(
                support[i], labels[i], way, self.settings.clusters, weights[i]
            )
            own = mixture_logits(query[i], middle, owners, way, metric=metric, scale=scale)
            # An episode of fewer classes: nothing is ever one of the others.
            made.append(nn.functional.pad(own, (0, n_classes - way), value=-math.inf))
        return torch.stack(made)

    def configure_optimizers(self) -> Any:  # Any: one of the forms Lightning takes
        """Return Adam and its schedule by step."""
        settings = self.settings
        optimizer = make_optimizer(self.parameters(), "adam", lr=settings.fit_lr, weight_decay=0.0)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, cosine(settings.fit_steps))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def _train(net: Backbone, base: ImageTable, settings: ProtoNet, seed: int, out: Path) -> float:
    """Train the net in place and return the factor of the logits."""
    sampler = EpisodeSampler(
        base.labels,
        base.groups,
        way=settings.way,
        shot=settings.shot,
        query=settings.query,
        seed=seed,
    )
    module = _Episodic(net, settings)
    batches = episode_batches(base, sampler, tasks=settings.tasks, seed=seed)
    net.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload] # torch stubs
    run_steps(module, batches, steps=settings.fit_steps, out=out, seed=seed)
    net.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload] # torch stubs
    scale = module.scale
    return float(scale.detach()) if isinstance(scale, Tensor) else scale
