"""Write a textured face for any 3D viewer, and read it back.

A face is three files of one name: `NAME.glb` (mesh and sRGB texture, glTF 2.0, in metres),
`NAME.json` (what the face is, and where the numbers of its mesh come from) and `NAME.maps.png`
(confidence, skin and density of the texture). A viewer needs the first one only.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from fewskin.errors import DataError
from fewskin.face.model import FaceModel
from fewskin.face.texture import Texture
from fewskin.functional.colour import linear_to_srgb, srgb_to_linear
from fewskin.paths import atomic_write

__all__ = ["SavedFace", "load_face", "save_face"]

Floats = npt.NDArray[np.float32]

_METRES: Final = 0.01  # glTF counts in metres, a model in cm
_MOST_DENSITY: Final = 8.0  # pixels per texel that the map can hold
_VERSION: Final = 1


@dataclass(frozen=True, eq=False)
class SavedFace:
    """What `load_face` returns.

    Attributes:
        vertices: (V, 3) of the model, cm; 0 for one that no triangle has.
        texture: colour to a step of 8-bit sRGB, the rest to 1 / 255 (density to 8 / 255).
        about: what was saved beside it.
    """

    vertices: Floats
    texture: Texture
    about: Mapping[str, Any]  # Any: a JSON document


def save_face(
    file: Path,
    model: FaceModel,
    vertices: Floats,
    texture: Texture,
    about: Mapping[str, Any] | None = None,
) -> Path:
    """Write a face; an older one of the same name is replaced.

    Args:
        file: `NAME.glb`; its folder is made.
        model: face model.
        vertices: (V, 3) of the person, cm.
        texture: completed, or a viewer shows black where nothing was seen.
        about: JSON values of your own, such as the photograph's id and the fit's coefficients.

    Returns:
        `file`.

    Raises:
        DataError: a name that does not end in .glb, or vertices of another model.
    """
    if file.suffix != ".glb":
        raise DataError(f"{file.name}: a face is saved as NAME.glb.")
    if vertices.shape != model.vertices.shape:
        raise DataError(
            f"model {model.name!r} has vertices {model.vertices.shape}, not {vertices.shape}."
        )
    corners, triangles = _unshared(model)
    file.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(file, _glb(model, vertices, texture, corners, triangles))
    maps = np.stack([texture.confidence, texture.skin, texture.density / _MOST_DENSITY], axis=-1)
    atomic_write(file.with_suffix(".maps.png"), _png(maps))
    text = {
        "version": _VERSION,
        "model": model.name,
        "licence": model.licence,
        "n_vertices": len(model.vertices),
        "unit": "m in the .glb; x 100 = cm of the model",
        "maps": "red confidence, green skin, blue density / 8 pixels per texel",
        "vertex": corners[:, 0].tolist(),  # of the model, by vertex of the .glb
        "about": dict(about or {}),
    }
    atomic_write(file.with_suffix(".json"), json.dumps(text, sort_keys=True).encode())
    return file


def _unshared(model: FaceModel) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return (N, 2) the different pairs of vertex and texture coordinate, and triangles of them."""
    pairs = np.stack([model.triangles.ravel(), model.uv_triangles.ravel()], axis=1)
    corners, where = np.unique(pairs.astype(np.int64), axis=0, return_inverse=True)
    return corners, where.reshape(-1, 3)


def _glb(
    model: FaceModel,
    vertices: Floats,
    texture: Texture,
    corners: npt.NDArray[np.int64],
    triangles: npt.NDArray[np.int64],
) -> bytes:
    import trimesh

    picture = Image.open(BytesIO(_png(linear_to_srgb(texture.colour))))
    material = trimesh.visual.material.PBRMaterial(
        name=model.name,
        baseColorTexture=picture,
        metallicFactor=0.0,
        roughnessFactor=0.6,  # skin is neither a mirror nor chalk
    )
    mesh = trimesh.Trimesh(
        vertices=vertices[corners[:, 0]] * _METRES,
        faces=triangles,
        visual=trimesh.visual.TextureVisuals(uv=model.uv[corners[:, 1]], material=material),
        process=False,
    )
    scene = trimesh.Scene()
    scene.add_geometry(mesh, geom_name="face")
    made: bytes = scene.export(file_type="glb")
    return made


def _png(values: npt.NDArray[np.floating]) -> bytes:
    stream = BytesIO()
    pixels = np.round(np.clip(values, 0.0, 1.0) * 255.0).astype(np.uint8)
    Image.fromarray(pixels).save(stream, format="PNG", compress_level=3)
    return stream.getvalue()


def load_face(file: Path) -> SavedFace:
    """Return a face of `save_face`.

    Args:
        file: `NAME.glb`, with its .json and .maps.png beside it.

    Raises:
        DataError: a file is missing, damaged, or of another face.
    """
    import trimesh

    try:
        text = json.loads(file.with_suffix(".json").read_text())
        scene = trimesh.load_scene(file, process=False)
        mesh = next(iter(scene.geometry.values()))
        maps = np.asarray(Image.open(file.with_suffix(".maps.png")), np.float32) / 255.0
        picture = mesh.visual.material.baseColorTexture.convert("RGB")
        vertex, n_vertices = np.array(text["vertex"]), int(text["n_vertices"])
    except (OSError, ValueError, KeyError, AttributeError, StopIteration) as error:
        raise DataError(
            f"{file} is no face saved by fewskin: {error}. "
            "A face is NAME.glb with NAME.json and NAME.maps.png beside it."
        ) from error
    if len(mesh.vertices) != len(vertex):
        raise DataError(f"{file} has {len(mesh.vertices)} vertices, its .json {len(vertex)}.")
    vertices = np.zeros((n_vertices, 3), np.float32)
    vertices[vertex] = mesh.vertices / _METRES
    colour = srgb_to_linear(np.asarray(picture, np.float32) / 255.0)
    confidence, skin, density = (maps[..., k].copy() for k in range(3))
    return SavedFace(
        vertices, Texture(colour, confidence, skin, density * _MOST_DENSITY), text["about"]
    )
