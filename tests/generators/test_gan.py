from pathlib import Path

import pytest
import torch

from fewskin.errors import ConfigError, PluginError
from fewskin.generators.gan import Gan
from fewskin.testing import check_generator, synthetic_table

TINY = {"channel_base": 128, "channel_max": 8, "latent": 8, "batch_size": 4}
BASE = synthetic_table(("common_pale", "common_ring"), 8)
RARE = synthetic_table(("rare_brown", "rare_red"), 2)


def tiny(**settings) -> Gan:
    return Gan(**{**TINY, "fit_steps": 4, "adapt_steps": 3, **settings})


def test_the_style_variant_keeps_the_contract(tmp_path: Path) -> None:
    check_generator(tiny(variant="style"), tmp_path)


def test_an_image_has_the_same_bytes_in_any_company(tmp_path: Path) -> None:
    sampler = tiny().fit(BASE, seed=0, out=tmp_path).adapt(RARE, seed=0, out=tmp_path)
    whole = sampler.sample("rare_red", [5, 6, 7]).images
    assert torch.equal(whole[1:2], sampler.sample("rare_red", [6]).images)
    assert not torch.equal(whole[0], whole[1])


def test_labels_give_other_images_of_the_same_seed(tmp_path: Path) -> None:
    sampler = tiny(fit_steps=30).adapt(RARE, seed=0, out=tmp_path)
    one, other = (sampler.sample(name, [3]).images for name in RARE.classes)
    assert not torch.equal(one, other)


def test_it_learns_the_colours_of_its_classes_without_a_fit(tmp_path: Path) -> None:
    support = synthetic_table(("rare_brown", "rare_red"), 4)
    gan = Gan(channel_base=256, channel_max=16, latent=16, batch_size=8, fit_steps=150)
    sampler = gan.adapt(support, seed=0, out=tmp_path)
    seeds, grey = range(8), []
    for name in support.classes:
        rows = [i for i, own in enumerate(support.labels) if own == name]
        real = support.images(rows).float().mean((0, 2, 3))
        made = sampler.sample(name, seeds).images.float().mean((0, 2, 3))
        assert float((real - made).abs().max()) < 25, name
        grey.append(made)
    # Red has less green beside its red than brown has.
    assert grey[1][1] / grey[1][0] < grey[0][1] / grey[0][0]


def test_truncation_0_gives_one_latent_and_1_the_spread(tmp_path: Path) -> None:
    sampler = tiny(fit_steps=20).adapt(RARE, seed=0, out=tmp_path)

    def spread(psi: float) -> float:
        made = sampler.sample("rare_red", range(6), knobs={"truncation": psi}).images
        return float(made.float().std(0).mean())

    assert spread(0.0) < spread(0.5) < spread(1.0)


def test_labels_that_the_fit_has_seen_are_not_trained_again(tmp_path: Path) -> None:
    fitted = tiny().fit(BASE, seed=0, out=tmp_path)
    one = fitted.adapt(BASE, seed=1, out=tmp_path).sample("common_pale", [1]).images
    other = fitted.adapt(BASE.take([0]), seed=2, out=tmp_path).sample("common_pale", [1]).images
    assert torch.equal(one, other)


def test_an_odd_side_is_refused_and_so_is_another_than_the_fit_s(tmp_path: Path) -> None:
    odd = synthetic_table(("rare_brown", "rare_red"), 1, image_size=33)
    with pytest.raises(ConfigError, match=r"image_size=33.*32, 64, 128, 256 or 512"):
        tiny().adapt(odd, seed=0, out=tmp_path)
    fitted = tiny().fit(BASE, seed=0, out=tmp_path)
    larger = synthetic_table(("rare_brown", "rare_red"), 1, image_size=64)
    with pytest.raises(ConfigError, match="image_size=64: this GAN was fitted at 32 px"):
        fitted.adapt(larger, seed=0, out=tmp_path)


def test_what_it_has_seen_is_on_record(tmp_path: Path) -> None:
    assert tiny().fit(None, seed=0, out=tmp_path).pretrained_on == ""
    fitted = tiny().fit(BASE, seed=0, out=tmp_path)
    assert fitted.pretrained_on == "16 base images"
    fitted.save(tmp_path / "saved")
    assert tiny().load(tmp_path / "saved").pretrained_on == "16 base images"


def test_a_folder_without_a_gan_or_with_another_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="holds no fitted GAN"):
        tiny().load(tmp_path)
    tiny().fit(BASE, seed=0, out=tmp_path).save(tmp_path / "saved")
    with pytest.raises(PluginError, match="variant light, expected style"):
        tiny(variant="style").load(tmp_path / "saved")
