"""The detected landmarks as a face model: needs no asset and no fitting, fits exactly.

A mesh of 468 vertices, so no ears, no neck, no identity or expression to change; depth is the
landmark finder's guess. Good for small turns, and where nothing else is at hand. The model, which
has the mean face, is one for all photographs, and so are the maps of its texture; a photograph
gives the vertices.
"""

import functools

import numpy as np
import numpy.typing as npt

from fewskin.errors import DataError
from fewskin.face.landmarks import Landmarks, inter_ocular
from fewskin.face.model import N_LANDMARKS, FaceModel
from fewskin.face.topology import topology
from fewskin.functional.pose import View
from fewskin.functional.procrustes import similarity

__all__ = ["PUPILS_CM", "landmark_model", "landmark_vertices"]

# Mean distance of adults' pupils: 63 mm (Dodgson, "Variation and extrema of human interpupillary
# distance", 2004, https://doi.org/10.1117/12.529999). A child's face comes out too large.
PUPILS_CM = 6.3
_CAMERA = np.array([1.0, -1.0, -1.0])  # model axes to the camera's, see `functional.pose`


@functools.cache
def landmark_model() -> FaceModel:
    """Return the mean face of the landmarks as a model without modes; the same object each time.

    Raises:
        StageError: as `topology`.

    Example:
        >>> model = landmark_model()
        >>> model is landmark_model(), model.vertices.shape, model.identity.shape
        (True, (468, 3), (0, 468, 3))
    """
    mesh = topology()
    first = np.array([int((mesh.triangles == i).any(1).argmax()) for i in range(N_LANDMARKS)])
    return FaceModel(
        name="landmark",
        vertices=mesh.mean,
        triangles=mesh.triangles,
        uv=mesh.uv,
        uv_triangles=mesh.triangles,
        region=mesh.region,
        identity=np.zeros((0, N_LANDMARKS, 3), np.float32),
        expression=np.zeros((0, N_LANDMARKS, 3), np.float32),
        expression_names=(),
        landmark_triangles=first.astype(np.int32),
        landmark_bary=(mesh.triangles[first] == np.arange(N_LANDMARKS)[:, None]).astype(np.float32),
        licence="made from the photograph's own landmarks",
    )


def landmark_vertices(
    face: Landmarks,
    size: tuple[int, int],
    *,
    distance_cm: float = 60.0,
    pupils_cm: float = PUPILS_CM,
) -> tuple[npt.NDArray[np.float32], View]:
    """Return landmarks as an upright mesh, and the view that projects it back on them.

    Args:
        face: all 468 landmarks, with z.
        size: (height, width) of the picture they were found in.
        distance_cm: assumed, from the camera to the eyes; a photograph does not say it.
        pupils_cm: assumed, between the pupils; sets the scale.

    Returns:
        (468, 3) vertices of `landmark_model`, cm; and the view, whose principal point is at the
        middle of the face: `view.project(vertices)[:, :2]` are the landmarks' x and y.

    Raises:
        DataError: some of the landmarks are not known, or all lie on one line.
    """
    points = np.asarray(face.points, dtype=np.float64)
    if points.shape != (N_LANDMARKS, 3) or not np.isfinite(points).all():
        n_known = int(np.isfinite(points).all(-1).sum())
        raise DataError(
            f"{n_known} of {N_LANDMARKS} landmarks have x, y and z; the landmark model needs all. "
            "Use mediapipe, or fit a model to the few."
        )
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    centre, px_per_cm = (low + high) / 2, _px_per_cm(face, pupils_cm)
    if not px_per_cm > 0 or not (high > low).all():
        raise DataError("the landmarks lie on one point or line; find them again.")
    seen = _unprojected(points, centre, px_per_cm, distance_cm)

    # Upright: the similarity to the mean face says the turn; its scale is not used.
    mesh = topology()
    _, rotation, shift = similarity(mesh.mean, seen * _CAMERA)
    vertices = (seen * _CAMERA - shift) @ rotation
    view = View(
        rotation=rotation,
        translation=shift * _CAMERA,
        focal_px=px_per_cm * distance_cm,
        centre_px=(float(centre[0]), float(centre[1])),
        size=size,
    )
    return vertices.astype(np.float32), view


def _px_per_cm(face: Landmarks, pupils_cm: float) -> float:
    """Return the scale at the eyes, from the irises where they are known."""
    if face.irises is not None and np.isfinite(face.irises[[0, 5]]).all():
        return float(np.linalg.norm(face.irises[5] - face.irises[0]) / pupils_cm)
    mesh = topology()
    pupils = np.linalg.norm(mesh.mean_irises[5] - mesh.mean_irises[0])
    return float(inter_ocular(face) / inter_ocular(Landmarks(mesh.mean)) * pupils / pupils_cm)


def _unprojected(
    points: npt.NDArray[np.float64],
    centre: npt.NDArray[np.float64],
    px_per_cm: float,
    distance_cm: float,
) -> npt.NDArray[np.float64]:
    """Return (468, 3) in camera axes, cm, of landmarks whose z counts from the eyes' depth."""
    eyes = points[[33, 133, 263, 362], 2].mean()
    depth = distance_cm + (points[:, 2:] - eyes) / px_per_cm
    flat = (points[:, :2] - centre) * depth / (px_per_cm * distance_cm)
    return np.concatenate([flat, depth], axis=1)
