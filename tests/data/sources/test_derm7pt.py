"""Derm7pt: two images a case, and the published parts as positions in the table."""

import pytest

from fewskin.data.sources.derm7pt import derm7pt
from fewskin.errors import ConfigError, DataError, TableError

HEAD = "case_num,diagnosis,seven_point_score,streaks,location,sex,clinic,derm,case_id,notes\n"
ROWS = (
    "1,blue nevus,2,absent,head neck,female,NEL/NEL1.JPG,NEL/Nel2.jpg,,\n"
    "2,lentigo,0,irregular,back,male,FAA/1.jpg,FAA/2.jpg,,\n"
    "3,,1,absent,back,male,FBB/1.jpg,FBB/2.jpg,,\n"
)


@pytest.fixture
def root(tree):
    names = ("NEL/NEL1.JPG", "NEL/Nel2.png", "FAA/1.jpg", "FAA/2.jpg", "FBB/2.jpg")
    texts = {
        "meta/meta.csv": HEAD + ROWS,
        "meta/train_indexes.csv": "indexes\n1\n",
        "meta/valid_indexes.csv": "indexes\n2\n",
        "meta/test_indexes.csv": "indexes\n0\n",
    }
    return tree(*(f"images/{name}" for name in names), texts=texts)


def test_a_case_is_a_lesion_whose_images_are_chosen(root, of, details):
    read = derm7pt(root, out=root)
    assert read.rows["path"].tolist() == ["images/NEL/Nel2.png", "images/FAA/2.jpg"]
    row = of(read, "Nel2")
    assert (row["label"], row["lesion_id"], row["view"]) == ("blue nevus", "1", "dermoscopy")
    assert (row["site"], row["sex"], row["seven_point_score"]) == ("head neck", "female", "2")
    assert details(read, "unlabelled") == ["meta.csv row 4: no usable label; the image is left out"]
    both = derm7pt(root, out=root, image="both")
    assert both.rows["lesion_id"].tolist() == ["1", "1", "2", "2"]
    assert details(both, "missing") == ["meta.csv row 4: no such image, or several of that name"]
    with pytest.raises(ConfigError, match=r"source\.image"):
        derm7pt(root, out=root, image="dermoscopy")


def test_the_published_part_is_kept_in_a_column(root):
    assert derm7pt(root, out=root).rows["split"].tolist() == ["test", "train"]
    (root / "meta" / "test_indexes.csv").write_text("indexes\n3\n")
    with pytest.raises(TableError, match=r"test_indexes\.csv row 2: '3'.*0 to 2"):
        derm7pt(root, out=root)
    (root / "meta" / "test_indexes.csv").write_text("index\n0\n")
    with pytest.raises(TableError, match=r"test_indexes\.csv row 2: .*column indexes"):
        derm7pt(root, out=root)


def test_the_table_alone_may_be_named(root, details):
    read = derm7pt(root / "meta" / "meta.csv", out=root)
    assert len(read.rows) == 2
    assert len(details(read, "table_only")) == 1


def test_without_a_table_the_message_says_where_it_is(tree):
    root = tree("a.jpg")
    with pytest.raises(DataError, match=r"holds no meta\.csv.*derm\.cs\.sfu\.ca"):
        derm7pt(root, out=root)


def test_real_rows(real_tree, details):
    images = real_tree(
        {"derm7pt_meta.csv": "meta/meta.csv"},
        lambda row: [f"images/{row['derm']}", f"images/{row['clinic']}"],
    )
    read = derm7pt(images, out=images, image="both")
    # 60 real cases: 42 basal cell carcinomas and 18 blue nevi, two images each.
    expected = {"basal cell carcinoma": 84, "blue nevus": 36}
    assert read.rows["label"].value_counts().to_dict() == expected
    assert details(read, "missing") == []
