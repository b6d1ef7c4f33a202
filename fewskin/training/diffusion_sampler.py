"""The sampler of the diffusion generator: new images of a label, or changes of real ones."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from fewskin.data.support_images import SupportImages, knob_values, transpose
from fewskin.errors import ConfigError, PluginError
from fewskin.functional.augment import fork_seeds, uniforms
from fewskin.functional.resemblance import nearest_correlation
from fewskin.functional.samplers import SAMPLERS, SamplerName
from fewskin.nets.diffusion_unet import DiffusionNet
from fewskin.paths import atomic_write
from fewskin.protocols import Knob, Samples
from fewskin.provenance import unknown
from fewskin.training.diffusion_nets import load_net, save_net
from fewskin.training.diffusion_sample import Drawing

__all__ = ["DiffusionMode", "DiffusionSampler", "DrawSettings"]

DiffusionMode = Literal["sample", "sdedit", "inpaint", "interpolate", "round_trip"]
_KNOBS: Mapping[DiffusionMode, tuple[str, ...]] = {
    "sample": ("guidance",),
    "sdedit": ("guidance", "strength"),
    "inpaint": ("guidance", "strength"),
    "interpolate": ("guidance", "strength", "spread"),
    "round_trip": ("strength",),
}
_OWN = ("guidance", "strength")  # knobs whose default is a setting
_MOST_GUIDANCE = 8.0
_NOISE, _SHARE, _TARGET = 6, 7, 8  # streams of a sample's seed
Rows = npt.NDArray[np.int64]
Values = Mapping[str, float]


@dataclass(frozen=True)
class DrawSettings:
    """How images are drawn.

    Attributes:
        mode: what they are made from, see `generators.diffusion`.
        sampler: "dpmpp", "heun" or "ddim".
        steps: from pure noise.
        guidance: default of the knob.
        strength: default of the knob.
        reject_copies: whether near copies of a support image are rejected.
    """

    mode: DiffusionMode = "sample"
    sampler: SamplerName = "dpmpp"
    steps: int = 18
    guidance: float = 1.0
    strength: float = 0.5
    reject_copies: bool = True

    def __post_init__(self) -> None:
        if self.mode not in _KNOBS:
            raise ConfigError(unknown("mode", self.mode, list(_KNOBS)))
        if self.sampler not in SAMPLERS:
            raise ConfigError(unknown("sampler", self.sampler, list(SAMPLERS)))
        if self.steps < 1:
            raise ConfigError(f"sample_steps={self.steps}: expected 1 or more.")
        knob_values(self.knobs, {name: getattr(self, name) for name in self.knobs if name in _OWN})

    @property
    def knobs(self) -> Mapping[str, Knob]:
        """Those that the mode has."""
        every = {
            "guidance": Knob(0.0, _MOST_GUIDANCE, self.guidance, "times the label's difference"),
            "strength": Knob(0.0, 1.0, self.strength, "share of noise"),
            "spread": Knob(0.0, 1.0, 0.5, "width of the shares around one half"),
        }
        return {name: every[name] for name in _KNOBS[self.mode]}


@dataclass(frozen=True, eq=False)
class DiffusionSampler:
    """Images of the labels it was adapted to, one a seed.

    Attributes:
        net: what draws.
        known: label of each of its embeddings.
        support: the real images.
        settings: how it draws.
        limit: correlation with a support image from which on an image is a copy.
        masks: (n, S, S) uint8 of the lesion on each support image, for "inpaint".
        targets: healthy images to paint on; None paints on the support images.
    """

    net: DiffusionNet
    known: tuple[str, ...]
    support: SupportImages
    settings: DrawSettings
    limit: float
    masks: Tensor | None = None
    targets: SupportImages | None = None

    @property
    def knobs(self) -> Mapping[str, Knob]:
        """Guidance; strength where a real image is changed; spread of the shares of two."""
        return self.settings.knobs

    def sample(
        self, label: str, seeds: Sequence[int], *, knobs: Mapping[str, float] | None = None
    ) -> Samples:
        """Return one image of `label` a seed.

        In company an image may differ by a level of 255 from itself alone: sums are rounded in
        another order.

        Raises:
            ConfigError: unknown label or knob.
        """
        values, rows = knob_values(self.knobs, knobs), self.support.draw(label, seeds)
        if self.settings.mode == "sample":
            made = self._drawing.new(self._places(label, seeds), self._noise(seeds), **values)
            return self._guarded(made, label, [()] * len(seeds), values, {})
        if self.settings.mode == "inpaint":
            return self._painted(label, seeds, rows, values)
        if self.settings.mode == "interpolate":
            return self._between(label, seeds, rows, values)
        there = self.settings.mode == "round_trip"
        places = [self.net.no_label] * len(seeds) if there else self._places(label, seeds)
        images, guidance = self.support.images[rows], values.get("guidance", 1.0)
        made = self._drawing.edited(
            images, places, self._noise(seeds), guidance, values["strength"]
        )
        params = [dict(values) for _ in seeds]
        return Samples(made, self.support.parents(rows), params)

    def _painted(self, label: str, seeds: Sequence[int], rows: Rows, values: Values) -> Samples:
        assert self.masks is not None
        masks = self.masks[rows]
        target, others, names = self.support, rows, self.support.parents(rows)
        if self.targets is not None:
            target = self.targets
            u = uniforms(fork_seeds(seeds, _TARGET), 1)[:, 0]
            others = np.floor(u * len(target.image_ids)).astype(np.int64)
            painted = target.parents(others)
            names = [donor + one for donor, one in zip(names, painted, strict=True)]
        made = self._drawing.repainted(
            target.images[others],
            masks,
            self._places(label, seeds),
            self._noise(seeds),
            values["guidance"],
            values["strength"],
        )
        empty = (masks == 0).flatten(1).all(1).tolist()
        why = "no lesion was found on the support image; give masks=FOLDER"
        rejected = {i: why for i, one in enumerate(empty) if one}
        return Samples(made, names, [dict(values) for _ in seeds], rejected, {"condition": masks})

    def _between(self, label: str, seeds: Sequence[int], rows: Rows, values: Values) -> Samples:
        others = self.support.second(label, rows, seeds)
        u = uniforms(fork_seeds(seeds, _SHARE), 1)[:, 0]
        shares = 0.5 + values["spread"] * (u - 0.5)
        made = self._drawing.between(
            self.support.images[rows],
            self.support.images[others],
            torch.from_numpy(shares).float(),
            self._places(label, seeds),
            values["guidance"],
            values["strength"],
        )
        parents = self.support.parents(rows, others)
        return self._guarded(made, label, parents, values, {"share": shares})

    def _guarded(
        self,
        made: Tensor,
        label: str,
        parents: Sequence[tuple[str, ...]],
        values: Values,
        drawn: Mapping[str, npt.NDArray[np.float64]],
    ) -> Samples:
        own = self.support.images[self.support.rows(label)].numpy()
        near = nearest_correlation(made.numpy(), own) if len(made) else np.zeros(0)
        same = {name: np.full(len(made), value) for name, value in values.items()}
        params = transpose({**same, **drawn, "nearest": near})
        rejected: dict[int, str] = {}
        if self.settings.reject_copies:
            rejected = {
                i: f"a near copy of a support image (correlation {one:.3f}, limit {self.limit:.3f})"
                for i, one in enumerate(near.tolist())
                if one >= self.limit
            }
        return Samples(made, parents, params, rejected)

    @cached_property
    def _drawing(self) -> Drawing:
        return Drawing(self.net, self.settings.sampler, self.settings.steps)

    def _places(self, label: str, seeds: Sequence[int]) -> list[int]:
        return [self.known.index(label)] * len(seeds)

    def _noise(self, seeds: Sequence[int]) -> Rows:
        return fork_seeds(seeds, _NOISE)

    def save(self, folder: Path) -> None:
        """Write the net, the support images and the settings as safetensors and JSON."""
        save_net(self.net, self.known, folder)
        self.support.save(folder)
        if self.masks is not None:
            save_file({"masks": self.masks.contiguous()}, folder / "masks.safetensors")
        if self.targets is not None:
            self.targets.save(folder / "healthy")
        about = {"settings": asdict(self.settings), "limit": self.limit}
        atomic_write(folder / "sampler.json", json.dumps(about) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "DiffusionSampler":
        """Return the sampler written by `save`.

        Raises:
            PluginError: the folder holds none.
        """
        net, known = load_net(folder)
        try:
            about = json.loads((folder / "sampler.json").read_text())
        except (OSError, ValueError) as error:
            raise PluginError(f"{folder} holds no diffusion sampler: {error}.") from error
        masks, healthy = folder / "masks.safetensors", folder / "healthy"
        return cls(
            net,
            known,
            SupportImages.load(folder),
            DrawSettings(**about["settings"]),
            about["limit"],
            load_file(masks)["masks"] if masks.is_file() else None,
            SupportImages.load(healthy) if healthy.is_dir() else None,
        )
