"""DermNet, SD-198, Omniglot and CIFAR-FS: classes, and published parts, as folders."""

import pytest

from fewskin.data.class_rules import ClassRules
from fewskin.data.sources.cifar_fs import cifar_fs
from fewskin.data.sources.dermnet import dermnet
from fewskin.data.sources.omniglot import omniglot
from fewskin.data.sources.sd198 import sd198
from fewskin.errors import ConfigError, DataError

ACNE = "Acne and Rosacea Photos"


def test_dermnet_keeps_the_published_part_in_a_column(tree, of, details):
    root = tree(
        f"dermnet/train/{ACNE}/07Acne081101.jpg",
        f"dermnet/test/{ACNE}/rosacea-12.jpg",
        "dermnet/Test/Eczema Photos/eczema-1.JPG",
        "dermnet/cover.png",
    )
    read = dermnet(root / "dermnet", out=root)
    assert of(read, "07Acne081101")["label"] == ACNE
    assert of(read, "07Acne081101")["split"] == "train"
    assert of(read, "eczema-1")["split"] == "test"
    assert of(read, "rosacea-12")["file_topic"] == "rosacea"
    assert read.findings.loc[read.findings["kind"] == "unlabelled", "path"].tolist() == [
        "cover.png"
    ]
    assert "published parts (test 2, train 1)" in details(read, "published_split")[0]
    assert "no patient ids" in details(read, "no_patient_ids")[0]


def test_dermnet_topics_may_be_the_class(tree):
    root = tree(f"train/{ACNE}/07Acne081101.jpg", f"train/{ACNE}/0012.jpg")
    read = dermnet(root, out=root, label="file_topic")
    assert read.rows["label"].tolist() == ["Acne"]
    assert "the file name has no topic" in read.findings["detail"].tolist()
    with pytest.raises(ConfigError, match=r"source\.label"):
        dermnet(root, out=root, label="name")


def test_dermnet_without_parts_is_a_folder_of_classes(tree, details):
    root = tree("Eczema Photos/1.jpg", "Eczema Photos/more/2.jpg")
    read = dermnet(root, out=root)
    assert read.rows["label"].tolist() == ["Eczema Photos"] * 2
    assert details(read, "published_split") == []
    with pytest.raises(DataError, match="no labelled image"):
        dermnet(tree("x/y.txt") / "x", out=root)


@pytest.mark.parametrize("inner", ["", "images"])
def test_sd198_is_read_from_the_set_or_its_images(tree, inner):
    root = tree("images/Rosacea/1.jpg", "images/Acne_Vulgaris/1.jpg", "8_2_split/train.txt")
    read = sd198(root / inner, out=root)
    assert read.root == root / "images"
    assert sorted(read.rows["label"]) == ["Acne_Vulgaris", "Rosacea"]
    assert sorted(read.rows["image_id"]) == ["Acne_Vulgaris__1", "Rosacea__1"]
    assert set(read.rows["licence"]) == {"research use, by request to the authors"}


def test_omniglot_classes_are_characters_of_an_alphabet(tree, of):
    base = "omniglot-py/images_"
    root = tree(
        f"{base}background/Greek/character01/0394_01.png",
        f"{base}background/Greek/character02/0395_20.png",
        f"{base}evaluation/Oriya/character01/1209_07.png",
        f"{base}background.zip",
    )
    read = omniglot(root, out=root)
    assert of(read, "0394_01")["label"] == "Greek/character01"
    assert (of(read, "0395_20")["drawer"], of(read, "0395_20")["split"]) == ("20", "train")
    assert of(read, "1209_07")["split"] == "test"
    rules = ClassRules(rare_where={"split": "test"}, common_where={"split": "train"})
    rare, common = rules.classes(read.rows.assign(group_id=read.rows["image_id"]))
    assert (rare, common) == (["Oriya/character01"], ["Greek/character01", "Greek/character02"])
    assert read.findings["kind"].tolist() == ["published_split"]


def test_absent_sets_say_exactly_what_to_fetch(tree):
    root = tree("photo.png")
    with pytest.raises(ConfigError, match=r"omniglot/master/python/images_background\.zip"):
        omniglot(root, out=root)
    with pytest.raises(ConfigError, match=r"zenodo\.org/record/7978538/files/cifar100\.zip"):
        cifar_fs(root, out=root)


@pytest.mark.parametrize("base", ["", "cifarfs/"])
def test_cifar_fs_is_read_by_its_lists(tree, base, details):
    lists = {"train": "apple\nbear\n", "val": "cup\n", "test": "rose\n"}
    splits = {f"{base}cifar100/splits/bertinetto/{part}.txt": t for part, t in lists.items()}
    images = [f"{base}cifar100/data/{c}/{c}_1.png" for c in ("apple", "bear", "rose", "unused")]
    copies = [f"{base}processed/train/apple/apple_1.png"]
    root = tree(*images, *copies, texts=splits)
    read = cifar_fs(root, out=root)
    assert read.rows[["label", "split"]].values.tolist() == [
        ["apple", "train"],
        ["bear", "train"],
        ["rose", "test"],
    ]
    assert details(read, "missing") == ["val.txt row 1: class 'cup' has no images"]
    assert "not in a class folder" in details(read, "unlabelled")[0]


def test_cifar_fs_is_read_from_learn2learns_copy(tree):
    root = tree("cifarfs/processed/val/cup/1.png", "cifarfs/processed/test/rose/1.png")
    read = cifar_fs(root, out=root)
    assert sorted(read.rows["split"]) == ["test", "val"]
    assert sorted(read.rows["path"]) == ["test/rose/1.png", "val/cup/1.png"]
