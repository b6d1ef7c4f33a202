"""The support images a sampler draws from: chosen by label, saved as safetensors and JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from fewskin.errors import ConfigError
from fewskin.functional.augment import fork_seeds, uniforms
from fewskin.paths import atomic_write
from fewskin.protocols import ImageTable, Knob
from fewskin.provenance import unknown
from fewskin.tables import Schema

__all__ = ["SUPPORT", "SupportImages", "knob_values", "to_float", "to_uint8", "transpose"]

# The table beside a saved sampler: the rows it was adapted to.
SUPPORT = Schema(
    name="support",
    required=("image_id", "label", "group_id"),
    unique=("image_id",),
    sort=("image_id",),
)
# Streams of a sample's seed; the augmentation itself uses the seed as it is.
_PARENT, _SECOND_PARENT = 1, 2


@dataclass(frozen=True, eq=False)
class SupportImages:
    """Real images a sampler may draw from, sorted by id so that row order means nothing.

    Attributes:
        images: (n, 3, H, W) uint8 sRGB.
        image_ids: (n) id of each.
        labels: (n) label of each.
    """

    images: Tensor
    image_ids: tuple[str, ...]
    labels: tuple[str, ...]

    @classmethod
    def of(cls, table: ImageTable) -> "SupportImages":
        """Return a copy of the pixels and ids of `table`."""
        ids = table.rows["image_id"].tolist()
        order = sorted(range(len(ids)), key=ids.__getitem__)
        chosen = table.take(order)
        return cls(chosen.images(), tuple(chosen.rows["image_id"]), tuple(chosen.labels))

    def rows(self, label: str) -> npt.NDArray[np.int64]:
        """Return the rows of `label`.

        Raises:
            ConfigError: there are none.
        """
        found = np.flatnonzero([own == label for own in self.labels])
        if not len(found):
            raise ConfigError(unknown("label", label, sorted(set(self.labels))))
        return found

    def draw(self, label: str, seeds: Sequence[int]) -> npt.NDArray[np.int64]:
        """Return the row of `label` that each seed falls on.

        Every control draws its parent here, so that arms of equal seeds repeat equal images.
        """
        rows = self.rows(label)
        u = uniforms(fork_seeds(seeds, _PARENT), 1)[:, 0]
        return rows[np.floor(u * len(rows)).astype(np.int64)]

    def second(
        self, label: str, first: npt.NDArray[np.int64], seeds: Sequence[int]
    ) -> npt.NDArray[np.int64]:
        """Return another row of `label` than `first`, (n,); the same one if it is the only one."""
        rows = self.rows(label)
        u = uniforms(fork_seeds(seeds, _SECOND_PARENT), 1)[:, 0]
        step = np.floor(u * (len(rows) - 1)).astype(np.int64) + 1
        return rows[(np.searchsorted(rows, first) + step) % len(rows)]

    def parents(self, *rows: npt.NDArray[np.int64]) -> list[tuple[str, ...]]:
        """Return the distinct ids of the rows each image was made from."""
        made = (
            dict.fromkeys(self.image_ids[row] for row in each) for each in zip(*rows, strict=True)
        )
        return [tuple(ids) for ids in made]

    def save(self, folder: Path) -> None:
        """Write `support.safetensors` and `support.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"images": self.images.contiguous()}, folder / "support.safetensors")
        table = {"image_ids": self.image_ids, "labels": self.labels}
        atomic_write(folder / "support.json", json.dumps(table) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "SupportImages":
        """Return what `save` wrote."""
        table = json.loads((folder / "support.json").read_text())
        images = load_file(folder / "support.safetensors")["images"]
        return cls(images, tuple(table["image_ids"]), tuple(table["labels"]))


def knob_values(knobs: Mapping[str, Knob], given: Mapping[str, float] | None) -> dict[str, float]:
    """Return the value of every knob: as given, else its default.

    Raises:
        ConfigError: a knob is unknown or out of its range.
    """
    for name, value in (given or {}).items():
        if name not in knobs:
            raise ConfigError(unknown("knob", name, sorted(knobs)))
        low, high = knobs[name].low, knobs[name].high
        if not low <= value <= high:
            unit = f" ({knobs[name].unit})" if knobs[name].unit else ""
            raise ConfigError(f"knob {name}={value}: expected {low:g} to {high:g}{unit}.")
    return {name: float((given or {}).get(name, knob.default)) for name, knob in knobs.items()}


def to_float(images: Tensor) -> Tensor:
    """Return uint8 sRGB as float32 in [0, 1]."""
    return images.float() / 255.0


def to_uint8(images: Tensor) -> Tensor:
    """Return float sRGB in [0, 1] as uint8, rounded."""
    return (images * 255.0).round().clamp(0, 255).to(torch.uint8)


def transpose(columns: Mapping[str, npt.NDArray[np.float64]]) -> list[dict[str, float]]:
    """Return one dict a row, rounded for the record, from name -> (n,)."""
    rows = zip(*(column.round(5).tolist() for column in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]
