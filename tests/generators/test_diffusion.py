from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fewskin.errors import ConfigError, DataError, PluginError
from fewskin.generators.diffusion import Diffusion
from fewskin.testing import check_generator, synthetic_table

TINY = {"channels": [8, 16], "patch": 4, "batch_size": 4, "sample_steps": 3}
BASE = synthetic_table(("common_pale", "common_ring"), 8)
RARE = synthetic_table(("rare_brown", "rare_red"), 2)
MODES = ("sample", "sdedit", "inpaint", "interpolate", "round_trip")


def tiny(**settings) -> Diffusion:
    return Diffusion(**{**TINY, "fit_steps": 3, "adapt_steps": 3, **settings})


def sampler(tmp_path: Path, **settings):
    return tiny(**settings).fit(BASE, seed=0, out=tmp_path).adapt(RARE, seed=0, out=tmp_path)


@pytest.mark.parametrize("mode", MODES[1:])
def test_every_mode_keeps_the_contract(mode: str, tmp_path: Path) -> None:
    check_generator(tiny(mode=mode, healthy="common_pale"), tmp_path)


def test_v_prediction_and_every_sampler_keep_it_too(tmp_path: Path) -> None:
    check_generator(tiny(prediction="v", sampler="heun", guidance=3.0), tmp_path / "heun")
    check_generator(tiny(prediction="v", sampler="ddim", mode="interpolate"), tmp_path / "ddim")


def test_it_learns_the_colours_of_its_classes_without_a_fit(tmp_path: Path) -> None:
    support = synthetic_table(("rare_brown", "rare_red"), 4)
    model = Diffusion(
        channels=(16, 32), patch=4, batch_size=8, fit_steps=120, lr=5e-3, ema_kimg=0.1
    )
    made = model.adapt(support, seed=0, out=tmp_path)
    grey = []
    for name in support.classes:
        rows = [i for i, own in enumerate(support.labels) if own == name]
        real = support.images(rows).float().mean((0, 2, 3))
        drawn = made.sample(name, range(8)).images.float().mean((0, 2, 3))
        assert float((real - drawn).abs().max()) < 25, name
        grey.append(drawn)
    # Red has less green beside its red than brown has.
    assert grey[1][1] / grey[1][0] < grey[0][1] / grey[0][0]


def test_unmasked_pixels_keep_their_bytes_and_healthy_people_bear_the_condition(
    tmp_path: Path,
) -> None:
    for healthy in ("common_pale", "nobody"):
        made = sampler(tmp_path / healthy, mode="inpaint", healthy=healthy).sample(
            "rare_red", range(6)
        )
        mask = made.masks["condition"]
        table = {**dict(zip(BASE.rows["image_id"], BASE.images(), strict=True)),
                 **dict(zip(RARE.rows["image_id"], RARE.images(), strict=True))}  # fmt: skip
        for image, parents, one in zip(made.images, made.parents, mask, strict=True):
            assert parents[0].startswith("rare_red")
            assert len(parents) == (2 if healthy == "common_pale" else 1)
            painted_on = table[parents[-1]]
            outside = one == 0
            assert 0.0 < float(outside.float().mean()) < 1.0
            assert torch.equal(image[:, outside], painted_on[:, outside])
            assert not torch.equal(image[:, ~outside], painted_on[:, ~outside])


def test_masks_of_a_folder_are_used_and_a_missing_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    half = np.zeros((32, 32), np.uint8)
    half[:, :16] = 255
    for image_id in RARE.rows["image_id"]:
        Image.fromarray(half).save(tmp_path / "masks" / f"{image_id}.png")
    made = sampler(tmp_path, mode="inpaint", masks=str(tmp_path / "masks")).sample("rare_red", [1])
    assert torch.equal(made.masks["condition"][0], torch.from_numpy(half))
    (tmp_path / "masks" / f"{RARE.rows['image_id'][0]}.png").unlink()
    with pytest.raises(DataError, match=r"rare_brown-0-0\.png is missing"):
        sampler(tmp_path, mode="inpaint", masks=str(tmp_path / "masks"))


def test_an_image_without_a_lesion_is_rejected_for_painting(tmp_path: Path) -> None:
    flat = synthetic_table(("rare_red",), 1)
    flat.pixels[:] = 128
    made = tiny(mode="inpaint").adapt(flat, seed=0, out=tmp_path).sample("rare_red", [1])
    assert "no lesion was found" in made.rejected[0]


def test_an_edit_names_its_parent_and_strength_0_leaves_it(tmp_path: Path) -> None:
    drawn = sampler(tmp_path, mode="sdedit")
    images = dict(zip(RARE.rows["image_id"], RARE.images(), strict=True))
    still = drawn.sample("rare_brown", range(4), knobs={"strength": 0.0})
    weak = drawn.sample("rare_brown", range(4), knobs={"strength": 0.1})
    strong = drawn.sample("rare_brown", range(4), knobs={"strength": 0.9})
    for i, ((parent,), same) in enumerate(zip(still.parents, still.images, strict=True)):
        own = images[parent].int()
        assert torch.equal(same.int(), own)
        near, far = ((one.images[i].int() - own).abs().sum() for one in (weak, strong))
        assert 0 < near < far
    assert strong.params[0] == {"guidance": 1.0, "strength": 0.9}


def test_a_round_trip_is_told_no_label(tmp_path: Path) -> None:
    trip, edit = (sampler(tmp_path / m, mode=m, guidance=0.0) for m in ("round_trip", "sdedit"))
    one, other = (s.sample("rare_red", [4, 5], knobs={"strength": 0.6}) for s in (trip, edit))
    # Guidance 0 leaves the label out as well: the same noise gives the same image.
    assert torch.equal(one.images, other.images)
    assert one.parents == other.parents
    told = edit.sample("rare_red", [4, 5], knobs={"strength": 0.6, "guidance": 1.0})
    assert not torch.equal(told.images, one.images)


def test_an_interpolation_names_two_parents_and_spread_0_is_half_way(tmp_path: Path) -> None:
    drawn = sampler(tmp_path, mode="interpolate")
    made = drawn.sample("rare_red", range(5), knobs={"spread": 0.0})
    assert all(len(set(parents)) == 2 for parents in made.parents)
    assert {one["share"] for one in made.params} == {0.5}
    wide = drawn.sample("rare_red", range(5), knobs={"spread": 1.0})
    assert len({one["share"] for one in wide.params}) == 5
    # Without noise it is the mean of both.
    plain = drawn.sample("rare_red", [1], knobs={"spread": 0.0, "strength": 0.0})
    rows = [i for i, label in enumerate(RARE.labels) if label == "rare_red"]
    mean = RARE.images(rows).float().mean(0)
    assert float((plain.images[0].float() - mean).abs().max()) <= 1.0


def test_a_copy_of_a_support_image_is_rejected_unless_copies_are_welcome(tmp_path: Path) -> None:
    settings = {"mode": "interpolate"}
    knobs = {"strength": 0.0}
    one = synthetic_table(("rare_red",), 1)  # between an image and itself lies itself
    made = (
        tiny(**settings).adapt(one, seed=0, out=tmp_path / "a").sample("rare_red", [1], knobs=knobs)
    )
    assert "a near copy of a support image (correlation 1.000, limit 0.980)" in made.rejected[0]
    assert made.params[0]["nearest"] == pytest.approx(1.0)
    free = tiny(**settings, reject_copies=False).adapt(one, seed=0, out=tmp_path / "b")
    assert not free.sample("rare_red", [1], knobs=knobs).rejected


def test_labels_that_the_fit_has_seen_are_not_trained_again(tmp_path: Path) -> None:
    fitted = tiny().fit(BASE, seed=0, out=tmp_path)
    one = fitted.adapt(BASE, seed=1, out=tmp_path).sample("common_pale", [1]).images
    other = fitted.adapt(BASE.take([0]), seed=2, out=tmp_path).sample("common_pale", [1]).images
    assert torch.equal(one, other)


def test_an_odd_side_is_refused_and_so_is_another_than_the_fit_s(tmp_path: Path) -> None:
    odd = synthetic_table(("rare_brown", "rare_red"), 1, image_size=33)
    with pytest.raises(ConfigError, match="image_size=33: patch=4 and 2 levels need a multiple"):
        tiny().adapt(odd, seed=0, out=tmp_path)
    fitted = tiny().fit(BASE, seed=0, out=tmp_path)
    larger = synthetic_table(("rare_brown", "rare_red"), 1, image_size=64)
    with pytest.raises(ConfigError, match="image_size=64: this diffusion model was fitted at 32"):
        fitted.adapt(larger, seed=0, out=tmp_path)


def test_settings_that_do_not_exist_are_refused_before_training() -> None:
    with pytest.raises(ConfigError, match=r"unknown mode 'inpant'.*inpaint"):
        Diffusion(mode="inpant")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="unknown sampler 'euler'"):
        Diffusion(sampler="euler")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"guidance=9\.0: expected 0 to 8"):
        Diffusion(guidance=9.0)


def test_what_it_has_seen_is_on_record_and_a_foreign_folder_is_named(tmp_path: Path) -> None:
    assert tiny().fit(None, seed=0, out=tmp_path).pretrained_on == ""
    fitted = tiny().fit(BASE, seed=0, out=tmp_path)
    assert fitted.pretrained_on == "16 base images"
    fitted.save(tmp_path / "saved")
    assert tiny().load(tmp_path / "saved").pretrained_on == "16 base images"
    with pytest.raises(PluginError, match="holds no fitted diffusion model"):
        tiny().load(tmp_path)
    with pytest.raises(PluginError, match="prediction=edm, expected v"):
        tiny(prediction="v").load(tmp_path / "saved")
