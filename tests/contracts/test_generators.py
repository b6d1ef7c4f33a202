from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from fewskin.data.support_images import SupportImages
from fewskin.errors import PluginError
from fewskin.functional.augment import Policy
from fewskin.generators.copies import Copies
from fewskin.generators.flat import FlatSampler
from fewskin.plugins import find, keywords, list_plugins, make
from fewskin.testing import check_generator

# Whatever a generator is called, these keywords mean the same and are small in a test.
TINY = {"fit_steps": 5, "steps": 5, "adapt_steps": 5, "backbone": "conv4", "batch_size": 4}


@pytest.mark.parametrize("name", list_plugins("generators"))
def test_generator_keeps_the_contract(name: str, tmp_path: Path) -> None:
    if name == "face3d":
        pytest.importorskip("mediapipe", reason="face3d finds faces with the extra `landmarks`")
    known = keywords(find("generators", name))
    tiny = {key: value for key, value in TINY.items() if key in known}
    check_generator(make("generators", {"name": name, **tiny}), tmp_path)


class _UnitesBatches(FlatSampler):
    def sample(self, label, seeds, *, knobs=None):
        made = super().sample(label, seeds, knobs=knobs)
        mean = made.images.float().mean(0, keepdim=True).byte()
        return replace(made, images=mean.expand_as(made.images))


class _Careless(FlatSampler):
    def sample(self, label, seeds, *, knobs=None):
        return super().sample(label, seeds)


class _Forgetful(FlatSampler):
    @classmethod
    def load(cls, folder):
        loaded = super().load(folder)
        return cls(loaded.support, Policy())


@dataclass(frozen=True)
class _Broken(Copies):
    sampler: type = FlatSampler

    def fit(self, base, *, seed, out):
        return replace(self)

    def adapt(self, support, *, seed, out):
        return self.sampler(SupportImages.of(support), Policy(brightness=0.0))

    def load(self, folder):
        return replace(self)


@pytest.mark.parametrize(
    ("sampler", "contract"),
    [
        (_UnitesBatches, "does not depend on its batch"),
        (_Careless, "an unknown knob raises ConfigError"),
        (_Forgetful, "a saved and loaded sampler gives the same bytes"),
    ],
)
def test_a_broken_generator_is_named(sampler: type, contract: str, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=contract):
        check_generator(_Broken(sampler=sampler), tmp_path)
