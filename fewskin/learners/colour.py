"""Colour-only prototypes: what the mean and spread of an image's colours tell, without any net.

Stricker and Orengo, Similarity of color images, 1995, doi:10.1117/12.205308 (colour moments).
Differs from the paper: CIELAB in place of HSV, two moments in place of three, and class means in
place of single images. The floor that anything calling itself learned has to beat.
"""

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from fewskin.errors import PluginError
from fewskin.functional.colour import linear_to_lab, srgb_to_linear
from fewskin.functional.prototypes import centres, logits
from fewskin.nets.backbones import MEAN, STD, normalise
from fewskin.paths import atomic_write
from fewskin.protocols import ImageTable
from fewskin.training.features import features, in_batches
from fewskin.training.fitted import row_weights
from fewskin.training.statistics import floored

__all__ = ["Colour"]

# Without base rows, a difference of 10 CIELAB units counts as one: it is plain to the eye.
_UNIT = 10.0


class Colour:
    """Nearest class by colour alone.

    Args:
        scale: factor of the squared distance, in deviations of the base rows.
    """

    transductive: ClassVar[bool] = False
    output: ClassVar[Literal["class", "mask", "boxes"]] = "class"

    def __init__(self, *, scale: float = 0.2) -> None:
        self.scale = scale
        self._std = torch.full((6,), _UNIT)

    def fit(self, base: ImageTable | None, *, seed: int, out: Path) -> "Colour":
        """Return a learner that measures colours in deviations of the base rows."""
        fitted = copy.copy(self)
        fitted._std = torch.full((6,), _UNIT)
        if base is not None:
            fitted._std = floored(features(_Moments(), base).std(0, correction=0))
        return fitted

    def adapt(
        self,
        support: ImageTable,
        *,
        extra: ImageTable | None,
        base: ImageTable | None,
        seed: int,
        out: Path,
    ) -> "_ColourPredictor":
        """Return a predictor for the classes of `support`, and of `base` when it is given."""
        tables = [table for table in (support, extra, base) if table is not None]
        labels = [label for table in tables for label in table.labels]
        classes = sorted(set(labels))
        codes = torch.from_numpy(np.searchsorted(classes, labels))
        weights = torch.from_numpy(np.concatenate([row_weights(table) for table in tables]))
        rows = torch.cat([features(_Moments(), table) for table in tables]) / self._std
        middle = centres(rows, codes, len(classes), weights)
        return _ColourPredictor(middle, self._std, self.scale, classes)

    def save(self, folder: Path) -> None:
        """Write the deviations of the base rows."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"std": self._std}, folder / "colour.safetensors")

    def load(self, folder: Path) -> "Colour":
        """Return a learner with these hyper-parameters and the state written by `save`.

        Raises:
            PluginError: the folder holds none.
        """
        loaded = copy.copy(self)
        loaded._std = _read(folder)["std"]
        return loaded


class _Moments(nn.Module):
    """Normalised images (n, 3, H, W) to (n, 6): mean, then deviation, of L*, a*, b*."""

    def __init__(self) -> None:
        super().__init__()
        # Names what is computed where results of modules are kept by their state.
        self.register_buffer("cielab_moments_of", torch.tensor([MEAN, STD]))

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, 3, H, W) to (n, 6)."""
        srgb = (images * STD + MEAN).clamp(0.0, 1.0).permute(0, 2, 3, 1).flatten(1, 2)
        lab = linear_to_lab(srgb_to_linear(srgb.cpu().numpy()))  # (n, H * W, 3)
        moments = np.concatenate([lab.mean(1), lab.std(1)], axis=1)
        return torch.from_numpy(moments).to(images)


class _ColourPredictor:
    """Predicts the class whose colours are nearest.

    Args:
        centres: (C, 6) float, in deviations.
        std: (6,) the deviations, in CIELAB units.
        scale: factor of the squared distance.
        classes: names of the centres.
    """

    pretrained_on = ""

    def __init__(self, centres: Tensor, std: Tensor, scale: float, classes: Sequence[str]) -> None:
        self.centres, self.std, self.scale = centres, std, scale
        self.classes = tuple(classes)

    def predict(self, images: Tensor) -> Tensor:
        """Map (n, 3, H, W) uint8 sRGB to (n, C) float32 probabilities."""
        return self._nearest(self.features(images))

    def predict_table(self, table: ImageTable) -> Tensor:
        """Return (n, C) probabilities of the rows; their colours are measured once."""
        return self._nearest(features(_Moments(), table))

    def features(self, images: Tensor) -> Tensor:
        """Map (n, 3, H, W) uint8 sRGB to (n, 6) mean and deviation of L*, a*, b*."""
        return in_batches(_Moments(), len(images), lambda rows: normalise(images[rows]))

    def _nearest(self, moments: Tensor) -> Tensor:
        return logits(moments / self.std, self.centres, scale=self.scale).softmax(1)

    def save(self, folder: Path) -> None:
        """Write `colour.safetensors` and `colour.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"centres": self.centres, "std": self.std}, folder / "colour.safetensors")
        about = {"classes": self.classes, "scale": self.scale}
        atomic_write(folder / "colour.json", json.dumps(about, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "_ColourPredictor":
        """Return the predictor written by `save`.

        Raises:
            PluginError: the folder holds none.
        """
        tensors = _read(folder)
        about = json.loads((folder / "colour.json").read_text())
        return cls(tensors["centres"], tensors["std"], about["scale"], about["classes"])


def _read(folder: Path) -> dict[str, Tensor]:
    try:
        return dict(load_file(folder / "colour.safetensors"))
    except Exception as error:  # the reader raises its own kinds beside OSError
        raise PluginError(f"{folder} holds no saved colours: {error}.") from error
