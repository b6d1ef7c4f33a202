"""The same real images again: the control that tells making images from repeating them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fewskin.data.support_images import SupportImages, knob_values
from fewskin.protocols import ImageTable, Knob, Samples

__all__ = ["Copies"]


@dataclass(frozen=True)
class Copies:
    """Return support images unchanged, drawn with replacement; has nothing to fit."""

    def fit(self, base: ImageTable | None, *, seed: int, out: Path) -> "Copies":
        """Return an equal generator."""
        return Copies()

    def adapt(self, support: ImageTable, *, seed: int, out: Path) -> "CopiesSampler":
        """Return a sampler of the images of `support`."""
        return CopiesSampler(SupportImages.of(support))

    def save(self, folder: Path) -> None:
        """Make `folder`; there is no state."""
        folder.mkdir(parents=True, exist_ok=True)

    def load(self, folder: Path) -> "Copies":
        """Return an equal generator."""
        return Copies()


@dataclass(frozen=True)
class CopiesSampler:
    """Support images, one a seed."""

    support: SupportImages

    @property
    def knobs(self) -> Mapping[str, Knob]:
        """None."""
        return {}

    def sample(
        self, label: str, seeds: Sequence[int], *, knobs: Mapping[str, float] | None = None
    ) -> Samples:
        """Return one support image of `label` a seed.

        Raises:
            ConfigError: unknown label or knob.
        """
        knob_values(self.knobs, knobs)
        rows = self.support.draw(label, seeds)
        return Samples(self.support.images[rows], self.support.parents(rows), [{} for _ in rows])

    def save(self, folder: Path) -> None:
        """Write the support images to `folder`."""
        self.support.save(folder)

    @classmethod
    def load(cls, folder: Path) -> "CopiesSampler":
        """Return the sampler written by `save`."""
        return cls(SupportImages.load(folder))
