"""The normal equations of a face's fit to its landmarks: residuals, derivatives, priors.

The camera is a pinhole whose principal point is at the face's centre. With s = focal / distance
(pixels per cm), q = 1 / distance, and (X, Y, Z) a model point after the head's rotation,

    u = s k (t_x + X),   v = s k (t_y - Y),   k = 1 / (1 - q Z)

relative to that point. A landmark finder's z is in pixels and towards the camera negative; it is
compared with -s Z + z0, weakly: it says little of depth, but it tells a nod from a long chin.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fewskin.functional.procrustes import similarity

__all__ = ["N_POSE", "Modes", "Priors", "State", "residuals", "start", "stepped"]

Array = npt.NDArray[np.floating]

# Rotation (3), t_x, t_y (cm), ln s, ln q, z0 (cm).
N_POSE = 8


class Modes(NamedTuple):
    """A model at its landmarks.

    Attributes:
        mean: (n, 3) float64, cm.
        moves: (n, 3, E + I) float32: modes of expression, then of identity.
        n_expression: E.
    """

    mean: Array
    moves: Array
    n_expression: int

    @property
    def n_identity(self) -> int:
        """I, the number of modes of identity."""
        return int(self.moves.shape[2]) - self.n_expression


@dataclass(frozen=True)
class Priors:
    """What is believed before seeing the landmarks.

    Attributes:
        noise: standard deviation of a landmark over the distance between the eyes.
        depth_noise: the same of its z.
        together: landmarks err together, in about this many independent groups out of 468.
        identity: standard deviation of a coefficient of identity.
        expression: of one of expression, whose mean is 0 and whose range is [0, 1].
        distance_cm: the camera's, its median; about an arm's length.
        distance_spread: standard deviation of its logarithm; small, since a model with few shapes
            would otherwise explain a face by a camera that is far off.
        turn_deg: standard deviation of the head's turn about each axis; it matters only where few
            landmarks are known.
        tail: residuals beyond this many standard deviations count less and less.
    """

    noise: float = 0.012
    depth_noise: float = 0.06
    together: float = 300.0
    identity: float = 1.0
    expression: float = 0.25
    distance_cm: float = 60.0
    distance_spread: float = 0.1
    turn_deg: float = 20.0
    tail: float = 6.0


@dataclass(frozen=True, eq=False)
class State:
    """One photograph's unknowns; identity is apart, since photographs may share it.

    Attributes:
        rotation: (3, 3) of the head.
        pose: (5,) t_x, t_y, ln s, ln q, z0.
        expression: (E,) in [0, 1].
    """

    rotation: Array
    pose: Array
    expression: Array


def start(modes: Modes, points: Array, priors: Priors) -> State:
    """Return where a fit starts: the mean face laid onto the points by a similarity.

    Args:
        modes: of the model at its n landmarks.
        points: (n, 3) px from the face's centre, x right, y down, z away from the camera; NaN
            where unknown. Without any z the face starts frontal.
        priors: give the distance.
    """
    seen = points * [1.0, -1.0, -1.0]
    if not np.isfinite(seen[:, 2]).any():
        flat, _, _ = similarity(modes.mean * [1.0, 1.0, 0.0], np.nan_to_num(seen * [1.0, 1.0, 0.0]))
        seen = np.column_stack([seen[:, :2], flat * modes.mean[:, 2]])
    scale, rotation, shift = similarity(modes.mean, seen)
    pose = [shift[0] / scale, -shift[1] / scale, np.log(scale), -np.log(priors.distance_cm)]
    pose.append(-shift[2] / scale)
    return State(rotation, np.array(pose), np.zeros(modes.n_expression))


def residuals(modes: Modes, identity: Array, state: State, points: Array) -> Array:
    """Return (n, 3): picture minus model, px; NaN where a point is unknown."""
    shape = _shape(modes, identity, state)
    x, y, z = (shape @ state.rotation.T).T
    tx, ty, ln_s, ln_q, z0 = state.pose
    s = np.exp(ln_s)
    k = s / (1.0 - np.exp(ln_q) * z)
    return np.asarray(points - np.stack([k * (tx + x), k * (ty - y), s * (z0 - z)], 1))


def _shape(modes: Modes, identity: Array, state: State) -> Array:
    both = np.concatenate([state.expression, identity]).astype(np.float32)
    return np.asarray(modes.mean + modes.moves @ both)


def _derivatives(modes: Modes, identity: Array, state: State, pose_only: bool) -> Array:
    """Of the model's (n, 3) predictions by pose, expression and identity: (n, 3, N)."""
    shape = _shape(modes, identity, state) @ state.rotation.T
    x, y, z = shape.T
    tx, ty, ln_s, ln_q, z0 = state.pose
    s, q = np.exp(ln_s), np.exp(ln_q)
    k = 1.0 / (1.0 - q * z)
    n = len(shape)
    by_point = np.zeros((n, 3, 3))  # of u, v, z by X, Y, Z
    by_point[:, 0, 0], by_point[:, 1, 1], by_point[:, 2, 2] = s * k, -s * k, -s
    by_point[:, 0, 2] = s * q * k**2 * (tx + x)
    by_point[:, 1, 2] = s * q * k**2 * (ty - y)
    turned = np.zeros((n, 3, 3))  # of X, Y, Z by a small rotation
    turned[:, 0, 1], turned[:, 0, 2] = z, -y
    turned[:, 1, 0], turned[:, 1, 2] = -z, x
    turned[:, 2, 0], turned[:, 2, 1] = y, -x
    pose = np.zeros((n, 3, N_POSE))
    pose[:, :, :3] = by_point @ turned
    pose[:, 0, 3], pose[:, 1, 4] = s * k, s * k
    pose[:, 0, 5], pose[:, 1, 5] = s * k * (tx + x), s * k * (ty - y)
    pose[:, 2, 5] = s * (z0 - z)
    pose[:, 0, 6], pose[:, 1, 6] = by_point[:, 0, 2] * z, by_point[:, 1, 2] * z
    pose[:, 2, 7] = s
    if pose_only:
        return pose.astype(np.float32)
    # (n, 3, 3) @ (n, 3, M): the modes seen by the camera
    by_point = (by_point @ state.rotation).astype(np.float32)
    return np.concatenate([pose.astype(np.float32), by_point @ modes.moves], axis=2)


class _Equations(NamedTuple):
    hessian: Array
    gradient: Array


def _weights(left: Array, base: Array, unit: float, priors: Priors) -> Array:
    """(n, 3) inverse variances; Geman-McClure's for the tails, of a point's x and y together."""
    known = np.isfinite(left)
    left = np.nan_to_num(left)
    spread = np.array([priors.noise, priors.noise, priors.depth_noise]) * unit
    squares = (left / spread) ** 2
    squares = np.stack([squares[:, :2].sum(1)] * 2 + [squares[:, 2]], 1)
    robust = 1.0 / (1.0 + squares / (2.0 * priors.tail**2)) ** 2
    return np.asarray(known * base[:, None] * robust / spread**2)


def _equations(
    modes: Modes,
    identity: Array,
    state: State,
    points: Array,
    base: Array,
    unit: float,
    priors: Priors,
    pose_only: bool,
) -> _Equations:
    """Normal equations of one photograph, in the order pose, expression, identity."""
    left = residuals(modes, identity, state, points)
    weights = _weights(left, base, unit, priors)
    weights *= min(1.0, priors.together / max(len(points), 1))
    slopes = _derivatives(modes, identity, state, pose_only)
    root = np.sqrt(weights).astype(np.float32).reshape(-1, 1)
    slopes = slopes.reshape(len(root), -1) * root
    error = (np.nan_to_num(left).reshape(-1, 1) * root)[:, 0]
    hessian = (slopes.T @ slopes).astype(np.float64)
    gradient = (slopes.T @ error.astype(np.float32)).astype(np.float64)
    turn = np.radians(priors.turn_deg) ** -2
    hessian[range(3), range(3)] += turn
    gradient[:3] -= turn * _turn_of(state.rotation)
    # Without any z its origin is unknown: this only keeps the system regular.
    hessian[range(N_POSE), range(N_POSE)] += 1e-6
    spread = priors.distance_spread**-2
    hessian[6, 6] += spread
    gradient[6] -= spread * (state.pose[3] + np.log(priors.distance_cm))
    moves = slice(N_POSE, N_POSE + len(state.expression))
    if not pose_only:
        hessian[moves, moves] += np.eye(len(state.expression)) * priors.expression**-2
        gradient[moves] -= state.expression * priors.expression**-2
    return _Equations(hessian, gradient)


def stepped(
    modes: Modes,
    identity: Array,
    states: Sequence[State],
    points: Sequence[Array],
    bases: Sequence[Array],
    units: Sequence[float],
    priors: Priors,
    *,
    pose_only: bool = False,
) -> tuple[Array, list[State], float]:
    """Return identity, states after one Gauss-Newton step, and the step's size.

    Args:
        modes: of the model at its n landmarks.
        identity: (I,) shared by all photographs.
        states: of each photograph.
        points: (n, 3) of each, px from the face's centre.
        bases: (n,) weights of each photograph's landmarks.
        units: distance between the eyes in each, px.
        priors: see `Priors`.
        pose_only: leave identity and expression alone.

    Coefficients of expression that would leave [0, 1] stop at the bound, and the rest is solved
    again with those held.
    """
    parts = [
        _equations(modes, identity, *one, priors, pose_only)
        for one in zip(states, points, bases, units, strict=True)
    ]
    n_shared = 0 if pose_only else len(identity)
    own = N_POSE + (0 if pose_only else modes.n_expression)
    hessian, gradient = _assembled(parts, own, n_shared)
    hessian[range(n_shared), range(n_shared)] += priors.identity**-2
    gradient[:n_shared] -= identity[:n_shared] * priors.identity**-2
    low, high = np.full((2, len(gradient)), [[-np.inf], [np.inf]])
    for number, state in enumerate(states if not pose_only else ()):
        first = n_shared + number * own + N_POSE
        moves = slice(first, first + len(state.expression))
        low[moves], high[moves] = -state.expression, 1.0 - state.expression
    step = _solved(hessian, gradient, low, high)
    each = step[n_shared:].reshape(len(states), own)
    moved = [_moved(state, row) for state, row in zip(states, each, strict=True)]
    size = max(np.abs(step[:n_shared]).max(initial=0.0), np.abs(each[:, :N_POSE]).max())
    return (identity if pose_only else identity + step[:n_shared]), moved, float(size)


def _assembled(parts: Sequence[_Equations], own: int, n_shared: int) -> tuple[Array, Array]:
    """One system of all photographs: identity first, then each photograph's own unknowns."""
    whole = n_shared + own * len(parts)
    hessian, gradient = np.zeros((whole, whole)), np.zeros(whole)
    for number, part in enumerate(parts):
        first = n_shared + number * own
        at = np.r_[first : first + own, :n_shared]
        hessian[np.ix_(at, at)] += part.hessian
        gradient[at] += part.gradient
    return hessian, gradient


def _solved(hessian: Array, gradient: Array, low: Array, high: Array, rounds: int = 6) -> Array:
    """The step that minimises the quadratic, within bounds: those that hit one are held there."""
    step = np.zeros(len(gradient))
    at_low, at_high = low >= 0.0, high <= 0.0
    free = ~((at_low & (gradient <= 0.0)) | (at_high & (gradient >= 0.0)))
    for _ in range(rounds):
        right = gradient[free] - hessian[np.ix_(free, ~free)] @ step[~free]
        step[free] = np.linalg.solve(hessian[np.ix_(free, free)], right)
        out = free & ((step < low) | (step > high))
        if not out.any():
            break
        step = np.clip(step, low, high)
        free &= ~out
    return np.asarray(np.clip(step, low, high))


def _turn_of(rotation: Array) -> Array:
    """(3,) axis times angle, radians, of a rotation of less than half a turn."""
    off = rotation - rotation.T
    axis = np.array([off[2, 1], off[0, 2], off[1, 0]]) / 2.0
    sine = float(np.linalg.norm(axis))
    angle = np.arctan2(sine, (np.trace(rotation) - 1.0) / 2.0)
    return np.asarray(axis * (angle / sine if sine > 1e-9 else 1.0))


def _moved(state: State, step: Array) -> State:
    """The state after a step."""
    turn = step[:3]
    angle = min(float(np.linalg.norm(turn)), 0.5)
    axis = turn / max(float(np.linalg.norm(turn)), 1e-12)
    cross = np.cross(np.eye(3), axis)
    by = np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * cross @ cross
    expression = state.expression
    if len(step) > N_POSE:
        expression = np.clip(expression + step[N_POSE:], 0.0, 1.0)
    limits = np.array([10.0, 10.0, 0.5, 0.3, 10.0])
    pose = state.pose + np.clip(step[3:N_POSE], -limits, limits)
    return replace(state, rotation=by @ state.rotation, pose=pose, expression=expression)
