"""MedMNIST: 2D sets of any size, in colour or grey; everything else is one line."""

import numpy as np
import pytest
from PIL import Image

from fewskin.data.sources.medmnist import medmnist
from fewskin.errors import ConfigError, DataError
from fewskin.stages.ingest import ingest
from fewskin.tables import read_manifest


def npz(folder, name="dermamnist_64.npz", *, shape=(28, 28, 3), n=(4, 2, 2), pack=True, **changes):
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in zip(("train", "val", "test"), n, strict=True):
        arrays[f"{part}_images"] = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
        arrays[f"{part}_labels"] = (np.arange(count)[:, None] % 7).astype(np.uint8)
    folder.mkdir(exist_ok=True)
    arrays |= changes
    (np.savez_compressed if pack else np.savez)(folder / name, **arrays)
    return arrays


@pytest.mark.parametrize(("shape", "pack"), [((28, 28, 3), True), ((64, 48), False)])
def test_every_image_is_written_as_it_is(tmp_path, of, shape, pack):
    arrays = npz(tmp_path / "data", shape=shape, pack=pack)
    read = medmnist(tmp_path / "data", out=tmp_path / "out")
    assert len(read.rows) == 8
    row = of(read, "train-000001")
    assert (row["label"], row["split"], row["dataset"]) == (
        "basal cell carcinoma",
        "train",
        "dermamnist",
    )
    with Image.open(read.root / row["path"]) as image:
        assert np.array_equal(np.array(image), arrays["train_images"][1])
    assert read.findings["kind"].tolist() == ["no_patient_ids", "published_split"]


def test_a_file_goes_through_ingest(tmp_path):
    npz(tmp_path / "data")
    made = ingest(tmp_path / "data" / "dermamnist_64.npz", source={"name": "medmnist"})
    assert len(read_manifest(made).rows) == 8
    assert read_manifest(made).root == made


def test_classes_of_other_sets_are_numbers_unless_named(tmp_path):
    npz(tmp_path, "bloodmnist.npz")
    assert set(medmnist(tmp_path, out=tmp_path / "o").rows["label"]) == {"0", "1", "2", "3"}
    named = medmnist(tmp_path, out=tmp_path / "o", names=["a", "b", "c", "d"])
    assert set(named.rows["label"]) == {"a", "b", "c", "d"}
    with pytest.raises(ConfigError, match="2 names, but a label is 3; expected 4"):
        medmnist(tmp_path, out=tmp_path / "o", names=["a", "b"])


def test_several_files_need_a_name(tmp_path):
    npz(tmp_path, "a.npz")
    npz(tmp_path, "b.npz")
    with pytest.raises(DataError, match=r"found a\.npz, b\.npz; pass source\.file="):
        medmnist(tmp_path, out=tmp_path / "o")
    assert set(medmnist(tmp_path, out=tmp_path / "o", file="b.npz").rows["dataset"]) == {"b"}
    with pytest.raises(DataError, match="found none"):
        medmnist(tmp_path, out=tmp_path / "o", file="c.npz")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"train_images": np.zeros((4, 28, 28, 28), np.uint8)}, "images are"),
        ({"train_images": np.zeros((4, 28, 28, 3), np.float32)}, "float32"),
        ({"train_images": np.asfortranarray(np.ones((4, 5, 6), np.uint8))}, "images are"),
        ({"train_labels": np.zeros((4, 14), np.uint8)}, r"\(4, 14\), expected \(4, 1\)"),
        ({"train_labels": np.zeros((3, 1), np.uint8)}, "train_labels is"),
        ({"train_labels": np.full((4, 1), -1)}, "a label is -1"),
        ({"train_labels": np.array([[{}]] * 4, object)}, "cannot be read"),
    ],
)
def test_what_is_no_2d_set_of_single_labels_is_refused(tmp_path, changes, what):
    npz(tmp_path, **changes)
    with pytest.raises(DataError, match=what) as error:
        medmnist(tmp_path, out=tmp_path / "o")
    assert "\n" not in str(error.value)


def test_damaged_files_are_one_line(tmp_path):
    npz(tmp_path, "a.npz", n=(1, 1, 1))
    whole = (tmp_path / "a.npz").read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        broken = bytearray(whole)
        for place in rng.integers(len(broken), size=3):
            broken[place] ^= 1 << int(rng.integers(8))
        broken = broken[: int(rng.integers(len(broken) // 2, len(broken) + 1))]
        (tmp_path / "a.npz").write_bytes(bytes(broken))
        try:
            medmnist(tmp_path, out=tmp_path / "o")
        except DataError as error:
            refused += "\n" not in str(error)
    assert refused > 200
