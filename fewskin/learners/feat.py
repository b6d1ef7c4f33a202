"""FEAT: prototypes that adapt to each other by attention before the nearest one is taken.

Ye et al., Few-shot learning via embedding adaptation with set-to-set functions, 2020,
arXiv:1812.03664.
Differs from the paper: the pre-trained net stays as it is, so that episodes run on its features;
these are standardised; the attention starts from plain prototypes (its output is zero at first,
without layer norm); episodes have two classes or more, never one patient on both sides.
"""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fewskin import compat
from fewskin.data.episodes import EpisodeSampler
from fewskin.errors import PluginError
from fewskin.functional.prototypes import centres, logits
from fewskin.functional.set_attention import attended
from fewskin.nets.backbones import Backbone, make_backbone
from fewskin.protocols import ImageTable
from fewskin.training.base import BaseFit, fit_base
from fewskin.training.engine import run_steps
from fewskin.training.features import features
from fewskin.training.fitted import load_backbone, save_backbone
from fewskin.training.heads import Centres, Spaced
from fewskin.training.modules import cosine, make_optimizer
from fewskin.training.on_base import known_rows
from fewskin.training.predictor import NetPredictor

compat.import_lightning()
from pytorch_lightning import LightningModule  # noqa: E402

__all__ = ["FEAT"]

_STATE = "set_to_set.safetensors"


class FEAT:
    """Nearest prototype after attention among prototypes, on frozen features.

    Its base fit is its own; `weights=FILE fit_steps=0` starts from the net of another fit.

    Args:
        backbone: name of the net, see `fewskin list backbones`.
        weights: None starts from scratch, else a file of weights or "pretrained".
        fit_steps: training steps on the base classes; 0 keeps the first weights.
        fit_batch_size: images a step of that training.
        fit_lr: highest learning rate of that training.
        episodes: training episodes of the attention; 0 leaves plain prototypes.
        lr: highest learning rate of those (Adam).
        way: classes an episode, at most; two at least.
        shot: support patients a class.
        query: query images a class.
        dropout: share of the attention's output that is left out in training, in [0, 1).
        auxiliary: weight of the second loss, that all images of an episode lie near the mean of
            their class after attention among the images of that class.
        temperature: divides squared distances of standardised features.
    """

    transductive: ClassVar[bool] = False
    output: ClassVar[Literal["class", "mask", "boxes"]] = "class"

    def __init__(
        self,
        *,
        backbone: str = "conv4",
        weights: str | None = None,
        fit_steps: int = 1500,
        fit_batch_size: int = 32,
        fit_lr: float = 1e-3,
        episodes: int = 300,
        lr: float = 1e-3,
        way: int = 4,
        shot: int = 5,
        query: int = 10,
        dropout: float = 0.5,
        auxiliary: float = 0.1,
        temperature: float = 16.0,
    ) -> None:
        self.backbone, self.weights = backbone, weights
        self.fit_steps, self.fit_batch_size, self.fit_lr = fit_steps, fit_batch_size, fit_lr
        self.episodes, self.lr, self.dropout = episodes, lr, dropout
        self.way, self.shot, self.query = way, shot, query
        self.auxiliary, self.temperature = auxiliary, temperature
        self._net: Backbone | None = None
        self._attention: _SetToSet | None = None
        self._seed = 0

    def fit(self, base: ImageTable | None, *, seed: int, out: Path) -> "FEAT":
        """Return a learner whose net and attention were trained on the base classes.

        Without base it keeps the first weights, and plain prototypes.

        Raises:
            DataError: fewer than two base classes have two patients.
        """
        fitted = copy.copy(self)
        fitted._net, fitted._attention, fitted._seed = None, None, seed
        if base is None:
            return fitted
        net = fit_base(BaseFit.of(self), base, seed=seed, out=out).net
        assert net is not None  # base is given
        fitted._net = net
        fitted._attention = _train(features(net, base), base, self, seed, out)
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
        """Return a predictor for the classes of `support`, and of `base` when it is given."""
        size = support.image_size
        net = self._net or make_backbone(
            self.backbone, weights=self.weights, image_size=size, seed=self._seed
        )
        known = known_rows(net.eval(), support, extra, base)
        attention = self._attention or _SetToSet.around(known.features)
        with torch.inference_mode():
            rows = attention.standard(known.features)
            middle = centres(rows, known.codes, len(known.classes), known.weights)
            adapted = attention(middle)
        near = Centres(adapted.clone(), "euclidean", 1.0 / self.temperature)
        head = Spaced(near, attention.mean, 1.0 / attention.std)
        return NetPredictor(net, head, known.classes, size, frozen="all")

    @property
    def pretrained_on(self) -> str:
        """What the fitted backbone has seen; "" before `fit` and from scratch."""
        return self._net.pretrained_on if self._net else ""

    def save(self, folder: Path) -> None:
        """Write the fitted net and the attention."""
        save_backbone(self._net, folder, seed=self._seed)
        if self._attention is not None:
            save_file(dict(self._attention.state_dict()), folder / _STATE)

    def load(self, folder: Path) -> "FEAT":
        """Return a learner with these hyper-parameters and the state written by `save`.

        Raises:
            PluginError: the folder holds none, or one of another backbone.
        """
        loaded = copy.copy(self)
        loaded._net, loaded._seed = load_backbone(folder, self.backbone)
        loaded._attention = None
        if loaded._net is not None:
            try:
                state = load_file(folder / _STATE)
            except Exception as error:  # the reader raises its own kinds beside OSError
                raise PluginError(f"{folder} holds no fitted feat: {error}.") from error
            made = _SetToSet(state["mean"], state["std"], self.dropout)
            made.load_state_dict(state)
            loaded._attention = made.eval()
        return loaded


class _SetToSet(nn.Module):
    """Standardised rows plus what each sees in the others."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor, dropout: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("mean", mean.detach().clone())
        self.register_buffer("std", std.detach().clone())
        d = len(mean)
        self.looks, self.shown, self.seen = (nn.Linear(d, d, bias=False) for _ in range(3))
        self.out = nn.Linear(d, d)
        # Zero at first: training starts from plain prototypes.
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.drop = nn.Dropout(dropout)

    @classmethod
    def around(cls, known: Tensor, dropout: float = 0.0) -> "_SetToSet":
        """Return an untrained one that standardises by known features, (n, d)."""
        std = known.std(0, correction=0)
        floor = max(0.1 * float(std.mean()), 1e-6)
        return cls(known.mean(0), std.clamp_min(floor), dropout).eval()

    def standard(self, features: Tensor) -> Tensor:
        """Map (n, d) to (n, d) of about unit variance."""
        return (features - self.mean) / self.std

    def forward(self, rows: Tensor) -> Tensor:
        """Map (..., n, d) standardised rows of a set to (..., n, d)."""
        weights = (self.looks.weight, self.shown.weight, self.seen.weight)
        moved: Tensor = rows + self.drop(self.out(attended(rows, *weights)))
        return moved


class _Batch(NamedTuple):
    support: Tensor  # (s, d)
    support_labels: Tensor
    query: Tensor  # (q, d)
    query_labels: Tensor


class _Episodic(LightningModule):
    """The loss of one episode of features."""

    def __init__(self, attention: _SetToSet, settings: FEAT) -> None:
        super().__init__()
        self.attention, self.settings = attention, settings

    def on_train_start(self) -> None:
        """Turn dropout on."""
        self.train()

    def training_step(self, batch: _Batch, batch_idx: int) -> Tensor:
        """Return the cross-entropy of the query rows plus the weighted second loss."""
        way, scale = int(batch.support_labels.max()) + 1, 1.0 / self.settings.temperature
        adapted = self.attention(centres(batch.support, batch.support_labels, way))
        loss = cross_entropy(logits(batch.query, adapted, scale=scale), batch.query_labels)
        rows = torch.cat([batch.support, batch.query])
        labels = torch.cat([batch.support_labels, batch.query_labels])
        own = torch.stack([self.attention(rows[labels == c]).mean(0) for c in range(way)])
        second = cross_entropy(logits(rows, own, scale=scale), labels)
        return loss + self.settings.auxiliary * second

    def configure_optimizers(self) -> Any:  # Any: one of the forms Lightning takes
        """Return Adam and its schedule by step."""
        lr, steps = self.settings.lr, self.settings.episodes
        optimizer = make_optimizer(self.parameters(), "adam", lr=lr, weight_decay=0.0)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, cosine(steps))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def _train(known: Tensor, base: ImageTable, settings: FEAT, seed: int, out: Path) -> _SetToSet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**63)
        attention = _SetToSet.around(known, settings.dropout)
    if settings.episodes > 0:
        batches = _batches(attention.standard(known), base, settings, seed)
        module = _Episodic(attention, settings)
        run_steps(
            module,
            batches,
            steps=settings.episodes,
            out=out,
            label="episodes",
            checkpoint_every=500,
            seed=seed,
        )
    return attention.eval()


def _batches(rows: Tensor, base: ImageTable, settings: FEAT, seed: int) -> Callable[[int], _Batch]:
    sampler = EpisodeSampler(
        base.labels,
        base.groups,
        way=(2, max(2, settings.way)),
        shot=settings.shot,
        query=settings.query,
        seed=seed,
    )

    def batch(step: int) -> _Batch:
        episode = sampler.at(step)
        labels = (torch.from_numpy(v) for v in (episode.support_labels, episode.query_labels))
        support, query = next(labels), next(labels)
        return _Batch(rows[episode.support], support, rows[episode.query], query)

    return batch
