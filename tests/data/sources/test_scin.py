"""SCIN: weighted diagnoses as text, up to three images a case, three skin types."""

import pytest

from fewskin.data.sources.scin import _top, scin
from fewskin.errors import ConfigError, DataError, TableError

CASES = (
    "case_id,source,age_group,sex_at_birth,fitzpatrick_skin_type,body_parts_head_or_neck,"
    "body_parts_arm,image_1_path,image_2_path,image_3_path,image_1_shot_type,image_2_shot_type,"
    "image_3_shot_type\n"
    "1,SCIN,AGE_18_TO_29,FEMALE,FST3,YES,,dataset/images/-11.png,dataset/images/12.png,,CLOSE_UP,AT_DISTANCE,\n"
    "2,SCIN,AGE_UNKNOWN,OTHER_OR_UNSPECIFIED,NONE_IDENTIFIED,YES,YES,dataset/images/21.png,,,AT_AN_ANGLE,,\n"
    "3,SCIN,AGE_80_OR_ABOVE,MALE,,,,dataset/images/31.png,dataset/images/32.png,,CLOSE_UP,,\n"
    "4,SCIN,,,,,,dataset/images/41.png,,,CLOSE_UP,,\n"
    "5,SCIN,,,,,,dataset/images/51.png,,,CLOSE_UP,,\n"
    "6,SCIN,,,,,,dataset/images/61.png,,,CLOSE_UP,,\n"
)
TONE = "dermatologist_fitzpatrick_skin_type_label_"
LABELS = (
    f"case_id,weighted_skin_condition_label,{TONE}1,{TONE}2,{TONE}3,monk_skin_tone_label_us\n"
    "1,\"{'Rosacea': 0.69, 'Acne': 0.31}\",FST2,FST3,FST3,4\n"
    "2,\"{'Eczema': 0.41, 'Psoriasis': 0.41, 'Tinea': 0.18}\",FST1,FST2,,\n"
    "3,\"{'Tinea': 0.4, 'Eczema': 0.35, 'Acne': 0.25}\",,,,2\n"
    "4,{},,,,\n"
    "5,__import__('os').abort(),,,,\n"
)
NAMES = ("-11.png", "12.jpg", "21.png", "31.png", "41.png", "51.png", "61.png")


@pytest.fixture
def root(tree):
    texts = {"dataset/scin_cases.csv": CASES, "dataset/scin_labels.csv": LABELS}
    return tree(*(f"dataset/images/{name}" for name in NAMES), texts=texts)


def test_the_class_is_the_heaviest_condition_and_its_weight_stays(root, of):
    read = scin(root, out=root)
    assert read.rows["image_id"].tolist() == ["-11", "12"]
    row = of(read, "-11")
    assert (row["label"], row["label_confidence"]) == ("Rosacea", "0.69")
    assert row["weighted_skin_condition_label"] == "{'Rosacea': 0.69, 'Acne': 0.31}"
    assert (row["age"], row["sex"], row["site"]) == ("18-29", "female", "head or neck")
    assert (row["view"], of(read, "12")["view"]) == ("close-up", "at a distance")
    assert (row["lesion_id"], row["licence"]) == ("1", "SCIN Data Use License")


def test_ties_weak_labels_and_text_that_is_no_dictionary_give_no_label(root, details):
    read = scin(root, out=root)
    assert "scin_labels.csv row 3: two conditions share" in details(read, "tied_label")[0]
    assert (
        "scin_labels.csv row 4: the highest weight is below 0.5" in details(read, "weak_label")[0]
    )
    assert (
        "scin_labels.csv row 5: weighted_skin_condition_label is empty"
        in details(read, "unlabelled")[0]
    )
    assert "scin_labels.csv row 6: weighted_skin_condition_label is not a" in " ".join(
        details(read, "odd_value")
    )
    # Case 6 has no row of labels at all: row 7 of the cases.
    assert any("scin_cases.csv row 7: no usable label" in d for d in details(read, "unlabelled"))
    assert details(read, "missing") == [
        "scin_cases.csv row 4: no such image, or several of that name"
    ]


def test_a_lower_weight_is_enough_when_asked_for(root, of):
    read = scin(root, out=root, min_weight=0.4)
    assert of(read, "31")["label"] == "Tinea"
    assert "21" not in read.rows["image_id"].tolist()
    with pytest.raises(ConfigError, match=r"min_weight=1\.5"):
        scin(root, out=root, min_weight=1.5)


def test_the_skin_type_is_what_most_dermatologists_said_or_the_person(root, of, details):
    read = scin(root, out=root)
    assert (of(read, "-11")["skin_tone"], of(read, "-11")["tone_self"]) == ("III", "III")
    assert "scin_labels.csv row 3: dermatologists are divided" in " ".join(
        details(read, "odd_value")
    )
    own = scin(root, out=root, tone="self", min_weight=0.4)
    assert of(own, "31")["skin_tone"] == ""
    assert (
        "scin_cases.csv row 3: fitzpatrick_skin_type is 'NONE_IDENTIFIED', not usable; left blank"
        in details(own, "odd_value")
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ("", 0.0, False)),
        ("{'a': 1}", ("a", 1.0, False)),
        ("{'b': 0.5, 'a': 0.5}", ("a", 0.5, True)),
        ("['a']", None),
        ("{'a': 'b'}", None),
        ("{'a': 1e999}", None),
        ("{'a': -0.2}", None),
        ("{1: 0.5}", None),
        ("{'a'", None),
        ("[" * 100_000, None),
        ("{[]: 1}", None),
    ],
)
def test_a_text_of_weights_is_read_or_refused(text, expected):
    assert _top(text) == expected


def test_without_tables_the_message_says_where_they_are(tree):
    root = tree("a.png")
    with pytest.raises(DataError, match=r"scin_cases\.csv.*dx-scin-public-data"):
        scin(root, out=root)
    tree(texts={"scin_cases.csv": CASES})
    with pytest.raises(DataError, match=r"holds no scin_labels\.csv"):
        scin(root, out=root)
    tree(texts={"scin_labels.csv": "case_id,label\n1,x\n"})
    with pytest.raises(TableError, match="no column 'weighted_skin_condition_label'"):
        scin(root, out=root)


def test_real_rows(real_tree, details):
    copies = {name: f"dataset/{name}" for name in ("scin_cases.csv", "scin_labels.csv")}
    root = real_tree(copies, lambda row: [row[f"image_{i}_path"] for i in (1, 2, 3)])
    read = scin(root, out=root)
    # 40 of the 60 real cases have weights; 12 are tied at the top and 2 are below a half.
    assert read.rows["lesion_id"].nunique() == 26
    assert len(details(read, "tied_label")) == 12
    assert len(details(read, "weak_label")) == 2
    assert read.rows["label_confidence"].astype(float).ge(0.5).all()
    assert any(
        "AGE_UNKNOWN" in text and "39 of 60 rows" in text for text in details(read, "odd_value")
    )
    assert set(read.rows["skin_tone"]) <= {"", "I", "II", "III", "IV", "V", "VI"}
