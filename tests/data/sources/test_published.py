"""What published tables have in common: rows, ranges, copies; and what `list sources` says."""

import numpy as np
import pandas as pd
import pytest

from fewskin.catalogue import listed
from fewskin.data.published_splits import crossing_notes
from fewskin.data.sources.ddi import ddi
from fewskin.data.sources.fitzpatrick17k import fitzpatrick17k
from fewskin.data.sources.isic import isic
from fewskin.data.sources.pad_ufes_20 import pad_ufes_20
from fewskin.data.sources.scin import scin
from fewskin.errors import DataError, FewskinError
from fewskin.plugins import list_plugins
from fewskin.stages.ingest import ingest

HEAD = ",DDI_ID,DDI_file,skin_tone,malignant,disease\n"


def test_many_odd_rows_share_a_finding_that_lists_them_all(tree, details):
    rows = "".join(f"{i},{i},{i}.png,{0 if i % 2 else 12},True,wart\n" for i in range(60))
    root = tree(*(f"{i}.png" for i in range(60)), texts={"ddi_metadata.csv": HEAD + rows})
    (odd,) = details(ddi(root, out=root), "odd_value")
    # Row 2 is image 0, so the odd rows are 3, 5, ..., 61.
    listed_rows = ", ".join(str(row) for row in range(3, 62, 2))
    assert odd.endswith(
        f"skin_tone is '0', not usable; left blank in 30 of 60 rows ({listed_rows})"
    )


def test_an_image_named_twice_is_kept_once_or_not_at_all(tree, details):
    rows = "0,1,a.png,12,True,wart\n1,2,a.jpg,12,True,wart\n"
    rows += "2,3,b.png,34,True,wart\n3,4,b.png,34,True,scar\n"
    root = tree("a.png", "b.png", texts={"ddi_metadata.csv": HEAD + rows})
    read = ddi(root, out=root)
    assert read.rows["image_id"].tolist() == ["a"]
    assert details(read, "twice") == [
        "ddi_metadata.csv row 3: its image is in an earlier row; left out"
    ]
    assert [d.partition(":")[0] for d in details(read, "conflict")] == [
        "ddi_metadata.csv row 4",
        "ddi_metadata.csv row 5",
    ]


def test_a_folder_without_any_of_its_images_names_the_first(tree):
    root = tree("other.png", texts={"ddi_metadata.csv": HEAD + "0,1,a.png,12,True,wart\n"})
    with pytest.raises(DataError, match="no labelled image"):
        ddi(root, out=root)


def test_rows_longer_than_the_header_are_one_line(tree):
    root = tree(
        "a.png", texts={"ddi_metadata.csv": HEAD.lstrip(",") + "0,1,a.png,12,True,wart,x\n"}
    )
    with pytest.raises(DataError, match="more cells than its header"):
        ddi(root, out=root)


def test_copies_across_published_parts_are_found():
    rows = pd.DataFrame(
        {"image_id": list("abcd"), "path": list("abcd"), "split": ["train", "test", "", "train"]}
    )
    assert crossing_notes(rows, [[0, 3], [2, 3]]) == []
    (note,) = crossing_notes(rows, [[0, 3], [3, 1]])
    assert note["kind"] == "crosses_split"
    assert note["detail"].startswith(
        "copies in several published parts: a in train, b in test, d in train;"
    )
    assert crossing_notes(rows.drop(columns="split"), [[0, 1]]) == []


@pytest.mark.parametrize("name", list_plugins("sources"))
def test_the_list_says_classes_people_licence_and_rosacea(name):
    ((_, text),) = [row for row in listed("sources") if row[0] == name]
    assert text.count(";") >= 2
    assert "rosacea" in text.lower()
    assert any(word in text for word in ("ids", "no patients", "numbers"))
    assert "\n" not in text


TABLES = {
    "fitzpatrick17k.csv": fitzpatrick17k,
    "ISIC_2019_Training_GroundTruth.csv": isic,
    "ISIC_2020_Training_GroundTruth.csv": isic,
    "scin_cases.csv": scin,
}


@pytest.mark.realdata
@pytest.mark.parametrize("name", TABLES)
def test_damaged_real_tables_end_in_rows_or_in_one_line(realdata, tmp_path, name):
    whole = (realdata / "metadata" / name).read_bytes()
    if name == "scin_cases.csv":
        labels = (realdata / "metadata" / "scin_labels.csv").read_bytes()
        (tmp_path / "scin_labels.csv").write_bytes(labels)
    rng = np.random.default_rng(0)
    for _ in range(60):
        broken = bytearray(whole)
        for place in rng.integers(len(broken), size=int(rng.integers(1, 20))):
            broken[place] = int(rng.choice([0, 10, 34, 44, 255, int(rng.integers(256))]))
        (tmp_path / name).write_bytes(bytes(broken[: int(rng.integers(1, len(broken)))]))
        with pytest.raises(FewskinError) as error:  # no image is there
            TABLES[name](tmp_path, out=tmp_path)
        assert "\n" not in str(error.value)


def test_a_directory_instead_of_a_table_is_one_line(tmp_path):
    (tmp_path / "metadata.csv").mkdir()
    with pytest.raises(FewskinError, match=r"holds no metadata\.csv"):
        pad_ufes_20(tmp_path, out=tmp_path)


@pytest.mark.realdata
def test_ingest_counts_the_images_and_patients_of_each_class(realdata):
    made = ingest(realdata / "pad_ufes20_examples", source={"name": "pad_ufes_20"})
    # The seven photographs that exist: four carcinomas of four patients, and three others.
    assert (made / "counts.csv").read_text().splitlines() == [
        "label,n_images,n_patients",
        "ACK,1,1",
        "BCC,4,4",
        "NEV,1,1",
        "SEK,1,1",
    ]
