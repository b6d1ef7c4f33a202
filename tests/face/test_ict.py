"""Import of ICT-FaceKit: the readers on small files, the whole on the user's own copy."""

import gzip

import numpy as np
import pytest

from fewskin.errors import DataError
from fewskin.face import ict_files
from fewskin.face.ict import import_ict, load_ict
from fewskin.face.ict_files import read_ict
from fewskin.face.model import REGIONS, load_model
from fewskin.face.topology import FACE_OVAL, LIPS_OUTER

NEUTRAL = """# a comment

mtllib x.mtl
v 0 0 0
v 1 0 0
v 1 1 0
v 0 1 0
v 2 0 0
vt 0 0
vt 1 0
vt 1 1
vt 0 1
usemtl M_Face
f 1/1 2/2 3/3 4/4
f 2/1 5/2 3/3
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A folder in the layout of ICT-FaceKit, with a mesh of two faces."""
    monkeypatch.setattr(ict_files, "_N_VERTICES", 5)
    monkeypatch.setattr(ict_files, "_N_FACES", 2)
    folder = tmp_path / "FaceXModel"
    folder.mkdir()
    (folder / "generic_neutral_mesh.obj").write_text(NEUTRAL)
    (folder / "identity000.obj").write_text(NEUTRAL.replace("v 2 0 0", "v 3 0 0"))
    with gzip.open(folder / "jawOpen.obj.gz", "wt") as stream:
        stream.write(NEUTRAL.replace("v 0 0 0", "v 0 -1 0"))
    return folder


def test_a_folder_of_obj_files_is_read(small):
    read = read_ict(small.parent)
    assert read.faces.tolist() == [[0, 1, 2, 3], [1, 4, 2, -1]]
    assert read.uv_faces.tolist() == [[0, 1, 2, 3], [0, 1, 2, -1]]
    assert read.identity[0, 4].tolist() == [1.0, 0.0, 0.0]
    assert read.expression[0, 0].tolist() == [0.0, -1.0, 0.0]
    assert read.names == ("jawOpen",)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("generic_neutral_mesh.obj", NEUTRAL.replace("f 1/1", "f 1"), "texture coordinates"),
        ("generic_neutral_mesh.obj", NEUTRAL.replace("v 1 1 0", "v 1 one 0"), "odd line"),
        ("identity000.obj", NEUTRAL.replace("v 2 0 0\n", ""), "4 vertices, expected 5"),
    ],
)
def test_damaged_files_are_named(small, name, text, message):
    (small / name).write_text(text)
    with pytest.raises(DataError, match=message):
        read_ict(small)


def test_missing_files_are_named(small, tmp_path):
    (small / "identity000.obj").unlink()
    with pytest.raises(DataError, match=r"0 identityNNN\.obj and 1 expressions"):
        read_ict(small)
    (small / "generic_neutral_mesh.obj").unlink()
    with pytest.raises(DataError, match=r"no generic_neutral_mesh\.obj"):
        read_ict(small)
    with pytest.raises(DataError, match="is no ICT-FaceKit"):
        read_ict(tmp_path / "nothing.obj")
    with pytest.raises(DataError, match=r"no \.npz of ICT-FaceKit"):
        read_ict(tmp_path / "nothing.npz")


def test_another_mesh_is_refused(small, monkeypatch):
    monkeypatch.setattr(ict_files, "_N_VERTICES", 26719)
    with pytest.raises(DataError, match="5 vertices and 2 faces"):
        read_ict(small)


@pytest.fixture(scope="module")
def ict(realdata):
    return load_ict(realdata / "face3d" / "ict_facekit" / "ict_facekit_light.npz", n_identity=3)


def test_ict_keeps_skin_eyes_and_mouth_only(ict):
    assert ict.vertices.shape == (22991, 3)
    assert (np.bincount(ict.region, minlength=5) > 500).all()
    assert ict.triangles.max() == len(ict.vertices) - 1
    assert len(ict.identity) == 3
    assert "PupilDilate_L" not in ict.expression_names
    assert {"jawOpen", "eyeBlink_L"} <= set(ict.expression_names)


def test_ict_texture_is_one_tile_and_mostly_of_the_head(ict):
    assert ict.uv.min() >= 0
    assert ict.uv.max() <= 1
    u = ict.uv[ict.uv_triangles]
    area = np.abs(np.linalg.det(np.stack([u[:, 1] - u[:, 0], u[:, 2] - u[:, 0]], 1)) / 2)
    assert area[ict.in_region("face", "lips")].sum() > 0.2
    assert area[ict.in_region("eyes", "mouth")].sum() < 0.15


def test_ict_faces_outwards(ict):
    front = ict.in_region("face")
    a, b, c = (ict.vertices[ict.triangles[front, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    away = (a + b + c) / 3 - [0.0, 0.5, 2.0]
    assert ((normal * away).sum(1) > 0).mean() > 0.93


def test_ict_landmarks_are_on_the_parts_they_name(ict):
    at = ict.landmarks(ict.vertices)
    assert np.isfinite(at).all()
    assert at[4, 2] == at[:, 2].max()  # the nose's tip
    lips = ict.region[ict.landmark_triangles[list(LIPS_OUTER)]]
    assert set(lips) <= {REGIONS.index("face"), REGIONS.index("lips")}
    assert at[list(FACE_OVAL), 1].argmin() == FACE_OVAL.index(152)  # the chin
    assert at[263, 0] > 3.5 > -3.5 > at[33, 0]


def test_registered_landmarks_agree_with_the_learned_ones(realdata, ict):
    file = realdata / "face3d" / "ict_facekit" / "ict_facekit_light.npz"
    registered = load_ict(file, n_identity=1, learned=False)
    off = registered.landmarks(registered.vertices) - ict.landmarks(ict.vertices)
    assert np.median(np.linalg.norm(off, axis=1)) < 0.25  # cm


def test_the_import_writes_a_model_that_loads(realdata, tmp_path):
    source = realdata / "face3d" / "ict_facekit" / "ict_facekit_light.npz"
    file = import_ict(source, tmp_path, n_identity=1)
    assert file == tmp_path / "ict.npz"
    assert load_model(file).licence.startswith("MIT")


def test_obj_files_and_npz_agree(realdata, ict):
    made = load_ict(realdata / "face3d" / "ict_facekit_obj", n_identity=1)
    assert np.allclose(made.vertices, ict.vertices, atol=1e-3)
    assert np.allclose(made.identity[0], ict.identity[0], atol=2e-3)
    jaw = ict.expression[ict.expression_names.index("jawOpen")]
    assert np.allclose(made.expression[made.expression_names.index("jawOpen")], jaw, atol=4e-3)
