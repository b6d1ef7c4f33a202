"""The coarse mesh of our own head: the landmarks' mean face, and what is made around and in it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from fewskin.face.head_parts import Part, ear, eyeball, ring_strips, rings, skull, teeth
from fewskin.face.model import REGIONS
from fewskin.face.topology import (
    FACE_OVAL,
    LEFT_EYE,
    LIPS_INNER,
    RIGHT_EYE,
    topology,
)

__all__ = ["EYE_CENTRES", "EYE_RADIUS", "Coarse", "coarse_head", "smooth_field"]

Array = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int32]

EYE_CENTRES = np.array([[-3.12, 3.57, 8.4], [3.12, 3.57, 8.4]])
EYE_RADIUS = 1.42
_N_RINGS = 13
_FLIP = np.array([-1.0, 1.0, 1.0])
_CHART = (0.004, 0.144, 0.852)  # left, bottom and side of the head in the texture
_FACE_SHARE = 0.66  # of the chart's side


class Coarse(NamedTuple):
    """The head before subdivision.

    Attributes:
        vertices: (V, 3) cm; the first 468 are the landmarks.
        triangles: (T, 3), counter-clockwise seen from outside.
        region: (T,) position in `REGIONS`.
        uv: (V, 2) texture coordinates.
        follows: (V,) int, the landmark whose movements a vertex behind lids and lips shares;
            itself elsewhere.
        landmarks: (468, 3) where the landmarks are; near the first vertices, which subdivision
            and the skull's border pull away from them.
        share: (V,) in [0, 1], how much of those movements.
        twins: (V,) int, the vertex on the other side.
        parts: the eyeballs (right, left), teeth (upper, lower) and ears (left, right).
    """

    vertices: Array
    triangles: Ints
    region: npt.NDArray[np.uint8]
    uv: Array
    follows: Ints
    landmarks: Array
    share: Array
    twins: Ints
    parts: tuple[Part, ...]


def coarse_head() -> Coarse:
    """Return the coarse head with its mouth closed."""
    mesh = topology()
    face = _closed(np.asarray(mesh.mean, dtype=np.float64))
    skin = mesh.region < REGIONS.index("eyes")
    blocks, triangles = [face], [mesh.triangles[skin]]
    regions = [mesh.region[skin]]
    flat = [_on_chart((mesh.uv - 0.5) * _FACE_SHARE + 0.5)]
    follows, shares = [np.arange(len(face))], [np.ones(len(face))]

    def add(
        made: Array, border: tuple[int, ...], uv: Array, region: str, share: Sequence[float]
    ) -> None:
        """Rings that continue a border of the face."""
        first = sum(len(block) for block in blocks)
        count, around = made.shape[:2]
        numbers = np.concatenate([np.array(border), first + np.arange(count * around)])
        strips = numbers[ring_strips(around, count + 1, mirrored=border == FACE_OVAL)]
        blocks.append(made.reshape(-1, 3))
        triangles.append(strips.astype(np.int32))
        regions.append(np.full(len(strips), REGIONS.index(region), dtype=np.uint8))
        flat.append(uv.reshape(-1, 2))
        led = border if share else np.arange(first, first + count * around)
        follows.append(np.tile(led, count if share else 1))
        shares.append(np.repeat(share or [1.0] * count, around))

    oval = list(FACE_OVAL)
    back = skull(face[oval], _N_RINGS)
    add(back, FACE_OVAL, _outwards(flat[0][oval], _N_RINGS), "head", ())
    for ring, centre in ((RIGHT_EYE, EYE_CENTRES[0]), (LEFT_EYE, EYE_CENTRES[1])):
        border = tuple(ring if _turns_left(mesh.uv[list(ring)]) else ring[::-1])
        add(*_lids(face, flat[0], border, centre))
    border = tuple(LIPS_INNER if _turns_left(mesh.uv[list(LIPS_INNER)]) else LIPS_INNER[::-1])
    add(*_mouth(face, flat[0], border))
    made = Coarse(
        np.concatenate(blocks),
        np.concatenate(triangles),
        np.concatenate(regions),
        np.concatenate(flat),
        np.concatenate(follows).astype(np.int32),
        face,
        np.concatenate(shares),
        _twins(np.concatenate(blocks)),
        _parts(),
    )
    return _faired(made, back.size // 3)


def _turns_left(ring: Array) -> bool:
    """Whether a ring goes counter-clockwise seen from the front."""
    x, y = ring[:, 0], ring[:, 1]
    return bool((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() > 0)


def _on_chart(uv: Array) -> Array:
    left, bottom, side = _CHART
    return np.asarray(uv, dtype=np.float64) * side + [left, bottom]


def _outwards(border: Array, count: int) -> Array:
    """(count, n, 2) texture coordinates from the face's border to the chart's rounded edge."""
    left, bottom, side = _CHART
    middle = np.array([left, bottom]) + side / 2
    away = border - middle
    edge = away / ((np.abs(away) ** 6).sum(1, keepdims=True) ** (1 / 6)) * side / 2
    share = np.linspace(0.0, 1.0, count + 1)[1:, None, None]
    return np.asarray(border + (middle + edge - border) * share)


def _lids(
    face: Array, uv: Array, border: tuple[int, ...], centre: Array
) -> tuple[Array, tuple[int, ...], Array, str, tuple[float, ...]]:
    """The lids' rims, down to the eyeball and behind it."""
    ring = face[list(border)]
    middle = ring.mean(0)
    rim = middle + (ring - middle) * 0.93
    away = rim - centre
    rim = centre + away / np.linalg.norm(away, axis=1, keepdims=True) * (EYE_RADIUS + 0.01)
    rim[:, 2] = np.minimum(rim[:, 2], ring[:, 2] - 0.08)
    behind = middle + (ring - middle) * 1.05 + [0.0, 0.0, -0.9]
    made = np.stack([rim, behind])
    flat = uv[list(border)]
    inner = flat.mean(0) + (flat - flat.mean(0)) * np.array([0.75, 0.45])[:, None, None]
    return made, border, inner, "face", (1.0, 0.0)


def _mouth(
    face: Array, uv: Array, border: tuple[int, ...]
) -> tuple[Array, tuple[int, ...], Array, str, tuple[float, ...]]:
    """The mouth behind the lips: a bag that closes at its back."""
    ring = face[list(border)]
    middle = ring.mean(0)
    made = rings(ring, middle, [(0.97, -0.5), (0.95, -1.2), (0.9, -3.5), (0.05, -5.0)])
    # The bag is higher than the closed lips' line: its upper half goes up, its lower down.
    half = len(LIPS_INNER) // 2
    sides = np.isin(border, LIPS_INNER[1:half]) * 1.0 - np.isin(border, LIPS_INNER[half + 1 :])
    upper = sides * (1.0 - ((ring - middle)[:, 0] / 2.8) ** 2)
    made[..., 1] += np.array([0.2, 0.8, 1.6, 0.0])[:, None] * upper
    flat = uv[list(border)]
    shares = np.array([0.85, 0.65, 0.4, 0.1])[:, None, None]
    return (
        made,
        border,
        flat.mean(0) + (flat - flat.mean(0)) * shares,
        "mouth",
        (1.0, 1.0, 0.6, 0.3),
    )


def _parts() -> tuple[Part, ...]:
    left = ear()
    right = Part(left.vertices * _FLIP, left.triangles[:, ::-1], left.uv)
    balls = [eyeball(centre, EYE_RADIUS) for centre in EYE_CENTRES]
    arches = [teeth(-2.4, 1.15, 10.15, 2.5), teeth(-3.4, 0.9, 9.95, 2.3)]
    places = [(0.87, 0.0), (0.87, 0.14), (0.0, 0.0), (0.14, 0.0), (0.87, 0.28), (0.87, 0.42)]
    placed = []
    for part, (x, y) in zip([*balls, *arches, left, right], places, strict=True):
        uv = np.asarray(part.uv) * 0.122 + [x + 0.004, y + 0.004]
        placed.append(part._replace(uv=uv))
    return tuple(placed)


def _closed(face: Array) -> Array:
    """The face with its lips together: half of the gap from above, half from below."""
    half = len(LIPS_INNER) // 2
    upper = np.array(LIPS_INNER[1:half])
    lower = np.array(LIPS_INNER[:half:-1])
    gap = face[upper] - face[lower]
    middle = (face[upper] + face[lower]) / 2
    # Subdivision pulls the lips apart again, so here they overlap.
    overlap = np.array([0.0, 0.09, 0.0])
    moved = np.zeros_like(face)
    moved[upper] = middle - overlap - face[upper]
    moved[lower] = middle + overlap - face[lower]
    reach = float(np.abs(gap[:, 1]).max()) * 6.0
    still = np.setdiff1d(np.arange(len(face)), np.r_[upper, lower])
    # Neighbours come along, by how near they are to the moved lip on their own side.
    for lip, sign in ((upper, 1.0), (lower, -1.0)):
        far = np.linalg.norm((face[still, None] - face[lip]) * [1.0, 1.0, 0.6], axis=2)
        nearest = far.argmin(1)
        side = sign * (face[still, 1] - middle[nearest, 1]) > 0
        fade = np.exp(-((far.min(1) / reach) ** 2)) * side
        moved[still] += fade[:, None] * moved[lip[nearest]]
    return np.asarray(face + moved)


def _twins(vertices: Array) -> Ints:
    """The vertex on the other side of each."""
    _, twins = cKDTree(vertices).query(vertices * _FLIP)
    return np.asarray(twins, dtype=np.int32)


def _faired(made: Coarse, n_back: int) -> Coarse:
    """Bend the skull's first rings and the face's border until they meet smoothly."""
    hold = np.full(len(made.vertices), 1e4)
    ring = np.repeat(np.arange(_N_RINGS), n_back // _N_RINGS)
    hold[468 : 468 + n_back] = np.where(ring < 4, 0.05 * 10.0 ** np.minimum(ring, 4), 1e4)
    rim = np.isin(made.triangles, FACE_OVAL).any(1)
    beside = np.unique(made.triangles[rim])
    hold[beside[beside < len(topology().mean)]] = 1.0
    hold[list(FACE_OVAL)] = 0.05
    faired = smooth_field(made.triangles, made.vertices, made.vertices, hold)
    moved = faired - made.vertices
    moved = (moved + moved[made.twins] * _FLIP) / 2
    return made._replace(vertices=made.vertices + moved)


def smooth_field(triangles: Ints, at: Array, values: Array, hold: Array) -> Array:
    """Return the smoothest field over a mesh that stays near given values.

    Minimises the squared Laplacian (edges weighted by 1 / length) plus `hold` times the squared
    distance from `values`.

    Args:
        triangles: (T, 3).
        at: (V, 3) places of the vertices.
        values: (V, C).
        hold: (V,) 0 where a vertex is free.
    """
    n = len(at)
    ends = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    ends = np.unique(np.sort(ends, axis=1), axis=0)
    weight = 1.0 / np.maximum(np.linalg.norm(at[ends[:, 0]] - at[ends[:, 1]], axis=1), 1e-3)
    rows, columns = np.concatenate([ends, ends[:, ::-1]]).T
    joined = coo_matrix((np.tile(weight, 2), (rows, columns)), shape=(n, n)).tocsr()
    total = np.asarray(joined.sum(1)).ravel()
    laplacian = diags(np.ones(n)) - diags(1.0 / np.maximum(total, 1e-9)) @ joined
    system = laplacian.T @ laplacian + diags(hold + 1e-9)
    return np.asarray(splu(system.tocsc()).solve(np.asarray(hold[:, None] * values)))
