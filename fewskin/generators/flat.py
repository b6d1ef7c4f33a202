"""Classical augmentation of single real images: turns, flips, zoom, shift and light.

The policy is disease-safe (no hue, saturation or white balance); see fewskin/functional/augment.py.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from fewskin.data.orientation import policy_of
from fewskin.data.support_images import (
    SupportImages,
    knob_values,
    to_float,
    to_uint8,
    transpose,
)
from fewskin.functional.augment import Policy, augment, parameters
from fewskin.paths import atomic_write
from fewskin.protocols import ImageTable, Knob, Samples

__all__ = ["Flat"]


@dataclass(frozen=True)
class Flat:
    """Augment one support image an output; has nothing to fit.

    Attributes:
        flip: mirror left and right, half of the time.
        rot90: turn by 0, 90, 180 or 270 degrees; None turns all but faces.
        rotation_deg: turn by up to this angle either way; None is 30, for faces 15.
        scale: zoom by up to 1 + scale, either way.
        translation: shift by up to this share of the side.
        brightness: scale linear RGB by up to this share, either way.
    """

    flip: bool = True
    rot90: bool | None = None
    rotation_deg: float | None = None
    scale: float = 0.2
    translation: float = 0.1
    brightness: float = 0.1

    def fit(self, base: ImageTable | None, *, seed: int, out: Path) -> "Flat":
        """Return an equal generator."""
        return replace(self)

    def adapt(self, support: ImageTable, *, seed: int, out: Path) -> "FlatSampler":
        """Return a sampler of views of the images of `support`."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        return FlatSampler(SupportImages.of(support), replace(policy_of(support), **given))

    def save(self, folder: Path) -> None:
        """Make `folder`; there is no state."""
        folder.mkdir(parents=True, exist_ok=True)

    def load(self, folder: Path) -> "Flat":
        """Return an equal generator."""
        return replace(self)


@dataclass(frozen=True)
class FlatSampler:
    """Views of support images, one a seed."""

    support: SupportImages
    policy: Policy

    @property
    def knobs(self) -> Mapping[str, Knob]:
        """`strength` scales every range of the policy; flips and quarter turns stay."""
        return {"strength": Knob(0.0, 2.0, 1.0, "times the policy")}

    def sample(
        self, label: str, seeds: Sequence[int], *, knobs: Mapping[str, float] | None = None
    ) -> Samples:
        """Return one view of a support image of `label` a seed.

        Raises:
            ConfigError: unknown label or knob.
        """
        policy = self.policy.scaled(knob_values(self.knobs, knobs)["strength"])
        rows = self.support.draw(label, seeds)
        views = augment(to_float(self.support.images[rows]), seeds, policy)
        return Samples(
            to_uint8(views), self.support.parents(rows), transpose(parameters(seeds, policy))
        )

    def save(self, folder: Path) -> None:
        """Write the support images and the policy to `folder`."""
        self.support.save(folder)
        atomic_write(folder / "policy.json", json.dumps(asdict(self.policy)) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "FlatSampler":
        """Return the sampler written by `save`."""
        policy = Policy(**json.loads((folder / "policy.json").read_text()))
        return cls(SupportImages.load(folder), policy)
