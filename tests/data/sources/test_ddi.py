"""DDI: pairs of skin types, diseases proven by pathology."""

import pytest

from fewskin.data.sources.ddi import ddi
from fewskin.errors import ConfigError, DataError

TABLE = (
    ",DDI_ID,DDI_file,skin_tone,malignant,disease\n"
    "0,1,000001.png,56,True,melanoma-in-situ\n"
    "1,2,000002.png,12,False,folliculitis\n"
    "2,3,000003.png,78,UNK,wart\n"
    "3,4,000004.png,34,False,\n"
)


@pytest.fixture
def root(tree):
    names = ("images/000001.png", "images/000002.jpg", "images/000003.png")
    return tree(*names, texts={"ddi_metadata.csv": TABLE})


def test_skin_types_are_pairs(root, of, details):
    read = ddi(root, out=root)
    assert read.rows["skin_tone"].tolist() == ["V-VI", "I-II", ""]
    row = of(read, "000001")
    assert (row["label"], row["malignant"]) == ("melanoma-in-situ", "malignant")
    assert (row["dx_basis"], row["dataset"]) == ("pathology", "ddi")
    assert sorted(details(read, "odd_value")) == [
        "ddi_metadata.csv row 4: malignant is 'UNK', not usable; left blank",
        "ddi_metadata.csv row 4: skin_tone is '78', not usable; left blank",
    ]
    missing = ["ddi_metadata.csv row 5: no such image, or several of that name"]
    assert details(read, "missing") == missing


def test_the_class_may_be_malignant_or_benign(root, details):
    read = ddi(root, out=root, label="malignant")
    assert read.rows["label"].tolist() == ["malignant", "benign"]
    assert details(read, "unlabelled") == [
        "ddi_metadata.csv row 4: no usable label; the image is left out"
    ]
    with pytest.raises(ConfigError, match=r"source\.label"):
        ddi(root, out=root, label="tone")


def test_the_older_column_of_malignancy_is_read(tree):
    older = TABLE.replace(",malignant,", ",malignancy(malig=1),").replace(",True,", ",1,")
    root = tree("000001.png", texts={"ddi_metadata.csv": older})
    assert ddi(root, out=root, label="malignant").rows["label"].tolist() == ["malignant"]


def test_without_a_table_the_message_says_where_it_is(tree):
    root = tree("a.png")
    with pytest.raises(DataError, match=r"ddi_metadata\.csv.*ddi-dataset\.github\.io"):
        ddi(root, out=root)
