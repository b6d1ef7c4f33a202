"""Ingest: a folder as it comes in, damaged files and all."""

import csv as tables

import numpy as np
import pytest
from PIL import Image

from fewskin.data.images import open_table
from fewskin.errors import ConfigError, DataError, PluginError, StageError
from fewskin.provenance import stage_record
from fewskin.stages.ingest import ingest
from fewskin.tables import FINDINGS, read_manifest, read_table


@pytest.fixture(autouse=True)
def _own_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSKIN_RUNS", str(tmp_path / "runs"))


def photo(path, seed, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(path)


@pytest.fixture
def messy(tmp_path):
    """Two classes with a truncated JPEG, a text called .jpg, a CMYK file and a 1-image class."""
    root = tmp_path / "Photos of März"
    for i in range(3):
        photo(root / "acne" / f"a {i}.JPG", i)
        photo(root / "rosacea" / f"r{i}.png", 10 + i)
    photo(root / "rosacea" / "print.jpg", 20, "CMYK")
    photo(root / "lupus" / "only.jpg", 21)
    photo(root / "acne" / "cut.jpg", 22)
    (root / "acne" / "cut.jpg").write_bytes((root / "acne" / "cut.jpg").read_bytes()[:2000])
    (root / "acne" / "letter.jpg").write_text("dear colleague")
    (root / "acne" / "nothing.jpg").touch()
    return root


def test_what_decodes_is_a_row_and_what_does_not_is_a_finding(messy):
    made = ingest(messy)
    manifest = read_manifest(made)
    assert manifest.root == messy
    assert manifest.rows["label"].value_counts().to_dict() == {"acne": 3, "rosacea": 4, "lupus": 1}
    assert manifest.rows["pixel_sha"].str.len().eq(64).all()
    findings = read_table(made / "findings.csv", FINDINGS)
    corrupt = findings[findings["kind"] == "corrupt"]
    assert corrupt["path"].tolist() == ["acne/cut.jpg", "acne/letter.jpg", "acne/nothing.jpg"]
    assert corrupt["image_id"].tolist() == ["cut", "letter", "nothing"]
    assert "truncated" in corrupt["detail"].iloc[0]
    assert str(messy) not in "".join(corrupt["detail"])
    assert len(open_table(made, 16)) == 8


def test_the_same_data_is_not_read_twice_and_changed_data_is(messy):
    first = ingest(messy)
    assert ingest(messy) == first
    photo(messy / "acne" / "a 0.JPG", 99)
    assert ingest(messy) != first


def test_the_manifest_is_plain_sorted_csv(messy):
    with open(ingest(messy) / "manifest.csv", encoding="utf-8", newline="") as file:
        rows = list(tables.DictReader(file))
    ids = [row["image_id"] for row in rows]
    assert ids == sorted(ids)
    assert {row["source"] for row in rows} == {"real"}
    assert stage_record(ingest(messy))["stage"] == "ingest"


def test_nothing_readable_is_one_line(tmp_path):
    (tmp_path / "data" / "acne").mkdir(parents=True)
    (tmp_path / "data" / "acne" / "letter.jpg").write_text("dear colleague")
    with pytest.raises(DataError, match=r"none of 1 images.*letter\.jpg: not an image") as error:
        ingest(tmp_path / "data")
    assert "\n" not in str(error.value)


def test_an_absent_path_is_one_line(tmp_path):
    with pytest.raises(StageError, match="does not exist"):
        ingest(tmp_path / "gone")
    with pytest.raises(ConfigError, match=r"data\.path"):
        ingest()


def test_an_unknown_source_or_option_is_refused_with_a_suggestion(messy):
    with pytest.raises(PluginError, match="did you mean 'folder'"):
        ingest(messy, source={"name": "foldr"})
    with pytest.raises(ConfigError, match="did you mean 'patient_from'"):
        ingest(messy, source={"name": "folder", "patient_form": "x"})


def test_a_table_source_goes_through_the_same_door(tmp_path):
    photo(tmp_path / "data" / "1.jpg", 1)
    (tmp_path / "data" / "t.csv").write_text("image,label,patient\n1,acne,P1\n2,acne,P2\n")
    made = ingest(tmp_path / "data", source={"name": "csv"})
    assert read_manifest(made).rows["patient_id"].tolist() == ["P1"]
    assert read_table(made / "findings.csv", FINDINGS)["kind"].tolist() == ["missing"]


@pytest.mark.realdata
def test_ham10000_is_read_whole(realdata):
    made = ingest(realdata / "ham10000", source={"name": "ham10000"})
    rows = read_manifest(made).rows
    # The counts of the data folder's own README.
    expected = {"nv": 1000, "bkl": 583, "mel": 491, "bcc": 264, "akiec": 183, "vasc": 80, "df": 60}
    assert rows["label"].value_counts().to_dict() == expected


@pytest.mark.realdata
def test_pad_ufes20_is_read_by_the_csv_source(realdata):
    made = ingest(realdata / "pad_ufes20_examples", source={"name": "csv"})
    assert len(read_manifest(made).rows) == 7
    findings = read_table(made / "findings.csv", FINDINGS)
    assert findings["kind"].tolist() == ["missing", "missing"]
