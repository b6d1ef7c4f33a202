from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fewskin.cli import main
from fewskin.data.images import open_table, pixel_sha
from fewskin.errors import ConfigError, DataError
from fewskin.face.landmark_files import write_landmarks
from fewskin.face.landmarks import Landmarks
from fewskin.face.pictures import as_pixels
from fewskin.stages import face_crop as module
from fewskin.stages.face_crop import face_crop
from fewskin.tables import FINDINGS, read_manifest, read_table, write_manifest
from tests.face.mean_face import mean_face


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of two made-up faces, a wall, and a generated child of the first."""
    folder = tmp_path_factory.mktemp("photographs")
    (folder / "points").mkdir()
    for name, tone in (("ann", 0.2), ("bob", 0.8), ("kid", 0.3)):
        made = mean_face(128, tone=tone, seed=len(name))
        Image.fromarray(as_pixels(made.image)).save(folder / f"{name}.png")
        write_landmarks(made.landmarks, folder / "points" / f"{name}.npz")
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(folder / "wall.png")
    rows = pd.DataFrame(
        {
            "image_id": ["kid", "ann", "bob", "wall"],
            "path": ["kid.png", "ann.png", "bob.png", "wall.png"],
            "label": ["ill", "ill", "well", "well"],
            "group_id": ["a", "a", "b", "w"],
            "source": ["generated", "real", "real", "real"],
            "parent_ids": ["ann", "", "", ""],
            "mask_path": ["", "ann.png", "", ""],
            "grade": ["2", "2", "0", ""],
        }
    )
    write_manifest(rows, folder)
    return folder


def crop(folder: Path, **changed: object) -> Path:
    settings = {"side": 96, "landmarks": str(folder / "points"), **changed}
    return face_crop(folder, **settings)  # type: ignore[arg-type]


def test_every_row_stays_with_all_that_is_known_of_it(photographs: Path) -> None:
    out = crop(photographs)
    before, after = (read_manifest(f).rows.set_index("image_id") for f in (photographs, out))
    kept = ["label", "group_id", "source", "parent_ids", "grade"]
    pd.testing.assert_frame_equal(after[kept], before[kept])
    assert set(after["layout"]) == {"patches"}
    assert after["no_face"].to_dict() == {"ann": "", "bob": "", "kid": "", "wall": "no_face"}
    assert set(after["mask_path"]) == {""}  # of the photograph, not of the crop
    manifest = read_manifest(out)
    for i, sha in enumerate(manifest.rows["pixel_sha"]):
        assert pixel_sha(np.asarray(Image.open(manifest.path(i)))) == sha
    assert (out / "contact.png").is_file()


def test_learners_read_the_crops_pixel_for_pixel(photographs: Path) -> None:
    out = crop(photographs)
    table, manifest = open_table(out, 96), read_manifest(out)
    first = np.asarray(Image.open(manifest.path(0)))
    assert (table.images([0])[0].permute(1, 2, 0).numpy() == first).all()


def test_a_photograph_without_a_face_is_a_finding_and_its_centre_or_grey(photographs: Path) -> None:
    for layout, grey in (("patches", 90), ("face", 90), ("masked", 128)):
        out = crop(photographs, layout=layout)
        findings = read_table(out / "findings.csv", FINDINGS)
        assert findings["image_id"].tolist() == ["wall"]
        assert findings["kind"].tolist() == ["no_face"]
        manifest = read_manifest(out)
        at = manifest.rows["image_id"].tolist().index("wall")
        assert (np.asarray(Image.open(manifest.path(at))) == grey).all()


def test_the_table_of_crops_says_how_the_head_stands_and_what_is_seen(photographs: Path) -> None:
    rows = pd.read_csv(crop(photographs) / "crops.csv").set_index("image_id")
    assert abs(rows.loc["ann", "yaw_deg"]) < 1
    assert rows.loc["ann", "seen: right cheek"] > 0.95
    assert np.isnan(rows.loc["wall", "yaw_deg"])


def test_a_folder_a_class_is_cropped_without_a_manifest(photographs: Path, tmp_path: Path) -> None:
    for label, name in (("ill", "ann"), ("well", "bob")):
        (tmp_path / "data" / label).mkdir(parents=True)
        photo = (photographs / f"{name}.png").read_bytes()
        (tmp_path / "data" / label / f"{name}.png").write_bytes(photo)
    (tmp_path / "data" / "ill" / "broken.png").write_bytes(b"no picture")
    out = face_crop(tmp_path / "data", side=48, landmarks=str(photographs / "points"))
    manifest = read_manifest(out)
    assert manifest.rows["label"].tolist() == ["ill", "well"]
    assert set(read_table(out / "findings.csv", FINDINGS)["kind"]) >= {"corrupt"}
    assert Image.open(manifest.path(0)).size == (48, 48)
    (tmp_path / "none" / "ill").mkdir(parents=True)
    (tmp_path / "none" / "ill" / "broken.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="no image can be read"):
        face_crop(tmp_path / "none", landmarks=str(photographs / "points"))


@pytest.mark.parametrize("shape", [(40, 60), (3000, 1500), (700, 700)])
def test_a_picture_is_looked_at_at_a_size_where_faces_are_found(shape: tuple[int, int]) -> None:
    sizes = []

    def find(file: Path, pixels: np.ndarray) -> Landmarks:
        sizes.append(pixels.shape[:2])
        middle = np.array([pixels.shape[1] / 4, pixels.shape[0] / 2, 0.0], np.float32)
        return Landmarks(np.tile(middle, (468, 1)))

    photo = np.zeros((*shape, 3), np.uint8)
    found = module._found(find, Path("x.png"), photo, enlarge=True)
    height, width = sizes[0]
    assert max(height, width) <= 1024
    assert min(height, width) >= min(384, 1024 * min(shape) // max(shape))
    np.testing.assert_allclose(found.points[0, :2], [shape[1] / 4, shape[0] / 2], atol=1e-3)


def test_layouts_and_sides_that_do_not_exist_are_refused(photographs: Path) -> None:
    with pytest.raises(ConfigError, match="layout='tiles'"):
        crop(photographs, layout="tiles")
    with pytest.raises(ConfigError, match="cannot have a side of 100 pixels"):
        crop(photographs, side=100)


def test_the_command_crops(photographs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"data.path={photographs}", "layout=masked", "side=48"]
    assert main(["face", "crop", *words, f"landmarks={photographs / 'points'}"]) == 0
    out = Path(capsys.readouterr().out.split("result: ")[1].split("\n")[0])
    assert set(read_manifest(out).rows["layout"]) == {"masked"}


def test_mediapipe_finds_simulated_faces_of_96_pixels(tmp_path: Path) -> None:
    pytest.importorskip("mediapipe")
    from fewskin.stages.ingest import ingest

    phantom = {"name": "phantom", "n_common": 1, "n_rare": 1, "photographs": 1, "size": 96}
    out = face_crop(ingest(source=phantom), side=48)
    found = pd.read_csv(out / "crops.csv", keep_default_na=False)["no_face"]
    assert (found == "").mean() > 0.7
