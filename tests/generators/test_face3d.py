from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fewskin.data.arrays import table_from_arrays
from fewskin.errors import ConfigError
from fewskin.face.landmarks import Landmarks, Reason
from fewskin.face.pictures import as_pixels
from fewskin.generators import face3d
from fewskin.generators.face3d import Face3D, Face3DSampler
from fewskin.protocols import ImageTable
from tests.face.mean_face import landmarks_at, mean_face

SIZE = 96


class _Known:
    """Knows where the faces of these tests are; the second picture has none."""

    def __init__(self, **settings: object) -> None:
        pass

    def __enter__(self) -> "_Known":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def detect(self, images: list[np.ndarray]) -> list[Landmarks | Reason]:
        found: list[Landmarks | Reason] = [landmarks_at(SIZE) for _ in images]
        found[1] = Reason("no_face", "no face was found.")
        return found


@pytest.fixture
def support(monkeypatch: pytest.MonkeyPatch) -> ImageTable:
    monkeypatch.setattr(face3d, "MediapipeProvider", _Known)
    images = [
        as_pixels(mean_face(SIZE, tone=t, seed=i).image) for i, t in enumerate((0.1, 0.4, 0.8))
    ]
    pixels = np.stack(images).transpose(0, 3, 1, 2)
    return table_from_arrays(pixels, ["rosacea", "acne", "rosacea"])


def test_views_are_of_their_parents_and_keep_their_tone(
    support: ImageTable, tmp_path: Path
) -> None:
    sampler = Face3D(side=128).adapt(support, seed=0, out=tmp_path)
    made = sampler.sample("rosacea", list(range(8)))
    assert not made.rejected
    assert len(set(made.parents)) == 2
    light = support.rows["image_id"][0]
    middle = made.images[:, :, 40:56, 40:56].float().mean((1, 2, 3))
    pale = torch.tensor([parents == (light,) for parents in made.parents])
    assert middle[pale].min() > middle[~pale].max()
    assert all(abs(params["yaw_deg"]) <= 20 for params in made.params)
    assert len({tuple(image.flatten()[::97].tolist()) for image in made.images}) == 8


def test_a_photograph_without_a_face_is_rejected_with_its_reason(
    support: ImageTable, tmp_path: Path
) -> None:
    made = Face3D(side=128).adapt(support, seed=0, out=tmp_path).sample("acne", [1, 2])
    assert set(made.rejected) == {0, 1}
    assert made.rejected[0].startswith("no_face in ")


def test_saved_samplers_and_single_samples_are_the_same(
    support: ImageTable, tmp_path: Path
) -> None:
    sampler = Face3D(side=128).adapt(support, seed=0, out=tmp_path)
    sampler.save(tmp_path / "saved")
    loaded = Face3DSampler.load(tmp_path / "saved")
    made = sampler.sample("rosacea", [3, 4], knobs={"yaw_deg": 35.0})
    alone = loaded.sample("rosacea", [4], knobs={"yaw_deg": 35.0})
    assert torch.equal(made.images[1:], alone.images)
    assert replace(sampler.settings) == loaded.settings


def test_fused_samples_name_every_photograph_of_their_patient(
    support: ImageTable, tmp_path: Path
) -> None:
    rows = support.rows.assign(patient_id=["ann", "bob", "ann"])
    table = replace(support, rows=rows)
    fused = Face3D(side=128, fuse=True).adapt(table, seed=0, out=tmp_path)
    made = fused.sample("rosacea", list(range(6)))
    ids = rows["image_id"].tolist()
    assert {frozenset(parents) for parents in made.parents} == {frozenset((ids[0], ids[2]))}
    assert {parents[0] for parents in made.parents} == {ids[0], ids[2]}
    alone = Face3D(side=128).adapt(table, seed=0, out=tmp_path).sample("rosacea", list(range(6)))
    assert [parents[:1] for parents in made.parents] == list(alone.parents)
    fused.save(tmp_path / "saved")
    again = Face3DSampler.load(tmp_path / "saved").sample("rosacea", [4])
    assert torch.equal(again.images[0], made.images[4])
    assert again.parents[0] == made.parents[4]


def test_photographs_of_other_labels_and_patients_are_not_fused(
    support: ImageTable, tmp_path: Path
) -> None:
    rows = support.rows.assign(patient_id=["ann", "ann", "bob"])
    sampler = Face3D(side=128, fuse=True).adapt(replace(support, rows=rows), seed=0, out=tmp_path)
    assert {len(parents) for parents in sampler.sample("rosacea", [0, 1, 2]).parents} == {1}


def test_a_pool_is_kept_with_the_sampler(support: ImageTable, tmp_path: Path) -> None:
    pool = tmp_path / "pool"
    pool.mkdir()
    Image.fromarray(np.full((40, 60, 3), (200, 10, 10), np.uint8)).save(pool / "red.png")
    settings = Face3D(side=128, background="pool", pool=str(pool))
    sampler = settings.adapt(support, seed=0, out=tmp_path)
    sampler.save(tmp_path / "saved")
    (pool / "red.png").unlink()
    made = Face3DSampler.load(tmp_path / "saved").sample("rosacea", [1])
    assert torch.equal(made.images, sampler.sample("rosacea", [1]).images)
    red, green, blue = made.images[0, :, :6, :6].float().mean((1, 2)).tolist()
    assert red > 150
    assert max(green, blue) < 60
    with pytest.raises(ConfigError, match="give pool=DIR"):
        Face3D(background="pool").adapt(support, seed=0, out=tmp_path)
    with pytest.raises(ConfigError, match="unknown background"):
        Face3D(background="beach")  # type: ignore[arg-type]


def test_unknown_modes_and_models_are_refused(support: ImageTable, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected view, paint, transplant"):
        Face3D(mode="swap")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="model=nowhere"):
        Face3D(model="nowhere").adapt(support, seed=0, out=tmp_path)


def test_real_faces_are_found_and_turned(realdata: Path, tmp_path: Path) -> None:
    pytest.importorskip("mediapipe")
    files = sorted((realdata / "faces_sfhq" / "large").glob("*.jpg"))[:2]
    images = [np.asarray(Image.open(file).convert("RGB").resize((160, 160))) for file in files]
    table = table_from_arrays(np.stack(images).transpose(0, 3, 1, 2), ["a", "b"])
    sampler = Face3D(side=256).adapt(table, seed=0, out=tmp_path)
    for label in ("a", "b"):
        still = sampler.sample(label, [5], knobs=dict.fromkeys(sampler.knobs, 0.0))
        assert not still.rejected
        own = table.images()[table.labels.index(label)]
        error = (still.images[0].float() - own.float()).square().mean() / 255**2
        assert -10 * torch.log10(error) > 27
        assert not torch.equal(sampler.sample(label, [5]).images, still.images)
