"""ISIC: one-hot truth of 2018 and 2019, and 2020's own table with its list of copies."""

import pytest

from fewskin.data.sources.isic import isic
from fewskin.errors import ConfigError, DataError, TableError

HOT_2018 = "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\n"
HOT_2019 = "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK\n"
TABLE_2020 = (
    "image_name,patient_id,lesion_id,sex,age_approx,anatom_site_general_challenge,diagnosis,"
    "benign_malignant,target\n"
)


def test_2018_is_joined_with_its_lesions(tree, of):
    root = tree(
        "ISIC2018_Task3_Training_Input/ISIC_1.jpg",
        "ISIC2018_Task3_Training_Input/ISIC_2.PNG",
        texts={
            "gt/ISIC2018_Task3_Training_GroundTruth.csv": HOT_2018
            + "ISIC_1,0.0,1.0,0.0,0.0,0.0,0.0,0.0\nISIC_2,0.0,0.0,0.0,1.0,0.0,0.0,0.0\n",
            "ISIC2018_Task3_Training_LesionGroupings.csv": "image,lesion_id,"
            "diagnosis_confirm_type\nISIC_1,HAM_7,histopathology\nISIC_2,HAM_8,serial imaging\n",
        },
    )
    read = isic(root, out=root)
    assert of(read, "ISIC_1")["label"] == "NV"
    assert of(read, "ISIC_2")["label"] == "AKIEC"
    assert of(read, "ISIC_1")["lesion_id"] == "HAM_7"
    assert of(read, "ISIC_2")["dx_basis"] == "serial imaging"
    assert of(read, "ISIC_1")["dataset"] == "isic2018"
    assert of(read, "ISIC_1")["split"] == "train"


def test_2019_takes_no_label_from_unk_or_from_a_row_that_is_not_one_hot(tree, details, of):
    rows = "A,1,0,0,0,0,0,0,0,0\nB,0,0,0,0,0,0,0,0,1\nC,1,1,0,0,0,0,0,0,0\nD,0,0,,0,0,0,0,0,0\n"
    meta = "image,age_approx,anatom_site_general,lesion_id,sex\nA,-5,anterior torso,MSK4_1,female\n"
    root = tree(
        *(f"x/{name}.jpg" for name in "ABCD"),
        texts={
            "ISIC_2019_Training_GroundTruth.csv": HOT_2019 + rows,
            "ISIC_2019_Training_Metadata.csv": meta + "B,,,,\n",
        },
    )
    read = isic(root, out=root)
    assert read.rows["image_id"].tolist() == ["A"]
    assert of(read, "A")["age"] == ""
    assert (of(read, "A")["site"], of(read, "A")["sex"]) == ("anterior torso", "female")
    odd = details(read, "odd_value")
    assert (
        "ISIC_2019_Training_GroundTruth.csv row 3: the class is UNK, which is no diagnosis" in odd
    )
    assert sum("row 4: not exactly one class" in text for text in odd) == 1
    assert sum("row 5: not exactly one class" in text for text in odd) == 1
    assert (
        "ISIC_2019_Training_Metadata.csv row 2: age_approx is '-5', not usable; left blank" in odd
    )
    assert len(details(read, "unlabelled")) == 3


def test_2020_names_patients_and_takes_no_label_from_unknown(tree, of, details):
    rows = "A,IP_1,IL_1,male,45.0,head/neck,unknown,benign,0\n"
    rows += "B,IP_1,IL_2,female,50.0,,nevus,benign,0\n"
    root = tree(
        "a/A.jpg", "a/B.jpg", texts={"ISIC_2020_Training_GroundTruth_v2.csv": TABLE_2020 + rows}
    )
    read = isic(root, out=root)
    assert read.rows["image_id"].tolist() == ["B"]
    about = of(read, "B")
    assert (about["patient_id"], about["lesion_id"], about["age"]) == ("IP_1", "IL_2", "50")
    assert "row 2: diagnosis is 'unknown'" in details(read, "odd_value")[0]
    assert details(read, "no_patient_ids") == []
    both = isic(root, out=root, label="benign_malignant")
    assert both.rows["label"].tolist() == ["benign", "benign"]


def test_2020_leaves_out_the_published_copies(tree, details):
    lines = [
        f"{n},IP_{n},IL,male,40,torso,{d},benign,0" for n, d in zip("ABCDEF", LABELS, strict=True)
    ]
    pairs = "image_name_1,image_name_2\nB,A\nC,B\nD,E\nF,gone\n"
    root = tree(
        *(f"a/{n}.jpg" for n in "ABCDEF"),
        texts={
            "ISIC_2020_Training_GroundTruth.csv": TABLE_2020 + "\n".join(lines) + "\n",
            "ISIC_2020_Training_Duplicates.csv": pairs,
        },
    )
    read = isic(root, out=root)
    # A = B = C are one picture; D and E are one picture under two labels.
    assert read.rows["image_id"].tolist() == ["A", "F"]
    assert sum("as a copy of an earlier row" in d for d in details(read, "duplicate_list")) == 2
    assert sum("of another label" in d for d in details(read, "duplicate_list")) == 2
    assert len(isic(root, out=root, duplicates="keep").rows) == 6


LABELS = ("nevus", "nevus", "nevus", "nevus", "melanoma", "nevus")


def test_two_years_in_one_folder_are_never_mixed(tree):
    root = tree(
        "A.jpg",
        "B.jpg",
        texts={
            "ISIC2018_Task3_Training_GroundTruth.csv": HOT_2018 + "A,1,0,0,0,0,0,0\n",
            "ISIC_2019_Training_GroundTruth.csv": HOT_2019 + "B,1,0,0,0,0,0,0,0,0\n",
        },
    )
    with pytest.raises(ConfigError, match=r"2018, 2019; pass source\.year="):
        isic(root, out=root)
    assert isic(root, out=root, year=2019).rows["image_id"].tolist() == ["B"]
    newer = TABLE_2020 + "B,IP,IL,male,40,torso,nevus,benign,0\n"
    first = newer.replace("lesion_id,", "").replace("IL,", "").replace("40", "50")
    tree(
        texts={
            "ISIC_2020_Training_GroundTruth.csv": first,
            "ISIC_2020_Training_GroundTruth_v2.csv": newer,
        }
    )
    assert isic(root, out=root, year=2020).rows["lesion_id"].tolist() == ["IL"]
    table = root / "ISIC2018_Task3_Training_GroundTruth.csv"
    assert isic(table, out=root).rows["image_id"].tolist() == ["A"]


def test_what_is_missing_is_one_line(tree):
    root = tree("A.jpg")
    with pytest.raises(DataError, match=r"no ISIC 2020 training ground truth.*challenge\.isic"):
        isic(root, out=root, year=2020)
    tree(texts={"ISIC_2019_Training_GroundTruth.csv": "image,label\nA,MEL\n"})
    with pytest.raises(TableError, match="no one-hot columns"):
        isic(root, out=root)
    with pytest.raises(ConfigError, match=r"source\.part"):
        isic(root, out=root, part="trainin")


def test_real_2019_rows(real_tree, details):
    name = "ISIC_2019_Training_GroundTruth.csv"
    root = real_tree({name: name}, lambda row: [f"x/{row['image']}.jpg"])
    (root / "x" / "ISIC_0000003.jpg").unlink()
    read = isic(root, out=root)
    # Of the 60 real rows 44 are NV and 16 MEL; row 5 is ISIC_0000003, a nevus.
    assert read.rows["label"].value_counts().to_dict() == {"NV": 43, "MEL": 16}
    assert details(read, "missing") == [f"{name} row 5: no such image, or several of that name"]


def test_real_2020_rows(real_tree, details):
    name = "ISIC_2020_Training_GroundTruth.csv"
    root = real_tree({name: name}, lambda row: [f"x/{row['image_name']}.jpg"])
    read = isic(root, out=root)
    assert read.rows["label"].value_counts().to_dict() == {"nevus": 13}
    assert "47 of 60 rows (2-3, 5-13" in details(read, "odd_value")[0]
    assert f"{name}: sex is blank in 1 of 60 rows (40)" in details(read, "blank")
    benign = isic(root, out=root, label="benign_malignant")
    assert benign.rows["patient_id"].nunique() == 55
