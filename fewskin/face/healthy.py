"""How much blood a face's skin has more than in health, told from that one photograph.

Noses, cheeks and ears are redder than foreheads in health too, and a sunset reddens one side of a
face. Without a healthy photograph of the same person that must be told from erythema. A small
network looks at the whole face, on the map that all face models share (`face.common_map`), and says
how much blood lies there that health does not explain. It was taught with healthy faces on which
blood of every shape was painted (`scripts/learn_healthy_skin.py`): the presets of
`face.conditions`, and random fields that follow no anatomy. Faces as they are, and with pigment
alone, were to give nothing. It is run in numpy and needs no torch.

The network has two parts. The first is a perceptron of all cells' colours: every cell is the same
place on every face, so that what is usual there can be learned. It makes two maps and a few numbers
about the whole face, by which the second, two convolutions, is shifted (Perez et al., "FiLM: visual
reasoning with a general conditioning layer", 2018, https://arxiv.org/abs/1709.07871) when it
compares a cell with its neighbours, wherever it lies.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from fewskin.errors import DataError, StageError
from fewskin.face.canvas import canvas_of
from fewskin.face.common_map import common_map
from fewskin.face.model import FaceModel
from fewskin.face.texture import Texture, smooth_step
from fewskin.face.zones import zones_of
from fewskin.functional.pigment import density
from fewskin.functional.pyramid import doubled, halved
from fewskin.paths import assets_dir

__all__ = [
    "HealthyModel",
    "bare_skin",
    "cell_colours",
    "healthy_model",
    "network_inputs",
    "read_healthy_model",
    "redness",
    "smoothed",
    "unusual_blood",
]

Map = npt.NDArray[np.float32]

DETAIL_MM: Final = 1.5  # finer than that, two unwrapped photographs do not lie on each other
_TYPICAL: Final = np.array([0.35, 0.6, 0.75], np.float32)  # optical density of skin, RGB
_SEEN: Final = 0.3  # mean weight above which a cell counts fully
_FEWEST: Final = 100  # cells, of 720
_LAYERS: Final = ("gather", "think", "tell", "context", "look", "compare", "last")
_ARRAYS: Final = (
    "filter",
    "cells",
    *(f"{layer}.{part}" for layer in _LAYERS for part in ("weight", "bias")),
)
_TOLD: Final = np.float32(5.0)  # the two parts' numbers are of one size then
_DETAIL: Final = 0.5  # share of finer redness that is blood where there is blood
_DETAIL_BLOOD: Final = (0.0, 0.1)
_COARSE_MM: Final = 6.0  # what the network's cells of 12 mm do not show is detail


@dataclass(frozen=True, eq=False)
class HealthyModel:
    """What is known of healthy skin.

    Attributes:
        filter: (3,) of optical density, RGB: the redness that light, tan, make-up and cameras
            disturb least; haemoglobin has the response 1.
        weights: of the network. `cells` (n,) are the flat indices of its cells on a map of 16 x 16.
            By layer, `<layer>.weight` and `<layer>.bias`: gather (h, 3 n + 3), think (h, h), tell
            (2 n, h) and context (c, h) are matrices; look (c, 6, 3, 3), compare (c, c, 3, 3) and
            last (1, c, 1, 1) convolutions.
    """

    filter: npt.NDArray[np.float32]
    weights: Mapping[str, Map]

    def blood(self, od: Map, weight: Map) -> Map:
        """Return (32, 32) blood more than in health, density, 0 or more.

        A face and its mirror image give mirrored answers.

        Args:
            od: (3, 32, 32) optical density of the skin, RGB.
            weight: (32, 32), 0 where nothing is seen.
        """
        inputs = network_inputs(od, weight)
        one, other = self._run(inputs), self._run(inputs[:, :, ::-1])[:, ::-1]
        inside = np.isin(np.arange(one.size), self._cells).reshape(one.shape)
        known = (inside | inside[:, ::-1]).astype(np.float32)
        made = doubled(0.5 * (one + other)) / np.maximum(doubled(known), 0.3)
        return np.asarray(np.maximum(made, 0.0), np.float32)

    @property
    def _cells(self) -> npt.NDArray[np.int64]:
        return self.weights["cells"].astype(np.int64)

    def _run(self, inputs: Map) -> Map:
        """Return (16, 16) blood of (7, 16, 16) inputs, seen from one side."""
        cells, side = self._cells, inputs.shape[-1]
        flat = inputs.reshape(len(inputs), -1)
        face = _leaky(self._matrix("gather", np.r_[flat[:3, cells].ravel(), flat[3:6, 0]]))
        face = face + _leaky(self._matrix("think", face))
        told = self._matrix("tell", face).reshape(2, -1)
        planes = np.zeros((6, side * side), np.float32)
        planes[:, cells] = np.concatenate([flat[[0, 1, 2, 6]][:, cells], _TOLD * told])
        local = self._convolution("look", planes.reshape(6, side, side))
        local = _leaky(local + self._matrix("context", face)[:, None, None])
        local = _leaky(self._convolution("compare", local))
        last = np.tensordot(self.weights["last.weight"][0, :, 0, 0], local, 1)
        made = np.zeros(side * side, np.float32)
        made[cells] = told[0] + last.ravel()[cells] + self.weights["last.bias"][0]
        return made.reshape(side, side)

    def _matrix(self, name: str, values: Map) -> Map:
        return np.asarray(self.weights[f"{name}.weight"] @ values + self.weights[f"{name}.bias"])

    def _convolution(self, name: str, planes: Map) -> Map:
        """Return (O, h, w) of (C, h, w), 3 x 3; outside there is 0."""
        padded = np.pad(planes, ((0, 0), (1, 1), (1, 1)))
        parts = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
        made = np.tensordot(self.weights[f"{name}.weight"], parts, ([1, 2, 3], [0, 3, 4]))
        return np.asarray(made + self.weights[f"{name}.bias"][:, None, None], np.float32)


def _leaky(values: Map) -> Map:
    return np.maximum(values, np.float32(0.1) * values)


def _quarter(planes: Map) -> Map:
    """Return (..., h / 2, w / 2) means of 2 x 2 cells."""
    return halved(planes) * np.float32(0.25)


@functools.cache
def healthy_model() -> HealthyModel:
    """Return the model of `assets/face/healthy_skin.npz`.

    Raises:
        StageError: the file is missing or damaged.
    """
    return read_healthy_model(assets_dir() / "face" / "healthy_skin.npz")


def read_healthy_model(file: Path) -> HealthyModel:
    """Return a model that `scripts/learn_healthy_skin.py` has written.

    Raises:
        StageError: the file is missing, damaged or of another kind.
    """
    try:
        with np.load(file, allow_pickle=False) as found:
            arrays = {name: found[name].astype(np.float32) for name in _ARRAYS}
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise StageError(f"cannot read {file}: {error}. Install fewskin again.") from error
    return HealthyModel(arrays.pop("filter"), arrays)


def redness(albedo: Texture, model: HealthyModel | None = None) -> Map:
    """Return (S, S) redness of a texture without light, in units of haemoglobin density.

    Only differences count: its level depends on tone, exposure and camera.
    """
    taken = (model or healthy_model()).filter
    return np.asarray(density(albedo.colour) @ taken, dtype=np.float32)


def bare_skin(model: FaceModel, side: int) -> Map:
    """Return (S, S) in [0, 1]: the face without brows, eyes, lips and nostrils."""
    zones = zones_of(model, side)
    bare = zones.of("face") * (1.0 - np.maximum(zones.feature, zones.nostril))
    return np.asarray(bare, np.float32)


def cell_colours(albedo: Texture, model: FaceModel) -> tuple[Map, Map]:
    """Return (3, 32, 32) optical density of the skin on the common map, and (32, 32) its weight."""
    weight = bare_skin(model, albedo.side) * albedo.confidence * albedo.skin
    planes = np.moveaxis(density(albedo.colour), -1, 0).astype(np.float32)
    return common_map(model, albedo.side).of(planes, weight)


def network_inputs(od: Map, weight: Map) -> Map:
    """Return (..., 7, 16, 16): density about the face's mean, that mean, and what is seen.

    Args:
        od: (..., 3, 32, 32) optical density.
        weight: (..., 32, 32), 0 where nothing is seen.
    """
    weight = weight[..., None, :, :]
    share = _quarter(weight)
    colours = _quarter(od * weight) / np.maximum(share, 1e-4)
    total = np.maximum(share.sum((-2, -1), keepdims=True), 1e-3)
    level = (colours * share).sum((-2, -1), keepdims=True) / total
    seen = np.clip(share / _SEEN, 0.0, 1.0)
    tone = np.broadcast_to(1.5 * (level - _TYPICAL[:, None, None]), colours.shape)
    return np.concatenate([5.0 * (colours - level) * seen, tone, seen], -3).astype(np.float32)


def unusual_blood(albedo: Texture, model: FaceModel, *, prior: HealthyModel | None = None) -> Map:
    """Return (S, S) blood more than in health, density; smooth, with detail where there is blood.

    Args:
        albedo: without light, completed or not.
        model: face model with landmarks.
        prior: of healthy faces; the shipped one by default.

    Raises:
        DataError: too little skin is seen.
    """
    prior, common = prior or healthy_model(), common_map(model, albedo.side)
    od, weight = cell_colours(albedo, model)
    n_seen = int((weight > 0.5 * _SEEN).sum())
    if n_seen < _FEWEST:
        raise DataError(
            f"skin is seen in {n_seen} of {len(common.cells)} places of the face, {_FEWEST} are "
            "needed to tell what it is like in health; give a healthy photograph."
        )
    blood = common.onto(prior.blood(od, weight))
    shares = bare_skin(model, albedo.side) * albedo.confidence * albedo.skin
    found = smoothed(redness(albedo, prior), shares, model)
    detail = found - smoothed(found, shares, model, _COARSE_MM)
    detail *= _DETAIL * smooth_step(blood, *_DETAIL_BLOOD) * (shares > 0)
    return np.asarray(np.maximum(blood + detail, 0.0), np.float32)


def smoothed(image: Map, weight: Map, model: FaceModel, width_mm: float = DETAIL_MM) -> Map:
    """Return (S, S) weighted means about each texel, of a Gaussian on the mean face's skin.

    Args:
        image: (S, S).
        weight: (S, S), 0 or more; where all around it is 0 the result is 0.
        model: face model.
        width_mm: standard deviation.
    """
    from scipy.ndimage import gaussian_filter

    side = image.shape[0]
    width = width_mm / float(np.median(canvas_of(model, side).texel_mm))
    sums, total = (gaussian_filter(one, width, mode="constant") for one in (image * weight, weight))
    return np.asarray(sums / np.maximum(total, 1e-4), np.float32)
