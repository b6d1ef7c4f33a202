"""Fitting a face model to landmarks: pose, camera, identity and expression.

Robust Gauss-Newton on a few hundred landmarks with Gaussian priors, after Blanz, Vetter, "A
morphable model for the synthesis of 3D faces", 1999, https://doi.org/10.1145/311535.311556. Differs
from the paper: landmarks only, no shading; the principal point is at the face's centre; the
finder's depth counts weakly; coefficients of expression stay in [0, 1].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fewskin.errors import DataError
from fewskin.face.fit_system import Modes, Priors, State, residuals, start, stepped
from fewskin.face.landmarks import Landmarks, inter_ocular
from fewskin.face.model import N_LANDMARKS, FaceModel
from fewskin.face.per_model import per_model
from fewskin.face.topology import FACE_OVAL, topology
from fewskin.functional.mesh import vertex_normals
from fewskin.functional.pose import View

__all__ = ["Fit", "fit", "fit_many"]

Array = npt.NDArray[np.floating]
Floats = npt.NDArray[np.float32]

_FULL, _COARSE, _FEWEST = 200, 30, 4  # known landmarks for all modes, for some, for a pose
_COARSE_MODES = 20
_UNSEEN = ("eyeLook",)  # expressions of which landmarks say nothing: the eyeballs' turn
_POSE_STEPS = 3
_SMALL_STEP = 2e-3
_OVAL_WEIGHT = 0.35


@dataclass(frozen=True, eq=False)
class Fit:
    """A face model fitted to a photograph.

    Attributes:
        identity: (i,) coefficients, standard deviations.
        expression: (E,) coefficients in [0, 1], of all the model's expressions.
        view: pose and camera; `view.size` is the photograph's.
        vertices: (V, 3) float32 of the person with this expression, model axes, cm.
        rms_px: root mean square distance of the known landmarks in the picture, pixels.
        rms_iod: the same over the distance between the eyes.
        worst: number of the landmark that is furthest off.
        worst_px: how far that one is off.
        converged: whether the last step was small.
        notes: what was done otherwise than usual, and why.
    """

    identity: Floats
    expression: Floats
    view: View
    vertices: Floats
    rms_px: float
    rms_iod: float
    worst: int
    worst_px: float
    converged: bool
    notes: tuple[str, ...] = ()


def fit(
    model: FaceModel,
    points: Array,
    size: tuple[int, int],
    *,
    steps: int = 12,
    n_identity: int = 100,
    priors: Priors | None = None,
) -> Fit:
    """Fit a model to the landmarks of one photograph.

    Args:
        model: to fit.
        points: (468, 3) px of MediaPipe's face mesh: x right, y down, z away from the camera, of
            any origin; NaN where unknown. Fewer known points give a coarser fit, which its notes
            say: below 200 twenty modes of identity, below 30 pose and size only.
        size: (height, width) of the photograph.
        steps: Gauss-Newton steps at most.
        n_identity: modes of identity at most.
        priors: None for the defaults.

    Raises:
        DataError: points of another shape, fewer than four known ones, or a model that has no
            place for them.
    """
    return fit_many(model, [points], [size], steps=steps, n_identity=n_identity, priors=priors)[0]


def fit_many(
    model: FaceModel,
    points: Sequence[Array],
    sizes: Sequence[tuple[int, int]],
    *,
    steps: int = 12,
    n_identity: int = 100,
    priors: Priors | None = None,
) -> list[Fit]:
    """Fit a model to several photographs of one person, who has the same identity in all.

    Args and errors as of `fit`, one entry of `points` and `sizes` for each photograph.
    """
    priors = priors or Priors()
    problem = _problem(model, points, sizes, n_identity, priors)
    states = list(problem.states)
    identity: Array = np.zeros(problem.modes.n_identity)
    bases, change = problem.bases, np.inf
    for step in range(_POSE_STEPS + steps):
        if step and step % 2 == 1:
            bases = [_bases(state)[problem.known] for state in states]
        identity, states, change = stepped(
            problem.modes,
            identity,
            states,
            problem.points,
            bases,
            problem.units,
            priors,
            pose_only=step < _POSE_STEPS,
        )
        if step > _POSE_STEPS and change < _SMALL_STEP:
            break
    steady = change < 10 * _SMALL_STEP
    return [
        _result(model, problem, number, identity, state, size, steady)
        for number, (state, size) in enumerate(zip(states, sizes, strict=True))
    ]


class _Problem(NamedTuple):
    """Several photographs of one person, ready to be fitted."""

    modes: Modes
    known: npt.NDArray[np.bool_]  # (468,) landmarks that any photograph knows
    points: list[Array]  # (n, 3) px from the face's centre
    centres: list[tuple[float, float]]
    units: list[float]  # distance between the eyes, px
    states: list[State]
    bases: list[Array]
    moves: npt.NDArray[np.bool_]  # (E,) expressions that are fitted
    notes: tuple[str, ...]


def _problem(
    model: FaceModel,
    points: Sequence[Array],
    sizes: Sequence[tuple[int, int]],
    n_identity: int,
    priors: Priors,
) -> _Problem:
    if not points or len(points) != len(sizes):
        raise DataError(f"{len(points)} sets of landmarks and {len(sizes)} sizes, expected pairs.")
    there = model.landmark_triangles >= 0
    seen = [_checked(one, there) for one in points]
    known = np.asarray(np.any([np.isfinite(one[:, 0]) for one in seen], axis=0))
    n_known = min(int(np.isfinite(one[:, 0]).sum()) for one in seen)
    n_identity, moves, notes = _allowed(model, n_known, n_identity)
    whole = _at_landmarks(model)
    chosen = np.r_[np.flatnonzero(moves), whole.n_expression : whole.n_expression + n_identity]
    modes = Modes(whole.mean[known], whole.moves[known][..., chosen], int(moves.sum()))
    centres, placed, states, units = [], [], [], []
    for one in seen:
        low, high = np.nanmin(one[:, :2], axis=0), np.nanmax(one[:, :2], axis=0)
        x, y = ((low + high) / 2).tolist()
        centres.append((x, y))
        placed.append((one - [x, y, 0.0])[known])
        states.append(start(modes, placed[-1], priors))
        eyes = inter_ocular(Landmarks(one))
        by_model = inter_ocular(Landmarks(whole.mean)) * float(np.exp(states[-1].pose[2]))
        units.append(eyes if np.isfinite(eyes) else by_model)
    bases: list[Array] = [np.ones(len(one)) for one in placed]
    return _Problem(modes, known, placed, centres, units, states, bases, moves, notes)


def _checked(points: Array, there: npt.NDArray[np.bool_]) -> Array:
    """Landmarks as (468, 3) float64, NaN where the model has none."""
    made = np.array(points, dtype=np.float64)
    if made.shape != (N_LANDMARKS, 3):
        raise DataError(f"landmarks have shape {made.shape}, expected ({N_LANDMARKS}, 3).")
    made[~(there & np.isfinite(made[:, :2]).all(1))] = np.nan
    n_known = int(np.isfinite(made[:, 0]).sum())
    if n_known < _FEWEST:
        raise DataError(
            f"{n_known} landmarks are known and on the model, expected {_FEWEST} or more."
        )
    return made


def _allowed(
    model: FaceModel, n_known: int, n_identity: int
) -> tuple[int, npt.NDArray[np.bool_], tuple[str, ...]]:
    """How many modes the known landmarks can carry, and what to say about it."""
    moves = np.array([not name.startswith(_UNSEEN) for name in model.expression_names], dtype=bool)
    n_identity = min(n_identity, len(model.identity))
    if n_known >= _FULL:
        return n_identity, moves, ()
    if n_known >= _COARSE:
        n_identity = min(n_identity, _COARSE_MODES)
        return n_identity, moves, (f"{n_known} landmarks: {n_identity} modes of identity",)
    note = f"{n_known} landmarks: pose and size only"
    return 0, np.zeros_like(moves), (note,)


@per_model
def _at_landmarks(model: FaceModel) -> Modes:
    """The model at its 468 landmarks, NaN where it has none."""
    corners = model.triangles[model.landmark_triangles]  # (468, 3)
    weights = model.landmark_bary[..., None]
    moves = [
        (modes[:, corners] * weights).sum(2).reshape(-1, N_LANDMARKS, 3)
        for modes in (model.expression, model.identity)
    ]
    return Modes(
        model.landmarks(model.vertices).astype(np.float64),
        np.ascontiguousarray(np.concatenate(moves).transpose(1, 2, 0)),
        len(model.expression),
    )


def _bases(state: State) -> Array:
    """(468,) weights of landmarks seen from a pose.

    Those of the oval lie on smooth skin, where the finder is less sure, and count less; it guesses
    those that face away, and they count less too.
    """
    mesh = topology()
    facing = vertex_normals(mesh.mean, mesh.triangles) @ state.rotation[2]
    weights = np.clip(0.25 + 1.5 * facing, 0.1, 1.0)
    weights[list(FACE_OVAL)] *= _OVAL_WEIGHT
    return np.asarray(weights)


def _result(
    model: FaceModel,
    problem: _Problem,
    number: int,
    identity: Array,
    state: State,
    size: tuple[int, int],
    steady: bool,
) -> Fit:
    tx, ty, ln_s, ln_q, _ = state.pose
    distance = float(np.exp(-ln_q))
    view = View(
        rotation=state.rotation,
        translation=np.array([tx, ty, distance]),
        focal_px=float(np.exp(ln_s)) * distance,
        centre_px=problem.centres[number],
        size=(int(size[0]), int(size[1])),
    )
    expression = np.zeros(len(model.expression), dtype=np.float32)
    expression[problem.moves] = state.expression
    left = residuals(problem.modes, identity, state, problem.points[number])
    far = np.hypot(left[:, 0], left[:, 1])
    worst = int(np.nanargmax(far))
    rms = float(np.sqrt(np.nanmean(far**2)))
    return Fit(
        identity=identity.astype(np.float32),
        expression=expression,
        view=view,
        vertices=model.shape(identity.astype(np.float32), expression),
        rms_px=rms,
        rms_iod=rms / problem.units[number],
        worst=int(np.flatnonzero(problem.known)[worst]),
        worst_px=float(far[worst]),
        converged=steady,
        notes=problem.notes + (() if steady else ("the last step was still large",)),
    )
