"""`fewskin face paint`, `transplant` and `audit` on made-up faces with landmark files."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fewskin.cli import main
from fewskin.errors import ConfigError, StageError
from fewskin.face import folder_work
from fewskin.face.annotations import read_annotations
from fewskin.face.condition_folder import AFFECTED
from fewskin.face.landmark_files import write_landmarks
from fewskin.face.made_audit import AUDIT
from fewskin.face.pictures import as_pixels
from fewskin.stages.face_audit import face_audit
from fewskin.stages.face_fit import face_fit
from fewskin.stages.face_paint import face_paint
from fewskin.stages.face_transplant import face_transplant
from fewskin.stages.face_view import face_view
from fewskin.tables import FINDINGS, read_table
from tests.face.mean_face import mean_face

SMALL = {"size": 160, "side": 128}


@pytest.fixture(scope="module")
def fits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    (folder / "points").mkdir()
    for name, tone in (("ann", 0.15), ("bob", 0.6)):
        made = mean_face(128, tone=tone, seed=len(name))
        Image.fromarray(as_pixels(made.image)).save(folder / f"{name}.png")
        write_landmarks(made.landmarks, folder / "points" / f"{name}.npz")
    return face_fit(folder, landmarks=str(folder / "points"), out=folder / "fit")


@pytest.fixture(scope="module")
def painted(fits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("painted") / "out"
    return face_paint(fits, condition="rosacea", severity=3.0, n=2, **SMALL, out=out)


def picture(file: Path) -> np.ndarray:
    return np.asarray(Image.open(file)).astype(int)


def test_painted_pictures_have_masks_boxes_and_parents(painted: Path) -> None:
    rows = read_table(painted / "views.csv", AFFECTED)
    assert rows["image_id"].tolist() == ["ann_0", "ann_1", "bob_0", "bob_1"]
    assert rows["parent_ids"].tolist() == ["ann", "ann", "bob", "bob"]
    assert set(rows["condition"]) == {"rosacea"}
    for name in rows["image_id"]:
        assert picture(painted / "images" / f"{name}.png").shape == (160, 160, 3)
        for part in ("condition", "face", "erythema", "papules"):
            mask = picture(painted / "masks" / f"{name}_{part}.png")
            assert set(np.unique(mask)) <= {0, 255}
        assert picture(painted / "masks" / f"{name}_condition.png").any()
    table = read_annotations(painted / "annotations.json")
    assert [one["image_id"] for one in table["images"]] == rows["image_id"].tolist()
    assert len({one["id"] for one in table["annotations"]}) == len(table["annotations"])
    names = {one["name"] for one in table["categories"]}
    assert {"erythema", "papule"} <= names
    assert not (painted / "parts").exists()


def test_the_same_seed_without_a_condition_is_the_same_person_in_health(
    fits: Path, painted: Path, tmp_path: Path
) -> None:
    well = face_paint(fits, condition="none", n=2, **SMALL, out=tmp_path / "well")
    ill, healthy = (read_table(one / "views.csv", AFFECTED) for one in (painted, well))
    assert (ill["scene"] == healthy["scene"]).all()
    for name in ill["image_id"]:
        a, b = (picture(one / "images" / f"{name}.png") for one in (painted, well))
        face = picture(painted / "masks" / f"{name}_face.png") > 0
        assert np.abs(a - b)[~face].mean() < 0.2
        assert np.abs(a - b)[face].mean() > 1.0
        assert not picture(well / "masks" / f"{name}_condition.png").any()


def test_a_killed_run_goes_on_and_its_annotations_are_whole(
    fits: Path, painted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, made = folder_work.subject_of, []

    def killed(*args, **keywords):
        if made:
            raise KeyboardInterrupt
        made.append(1)
        return real(*args, **keywords)

    settings = {"condition": "rosacea", "severity": 3.0, "n": 2, **SMALL, "out": tmp_path / "two"}
    monkeypatch.setattr(folder_work, "subject_of", killed)
    with pytest.raises(KeyboardInterrupt):
        face_paint(fits, **settings)
    monkeypatch.setattr(folder_work, "subject_of", lambda *a, **k: made.append(2) or real(*a, **k))
    out = face_paint(fits, **settings)
    assert made == [1, 2]
    for name in ("views.csv", "annotations.json", "images/ann_0.png", "images/bob_1.png"):
        assert (out / name).read_bytes() == (painted / name).read_bytes()


def test_the_audit_measures_against_the_twin_and_drops_with_a_reason(
    painted: Path, tmp_path: Path
) -> None:
    points = str(painted / "landmarks")
    out = face_audit(painted, landmarks=points, out=tmp_path / "audit")
    rows = read_table(out / "audit.csv", AUDIT)
    numbers = rows[["landmark_error", "confidence", "artefact"]].astype(float)
    assert (numbers["landmark_error"] < 0.01).all()  # found where they are, for files say so
    assert numbers["confidence"].between(0.3, 1.0).all()
    assert numbers["artefact"].between(0.3, 3.0).all()
    assert (rows["ita_shift"].replace("", "0").astype(float).abs() < 1.0).all()
    recovery = rows.loc[rows["recovery"] != "", "recovery"].astype(float)
    assert (recovery > 0.3).all()
    beside = rows["recovery_with_twin"].astype(float)
    assert (beside > 0.8).all()
    assert beside.mean() > recovery.mean()
    hard = face_audit(painted, landmarks=points, least_confidence=1.0, out=tmp_path / "hard")
    assert set(read_table(hard / "findings.csv", FINDINGS)["kind"]) == {"dropped"}
    assert "confidence 0." in read_table(hard / "audit.csv", AUDIT)["dropped"][0]
    assert not len(read_table(hard / "kept.csv", AFFECTED))
    assert len(read_table(out / "kept.csv", AFFECTED)) == sum(rows["dropped"] == "")


def test_a_picture_whose_face_is_not_found_again_is_dropped(painted: Path, tmp_path: Path) -> None:
    points = tmp_path / "points"
    shutil.copytree(painted / "landmarks", points)
    (points / "bob_1.npz").unlink()
    out = face_audit(painted, landmarks=str(points), out=tmp_path / "audit")
    row = read_table(out / "audit.csv", AUDIT).set_index("image_id").loc["bob_1"]
    assert row["dropped"].startswith("no face is found again: no_face")
    assert row["landmark_error"] == row["recovery"] == ""
    assert "bob_1" not in read_table(out / "kept.csv", AFFECTED)["image_id"].tolist()


def test_a_transplant_names_its_donor_first(fits: Path, painted: Path, tmp_path: Path) -> None:
    ill = tmp_path / "ill"
    ill.mkdir()
    shutil.copy(painted / "images" / "ann_0.png", ill / "dora.png")

    (ill / "points").mkdir()
    shutil.copy(painted / "landmarks" / "ann_0.npz", ill / "points" / "dora.npz")
    donors = face_fit(ill, landmarks=str(ill / "points"), out=tmp_path / "fit")
    out = face_transplant(fits, donors=donors, n=1, **SMALL, out=tmp_path / "out")
    rows = read_table(out / "views.csv", AFFECTED)
    assert rows["parent_ids"].tolist() == ["dora;ann", "dora;bob"]
    assert json.loads(rows["amounts"][0])["strength"] == 1.0
    assert picture(out / "masks" / "bob_0_redness.png").any()
    assert not len(read_table(out / "donors.csv", FINDINGS))
    audit = face_audit(out, landmarks=str(out / "landmarks"), out=tmp_path / "audit")
    assert len(read_table(audit / "audit.csv", AUDIT)) == 2


def test_unknown_conditions_and_folders_are_named(fits: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown condition 'rosacae'"):
        face_paint(fits, condition="rosacae", out=tmp_path / "a")
    views = face_view(fits, n=1, size=48, out=tmp_path / "views")
    with pytest.raises(StageError, match="no finished result of `fewskin face paint`"):
        face_audit(views, out=tmp_path / "b")


def test_the_command_line_paints_features_at_their_own_severity(fits: Path, tmp_path: Path) -> None:
    words = [f"data.path={fits}", "severity={papules: 3}", "n=1", "size=64", "side=64"]
    assert main(["face", "paint", *words, f"out={tmp_path / 'out'}"]) == 0
    masks = tmp_path / "out" / "masks"
    assert picture(masks / "ann_0_papules.png").any()
    assert not picture(masks / "ann_0_erythema.png").any()
