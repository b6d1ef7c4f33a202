import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fewskin.cli import main
from fewskin.errors import ConfigError, DataError, StageError
from fewskin.face import folder_work
from fewskin.face.export import load_face
from fewskin.face.landmark_files import write_landmarks
from fewskin.face.people import FACES, read_people
from fewskin.face.pictures import as_pixels
from fewskin.face.portrait import portrait_of
from fewskin.face.scene import VIEWS, Scene
from fewskin.face.subject import subject_of
from fewskin.seeding import rng_for
from fewskin.stages.face_fit import face_fit
from fewskin.stages.face_render import face_render
from fewskin.stages.face_unwrap import face_unwrap
from fewskin.stages.face_view import face_view
from fewskin.tables import read_table
from tests.face.mean_face import mean_face

SIZE = 128


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two made-up faces with landmark files beside them, and what is none."""
    folder = tmp_path_factory.mktemp("photographs")
    (folder / "points").mkdir()
    for name, tone in (("ann", 0.2), ("bob", 0.8)):
        made = mean_face(SIZE, tone=tone, seed=len(name))
        Image.fromarray(as_pixels(made.image)).save(folder / f"{name}.png")
        write_landmarks(made.landmarks, folder / "points" / f"{name}.npz")
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(folder / "wall.png")
    (folder / "broken.jpg").write_bytes(b"not a picture")
    return folder


@pytest.fixture
def fits(photographs: Path) -> Path:
    return face_fit(photographs, landmarks=str(photographs / "points"))


def test_every_photograph_has_a_row_and_a_reason(fits: Path, photographs: Path) -> None:
    rows = read_table(fits / "faces.csv", FACES).set_index("image_id")
    assert rows["reason"].to_dict() == {
        "ann": "",
        "bob": "",
        "broken": "unreadable",
        "wall": "no_face",
    }
    assert rows["detail"]["broken"].startswith("not an image")
    assert abs(float(rows["yaw_deg"]["ann"])) < 1
    assert (fits / "contact.png").is_file()
    people = read_people(fits)
    assert [person.image_id for person in people] == ["ann", "bob"]
    assert people.root == photographs.resolve()


def test_unwrap_saves_heads_that_read_back(fits: Path) -> None:
    out = face_unwrap(fits, side=64)
    assert sorted(file.name for file in (out / "heads").glob("*.glb")) == ["ann.glb", "bob.glb"]
    ann, bob = (load_face(out / "heads" / f"{name}.glb") for name in ("ann", "bob"))
    assert ann.about["image_id"] == "ann"
    known = (ann.texture.confidence > 0.5) & (bob.texture.confidence > 0.5)
    assert ann.texture.colour[known].mean() > 2 * bob.texture.colour[known].mean()
    assert not (out / "done").exists()


def test_render_writes_pictures_and_masks_of_every_pose(fits: Path) -> None:
    out = face_render(fits, yaw_deg=[-20, 20], pitch_deg=[0], size=64)
    names = sorted(file.name for file in (out / "images").iterdir())
    assert names == [f"{who}_yaw{y}_pitch+0.png" for who in ("ann", "bob") for y in ("+20", "-20")]
    for name in names:
        assert np.asarray(Image.open(out / "images" / name)).shape == (64, 64, 3)
        labels = np.asarray(Image.open(out / "masks" / name))
        assert {0, 1, 2} <= set(np.unique(labels).tolist()) <= {0, 1, 2, 3, 4, 5}


def test_views_name_their_parent_and_repeat(fits: Path, tmp_path: Path) -> None:
    out = face_view(fits, n=2, size=64, out=tmp_path / "one")
    rows = read_table(out / "views.csv", VIEWS)
    assert rows["parent_ids"].tolist() == ["ann", "ann", "bob", "bob"]
    assert rows["yaw_deg"].astype(float).abs().max() <= 20
    again = face_view(fits, n=2, size=64, out=tmp_path / "two")
    for path in rows["path"]:
        assert (out / path).read_bytes() == (again / path).read_bytes()


def test_a_row_of_views_gives_its_picture_again(fits: Path, tmp_path: Path) -> None:
    knobs = {"identity": 1.0, "expression": 1.0, "light": 0.6}
    out = face_view(fits, n=1, size=64, seed=3, knobs=knobs, out=tmp_path / "views")
    row = read_table(out / "views.csv", VIEWS).iloc[0]
    person = read_people(fits).person(row["image_id"].rpartition("_")[0])
    subject = subject_of(person.linear, person.landmarks)
    scene, rng = Scene.from_json(row["scene"]), rng_for(int(row["seed"]), "camera")
    _, picture = portrait_of(subject, person.pixels, 64).picture(scene, rng)
    assert (picture == np.asarray(Image.open(out / row["path"]))).all()
    assert row["background"] == "depth_sheet"


def test_photographs_of_one_person_share_a_skin_and_are_all_named(
    fits: Path, tmp_path: Path
) -> None:
    file = tmp_path / "people.csv"
    file.write_text("path,patient_id\nann.png,p1\nbob.png,p1\n")
    out = face_view(fits, n=1, size=64, people=file, out=tmp_path / "views")
    rows = read_table(out / "views.csv", VIEWS)
    assert rows["parent_ids"].tolist() == ["ann;bob", "bob;ann"]
    heads = face_unwrap(fits, side=64, people=file, out=tmp_path / "heads") / "heads"
    ann, bob = (load_face(heads / f"{name}.glb") for name in ("ann", "bob"))
    assert ann.about["parent_ids"] == "ann;bob"
    ratio = ann.texture.colour[20:44, 20:44].mean(-1) / bob.texture.colour[20:44, 20:44].mean(-1)
    assert ratio.std() < 0.1 * ratio.mean()  # one skin; ann's photograph is the brighter
    assert ratio.mean() > 1.5
    file.write_text("path,patient_id\nann.png,p1\nbob.png,p2\n")
    apart = face_view(fits, n=1, size=64, people=file, out=tmp_path / "apart")
    plain = face_view(fits, n=1, size=64, out=tmp_path / "plain")
    for name in ("views.csv", "images/ann_0.png", "images/bob_0.png"):
        assert (apart / name).read_bytes() == (plain / name).read_bytes()


def test_wrong_tables_of_people_are_named(fits: Path, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("image_id,patient_id\ncarl,p1\n")
    with pytest.raises(DataError, match=r"image_id 'carl' is not in .*faces\.csv"):
        face_view(fits, n=1, people=file, out=tmp_path / "a")
    file.write_text("name,patient_id\nann,p1\n")
    with pytest.raises(DataError, match="no column image_id or path"):
        face_view(fits, n=1, people=file, out=tmp_path / "b")


def test_another_background_stands_behind_views_and_renders(fits: Path, tmp_path: Path) -> None:
    pool = tmp_path / "pool"
    pool.mkdir()
    Image.fromarray(np.full((40, 60, 3), (200, 10, 10), np.uint8)).save(pool / "red.png")
    settings = {"size": 64, "background": "pool", "pool": pool}
    views = face_view(fits, n=1, **settings, out=tmp_path / "views")
    renders = face_render(fits, yaw_deg=[10], **settings, out=tmp_path / "renders")
    for file in (*(views / "images").iterdir(), *(renders / "images").iterdir()):
        red, green, blue = np.asarray(Image.open(file))[:6, :6].reshape(-1, 3).mean(0)
        assert red > 150
        assert max(green, blue) < 60
    assert set(read_table(views / "views.csv", VIEWS)["background"]) == {"pool"}
    with pytest.raises(ConfigError, match="give pool=DIR"):
        face_view(fits, background="pool", out=tmp_path / "c")
    with pytest.raises(ConfigError, match="is for background=pool"):
        face_render(fits, pool=pool, out=tmp_path / "d")


def test_a_killed_run_goes_on_with_the_next_face(
    fits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = face_view(fits, n=1, size=64, out=tmp_path / "whole")
    real, made = folder_work.subject_of, []

    def killed(*args, **keywords):
        if made:
            raise KeyboardInterrupt
        made.append(1)
        return real(*args, **keywords)

    monkeypatch.setattr(folder_work, "subject_of", killed)
    with pytest.raises(KeyboardInterrupt):
        face_view(fits, n=1, size=64, out=tmp_path / "two")
    monkeypatch.setattr(folder_work, "subject_of", lambda *a, **k: made.append(2) or real(*a, **k))
    out = face_view(fits, n=1, size=64, out=tmp_path / "two")
    assert made == [1, 2]
    for name in ("views.csv", "images/ann_0.png", "images/bob_0.png", "contact.png"):
        assert (out / name).read_bytes() == (expected / name).read_bytes()


def test_the_command_line_fits_photographs_first(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"data.path={photographs}", f"landmarks={photographs / 'points'}", "n=1", "size=48"]
    assert main(["face", "view", *words, f"out={tmp_path / 'views'}"]) == 0
    assert len(list((tmp_path / "views" / "images").iterdir())) == 2
    assert main(["face", "fit", str(photographs), "model=nowhere.npz"]) == 2
    assert "expected landmark, analytic or an .npz file" in capsys.readouterr().err
    assert main(["face", "paint"]) == 2
    assert main(["face"]) == 0
    assert "face import-ict" in capsys.readouterr().out


def test_wrong_folders_and_finders_are_named(photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected mediapipe, a \.task file, or a folder"):
        face_fit(photographs, landmarks="dlib", out=tmp_path / "a")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StageError, match="no result of `fewskin face fit`"):
        read_people(tmp_path / "empty")
    found = face_fit(photographs, landmarks=str(tmp_path / "empty"), out=tmp_path / "b")
    with pytest.raises(StageError, match="no face was found"):
        face_view(found, out=tmp_path / "c")
    assert json.loads((found / "stage.json").read_text())["params"]["model"] == "landmark"
