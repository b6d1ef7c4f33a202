"""Better places for a model's landmarks, learned from photographs.

A registration puts landmarks where the mean face has them; a finder puts them where its training
data had them. The model is fitted to many people; what each landmark misses by, on average and
turned back onto the surface, is where the finder means another place. Repeated a few times, both
sides of the face together.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fewskin.errors import DataError
from fewskin.face.correspondence import closest_on_mesh
from fewskin.face.fit import Fit, fit
from fewskin.face.model import FaceModel
from fewskin.face.topology import topology
from fewskin.functional.mesh import vertex_normals

__all__ = ["learn_landmarks"]

Array = npt.NDArray[np.floating]

_FLIP = np.array([-1.0, 1.0, 1.0])
_FEWEST = 8
_LEAST_FACING = 0.35  # cosine: a landmark seen more from the side says little of its place


def learn_landmarks(
    model: FaceModel,
    points: Sequence[Array],
    sizes: Sequence[tuple[int, int]],
    *,
    usable: npt.NDArray[np.bool_] | None = None,
    rounds: int = 5,
    symmetrical: bool = True,
) -> FaceModel:
    """Return the model with its landmarks moved to where a finder sees them.

    Args:
        model: whose `landmark_triangles` are a fair start, for example from `correspond`.
        points: (468, 3) landmarks of each photograph, px.
        sizes: (height, width) of each.
        usable: (T,) triangles that may hold a landmark; None is skin and lips.
        rounds: of fitting and moving.
        symmetrical: both sides move alike, as the mesh should be.

    Raises:
        DataError: fewer than eight photographs.
    """
    if len(points) < _FEWEST:
        raise DataError(f"{len(points)} photographs, expected {_FEWEST} or more people.")
    keep = np.flatnonzero(model.in_region("face", "lips", "head") if usable is None else usable)
    for _ in range(rounds):
        fits = [fit(model, one, size) for one, size in zip(points, sizes, strict=True)]
        shift = np.stack([_missed(model, *one) for one in zip(fits, points, strict=True)])
        unseen = ~np.isfinite(shift).any(0)
        shift = np.where(unseen, 0.0, np.nanmedian(np.where(unseen, 0.0, shift), axis=0))
        if symmetrical:
            shift = (shift + shift[topology().mirror] * _FLIP) / 2
        moved = model.landmarks(model.vertices) + shift
        at = closest_on_mesh(moved, model.vertices, model.triangles[keep])
        model = replace(
            model,
            landmark_triangles=keep[at.triangle].astype(np.int32),
            landmark_bary=at.bary,
        )
    return model


def _missed(model: FaceModel, made: Fit, points: Array) -> Array:
    """(468, 3) by how much each landmark should move on the surface, cm; NaN where not seen."""
    turn = np.asarray(made.view.rotation)
    at = model.landmarks(made.vertices)
    seen = made.view.project(at)
    per_cm = made.view.focal_px / seen[:, 2:]  # (468, 1)
    left = (points[:, :2] - seen[:, :2]) / per_cm * [1.0, -1.0]  # cm across the picture
    normals = _surface_normals(model, made)
    facing = normals @ turn[2]
    # The move lies in the tangent plane: across the picture as missed, along z as the plane says.
    turned = normals @ turn.T
    deep = -(turned[:, :2] * left).sum(1) / np.where(facing > _LEAST_FACING, turned[:, 2], 1.0)
    missed = np.column_stack([left, deep]) @ turn
    missed[facing <= _LEAST_FACING] = np.nan
    return np.asarray(missed)


def _surface_normals(model: FaceModel, made: Fit) -> Array:
    normals = vertex_normals(made.vertices, model.triangles)
    corners = normals[model.triangles[model.landmark_triangles]]
    mixed = (corners * model.landmark_bary[..., None]).sum(1)
    return np.asarray(mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-9))
