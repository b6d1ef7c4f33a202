"""PAD-UFES-20: 26 columns, blanks, True, False and UNK, and images that are absent."""

import pytest

from fewskin.data.sources.pad_ufes_20 import pad_ufes_20
from fewskin.errors import DataError, TableError
from fewskin.stages.ingest import ingest
from fewskin.tables import FINDINGS, read_manifest, read_table

HEAD = (
    "patient_id,lesion_id,smoke,age,gender,fitspatrick,region,diameter_1,diagnostic,itch,"
    "img_id,biopsed\n"
)


def test_cells_become_one_vocabulary(tree, of, details):
    rows = "PAT_1,7,UNK,55,FEMALE,3.0,NECK,6.0,BCC,True,PAT_1_7_1.png,True\n"
    rows += "PAT_1,8,,-4,MALE,0.0,FACE,-1,NEV,False,PAT_1_8_2.png,False\n"
    root = tree("imgs_part_1/PAT_1_7_1.png", "PAT_1_8_2.jpg", texts={"metadata.csv": HEAD + rows})
    read = pad_ufes_20(root, out=root)
    first, second = of(read, "PAT_1_7_1"), of(read, "PAT_1_8_2")
    assert (first["patient_id"], first["lesion_id"], first["label"]) == ("PAT_1", "7", "BCC")
    assert (first["age"], first["sex"], first["skin_tone"]) == ("55", "female", "III")
    assert (first["site"], first["dx_basis"], first["itch"]) == ("neck", "biopsy", "true")
    assert (first["smoke"], first["diameter_1"]) == ("", "6")
    assert (second["age"], second["skin_tone"], second["diameter_1"]) == ("", "", "")
    assert (second["dx_basis"], second["licence"]) == ("clinical", "CC BY 4.0")
    assert sorted(details(read, "odd_value")) == [
        "metadata.csv row 2: smoke is 'UNK', not usable; left blank",
        "metadata.csv row 3: age is '-4', not usable; left blank",
        "metadata.csv row 3: diameter_1 is '-1', not usable; left blank",
        "metadata.csv row 3: fitspatrick is '0.0', not usable; left blank",
    ]
    assert "metadata.csv: smoke is blank in 1 of 2 rows (3)" in details(read, "blank")


def test_another_table_or_none_is_one_line(tree):
    root = tree("a.png")
    with pytest.raises(DataError, match=r"holds no metadata\.csv.*data\.mendeley\.com"):
        pad_ufes_20(root, out=root)
    tree(texts={"metadata.csv": "img_id,diagnostic\na.png,BCC\n"})
    with pytest.raises(TableError, match="no column 'patient_id'"):
        pad_ufes_20(root, out=root)


@pytest.mark.realdata
def test_real_photographs_go_through_ingest(realdata):
    made = ingest(realdata / "pad_ufes20_examples", source={"name": "pad_ufes_20"})
    rows = read_manifest(made).rows
    # Nine rows, seven photographs: the two absent ones are rows 5 and 10 of the table.
    assert len(rows) == 7
    assert rows["label"].value_counts().to_dict() == {"BCC": 4, "NEV": 1, "ACK": 1, "SEK": 1}
    findings = read_table(made / "findings.csv", FINDINGS)
    missing = findings[findings["kind"] == "missing"]
    assert missing["path"].tolist() == ["PAT_1989_4061_934.png", "PAT_1995_4080_695.png"]
    assert [text.partition(":")[0] for text in missing["detail"]] == [
        "metadata.csv row 5",
        "metadata.csv row 10",
    ]
    blank = findings.loc[findings["kind"] == "blank", "detail"].tolist()
    assert "metadata.csv: gender is blank in 5 of 9 rows (2, 4-5, 7, 10)" in blank
