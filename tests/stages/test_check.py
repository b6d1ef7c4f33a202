"""Check: duplicates, conflicts and groups of small folders."""

import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fewskin.data.cues import CUE_TABLE
from fewskin.data.shortcut_examples import EXAMPLES
from fewskin.data.shortcuts import SHORTCUTS
from fewskin.errors import DataError
from fewskin.stages.check import check
from fewskin.stages.ingest import ingest
from fewskin.tables import FINDINGS, read_manifest, read_table


@pytest.fixture(autouse=True)
def _own_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSKIN_RUNS", str(tmp_path / "runs"))


def photo(path, seed):
    """Save a picture of random blobs, so that every seed is another scene."""
    path.parent.mkdir(parents=True, exist_ok=True)
    small = np.random.default_rng(seed).integers(40, 220, (12, 12, 3), dtype=np.uint8)
    Image.fromarray(small).resize((96, 96), Image.Resampling.BICUBIC).save(path)


@pytest.fixture
def data(tmp_path):
    """Four acne and four rosacea images, P1 to P4 with one image of each class."""
    root = tmp_path / "data"
    for i in range(4):
        photo(root / "acne" / f"P{i + 1}_a.png", i)
        photo(root / "rosacea" / f"P{i + 1}_r.png", 10 + i)
    return root


def checked(root, source=None, **options):
    made = check(ingest(root, source=source or {"name": "folder"}), **options)
    rows = read_manifest(made).rows.set_index("image_id")
    findings = read_table(made / "findings.csv", FINDINGS)
    return rows, findings[findings["kind"] != "no_patient_ids"], made


def test_distinct_images_are_a_group_each(data):
    rows, findings, made = checked(data)
    assert rows["group_id"].tolist() == rows.index.tolist()
    assert len(findings) == 0
    counts = pd.read_csv(made / "counts.csv", dtype=str, keep_default_na=False)
    expected = [["acne", "4", "", "4"], ["rosacea", "4", "", "4"]]
    assert counts.values.tolist() == expected
    assert read_manifest(made).root == data


def test_a_patient_is_one_group_over_classes(data):
    rows, _, made = checked(data, {"name": "folder", "patient_from": r"^P\d"})
    assert rows.groupby("group_id")["patient_id"].nunique().tolist() == [1, 1, 1, 1]
    assert rows["group_id"].nunique() == 4
    assert pd.read_csv(made / "counts.csv")["n_patients"].tolist() == [4, 4]


def test_one_image_in_two_classes_is_excluded_in_every_copy(data):
    shutil.copy(data / "acne" / "P1_a.png", data / "rosacea" / "twin.png")
    rows, findings, _ = checked(data)
    assert "P1_a" not in rows.index
    assert "twin" not in rows.index
    assert findings["kind"].tolist() == ["conflict", "conflict"]
    assert findings["image_id"].tolist() == ["P1_a", "twin"]
    assert "acne and rosacea" in findings["detail"].iloc[0]
    assert len(rows) == 7


def test_exact_copies_of_one_label_stay_and_share_a_group(data):
    shutil.copy(data / "acne" / "P1_a.png", data / "acne" / "copy.png")
    rows, findings, _ = checked(data, near_duplicates=False)
    assert rows.loc["P1_a", "group_id"] == rows.loc["copy", "group_id"]
    assert findings["kind"].tolist() == ["exact_duplicate", "exact_duplicate"]


def test_a_near_copy_joins_two_patients_into_one_group(data):
    flipped = Image.open(data / "acne" / "P1_a.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    flipped.save(data / "acne" / "P9_a.jpg", quality=80)
    source = {"name": "folder", "patient_from": r"^P\d"}
    rows, findings, _ = checked(data, source)
    assert rows.loc["P9_a", "group_id"] == rows.loc["P1_r", "group_id"]
    assert findings["kind"].tolist() == ["near_duplicate"]
    rows, findings, _ = checked(data, source, near_duplicates=False)
    assert rows.loc["P9_a", "group_id"] != rows.loc["P1_r", "group_id"]
    assert len(findings) == 0


def test_a_near_copy_under_another_label_is_reported_and_grouped(data):
    image = Image.open(data / "acne" / "P1_a.png")
    image.save(data / "rosacea" / "saved again.jpg", quality=70)
    rows, findings, _ = checked(data)
    assert rows.loc["P1_a", "group_id"] == rows.loc["saved again", "group_id"]
    assert findings["kind"].tolist() == ["near_conflict"]


def test_a_large_cluster_of_look_alikes_is_left_for_review(data):
    image = Image.open(data / "acne" / "P1_a.png")
    for quality in range(60, 82, 2):
        image.save(data / "acne" / f"again{quality}.jpg", quality=quality)
    # 12 of 19 images are one scene: over 2 % of the data and over ten.
    rows, findings, _ = checked(data)
    assert rows["group_id"].nunique() == 19
    assert (findings["kind"] == "review").sum() == 12
    rows, findings, _ = checked(data, max_group_share=0.7)
    assert rows["group_id"].nunique() == 8
    assert "review" not in set(findings["kind"])


def test_earlier_findings_are_kept(data):
    (data / "acne" / "letter.jpg").write_text("dear colleague")
    _, findings, _ = checked(data)
    assert findings["kind"].tolist() == ["corrupt"]


def test_patients_of_two_data_sets_with_one_number_are_two_people(tmp_path):
    for i in range(4):
        photo(tmp_path / "d" / f"{i}.png", i)
    text = "image,label,patient,dataset\n0,x,1,A\n1,x,1,A\n2,x,1,B\n3,x,1,B\n"
    (tmp_path / "d" / "t.csv").write_text(text)
    rows, _, _ = checked(tmp_path / "d", {"name": "csv"})
    assert rows["group_id"].tolist() == ["0", "0", "2", "2"]


def test_only_conflicts_is_an_error(tmp_path):
    photo(tmp_path / "d" / "acne" / "1.png", 0)
    photo(tmp_path / "d" / "rosacea" / "2.png", 0)
    with pytest.raises(DataError, match="every image is in conflict"):
        checked(tmp_path / "d")


@pytest.mark.parametrize("option", [{"correlation": 1.5}, {"max_group_share": 0.0}])
def test_a_setting_out_of_range_is_refused(data, option):
    with pytest.raises(DataError, match=f"{next(iter(option))}="):
        checked(data, **option)


def of_any_skin_and_camera(file, seed):
    """Save a picture of blobs, of a shade, contrast and noise of its own, as a bitmap."""
    photo(file, seed)
    rng = np.random.default_rng(seed)
    pixels = np.array(Image.open(file)) * rng.uniform(0.4, 1.0) * rng.uniform(0.8, 1.2, 3)
    pixels += rng.uniform(2, 30) * rng.standard_normal(pixels.shape)
    Image.fromarray(np.clip(pixels, 40, 250).astype(np.uint8)).save(file)


def test_a_planted_frame_is_the_first_shortcut_and_is_shown(tmp_path):
    # Twelve patients of each class; rosacea was photographed with a black frame. Bitmaps, for a
    # frame shows in the size of a compressed file as well.
    for i in range(12):
        for c, label in enumerate(("acne", "eczema", "rosacea")):
            file = tmp_path / "d" / label / f"{label}{i}.bmp"
            of_any_skin_and_camera(file, 100 * c + i)
            if label == "rosacea":
                pixels = np.array(Image.open(file))
                pixels[:, :4] = pixels[:4] = 0
                Image.fromarray(pixels).save(file)
    _, _, made = checked(tmp_path / "d")
    table = read_table(made / "shortcuts.csv", SHORTCUTS)
    first = table[table["rank"] == 1].set_index("stratum")
    assert set(first["cue"]) == {"border"}
    assert first.loc["class:rosacea", "auc"] > 0.95
    assert first.loc["class:rosacea", "low"] > 0.7
    assert first.loc["class:rosacea", "n_groups"] == 12
    examples = read_table(made / "shortcut_examples.csv", EXAMPLES)
    assert examples.groupby(["label", "side"]).size().tolist() == [4] * 6
    # A row a class of eight cells of 96 pixels.
    assert Image.open(made / "shortcuts.png").size[1] == 3 * (96 + 20)
    cues = read_table(made / "cues.csv", CUE_TABLE).set_index("image_id")
    framed = cues.index.str.startswith("rosacea")
    assert cues.loc[framed, "black_border"].min() > 0.05
    assert cues.loc[~framed, "black_border"].max() == 0.0


def test_odd_photographs_are_named_and_kept(data):
    Image.new("RGB", (24, 24), (255, 255, 255)).save(data / "acne" / "P5_white.png")
    rows, findings, _ = checked(data)
    assert "P5_white" in rows.index
    assert findings["kind"].tolist() == ["blurred", "exposure", "odd_size"]
    assert set(findings["image_id"]) == {"P5_white"}


def test_shortcuts_can_be_left_out(data):
    _, _, made = checked(data, shortcuts=False)
    assert not [file for file in made.iterdir() if "shortcuts" in file.name]


def test_copies_in_two_published_parts_are_named(data, tmp_path):
    shutil.copy(data / "acne" / "P1_a.png", data / "acne" / "P9_a.png")
    lines = ["path,label,split"]
    for file in sorted(data.glob("*/*.png")):
        part = "test" if file.name.startswith("P9") else "train"
        lines.append(f"{file.relative_to(data)},{file.parent.name},{part}")
    (data / "table.csv").write_text("\n".join(lines) + "\n")
    made = check(ingest(data / "table.csv", source={"name": "csv"}))
    found = read_table(made / "findings.csv", FINDINGS).set_index("kind")
    assert "P1_a in train, P9_a in test" in found.loc["crosses_split", "detail"]
