"""How our own head varies: modes of identity and of expression, as fields over the coarse mesh.

Identity: smooth bumps and stretches, each of about one standard deviation among adults (Farkas,
"Anthropometry of the head and face", 1994). Expression: some landmarks are moved by hand, as the
facial action coding system describes (Ekman, Friesen, 1978), and the skin between takes the
smoothest way.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from fewskin.face.head_shape import Coarse, smooth_field
from fewskin.face.topology import FACE_OVAL, LEFT_EYE, LIPS_INNER, LIPS_OUTER, RIGHT_EYE, topology

__all__ = ["EXPRESSIONS", "IDENTITIES", "expression_fields", "identity_field", "opened"]

Array = npt.NDArray[np.floating]
Move = tuple[float, float, float]

_FLIP = np.array([-1.0, 1.0, 1.0])


def _bump(points: Array, centre: Move, reach: Move) -> Array:
    """1 at a place and at its mirror image, falling off like a bell, (n, 1)."""
    x = np.abs(points[:, 0]) if centre[0] else points[:, 0]
    off = (np.stack([x, points[:, 1], points[:, 2]], 1) - centre) / reach
    return np.asarray(np.exp(-0.5 * (off**2).sum(1, keepdims=True)))


def _rise(values: Array, width: float) -> Array:
    """0 to 1 about 0, (n,)."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(values / width, -40.0, 40.0))))


def _along(
    points: Array, x: Array | float = 0.0, y: Array | float = 0.0, z: Array | float = 0.0
) -> Array:
    made = np.zeros_like(points)
    made[:, 0], made[:, 1], made[:, 2] = x, y, z
    return made


_EYE: Move = (3.12, 3.57, 9.3)


def _lower(p: Array) -> Array:
    """The lower face: below the nose, before the neck."""
    return np.asarray(
        _rise(-1.5 - p[:, 1], 1.0) * _rise(p[:, 1] + 10.5, 1.0) * _rise(p[:, 2] - 1.5, 1.0)
    )


def _side(p: Array) -> Array:
    return np.asarray(np.tanh(p[:, 0] / 0.8))


IDENTITIES: Mapping[str, Callable[[Array], Array]] = {
    "head width": lambda p: _along(p, x=0.035 * p[:, 0]),
    "face height": lambda p: _along(p, y=0.04 * (p[:, 1] - 3.0)),
    "head depth": lambda p: _along(p, z=0.03 * (p[:, 2] - 1.0)),
    "jaw width": lambda p: _along(p, x=0.07 * p[:, 0] * _lower(p)),
    "chin length": lambda p: _bump(p, (0, -7.2, 9.0), (3.0, 2.2, 4.0)) * [0, -0.4, 0],
    "chin forward": lambda p: _bump(p, (0, -6.5, 10.0), (2.8, 1.8, 3.5)) * [0, 0, 0.4],
    "nose forward": lambda p: _bump(p, (0, -0.1, 13.0), (1.5, 1.5, 1.6)) * [0, 0, 0.3],
    "nose width": lambda p: _along(
        p, x=0.1 * p[:, 0] * _bump(p, (0, -0.3, 11.8), (2.2, 1.1, 1.6))[:, 0]
    ),
    "nose bridge": lambda p: _bump(p, (0, 2.4, 12.0), (0.9, 1.4, 1.6)) * [0, 0, 0.22],
    "nose tip": lambda p: _bump(p, (0, -0.3, 13.0), (1.4, 1.0, 1.6)) * [0, 0.25, 0.05],
    "eye distance": lambda p: _along(p, x=0.14 * _side(p) * _bump(p, _EYE, (1.7, 1.3, 2.5))[:, 0]),
    "eye opening": lambda p: _along(
        p, y=0.14 * (p[:, 1] - 3.57) * _bump(p, _EYE, (1.5, 0.7, 2.0))[:, 0]
    ),
    "eye tilt": lambda p: _along(
        p, y=0.1 * (np.abs(p[:, 0]) - 3.12) * _bump(p, _EYE, (1.6, 1.0, 2.0))[:, 0]
    ),
    "cheekbones": lambda p: (
        _bump(p, (5.0, 1.3, 7.8), (1.6, 1.3, 2.4))
        * np.stack([0.25 * _side(p), 0 * _side(p), 0.15 + 0 * _side(p)], 1)
    ),
    "cheek fullness": lambda p: (
        _bump(p, (4.6, -2.6, 7.2), (1.7, 2.2, 2.8))
        * np.stack([0.4 * _side(p), 0 * _side(p), 0.25 + 0 * _side(p)], 1)
    ),
    "lip fullness": lambda p: _along(
        p,
        y=0.2 * (p[:, 1] + 3.3) * _bump(p, (0, -3.3, 11.0), (1.9, 0.8, 1.5))[:, 0],
        z=0.1 * _bump(p, (0, -3.3, 11.3), (1.7, 0.9, 1.3))[:, 0],
    ),
    "mouth width": lambda p: _along(
        p, x=0.07 * p[:, 0] * _bump(p, (0, -3.2, 10.6), (2.6, 1.1, 2.4))[:, 0]
    ),
    "brow ridge": lambda p: _bump(p, (2.6, 5.1, 10.6), (2.0, 0.7, 1.6)) * [0, 0, 0.18],
    "brow height": lambda p: _bump(p, (3.2, 5.5, 10.0), (2.4, 0.8, 2.4)) * [0, 0.2, 0],
    "forehead slope": lambda p: _along(
        p, z=-0.3 * _rise(p[:, 1] - 8.0, 1.2) * _rise(p[:, 2] - 4.0, 2.0)
    ),
    "crooked": lambda p: _along(
        p, x=0.16 * _lower(p) + 0.06 * _bump(p, (0, 0, 13.0), (1.6, 1.6, 1.8))[:, 0]
    ),
}


def identity_field(name: str, points: Array) -> Array:
    """Return (n, 3) cm by which a mode of one standard deviation moves points of the neutral head.

    Args:
        name: one of `IDENTITIES`.
        points: (n, 3) model axes, cm.
    """
    return np.asarray(IDENTITIES[name](np.asarray(points, dtype=np.float64)))


# Landmarks of the subject's left side and where they go, cm; the right side is the mirror image.
_SMILE: Mapping[int, Move] = {
    291: (0.55, 0.45, -0.45),
    308: (0.5, 0.42, -0.4),
    409: (0.4, 0.3, -0.3),
    375: (0.4, 0.28, -0.3),
    270: (0.24, 0.12, -0.12),
    321: (0.24, 0.1, -0.12),
    0: (0.0, 0.05, -0.1),
    17: (0.0, 0.02, -0.1),
    425: (0.15, 0.3, 0.15),
    427: (0.35, 0.35, 0.05),
    280: (0.05, 0.22, 0.15),
    374: (0.0, 0.08, 0.02),
}
_FROWN: Mapping[int, Move] = {
    291: (0.08, -0.45, -0.08),
    308: (0.07, -0.4, -0.08),
    409: (0.04, -0.22, -0.03),
    375: (0.06, -0.3, -0.05),
    0: (0.0, -0.02, 0.0),
    17: (0.0, 0.05, 0.05),
}
_PUCKER: Mapping[int, Move] = {
    291: (-0.85, 0.0, 0.35),
    308: (-0.75, 0.0, 0.4),
    409: (-0.6, 0.06, 0.4),
    375: (-0.6, -0.06, 0.4),
    270: (-0.4, 0.1, 0.5),
    321: (-0.4, -0.1, 0.5),
    0: (0.0, 0.08, 0.55),
    17: (0.0, -0.08, 0.5),
    13: (0.0, 0.04, 0.6),
    14: (0.0, -0.04, 0.6),
}
_UPPER_UP: Mapping[int, Move] = {
    0: (0.0, 0.3, 0.05),
    267: (0.0, 0.34, 0.05),
    270: (0.0, 0.28, 0.0),
    13: (0.0, 0.3, 0.05),
    312: (0.0, 0.32, 0.05),
    310: (0.0, 0.25, 0.0),
    358: (0.03, 0.1, 0.0),
}
_LOWER_DOWN: Mapping[int, Move] = {
    17: (0.0, -0.35, 0.05),
    405: (0.0, -0.35, 0.0),
    14: (0.0, -0.38, 0.05),
    317: (0.0, -0.38, 0.05),
    318: (0.0, -0.3, 0.0),
    321: (0.0, -0.25, 0.0),
}
_BROW_INNER: Mapping[int, Move] = {
    336: (0.0, 0.5, 0.03),
    285: (0.0, 0.45, 0.03),
    296: (0.0, 0.3, 0.02),
    295: (0.0, 0.28, 0.02),
    9: (0.0, 0.3, 0.0),
}
_BROW_OUTER: Mapping[int, Move] = {
    300: (0.0, 0.4, -0.05),
    276: (0.0, 0.38, -0.05),
    293: (0.0, 0.45, -0.02),
    283: (0.0, 0.42, -0.02),
    334: (0.0, 0.35, 0.0),
    282: (0.0, 0.3, 0.0),
}
_BROW_DOWN: Mapping[int, Move] = {
    336: (-0.18, -0.4, 0.1),
    285: (-0.16, -0.38, 0.1),
    296: (-0.12, -0.38, 0.06),
    295: (-0.1, -0.35, 0.06),
    334: (-0.05, -0.3, 0.02),
    282: (-0.05, -0.28, 0.02),
    293: (0.0, -0.15, 0.0),
}
_PUFF: Mapping[int, Move] = {
    427: (0.75, 0.0, 0.35),
    425: (0.35, 0.0, 0.3),
    434: (0.6, 0.0, 0.2),
    416: (0.55, 0.0, 0.15),
    436: (0.3, 0.0, 0.25),
    291: (0.0, 0.0, 0.12),
}
_SNEER: Mapping[int, Move] = {
    358: (0.05, 0.3, 0.0),
    279: (0.04, 0.28, 0.03),
    331: (0.04, 0.28, 0.0),
    294: (0.03, 0.25, 0.0),
    437: (0.0, 0.12, 0.06),
    267: (0.0, 0.12, 0.0),
    4: (0.0, 0.06, 0.0),
}

_LIPS_UPPER = (*LIPS_OUTER[1:10], *LIPS_INNER[1:10])
_LIPS_LOWER = (*LIPS_OUTER[11:], *LIPS_INNER[11:])
_EYES = (*LEFT_EYE, *RIGHT_EYE)
_BROWS = (336, 296, 334, 293, 300, 107, 66, 105, 63, 70)
_NOSE = (4, 1, 2, 5, 195, 6, 168, 98, 327)

_Table = tuple[Mapping[int, Move], bool, float, Sequence[int]]
# Name: moves, on both sides at once, reach in cm, landmarks that stay.
_TABLES: Mapping[str, _Table] = {
    "mouthSmile": (_SMILE, False, 3.0, (4, 1, 2, 152, 263, 362, 386, 33, 133)),
    "mouthFrown": (_FROWN, False, 2.4, (4, 1, 2, 152)),
    "mouthPucker": (_PUCKER, True, 2.2, (*_NOSE, 152)),
    "mouthUpperUp": (_UPPER_UP, True, 1.6, (*_LIPS_LOWER, 291, 61, 308, 78, 4)),
    "mouthLowerDown": (_LOWER_DOWN, True, 1.6, (*_LIPS_UPPER, 291, 61, 308, 78, 152)),
    "browInnerUp": (_BROW_INNER, True, 2.2, (*_EYES, 6, 10, 300, 70)),
    "browOuterUp": (_BROW_OUTER, False, 2.2, (*_EYES, 10, 9, 285, 336)),
    "browDown": (_BROW_DOWN, False, 1.8, (*_EYES, 6, 10)),
    "cheekPuff": (_PUFF, True, 2.4, (*_NOSE, *_EYES, 152, 0, 17)),
    "noseSneer": (_SNEER, False, 1.5, (6, 168, 362, 133, 98, 129, 61, 291)),
}

EXPRESSIONS = (
    "jawOpen",
    *("eyeBlink_L", "eyeBlink_R", "eyeSquint_L", "eyeSquint_R"),
    *(
        name + side
        for name, (_, both, _, _) in _TABLES.items()
        for side in (("",) if both else ("_L", "_R"))
    ),
)


def expression_fields(coarse: Coarse) -> Mapping[str, Array]:
    """Return (V, 3) cm of each of `EXPRESSIONS` over the coarse mesh, in their order."""
    made: dict[str, Array] = {"jawOpen": _jaw(coarse)}
    for name, share in (("eyeBlink", 1.0), ("eyeSquint", 0.3)):
        left = _lids(coarse, share)
        made[f"{name}_L"], made[f"{name}_R"] = left, _mirrored(coarse, left)
    for name, (moves, both, reach, still) in _TABLES.items():
        if both:
            mirror = topology().mirror
            moves = dict(moves) | {int(mirror[k]): (-x, y, z) for k, (x, y, z) in moves.items()}
            made[name] = _spread(coarse, moves, reach, still)
        else:
            left = _spread(coarse, moves, reach, still)
            made[f"{name}_L"], made[f"{name}_R"] = left, _mirrored(coarse, left)
    return {name: _followed(coarse, made[name]) for name in EXPRESSIONS}


def _spread(coarse: Coarse, moves: Mapping[int, Move], reach: float, still: Sequence[int]) -> Array:
    """The smoothest field through some landmarks' moves that is 0 far from them."""
    at = coarse.vertices
    handles = np.array(sorted(moves))
    wanted = np.zeros_like(at)
    wanted[handles] = [moves[int(handle)] for handle in handles]
    far = np.linalg.norm(at[:, None] - at[handles], axis=2).min(1) > reach
    hold = np.where(far, 10.0, 0.0)
    hold[handles] = 1e3
    hold[[number for number in still if number not in moves]] = 1e3
    return smooth_field(coarse.triangles, at, wanted, hold)


def _lids(coarse: Coarse, share: float) -> Array:
    """The left eye shuts, or with a small share its lower lid tightens."""
    at, ring = coarse.vertices, LEFT_EYE
    moves: dict[int, Move] = {}
    for step in range(1, 8):
        upper, lower = ring[step], ring[16 - step]
        gap = at[upper] - at[lower]
        if share == 1.0:
            x, y, z = (-1.0 * gap + [0.0, -0.02, 0.05 + 0.1 * np.sin(np.pi * step / 8)]).tolist()
            moves[upper] = (x, y, z)
            moves[lower] = (0.0, 0.06 * float(gap[1]), 0.03)
        else:
            moves[lower] = (0.0, share * float(gap[1]), 0.06)
            moves[upper] = (0.0, -0.1 * float(gap[1]), 0.0)
    return _spread(coarse, moves, 1.1, (263, 362, 285, 295, 282, 283, 276))


def _jaw(coarse: Coarse) -> Array:
    """The lower jaw turns about the ears by 20 degrees and the skin stretches."""
    at = coarse.vertices
    weight, hold = np.zeros((len(at), 1)), np.zeros(len(at))
    oval = {152: 1.0, 377: 1.0, 400: 1.0, 378: 0.97, 379: 0.92, 365: 0.8, 397: 0.6, 288: 0.3}
    known = dict.fromkeys(_LIPS_LOWER, 1.0) | {18: 1.0, 200: 1.0, 199: 1.0, 175: 1.0}
    known |= oval | {int(topology().mirror[k]): share for k, share in oval.items()}
    known |= dict.fromkeys((291, 308, 61, 78), 0.45)
    known |= dict.fromkeys((*_LIPS_UPPER, *_NOSE, *_EYES, *_BROWS, 454, 323, 234, 93), 0.0)
    weight[list(known), 0], hold[list(known)] = list(known.values()), 1e3
    # Under the chin the skin goes along, further down the neck it stays.
    n_around = len(FACE_OVAL)
    deep = (np.arange(len(at)) - 468) // n_around
    hold[(deep >= 4) & (coarse.follows >= 468)] = 1e2
    share = np.clip(smooth_field(coarse.triangles, at, weight, hold), 0.0, 1.0)
    return share * opened(at)


def opened(points: Array, angle_deg: float = 20.0) -> Array:
    """Return (n, 3) cm by which points fixed to the lower jaw move when the mouth is open."""
    hinge = np.array([0.0, 1.0, 1.5])
    turn = np.radians(angle_deg)
    y, z = (points - hinge)[:, 1], (points - hinge)[:, 2]
    moved = np.stack(
        [0 * y, y * np.cos(turn) - z * np.sin(turn), y * np.sin(turn) + z * np.cos(turn)], 1
    )
    return np.asarray(moved - np.stack([0 * y, y, z], 1))


def _mirrored(coarse: Coarse, field: Array) -> Array:
    """The field of the other side; the mesh is its own mirror image."""
    twin = coarse.twins
    return np.asarray(field[twin] * _FLIP)


def _followed(coarse: Coarse, field: Array) -> Array:
    """Rims of lids and lips go with their borders, what lies behind them less and less."""
    led = coarse.follows < 468
    return np.asarray(np.where(led[:, None], coarse.share[:, None] * field[coarse.follows], field))
