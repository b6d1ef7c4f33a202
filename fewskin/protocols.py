"""The two public kinds, generators and learners, and what passes between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

__all__ = ["Generator", "ImageTable", "Knob", "Learner", "Predictor", "Sampler", "Samples"]


@dataclass(frozen=True)
class ImageTable:
    """A frozen view of manifest rows with their decoded pixels.

    Attributes:
        rows: (n) manifest rows, index 0..n-1; not to be changed.
        pixels: (N, 3, H, W) uint8 sRGB, usually a memory map shared by many views, N >= n.
        index: (n,) position in `pixels` of each row.
        pixels_key: names the content of `pixels`, to cache features of it; "" when unnamed.
        weights: (n,) sampling weight of each row, or None for equal weights.
    """

    rows: "pd.DataFrame"
    pixels: npt.NDArray[np.uint8]
    index: npt.NDArray[np.int64]
    pixels_key: str = ""
    weights: npt.NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.index)

    @property
    def labels(self) -> list[str]:
        """Label of each row."""
        return self.rows["label"].tolist()

    @property
    def classes(self) -> tuple[str, ...]:
        """Distinct labels, sorted."""
        return tuple(sorted(set(self.labels)))

    @property
    def groups(self) -> list[str]:
        """Group of each row: the connected component of patient, lesion and duplicates."""
        return self.rows["group_id"].tolist()

    @property
    def image_size(self) -> int:
        """Side of the square images, in pixels."""
        return int(self.pixels.shape[-1])

    def images(self, i: Sequence[int] | npt.NDArray[np.int64] | None = None) -> "Tensor":
        """Return (n, 3, H, W) uint8 sRGB, a copy, of the rows `i`; all rows by default."""
        import torch

        chosen = self.index if i is None else self.index[np.asarray(i, dtype=np.int64)]
        return torch.from_numpy(np.ascontiguousarray(self.pixels[chosen]))

    def where(self, keep: npt.NDArray[np.bool_] | Sequence[bool]) -> "ImageTable":
        """Return the view of the rows where `keep` is true, in order."""
        chosen = np.flatnonzero(np.asarray(keep, dtype=bool))
        return self.take(chosen)

    def with_ids(self, ids: Sequence[str]) -> "ImageTable":
        """Return the view of the rows whose image_id is one of `ids`, in table order."""
        return self.where(self.rows["image_id"].isin(ids).to_numpy())

    def take(self, i: Sequence[int] | npt.NDArray[np.int64]) -> "ImageTable":
        """Return the view of the rows `i`, in that order; rows may repeat."""
        chosen = np.asarray(i, dtype=np.int64)
        weights = None if self.weights is None else self.weights[chosen]
        rows = self.rows.iloc[chosen].reset_index(drop=True)
        return ImageTable(rows, self.pixels, self.index[chosen], self.pixels_key, weights)


@dataclass(frozen=True)
class Knob:
    """A dial of a sampler: its range, its default and its unit."""

    low: float
    high: float
    default: float
    unit: str = ""


@dataclass(frozen=True)
class Samples:
    """Generated images of one label.

    Attributes:
        images: (n, 3, H, W) uint8 sRGB.
        parents: image_ids each image was made from.
        params: what was drawn for each image, for the record.
        rejected: position -> reason; such an image is not to be used.
        masks: name -> (n, H, W) uint8, 255 where it is; "condition" is what the label names and
            goes into the manifest's column `mask_path`, others lie beside it.
    """

    images: "Tensor"
    parents: Sequence[tuple[str, ...]]
    params: Sequence[Mapping[str, float]]
    rejected: Mapping[int, str] = field(default_factory=dict)
    masks: Mapping[str, "Tensor"] = field(default_factory=dict)


@runtime_checkable
class Sampler(Protocol):
    """A generator adapted to a support set."""

    knobs: Mapping[str, Knob]

    def sample(
        self, label: str, seeds: Sequence[int], *, knobs: Mapping[str, float] | None = None
    ) -> Samples:
        """Return one image a seed; image i depends only on self, label, seeds[i] and knobs."""
        ...

    def save(self, folder: Path) -> None:
        """Write safetensors and JSON to `folder`."""
        ...

    @classmethod
    def load(cls, folder: Path) -> "Sampler":
        """Return the sampler written by `save`."""
        ...


@runtime_checkable
class Generator(Protocol):
    """Makes images. `fit` and `adapt` return new objects; hyper-parameters only in `__init__`."""

    def fit(self, base: ImageTable | None, *, seed: int, out: Path) -> "Generator":
        """Return a generator fitted to plentiful related data; may return an equal copy."""
        ...

    def adapt(self, support: ImageTable, *, seed: int, out: Path) -> Sampler:
        """Return a sampler for the labels of `support`, which may hold one image a class."""
        ...

    def save(self, folder: Path) -> None:
        """Write the fitted state as safetensors and JSON to `folder`."""
        ...

    def load(self, folder: Path) -> "Generator":
        """Return a generator with these hyper-parameters and the state written by `save`."""
        ...


@runtime_checkable
class Predictor(Protocol):
    """A learner adapted to a support set."""

    classes: tuple[str, ...]

    def predict(self, images: "Tensor") -> "Tensor":
        """Map (n, 3, H, W) uint8 sRGB to (n, C) float32 probabilities; rows sum to 1."""
        ...

    def save(self, folder: Path) -> None:
        """Write safetensors and JSON to `folder`."""
        ...

    @classmethod
    def load(cls, folder: Path) -> "Predictor":
        """Return the predictor written by `save`."""
        ...


@runtime_checkable
class Learner(Protocol):
    """Makes predictions; `fit` and `adapt` return new objects, settings only in `__init__`."""

    transductive: ClassVar[bool]
    output: ClassVar[Literal["class", "mask", "boxes"]]

    def fit(self, base: ImageTable | None, *, seed: int, out: Path) -> "Learner":
        """Return a learner fitted to plentiful related classes; `out` holds checkpoints."""
        ...

    def adapt(
        self,
        support: ImageTable,
        *,
        extra: ImageTable | None,
        base: ImageTable | None,
        seed: int,
        out: Path,
    ) -> Predictor:
        """Return a predictor for the classes of `support`, and of `base` when it is given.

        Args:
            support: the few real images.
            extra: generated images with `weights` such that the weights of a class's real rows
                (each 1) and generated rows have the arm's real:generated ratio.
            base: base rows for `task=generalised`, else None.
            seed: of everything random.
            out: folder for resumable state.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write the fitted state as safetensors and JSON to `folder`."""
        ...

    def load(self, folder: Path) -> "Learner":
        """Return a learner with these hyper-parameters and the state written by `save`."""
        ...
