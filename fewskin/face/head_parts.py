"""Coarse parts of our own head: skull and neck, eyeballs, lids, mouth, teeth, ears.

The face itself is the mean of MediaPipe's landmarks over synthetic faces (`face.topology`). All
else is made here from measures of adults, in cm: head 15 wide, 19 long, eyes halfway up, neck 38
round (Farkas, "Anthropometry of the head and face", 1994).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Part", "ear", "eyeball", "ring_strips", "rings", "skull", "teeth"]

Array = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int32]


class Part(NamedTuple):
    """A mesh of its own.

    Attributes:
        vertices: (V, 3) cm, model axes.
        triangles: (T, 3), counter-clockwise seen from outside.
        uv: (V, 2) in [0, 1].
    """

    vertices: Array
    triangles: Ints
    uv: Array


def ring_strips(
    n_around: int, n_rings: int, first: int = 0, *, closed: bool = True, mirrored: bool = False
) -> Ints:
    """Return the triangles between rings of `n_around` vertices, numbered from `first`.

    Ring k is vertices first + k * n_around + (0 ... n_around - 1). The outside is where going
    round, then to the next ring, is counter-clockwise. With `mirrored` the second half of a ring
    is cut along its other diagonals, so that the mesh is its own mirror image.

    Example:
        >>> ring_strips(3, 2).shape, ring_strips(3, 2, closed=False).shape
        ((6, 3), (4, 3))
    """
    here = np.arange(n_around if closed else n_around - 1)
    made = []
    for ring in range(n_rings - 1):
        a = first + ring * n_around + here
        b = first + ring * n_around + (here + 1) % n_around
        other = mirrored & (here >= n_around // 2)
        made.append(np.stack([a, b, np.where(other, a, b) + n_around], 1))
        made.append(np.stack([np.where(other, b, a), b + n_around, a + n_around], 1))
    return np.concatenate(made).astype(np.int32)


def _inside(points: Array) -> Array:
    """A smooth field, negative in head and neck, about a distance in cm near the surface."""
    x, y, z = points.T

    def ellipsoid(centre: Array, radii: Array, power: float) -> Array:
        scaled = np.abs(points - centre) / radii
        length = (scaled**power).sum(1) ** (1 / power)
        slope = np.linalg.norm(scaled ** (power - 1) / radii, axis=1)
        return (length - 1.0) * length ** (power - 1) / np.maximum(slope, 1e-9)

    cranium = ellipsoid(np.array([0.0, 6.1, 1.2]), np.array([7.5, 8.5, 9.7]), 2.25)
    jaw = ellipsoid(np.array([0.0, -1.6, 3.6]), np.array([6.2, 6.2, 6.2]), 2.0)
    # Between them the cheekbones' arches, which end at the ears.
    arches = ellipsoid(np.array([0.0, 0.6, 2.6]), np.array([6.55, 4.0, 6.0]), 2.6)
    jaw = _smooth_min(jaw, arches, 1.0)
    down = np.clip(-6.0 - y, 0.0, None)
    spread = 5.15 + 0.035 * np.clip(-11.0 - y, 0.0, None) ** 2
    neck = np.hypot(x, (z + 1.2 + 0.15 * down) * 1.02) - spread
    neck = np.maximum(neck, y - 3.0)
    return _smooth_min(_smooth_min(cranium, jaw, 1.5), neck, 2.0)


def _smooth_min(a: Array, b: Array, width: float) -> Array:
    """Minimum with a rounded seam: the polynomial one of Quilez, 2013."""
    share = np.clip(0.5 + 0.5 * (b - a) / width, 0.0, 1.0)
    return np.asarray(b * (1 - share) + a * share - width * share * (1 - share))


def _gradient(points: Array) -> Array:
    steps = 1e-3 * np.eye(3)
    return np.stack([(_inside(points + s) - _inside(points - s)) / 2e-3 for s in steps], 1)


def skull(oval: Array, n_rings: int = 10, bottom: float = -14.5) -> Array:
    """Return (n_rings, n, 3) rings of skull and neck, from the face's oval to the neck's end.

    Args:
        oval: (n, 3) border of the face, from the forehead down the subject's left to the chin, up.
        n_rings: with the neck's end, without the oval.
        bottom: height of the neck's end.
    """
    n = len(oval)
    angle = np.linspace(0.0, 2.0 * np.pi, n, endpoint=False)
    # The neck's end: the top of the face meets its back, the chin its front.
    end = np.stack([7.0 * np.sin(angle), np.full(n, bottom), -2.6 - 6.0 * np.cos(angle)], 1)
    centre = np.array([0.0, 2.0, 1.0])
    start = _unit(oval - centre)
    over = _unit(
        np.stack([1.1 * np.sin(angle), 0.35 + 1.0 * np.cos(angle), -1.0 - 0.5 * np.cos(angle)], 1)
    )
    last = _unit(end - centre)
    share = np.linspace(0.0, 1.0, n_rings + 1)[1:, None, None]
    made = (1 - share) ** 2 * start + 2 * share * (1 - share) * over * 1.4 + share**2 * last
    points = centre + 11.0 * _unit(made)
    points[-1] = end
    # How far the oval is off the field, let go over the first rings.
    off = _inside(oval) * np.clip(1.0 - np.linspace(0, 1, n_rings + 1)[1:, None] * 2.2, 0, 1) ** 1.5
    for _ in range(300):
        near = np.concatenate([oval[None], points])
        mean = (np.roll(near, 1, 1) + np.roll(near, -1, 1))[1:-1] / 2
        mean = 0.35 * mean + 0.65 * (near[:-2] + near[2:]) / 2
        points[:-1] += 0.5 * (mean - points[:-1])
        points = _onto(points, off)
        points[-1, :, 1] = bottom
    return points


def _onto(points: Array, level: Array) -> Array:
    flat = points.reshape(-1, 3)
    for _ in range(2):
        slope = _gradient(flat)
        short = np.maximum((slope**2).sum(1, keepdims=True), 0.05)
        flat = flat - (_inside(flat) - level.ravel())[:, None] * slope / short
    return flat.reshape(points.shape)


def eyeball(centre: Array, radius: float, n_around: int = 32, n_rings: int = 14) -> Part:
    """Return a ball whose front pole looks along z; texture coordinates are polar."""
    polar = np.linspace(0.0, 0.62 * np.pi, n_rings + 1)[1:]
    around = np.linspace(0.0, 2.0 * np.pi, n_around, endpoint=False)
    ring = np.stack([np.cos(around), np.sin(around), np.zeros(n_around)], 1)
    rows = np.sin(polar)[:, None, None] * ring + np.cos(polar)[:, None, None] * [0.0, 0.0, 1.0]
    points = np.concatenate([[[0.0, 0.0, 1.0]], rows.reshape(-1, 3)])
    # Equal areas near the pole: where pupil and iris are.
    flat = np.repeat(polar / polar[-1] * 0.5, n_around)[:, None] * np.tile(ring, (n_rings, 1))
    uv = np.concatenate([[[0.5, 0.5]], 0.5 + flat[:, :2]])
    here = np.arange(n_around, dtype=np.int32)
    cap = np.stack([np.zeros_like(here), 1 + here, 1 + (here + 1) % n_around], 1)
    # Rings go away from the pole, so the strips are turned.
    strips = ring_strips(n_around, n_rings, 1)[:, ::-1]
    return Part(centre + radius * points, np.concatenate([cap, strips]), uv)


def rings(border: Array, centre: Array, moves: list[tuple[float, float]]) -> Array:
    """Return (len(moves), n, 3) rings inside a border: each a (scale, shift along z) of it."""
    return np.stack([centre + (border - centre) * scale + [0, 0, deep] for scale, deep in moves])


def teeth(top: float, height: float, front: float, width: float) -> Part:
    """Return an arch of teeth as one band, its upper edge at `top` and its front at z = `front`."""
    n = 25
    across = np.linspace(-1.0, 1.0, n)
    x, z = width * across, front - 2.6 * across**2
    # Scalloped, as crowns are: a little deeper between two teeth.
    rows = []
    for share, back in ((0.0, -0.25), (0.25, 0.0), (0.75, 0.0), (1.0, -0.15)):
        rows.append(np.stack([x, np.full(n, top - height * share), z + back], 1))
    vertices = np.concatenate(rows)
    uv = np.stack([np.tile((across + 1) / 2, 4), np.repeat([1.0, 0.7, 0.3, 0.0], n)], 1)
    return Part(vertices, ring_strips(n, 4, closed=False)[:, ::-1], uv)


def ear(n_around: int = 36) -> Part:
    """Return the subject's left ear: a rim, a ridge before it, a hollow and a lobe."""
    angle = np.linspace(0.0, 2.0 * np.pi, n_around, endpoint=False)  # from the back, upwards
    # Outline, cm from the hollow's middle: back and up.
    back = np.cos(angle) * np.where(np.cos(angle) > 0, 2.0, 1.35)
    up = np.sin(angle) * np.where(np.sin(angle) > 0, 3.1, 3.3)
    back *= 1.0 - 0.28 * np.clip(-np.sin(angle), 0, 1) ** 2
    # Front: hollow, ridge, groove, rim; then round the rim and along the back.
    shares = np.array([0.15, 0.32, 0.48, 0.62, 0.76, 0.88, 0.96, 1.0, 0.95, 0.82, 0.55])
    hollow = np.array([-0.75, -0.7, -0.35, 0.05, -0.02, 0.22, 0.3, 0.12, -0.12, -0.3, -0.6])
    lobe = np.array([-0.55, -0.35, -0.05, 0.08, 0.12, 0.12, 0.08, -0.05, -0.2, -0.3, -0.5])
    front = np.array([-0.75, -0.6, -0.3, -0.1, -0.1, -0.15, -0.2, -0.3, -0.4, -0.5, -0.6])
    low = np.clip(-np.sin(angle) * 1.8 - 0.8, 0, 1)
    fore = np.clip(-np.cos(angle) * 1.6 - 0.35, 0, 1) * (1 - low)
    out = (
        hollow[:, None] * (1 - low - fore) + lobe[:, None] * low + front[:, None] * fore
    )  # (rings, n)
    p, q = shares[:, None] * back, shares[:, None] * up
    lift = 0.16 * np.clip(p, 0, None) * (1.0 + 0.1 * q)
    local = np.stack([p, q, out + lift], -1).reshape(-1, 3)
    tip = np.concatenate([local[:n_around].mean(0)[None], local, local[-n_around:].mean(0)[None]])
    axes = _ear_axes()
    vertices = np.array([6.95, 0.75, 0.6]) + tip @ axes
    flat = np.concatenate([[[0.0, 0.0]], np.stack([p, q], -1).reshape(-1, 2), [[0.0, 0.0]]])
    radial = np.concatenate(
        [[0.0], np.repeat(np.linspace(0.09, 1.0, len(shares)), n_around), [1.0]]
    )
    length = np.maximum(np.linalg.norm(flat / [2.0, 3.3], axis=1, keepdims=True), 1e-6)
    uv = 0.5 + 0.49 * radial[:, None] * (flat / [2.0, 3.3]) / length
    here = np.arange(n_around, dtype=np.int32)
    ahead = (here + 1) % n_around
    last = 1 + (len(shares) - 1) * n_around
    cap = np.stack([np.zeros_like(here), 1 + here, 1 + ahead], 1)
    end = np.stack([np.full_like(here, len(tip) - 1), last + ahead, last + here], 1)
    strips = ring_strips(n_around, len(shares), 1)[:, ::-1]
    return Part(vertices, np.concatenate([cap, strips, end]), uv)


def _ear_axes() -> Array:
    """Rows: back, up and out of the left ear, in model axes; it stands off and leans back."""
    off, lean = np.radians(28.0), np.radians(12.0)
    back = np.array([np.sin(off), 0.0, -np.cos(off)])
    out = np.array([np.cos(off), 0.0, np.sin(off)])
    up = np.array([0.0, 1.0, 0.0])
    up, back = up * np.cos(lean) + back * np.sin(lean), back * np.cos(lean) - up * np.sin(lean)
    return np.stack([back, up, out])


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12))
