"""The predictor that every net-based learner returns: a backbone, a head, classes."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from fewskin.errors import DataError, PluginError
from fewskin.functional.patches import Dictionary
from fewskin.nets.backbones import Backbone, make_backbone, normalise
from fewskin.nets.reading import Reading
from fewskin.paths import atomic_write
from fewskin.protocols import ImageTable
from fewskin.training import features as cache
from fewskin.training.heads import Centres, head_settings, make_head

__all__ = ["Centres", "Frozen", "NetPredictor", "load_tensors", "save_tensors"]

Frozen = Literal["none", "trunk", "all"]
_DICTIONARY = "dictionary.safetensors"


class NetPredictor:
    """Predicts with a backbone and a head, in eval mode: images never see each other.

    Args:
        backbone: from normalised images to features.
        head: `torch.nn.Linear` or one of `heads`, from features to one logit a class.
        classes: names of the logits.
        image_size: side of the images it was trained on, in pixels.
        frozen: which part of the backbone is still that of the base fit, so that what it makes of
            a table's pixels is shared with other predictors: its "trunk", "all", or "none".
        reading: how features are read off the backbone; other than by default with "all" only.
        dictionary: of the reading, where it needs one.
    """

    def __init__(
        self,
        backbone: Backbone,
        head: nn.Module,
        classes: Sequence[str],
        image_size: int,
        *,
        frozen: Frozen = "none",
        reading: Reading = Reading(),  # noqa: B008  # frozen
        dictionary: Dictionary | None = None,
    ) -> None:
        self.backbone, self.head = backbone.eval(), head.eval()
        self.reading, self.dictionary = reading, dictionary
        self.extractor = reading.of(backbone, dictionary).eval()
        self.classes, self.image_size = tuple(classes), image_size
        self.frozen = frozen

    @property
    def pretrained_on(self) -> str:
        """What the backbone has seen before the support set; "" when nothing."""
        return self.backbone.pretrained_on

    @property
    def module(self) -> nn.Module:
        """The net from normalised images (n, 3, H, W) to logits (n, C)."""
        return nn.Sequential(self.extractor, self.head)

    def predict(self, images: Tensor) -> Tensor:
        """Map (n, 3, H, W) uint8 sRGB to (n, C) float32 probabilities."""
        return self._apply(self.module, images)

    def predict_table(self, table: ImageTable) -> Tensor:
        """Return (n, C) probabilities of the rows; frozen parts are computed once for all cells."""
        if self.frozen == "none":
            return self.predict(table.images())
        self._check_size(table.image_size)
        if self.frozen == "all":
            made, rest = cache.features(self.extractor, table), nn.Sequential(self.head)
        else:
            made = cache.maps(self.backbone, table)
            rest = nn.Sequential(self.backbone.last_block, self.backbone.pool, self.head)
        return cache.in_batches(rest, len(table), lambda rows: made[rows]).softmax(1)

    def features(self, images: Tensor) -> Tensor:
        """Map (n, 3, H, W) uint8 sRGB to (n, feature_dim) float32."""
        self._check_size(images.shape[-1])
        return cache.in_batches(self.extractor, len(images), lambda rows: normalise(images[rows]))

    def _apply(self, module: nn.Module, images: Tensor) -> Tensor:
        self._check_size(images.shape[-1])

        def batch(rows: npt.NDArray[np.int64]) -> Tensor:
            return normalise(images[rows])

        return cache.in_batches(module, len(images), batch).softmax(1)

    def _check_size(self, side: int) -> None:
        if side != self.image_size:
            raise DataError(
                f"images of {side} px for a model trained at {self.image_size} px; "
                f"pass image_size={self.image_size}."
            )

    def save(self, folder: Path) -> None:
        """Write `predictor.safetensors` and `predictor.json`; nothing else is needed to load."""
        about: dict[str, object] = {
            "backbone": self.backbone.name,
            "pretrained_on": self.backbone.pretrained_on,
            "classes": self.classes,
            "image_size": self.image_size,
            "frozen": self.frozen,
            "reading": asdict(self.reading),
            "head": head_settings(self.head),
        }
        module = nn.ModuleDict({"backbone": self.backbone, "head": self.head})
        save_tensors(module, folder / "predictor.safetensors")
        if self.dictionary is not None:
            save_file(self.dictionary._asdict(), folder / _DICTIONARY)
        atomic_write(folder / "predictor.json", json.dumps(about, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the predictor written by `save`.

        Raises:
            PluginError: the folder holds none.
        """
        try:
            about = json.loads((folder / "predictor.json").read_text())
        except (OSError, ValueError) as error:
            raise PluginError(f"{folder} holds no saved net: {error}.") from error
        backbone = make_backbone(about["backbone"], image_size=about["image_size"])
        backbone.pretrained_on = about["pretrained_on"]
        state = _read_tensors(folder / "predictor.safetensors")
        mine = {name: value for name, value in state.items() if name.startswith("head.")}
        head = make_head(about["head"], {n.removeprefix("head."): v for n, v in mine.items()})
        module = nn.ModuleDict({"backbone": backbone, "head": head})
        load_tensors(module, folder / "predictor.safetensors")
        size, frozen = about["image_size"], about["frozen"]
        reading, file = Reading(**about["reading"]), folder / _DICTIONARY
        dictionary = Dictionary(**_read_tensors(file)) if file.is_file() else None
        return cls(
            backbone,
            head,
            about["classes"],
            size,
            frozen=frozen,
            reading=reading,
            dictionary=dictionary,
        )


def save_tensors(module: nn.Module, file: Path) -> None:
    """Write a module's state as safetensors."""
    file.parent.mkdir(parents=True, exist_ok=True)
    state = module.state_dict()
    save_file({name: value.detach().cpu().contiguous() for name, value in state.items()}, file)


def _read_tensors(file: Path) -> dict[str, Tensor]:
    try:
        return dict(load_file(file))
    except Exception as error:  # the reader raises its own kinds beside OSError
        raise _unfit(file, error) from error


def _unfit(file: Path, error: Exception) -> PluginError:
    reason = str(error).strip().splitlines()[0]
    return PluginError(f"{file} does not hold the weights expected here: {reason}")


def load_tensors(module: nn.Module, file: Path) -> None:
    """Fill a module with the state written by `save_tensors`.

    Raises:
        PluginError: the file is absent, damaged, or of another net.
    """
    state = _read_tensors(file)
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise _unfit(file, error) from error
