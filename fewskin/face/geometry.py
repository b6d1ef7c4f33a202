"""Which 3D face model is used, by name: the landmarks themselves, our own head, or a file."""

from pathlib import Path

import numpy as np

from fewskin.errors import ConfigError
from fewskin.face.analytic import analytic_head
from fewskin.face.fit import Fit, fit
from fewskin.face.landmark_model import landmark_model, landmark_vertices
from fewskin.face.landmarks import Landmarks
from fewskin.face.model import FaceModel, load_model

__all__ = ["GEOMETRIES", "fitted", "load_geometry"]

GEOMETRIES = ("landmark", "analytic")


def load_geometry(name: str) -> FaceModel | None:
    """Return a face model; None for "landmark", where the landmarks are the mesh.

    Args:
        name: "landmark", "analytic", or an .npz file of `fewskin face import-ict` or of your own.

    Raises:
        ConfigError: neither a name nor a file.
        DataError: the file is no face model.
    """
    if name == "landmark":
        return None
    if name == "analytic":
        return analytic_head()
    file = Path(name)
    if file.is_dir():
        file = file / "model.npz"
    if not file.is_file():
        raise ConfigError(
            f"model={name}: expected {', '.join(GEOMETRIES)} or an .npz file, such as "
            "`fewskin face import-ict` makes."
        )
    return load_model(file)


def fitted(
    geometry: FaceModel | None, face: Landmarks, size: tuple[int, int]
) -> tuple[FaceModel, Fit]:
    """Return the model of a photograph and its fit.

    Args:
        geometry: of `load_geometry`; None takes the landmarks as the mesh.
        face: landmarks of the photograph.
        size: (height, width) of the photograph.

    Raises:
        DataError: too few landmarks, or nonsensical ones.
    """
    if geometry is not None:
        return geometry, fit(geometry, face.points, size)
    vertices, view = landmark_vertices(face, size)
    none = np.zeros(0, np.float32)
    return landmark_model(), Fit(none, none, view, vertices, 0.0, 0.0, 0, 0.0, True)
