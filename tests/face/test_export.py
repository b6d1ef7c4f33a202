"""A saved face opens elsewhere and comes back as it was."""

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh

from fewskin.errors import DataError
from fewskin.face.export import load_face, save_face
from fewskin.face.texture import Texture
from tests.face.globe import RADIUS, globe

SIDE = 64


def random_texture() -> Texture:
    rng = np.random.default_rng(0)
    colour, confidence, skin, density = (
        rng.random(shape, dtype=np.float32)
        for shape in ((SIDE, SIDE, 3), (SIDE, SIDE), (SIDE, SIDE), (SIDE, SIDE))
    )
    return Texture(colour, confidence, skin, density * 3)


def test_a_face_comes_back(tmp_path: Path) -> None:
    model, made = globe(24, 12), random_texture()
    file = save_face(tmp_path / "sub" / "P01.glb", model, model.vertices, made, {"image_id": "P01"})
    found = load_face(file)
    np.testing.assert_allclose(found.vertices, model.vertices, atol=1e-4)
    srgb_step = 2.3 / 255 / 2 + 1e-4  # the steepest part of the sRGB curve, half a step
    np.testing.assert_allclose(found.texture.colour, made.colour, atol=srgb_step)
    np.testing.assert_allclose(found.texture.confidence, made.confidence, atol=0.51 / 255)
    np.testing.assert_allclose(found.texture.density, made.density, atol=8 * 0.51 / 255)
    assert found.about == {"image_id": "P01"}
    assert sorted(p.name for p in file.parent.iterdir()) == ["P01.glb", "P01.json", "P01.maps.png"]


def test_the_glb_alone_is_a_textured_mesh_in_metres_with_right_side_up_texture(
    tmp_path: Path,
) -> None:
    model = globe(24, 12)
    colour = np.zeros((SIDE, SIDE, 3), np.float32)
    colour[: SIDE // 2, :, 0] = 1.0  # the upper half of the texture: v > .5, y > 0
    zero = np.zeros((SIDE, SIDE), np.float32)
    file = save_face(tmp_path / "a.glb", model, model.vertices, Texture(colour, zero, zero, zero))
    mesh = next(iter(trimesh.load_scene(file, process=False).geometry.values()))
    assert len(mesh.faces) == len(model.triangles)
    assert mesh.extents.max() == pytest.approx(2 * RADIUS / 100, rel=1e-4)
    image = np.asarray(mesh.visual.material.baseColorTexture.convert("RGB"))
    top = int(np.argmax(mesh.vertices[:, 1] - 1e-3 * np.abs(mesh.visual.uv[:, 0] - 0.5)))
    row = int((1.0 - mesh.visual.uv[top, 1]) * SIDE)
    assert image[min(max(row, 0), SIDE - 1), SIDE // 2].tolist() == [255, 0, 0]
    normal = mesh.face_normals[0] @ mesh.triangles_center[0]
    assert normal >= 0.0  # outwards


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    model, made = globe(8, 4), random_texture()
    with pytest.raises(DataError, match=r"\.glb"):
        save_face(tmp_path / "a.obj", model, model.vertices, made)
    with pytest.raises(DataError, match="vertices"):
        save_face(tmp_path / "a.glb", model, model.vertices[1:], made)
    with pytest.raises(DataError, match="no face"):
        load_face(tmp_path / "absent.glb")
    file = save_face(tmp_path / "a.glb", model, model.vertices, made)
    text = json.loads(file.with_suffix(".json").read_text())
    text["vertex"] = text["vertex"][1:]
    file.with_suffix(".json").write_text(json.dumps(text))
    with pytest.raises(DataError, match="vertices"):
        load_face(file)
