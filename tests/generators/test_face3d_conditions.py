"""Modes paint and transplant of face3d, on made-up faces whose landmarks are known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from fewskin.data.arrays import table_from_arrays
from fewskin.data.leakage import guard
from fewskin.errors import ConfigError, LeakageError
from fewskin.face.landmarks import Landmarks, Reason
from fewskin.face.pictures import as_pixels
from fewskin.face.scene import KNOBS
from fewskin.functional.colour import linear_to_lab, srgb_to_linear
from fewskin.generators import face3d
from fewskin.generators.face3d import Face3D, Face3DSampler
from fewskin.protocols import ImageTable, Samples
from fewskin.testing import check_generator
from tests.face.mean_face import landmarks_at, mean_face

SIZE = 96
STILL = dict.fromkeys(KNOBS, 0.0)


class _Known:
    """Knows that every picture shows the mean face, but a black one."""

    def __init__(self, **settings: object) -> None:
        pass

    def __enter__(self) -> "_Known":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def detect(self, images: list[np.ndarray]) -> list[Landmarks | Reason]:
        none = Reason("no_face", "no face was found.")
        return [landmarks_at(len(one)) if one.any() else none for one in images]


@pytest.fixture(autouse=True)
def known_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face3d, "MediapipeProvider", _Known)


def faces(labels: list[str], first: int = 0) -> ImageTable:
    tones = np.linspace(0.1, 0.7, len(labels))
    made = [mean_face(SIZE, tone=t, seed=first + i).image for i, t in enumerate(tones)]
    pixels = np.stack([as_pixels(one) for one in made]).transpose(0, 3, 1, 2)
    return table_from_arrays(pixels, labels)


def ids(table: ImageTable, label: str) -> set[str]:
    return set(table.rows.loc[table.rows["label"] == label, "image_id"])


BASE = ["healthy", "acne", "healthy", "healthy"]


@pytest.fixture(scope="module")
def base() -> ImageTable:
    return faces(BASE)


@pytest.fixture(scope="module")
def ill(base: ImageTable) -> ImageTable:
    """Two people with rosacea, painted, and one with a healthy skin and that label."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(face3d, "MediapipeProvider", _Known)
        sampler = painter(base).adapt(faces(["rosacea"], 50), seed=0, out=Path())
        made = sampler.sample("rosacea", [1, 4], knobs=STILL | {"severity": 4.0})
    assert not made.rejected
    plain = faces(["lupus"], 60).images()
    pixels = torch.cat([made.images, plain]).numpy()
    return table_from_arrays(pixels, ["rosacea", "rosacea", "lupus"])


def painter(base: ImageTable, **settings: object) -> Face3D:
    return Face3D(mode="paint", side=128, **settings).fit(base, seed=0, out=Path())


def redness(made: Samples) -> np.ndarray:
    lab = linear_to_lab(srgb_to_linear(made.images.permute(0, 2, 3, 1).numpy() / 255.0))
    return lab[..., 1]


@pytest.mark.parametrize("mode", ["paint", "transplant"])
def test_the_modes_keep_the_contract(mode: str, tmp_path: Path) -> None:
    presets = {"rare_red": "flush"}  # quick to draw; rare_brown has none and is rejected
    tiny = Face3D(mode=mode, side=32, healthy="common_pale", conditions=presets)
    check_generator(tiny, tmp_path)


def test_a_painted_sample_is_its_healthy_picture_but_for_the_condition(
    base: ImageTable, tmp_path: Path
) -> None:
    sampler = painter(base).adapt(faces(["healthy", "rosacea"], 70), seed=0, out=tmp_path)
    seeds = [3, 4, 5, 6]
    well = sampler.sample("healthy", seeds)
    ill = sampler.sample("rosacea", seeds, knobs={"severity": 4.0})
    assert not well.rejected
    assert not ill.rejected
    assert well.parents == ill.parents  # the same people in the same scenes
    assert {one for each in ill.parents for one in each} <= ids(base, "healthy")
    assert not well.masks["condition"].any()
    assert {"condition", "face", "erythema", "papules"} <= set(ill.masks)
    rise = redness(ill) - redness(well)
    for i in range(len(seeds)):
        there = ill.masks["condition"][i].numpy() > 0
        assert there.sum() > 200
        assert rise[i][there].mean() > 1.0  # by the drawn severity and the tone
        far = ill.masks["face"][i].numpy() == 0
        assert np.abs(rise[i][far]).mean() < 0.05
    assert all(1.0 <= one["severity"] <= 4.0 for one in ill.params)


def test_transplants_name_donor_and_target_and_redden_the_skin(
    base: ImageTable, ill: ImageTable, tmp_path: Path
) -> None:
    made = Face3D(mode="transplant", side=128, mixing="one").fit(base, seed=0, out=tmp_path)
    sampler = made.adapt(ill, seed=0, out=tmp_path)
    seeds = list(range(6))
    got = sampler.sample("rosacea", seeds)
    assert not got.rejected
    for parents in got.parents:
        assert len(parents) == 2
        assert parents[0] in ids(ill, "rosacea")
        assert parents[1] in ids(base, "healthy")
    more = sampler.sample("rosacea", seeds, knobs={"strength": 2.0})
    there = got.masks["condition"].numpy() > 0
    assert there.any((1, 2)).all()
    rise = (redness(more) - redness(got))[there]
    assert rise.mean() > 1.0
    sampler.save(tmp_path / "saved")
    again = Face3DSampler.load(tmp_path / "saved").sample("rosacea", [4])
    assert torch.equal(again.images[0], got.images[4])
    assert again.parents[0] == got.parents[4]
    mixed = replace(made, mixing="mixup")._with(made._targets).adapt(ill, seed=0, out=tmp_path)
    assert max(len(one) for one in mixed.sample("rosacea", seeds).parents) == 3


def test_a_donor_without_redness_is_not_passed_off_as_ill(
    base: ImageTable, ill: ImageTable, tmp_path: Path
) -> None:
    made = Face3D(mode="transplant", side=128).fit(base, seed=0, out=tmp_path)
    got = made.adapt(ill, seed=0, out=tmp_path).sample("rosacea", [1], knobs={"strength": 0.0})
    assert "show no redness to move" in got.rejected[0]
    clear = painter(base).adapt(ill, seed=0, out=tmp_path)
    faint = clear.sample("rosacea", [1, 2], knobs={"severity": 0.0})
    assert set(faint.rejected) == {0, 1}
    assert "is clear skin" in faint.rejected[0]


def test_images_of_targets_that_are_tested_on_are_refused(
    base: ImageTable, ill: ImageTable, tmp_path: Path
) -> None:
    made = Face3D(mode="transplant", side=128, max_targets=1).fit(base, seed=0, out=tmp_path)
    got = made.adapt(ill, seed=0, out=tmp_path).sample("rosacea", [1])
    donor, target = got.parents[0][0], got.parents[0][-1]
    generated = pd.DataFrame({"image_id": ["g"], "parent_ids": [";".join(got.parents[0])]})
    rows = pd.concat([base.rows, ill.rows]).assign(pixel_sha="")
    for leak in (donor, target):
        splits = pd.DataFrame(
            {"task": ["novel"], "fold": [0], "role": ["test"], "image_id": [leak]}
        )
        with pytest.raises(LeakageError, match="as parent of 'g'"):
            guard(splits, rows, task="novel", generated=[generated])


def test_without_base_the_healthy_support_bears_the_condition(tmp_path: Path) -> None:
    support = faces(["healthy", "rosacea", "eczema"])
    made = Face3D(mode="paint", side=128).fit(None, seed=0, out=tmp_path)
    sampler = made.adapt(support, seed=0, out=tmp_path)
    assert sampler.sample("rosacea", [1]).parents == [tuple(ids(support, "healthy"))]
    strange = sampler.sample("eczema", [1])
    assert "no preset for 'eczema'; give conditions= with one of acne" in strange.rejected[0]
    with pytest.raises(ConfigError, match="needs healthy faces"):
        made.adapt(faces(["rosacea"]), seed=0, out=tmp_path)
    with pytest.raises(ConfigError, match="no preset for eczema: give conditions="):
        made.adapt(faces(["healthy", "eczema"]), seed=0, out=tmp_path)
    with pytest.raises(ConfigError, match="unknown condition 'rosacae'"):
        Face3D(mode="paint", conditions={"eczema": "rosacae"})


def test_fitted_targets_are_healthy_chosen_by_seed_and_saved(
    base: ImageTable, tmp_path: Path
) -> None:
    two = Face3D(mode="paint", side=128, max_targets=2)
    made = two.fit(base, seed=1, out=tmp_path)
    assert made._targets is not None
    assert len(made._targets.image_ids) == 2
    assert set(made._targets.image_ids) <= ids(base, "healthy")
    made.save(tmp_path / "state")
    again = two.load(tmp_path / "state")
    assert again._targets is not None
    assert again._targets.image_ids == made._targets.image_ids
    support = faces(["rosacea"], 80)
    sampler = again.adapt(support, seed=0, out=tmp_path)
    sampler.save(tmp_path / "sampler")
    loaded = Face3DSampler.load(tmp_path / "sampler")
    one, other = (each.sample("rosacea", [7, 8]) for each in (sampler, loaded))
    assert torch.equal(one.images, other.images)
    assert all(torch.equal(one.masks[name], other.masks[name]) for name in one.masks)
    assert torch.equal(loaded.sample("rosacea", [8]).images[0], one.images[1])


def test_targets_without_a_face_are_passed_over(base: ImageTable, tmp_path: Path) -> None:
    pixels = base.images().numpy().copy()
    pixels[0] = 0
    dark = table_from_arrays(pixels, BASE)
    sampler = painter(dark).adapt(faces(["rosacea"], 90), seed=0, out=tmp_path)
    made = sampler.sample("rosacea", list(range(5)))
    assert not made.rejected
    assert dark.rows["image_id"][0] not in {one for each in made.parents for one in each}
