"""Trivial cues alone: what colour, borders, sharpness and exposure tell without seeing the skin.

The nearest class mean of `functional.cues`. With `cues: [mean colour, spread of colour]` these are
the colour moments of Stricker and Orengo, Similarity of color images, 1995,
doi:10.1117/12.205308; differs from the paper: CIELAB in place of HSV, two moments in place of
three, and class means in place of single images. The floor that anything calling itself learned
has to beat: where it does well, the data tell the classes by how they were photographed.
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

from fewskin.errors import ConfigError, PluginError
from fewskin.functional.cues import CUES, MEASURES, UNITS, picture_cues
from fewskin.functional.prototypes import centres, logits
from fewskin.nets.backbones import MEAN, STD, normalise
from fewskin.paths import atomic_write
from fewskin.protocols import ImageTable
from fewskin.training.features import features, in_batches
from fewskin.training.fitted import row_weights
from fewskin.training.statistics import floored

__all__ = ["Trivial"]


class Trivial:
    """Nearest class by trivial cues alone.

    Args:
        scale: factor of the mean squared distance, in deviations of the base rows.
        cues: names of `functional.cues.CUES`; all of them by default.

    Raises:
        ConfigError: a cue is unknown, or none is named.
    """

    transductive: ClassVar[bool] = False
    output: ClassVar[Literal["class", "mask", "boxes"]] = "class"

    def __init__(self, *, scale: float = 1.2, cues: Sequence[str] = tuple(CUES)) -> None:
        unknown = [name for name in cues if name not in CUES]
        if unknown or not cues:
            got = repr(unknown[0]) if unknown else "none"
            raise ConfigError(f"trivial: cues={got}; expected some of {', '.join(CUES)}.")
        self.scale, self.cues = scale, tuple(cues)
        self._std = torch.ones(len(_places(self.cues)))

    def fit(self, base: ImageTable | None, *, seed: int, out: Path) -> "Trivial":
        """Return a learner that measures cues in deviations of the base rows."""
        fitted = copy.copy(self)
        fitted._std = torch.ones(len(self._std))
        if base is not None:
            known = features(_Cues(), base)[:, _places(self.cues)]
            fitted._std = floored(known.std(0, correction=0))
        return fitted

    def adapt(
        self,
        support: ImageTable,
        *,
        extra: ImageTable | None,
        base: ImageTable | None,
        seed: int,
        out: Path,
    ) -> "_TrivialPredictor":
        """Return a predictor for the classes of `support`, and of `base` when it is given."""
        tables = [table for table in (support, extra, base) if table is not None]
        labels = [label for table in tables for label in table.labels]
        classes = sorted(set(labels))
        codes = torch.from_numpy(np.searchsorted(classes, labels))
        weights = torch.from_numpy(np.concatenate([row_weights(table) for table in tables]))
        known = torch.cat([features(_Cues(), table) for table in tables])
        rows = known[:, _places(self.cues)] / self._std
        middle = centres(rows, codes, len(classes), weights)
        return _TrivialPredictor(middle, self._std, self.scale, self.cues, classes)

    def save(self, folder: Path) -> None:
        """Write the deviations of the base rows."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"std": self._std}, folder / "trivial.safetensors")

    def load(self, folder: Path) -> "Trivial":
        """Return a learner with these hyper-parameters and the state written by `save`.

        Raises:
            PluginError: the folder holds none.
        """
        loaded = copy.copy(self)
        loaded._std = _read(folder)["std"]
        return loaded


def _places(cues: Sequence[str]) -> list[int]:
    return [MEASURES.index(name) for cue in cues for name in CUES[cue]]


class _Cues(nn.Module):
    """Normalised images (n, 3, H, W) to (n, 13): `picture_cues` in units plain to the eye."""

    def __init__(self) -> None:
        super().__init__()
        # Names what is computed where results of modules are kept by their state.
        self.register_buffer("trivial_cues_of", torch.tensor([MEAN, STD]))

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, 3, H, W) to (n, 13)."""
        srgb = ((images * STD + MEAN) * 255.0).round().clamp(0, 255).to(torch.uint8)
        pictures = srgb.permute(0, 2, 3, 1).cpu().numpy()  # (n, 3, H, W) -> (n, H, W, 3)
        found = [picture_cues(picture) for picture in pictures]
        rows = np.reshape(found, (len(pictures), len(MEASURES))) / UNITS
        return torch.from_numpy(rows).to(images)


class _TrivialPredictor:
    """Predicts the class whose cues are nearest.

    Args:
        centres: (C, d) float, in deviations.
        std: (d,) the deviations, in `UNITS`.
        scale: factor of the mean squared distance.
        cues: names of the cues, d numbers together.
        classes: names of the centres.
    """

    pretrained_on = ""

    def __init__(
        self,
        centres: Tensor,
        std: Tensor,
        scale: float,
        cues: Sequence[str],
        classes: Sequence[str],
    ) -> None:
        self.centres, self.std, self.scale = centres, std, scale
        self.cues, self.classes = tuple(cues), tuple(classes)

    def predict(self, images: Tensor) -> Tensor:
        """Map (n, 3, H, W) uint8 sRGB to (n, C) float32 probabilities."""
        return self._nearest(self.features(images))

    def predict_table(self, table: ImageTable) -> Tensor:
        """Return (n, C) probabilities of the rows; their cues are measured once."""
        return self._nearest(features(_Cues(), table)[:, _places(self.cues)])

    def features(self, images: Tensor) -> Tensor:
        """Map (n, 3, H, W) uint8 sRGB to (n, d) cues, in `UNITS`."""
        known = in_batches(_Cues(), len(images), lambda rows: normalise(images[rows]))
        return known[:, _places(self.cues)]

    def _nearest(self, known: Tensor) -> Tensor:
        scale = self.scale / len(self.std)
        return logits(known / self.std, self.centres, scale=scale).softmax(1)

    def save(self, folder: Path) -> None:
        """Write `trivial.safetensors` and `trivial.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"centres": self.centres, "std": self.std}, folder / "trivial.safetensors")
        about = {"classes": self.classes, "cues": self.cues, "scale": self.scale}
        atomic_write(folder / "trivial.json", json.dumps(about, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "_TrivialPredictor":
        """Return the predictor written by `save`.

        Raises:
            PluginError: the folder holds none.
        """
        tensors = _read(folder)
        about = json.loads((folder / "trivial.json").read_text())
        return cls(
            tensors["centres"], tensors["std"], about["scale"], about["cues"], about["classes"]
        )


def _read(folder: Path) -> dict[str, Tensor]:
    try:
        return dict(load_file(folder / "trivial.safetensors"))
    except Exception as error:  # the reader raises its own kinds beside OSError
        raise PluginError(f"{folder} holds no saved trivial cues: {error}.") from error
