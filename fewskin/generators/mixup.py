"""Within-class mixup: a weighted sum of two augmented views of one class.

Zhang et al., mixup: beyond empirical risk minimization, 2018, arXiv:1710.09412.
Differs from the paper: images of one class only, so the label stays hard; both are augmented views,
so that K = 1 works (two views of the same image); the first image always has the larger share.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy.stats import beta

from fewskin.data.orientation import policy_of
from fewskin.data.support_images import (
    SupportImages,
    knob_values,
    to_float,
    to_uint8,
    transpose,
)
from fewskin.errors import ConfigError
from fewskin.functional.augment import Policy, augment, fork_seeds, uniforms
from fewskin.paths import atomic_write
from fewskin.protocols import ImageTable, Knob, Samples

__all__ = ["Mixup"]

# Streams of a sample's seed beside those of SupportImages.
_SECOND_VIEW, _SHARE = 3, 4


@dataclass(frozen=True)
class Mixup:
    """Mix two support images of one class; has nothing to fit.

    Attributes:
        alpha: shape of the Beta distribution of the share; 1 is uniform, less mixes less.
        augment: augment both images by the default policy first; off mixes them as they are.
    """

    alpha: float = 1.0
    augment: bool = True

    def fit(self, base: ImageTable | None, *, seed: int, out: Path) -> "Mixup":
        """Return an equal generator."""
        return replace(self)

    def adapt(self, support: ImageTable, *, seed: int, out: Path) -> "MixupSampler":
        """Return a sampler of mixtures of the images of `support`.

        Raises:
            ConfigError: alpha is not positive.
        """
        if self.alpha <= 0:
            raise ConfigError(f"mixup alpha={self.alpha}: expected more than 0.")
        policy = policy_of(support) if self.augment else None
        return MixupSampler(SupportImages.of(support), self.alpha, policy)

    def save(self, folder: Path) -> None:
        """Make `folder`; there is no state."""
        folder.mkdir(parents=True, exist_ok=True)

    def load(self, folder: Path) -> "Mixup":
        """Return an equal generator."""
        return replace(self)


@dataclass(frozen=True)
class MixupSampler:
    """Mixtures of two support images, one a seed."""

    support: SupportImages
    alpha: float
    policy: Policy | None

    @property
    def knobs(self) -> Mapping[str, Knob]:
        """`share` is the most that the second image may count."""
        return {"share": Knob(0.0, 0.5, 0.5, "largest share of the second image")}

    def sample(
        self, label: str, seeds: Sequence[int], *, knobs: Mapping[str, float] | None = None
    ) -> Samples:
        """Return one mixture of two images of `label` a seed.

        Raises:
            ConfigError: unknown label or knob.
        """
        most = knob_values(self.knobs, knobs)["share"]
        first = self.support.draw(label, seeds)
        second = self.support.second(label, first, seeds)
        drawn = beta.ppf(uniforms(fork_seeds(seeds, _SHARE), 1)[:, 0], self.alpha, self.alpha)
        share = 2 * most * np.minimum(drawn, 1 - drawn)  # (n,) in [0, most]
        weight = torch.from_numpy(share).float()[:, None, None, None]
        views = self._views(first, seeds), self._views(second, fork_seeds(seeds, _SECOND_VIEW))
        mixed = to_uint8(views[0] * (1 - weight) + views[1] * weight)
        return Samples(mixed, self.support.parents(first, second), transpose({"share": share}))

    def _views(self, rows: np.ndarray, seeds: Sequence[int] | np.ndarray) -> torch.Tensor:
        images = to_float(self.support.images[rows])
        return images if self.policy is None else augment(images, seeds, self.policy)

    def save(self, folder: Path) -> None:
        """Write the support images and the settings to `folder`."""
        self.support.save(folder)
        policy = None if self.policy is None else asdict(self.policy)
        settings = {"alpha": self.alpha, "policy": policy}
        atomic_write(folder / "mixup.json", json.dumps(settings) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "MixupSampler":
        """Return the sampler written by `save`."""
        settings = json.loads((folder / "mixup.json").read_text())
        policy = None if settings["policy"] is None else Policy(**settings["policy"])
        return cls(SupportImages.load(folder), settings["alpha"], policy)
