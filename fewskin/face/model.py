"""A 3D face model: a neutral mesh, how it varies, its texture coordinates and its landmarks."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fewskin.errors import DataError

__all__ = ["N_LANDMARKS", "REGIONS", "FaceModel", "load_model", "save_model"]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

N_LANDMARKS = 468  # MediaPipe's face mesh
# "face": skin from the forehead to the chin, without lips; "head": other skin, scalp, ears, neck;
# "eyes": the eyeballs; "mouth": its inside, teeth included.
REGIONS = ("face", "lips", "head", "eyes", "mouth")


@dataclass(frozen=True, eq=False)
class FaceModel:
    """A face model.

    Model axes: x to the subject's left, y up, z towards the viewer, cm; see `functional.pose`.

    Attributes:
        name: of the model.
        vertices: (V, 3) of the mean, neutral face.
        triangles: (T, 3), counter-clockwise seen from outside.
        uv: (U, 2) texture coordinates in [0, 1], v up: row (1 - v) of a texture.
        uv_triangles: (T, 3) into `uv`.
        region: (T,) position in `REGIONS`.
        identity: (I, V, 3) modes, each of one standard deviation; I may be 0.
        expression: (E, V, 3) modes, 0 at rest and 1 at most; E may be 0.
        expression_names: of the E modes.
        landmark_triangles: (468,) the triangle that holds each landmark; -1 where there is none.
        landmark_bary: (468, 3) where in that triangle.
        licence: of the model's data; goes into the table of everything made with it.
    """

    name: str
    vertices: Floats
    triangles: Ints
    uv: Floats
    uv_triangles: Ints
    region: npt.NDArray[np.uint8]
    identity: Floats
    expression: Floats
    expression_names: tuple[str, ...]
    landmark_triangles: Ints
    landmark_bary: Floats
    licence: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)

    def shape(self, identity: Floats | None = None, expression: Floats | None = None) -> Floats:
        """Return (V, 3) vertices of a person, cm.

        Args:
            identity: (i,) coefficients of the first i modes, in standard deviations.
            expression: (E,) coefficients in [0, 1].
        """
        made = self.vertices
        for values, modes in ((identity, self.identity), (expression, self.expression)):
            if values is not None and len(values):
                part = np.tensordot(np.asarray(values, np.float32), modes[: len(values)], 1)
                made = made + part
        return made.astype(np.float32)

    def landmarks(self, vertices: Floats) -> Floats:
        """Return (468, 3) landmarks of a mesh with these vertices; NaN where there is none."""
        corners = vertices[self.triangles[self.landmark_triangles]]
        points = (corners * self.landmark_bary[..., None]).sum(1)
        points[self.landmark_triangles < 0] = np.nan
        return np.asarray(points, dtype=np.float32)

    def in_region(self, *names: str) -> npt.NDArray[np.bool_]:
        """Return (T,) whether a triangle is of one of these `REGIONS`."""
        return np.isin(self.region, [REGIONS.index(name) for name in names])


_ARRAYS = (
    "vertices",
    "triangles",
    "uv",
    "uv_triangles",
    "region",
    "identity",
    "expression",
    "landmark_triangles",
    "landmark_bary",
)


def save_model(model: FaceModel, file: Path) -> None:
    """Write a model to an .npz file: arrays, modes as float16, and its names as JSON."""
    about = {
        "name": model.name,
        "licence": model.licence,
        "expression_names": list(model.expression_names),
        **model.extra,
    }
    arrays = {name: getattr(model, name) for name in _ARRAYS}
    for name in ("identity", "expression"):
        arrays[name] = arrays[name].astype(np.float16)
    for name in ("triangles", "uv_triangles", "landmark_triangles"):
        if arrays[name].max(initial=0) <= np.iinfo(np.int16).max:
            arrays[name] = arrays[name].astype(np.int16)
    text = np.frombuffer(json.dumps(about, sort_keys=True).encode(), dtype=np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as stream:
        np.savez_compressed(stream, about=text, **arrays)


def load_model(file: Path) -> FaceModel:
    """Return the model in a file of `save_model`, or one of your own in the same layout.

    Raises:
        DataError: no file, no npz, arrays that are missing or do not fit together.
    """
    try:
        with np.load(file, allow_pickle=False) as found:
            arrays = {name: found[name] for name in _ARRAYS}
            about = json.loads(found["about"].tobytes())
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{file} is no face model: {error}.") from error
    for name in _ARRAYS:
        kind = np.int32 if "triangles" in name else np.uint8 if name == "region" else np.float32
        arrays[name] = arrays[name].astype(kind)
    known = {"name", "licence", "expression_names"}
    return FaceModel(
        name=about["name"],
        licence=about.get("licence", ""),
        expression_names=tuple(about.get("expression_names", ())),
        extra={key: str(value) for key, value in about.items() if key not in known},
        **arrays,
    )
