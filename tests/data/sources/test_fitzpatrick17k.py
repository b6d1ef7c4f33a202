"""Fitzpatrick 17k: images named by hash or address, skin types with -1 for unknown."""

import pytest

from fewskin.data.sources.fitzpatrick17k import fitzpatrick17k
from fewskin.errors import ConfigError, DataError, TableError

HEAD = (
    "md5hash,fitzpatrick_scale,fitzpatrick_centaur,label,nine_partition_label,"
    "three_partition_label,qc,url,url_alphanum\n"
)
ROWS = (
    "aa,3,-1,rosacea,inflammatory,non-neoplastic,,https://x/1.jpg,httpsx1jpg.jpg\n"
    "bb,-1,2,psoriasis,inflammatory,non-neoplastic,3 Wrongly labelled,https://x/2.jpg,httpsx2jpg.jpg\n"
    "cc,6,5,melanoma,malignant melanoma,malignant,1 Diagnostic,https://x/3.jpg,httpsx3jpg.jpg\n"
    "dd,1,1,acne,inflammatory,non-neoplastic,,https://x/4.jpg,httpsx4jpg.jpg\n"
)


@pytest.fixture
def root(tree):
    return tree(
        "images/aa.jpg",
        "images/bb.jpg",
        "images/httpsx3jpg.jpg",
        texts={"fitzpatrick17k.csv": HEAD + ROWS},
    )


def test_images_are_found_by_hash_or_by_address(root, of, details):
    read = fitzpatrick17k(root, out=root)
    assert read.rows["image_id"].tolist() == ["aa", "cc"]
    assert of(read, "cc")["path"] == "images/httpsx3jpg.jpg"
    assert of(read, "aa")["label"] == "rosacea"
    assert details(read, "missing") == [
        "fitzpatrick17k.csv row 5: no such image, or several of that name"
    ]


def test_minus_one_is_a_blank_skin_type_and_a_finding(root, of, details):
    read = fitzpatrick17k(root, out=root)
    assert (of(read, "aa")["skin_tone"], of(read, "cc")["skin_tone"]) == ("III", "VI")
    assert "fitzpatrick17k.csv row 3: fitzpatrick_scale is '-1', not usable; left blank" in details(
        read, "odd_value"
    )
    centaur = fitzpatrick17k(root, out=root, tone="fitzpatrick_centaur")
    assert (of(centaur, "aa")["skin_tone"], of(centaur, "cc")["skin_tone"]) == ("", "V")


def test_images_reviewed_as_wrongly_labelled_are_left_out_unless_kept(root, details):
    read = fitzpatrick17k(root, out=root)
    assert "row 3: qc is one of source.leave_out" in details(read, "excluded")[0]
    kept = fitzpatrick17k(root, out=root, leave_out=[])
    assert kept.rows["image_id"].tolist() == ["aa", "bb", "cc"]


def test_the_class_may_be_the_group(root):
    read = fitzpatrick17k(root, out=root, label="three_partition_label")
    assert read.rows["label"].tolist() == ["non-neoplastic", "malignant"]
    with pytest.raises(ConfigError, match="did you mean 'label'"):
        fitzpatrick17k(root, out=root, label="lable")


def test_another_table_or_none_is_one_line(tree):
    root = tree("a.jpg")
    with pytest.raises(DataError, match=r"holds no fitzpatrick17k\.csv.*github\.com"):
        fitzpatrick17k(root, out=root)
    tree(texts={"fitzpatrick17k.csv": "md5hash,label\naa,x\n"})
    with pytest.raises(TableError, match="no column 'fitzpatrick_scale'"):
        fitzpatrick17k(root, out=root)


def test_real_rows(real_tree, details):
    name = "fitzpatrick17k.csv"
    root = real_tree({name: name}, lambda row: [f"images/{row['md5hash']}.jpg"])
    read = fitzpatrick17k(root, out=root)
    assert len(read.rows) == 60
    assert read.rows["label"].nunique() == 43
    # The 60 real rows: -1 three times in one column and twice in the other.
    assert read.rows["skin_tone"].value_counts()[""] == 3
    assert len(details(read, "odd_value")) == 5
