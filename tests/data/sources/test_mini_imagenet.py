"""miniImageNet: pickles of arrays, read without running them, or tables and images."""

import os
import pickle

import numpy as np
import pytest
from PIL import Image

from fewskin.data.array_pickles import load_arrays
from fewskin.data.sources.mini_imagenet import mini_imagenet
from fewskin.errors import ConfigError, DataError, TableError
from fewskin.stages.ingest import ingest
from fewskin.tables import read_manifest

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 84, 84, 3), dtype=np.uint8)


def cache(folder, part, protocol=2, **changes):
    folder.mkdir(exist_ok=True)
    held = {
        "image_data": PIXELS,
        "class_dict": {"n01532829": [0, 2], "n01558993": [1, 3]},
        **changes,
    }
    (folder / f"mini-imagenet-cache-{part}.pkl").write_bytes(pickle.dumps(held, protocol))
    return folder


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_pickles_become_images_with_their_part(tmp_path, protocol):
    root = cache(tmp_path / "data", "train", protocol)
    cache(root, "validation")
    read = mini_imagenet(root, out=tmp_path / "out")
    assert read.root == tmp_path / "out"
    assert read.rows["split"].value_counts().to_dict() == {"train": 4, "val": 4}
    second = read.rows[read.rows["image_id"] == "train-001-00002"].iloc[0]
    assert second["label"] == "n01532829"
    with Image.open(read.root / second["path"]) as image:
        assert np.array_equal(np.array(image), PIXELS[2])
    assert read.findings[["kind", "path"]].values.tolist() == [["missing", "test"]]


def test_a_pickle_goes_through_ingest(tmp_path):
    made = ingest(cache(tmp_path / "data", "test"), source={"name": "mini_imagenet"})
    manifest = read_manifest(made)
    assert manifest.root == made
    assert len(manifest.rows) == 4


class _Runs:
    def __reduce__(self):
        return os.system, ("touch ran",)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_that_names_a_program_is_refused_and_not_run(tmp_path, monkeypatch, protocol):
    monkeypatch.chdir(tmp_path)
    cache(tmp_path, "train", protocol, class_dict=_Runs())
    with pytest.raises(DataError, match="which is no array"):
        mini_imagenet(tmp_path, out=tmp_path / "out")
    assert not (tmp_path / "ran").exists()


def test_damaged_pickles_are_one_line(tmp_path):
    whole = (cache(tmp_path, "train") / "mini-imagenet-cache-train.pkl").read_bytes()
    rng = np.random.default_rng(1)
    for trial in range(200):
        broken = bytearray(whole[: int(rng.integers(1, 400))])
        broken[int(rng.integers(len(broken)))] ^= 1 << int(rng.integers(8))
        (tmp_path / "mini-imagenet-cache-train.pkl").write_bytes(bytes(broken))
        with pytest.raises(DataError) as error:
            load_arrays(tmp_path / "mini-imagenet-cache-train.pkl")
        assert "\n" not in str(error.value), trial


@pytest.mark.parametrize(
    "changes",
    [
        {"image_data": PIXELS[..., :1]},
        {"image_data": [1, 2]},
        {"class_dict": {"a": [4]}},
        {"class_dict": {"a": 3}},
        {"class_dict": {"a": ["x"]}},
        {"class_dict": [0]},
    ],
)
def test_a_pickle_of_something_else_is_refused(tmp_path, changes):
    with pytest.raises(DataError, match=r"expected|class_dict"):
        mini_imagenet(cache(tmp_path, "train", **changes), out=tmp_path / "out")


def test_tables_name_images_of_the_folder(tree, details):
    root = tree(
        "images/n01_1.jpg",
        "images/n02_1.jpg",
        texts={
            "train.csv": "filename,label\nn01_1.jpg,n01\nn01_9.jpg,n01\n",
            "test.csv": "filename,label\nn02_1.jpg,n02\nn02_1.jpg,n03\n",
        },
    )
    read = mini_imagenet(root, out=root)
    assert read.rows[["image_id", "label", "split"]].values.tolist() == [
        ["n01_1", "n01", "train"],
        ["n02_1", "n02", "test"],
    ]
    assert "train.csv row 3: no such image" in details(read, "missing")
    assert details(read, "twice") == ["test.csv row 3: listed before"]
    (root / "test.csv").write_text("name,label\nx,y\n")
    with pytest.raises(TableError, match="columns filename and label"):
        mini_imagenet(root, out=root)


def test_an_absent_set_says_exactly_what_to_fetch(tree):
    root = tree("a.png")
    with pytest.raises(ConfigError, match=r"zenodo\.org/record/7978538/files/mini-imagenet-cache"):
        mini_imagenet(root, out=root)


def test_numpy_arrays_of_both_generations_are_rebuilt(tmp_path):
    held = pickle.dumps({"image_data": PIXELS[:1]}, 2)
    for number, text in enumerate((held, held.replace(b"numpy._core", b"numpy.core"))):
        (tmp_path / f"{number}.pkl").write_bytes(text)
        loaded = load_arrays(tmp_path / f"{number}.pkl")
        assert np.array_equal(loaded["image_data"], PIXELS[:1])
