#!/usr/bin/env python
"""Make assets/face/landmark_topology.npz: the triangles of the 468 landmarks and a mean face.

    python scripts/make_landmark_topology.py FOLDER_OF_FRONTAL_FACES

Triangles: the 3-cliques of mediapipe's undirected edges, less those that enclose a vertex of degree
three, then strips over the eyes and the mouth. Mean face: the landmarks of the folder's faces after
generalised Procrustes analysis (Gower 1975), made symmetrical, pupils 6.3 cm apart, and so upright
that a head before a level camera has pitch 0. Needs `pip install fewskin[landmarks]`.
"""

import argparse
import itertools
from collections import Counter, deque
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.optimize import linear_sum_assignment

from fewskin.face import topology
from fewskin.functional.pose import rotation_of
from fewskin.functional.procrustes import align, similarity

Array = npt.NDArray[np.floating]
Triangle = tuple[int, int, int]
Edges = set[tuple[int, int]]

PUPILS_CM = 6.3
# The pitch that mediapipe reads too much: of ICT-FaceKit's neutral head, rendered at pitch 0 to 25.
LEAN_DEG = 4.4
FLIP = np.array([-1.0, 1.0, 1.0])
PUPILS_AT = np.array([0.0, 3.6, 9.6])  # where ICT-FaceKit has them: the origin is inside the head


def triangles_of(edges: Edges) -> list[Triangle]:
    """Return the (852, 3) triangles of a mesh that is known by its edges."""
    near = {}
    for a, b in edges:
        near.setdefault(a, set()).add(b)
        near.setdefault(b, set()).add(a)
    cliques = {tuple(sorted((a, b, c))) for a, b in edges for c in near[a] & near[b]}
    # A vertex of degree three makes its neighbours a clique that is no face of the mesh.
    around = {tuple(sorted(found)) for found in near.values() if len(found) == 3}
    return sorted(cliques - around)


def strip(upper: list[int], lower: list[int]) -> list[Triangle]:
    """Return triangles between two rows of vertices that share their ends."""
    made = []
    for i in range(len(upper) - 1):
        made += [(upper[i], lower[i], lower[i + 1]), (upper[i], lower[i + 1], upper[i + 1])]
    return [found for found in made if len(set(found)) == 3]


def fills() -> tuple[list[Triangle], list[Triangle]]:
    """Return the triangles over the two eyes and the mouth."""

    def over(ring: tuple[int, ...]) -> list[Triangle]:
        half = len(ring) // 2
        return strip(list(ring[: half + 1]), [ring[0], *ring[: half - 1 : -1]])

    eyes = over(topology.RIGHT_EYE) + over(topology.LEFT_EYE)
    return eyes, over(topology.LIPS_INNER)


def oriented(triangles: list[Triangle], points: Array) -> Array:
    """Turn triangles so that all agree with their neighbours and face the viewer."""
    by_edge = {}
    for number, found in enumerate(triangles):
        for pair in itertools.combinations(sorted(found), 2):
            by_edge.setdefault(pair, []).append(number)
    turned, todo = {0: tuple(triangles[0])}, deque([0])
    while todo:
        corners = turned[todo.popleft()]
        for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
            for number in by_edge[tuple(sorted((a, b)))]:
                if number not in turned:
                    (third,) = set(triangles[number]) - {a, b}
                    turned[number] = (b, a, third)
                    todo.append(number)
    made = np.array([turned[number] for number in range(len(triangles))])
    a, b, c = np.moveaxis(points[made], 1, 0)
    facing = np.cross(b - a, c - a)[:, 2].sum()
    return made if facing > 0 else made[:, ::-1]


def mean_of(shapes: Array) -> tuple[Array, Array]:
    """Return the (478, 3) mean of faces in model axes, symmetrical, and who mirrors whom."""
    mean = shapes[0]
    for _ in range(10):
        mean = np.stack([align(shape, mean) for shape in shapes]).mean(0)
        mean = (mean - mean.mean(0)) / mean.std()
    right = np.array([*topology.RIGHT_EYE, *topology.RIGHT_BROW, *topology.FACE_OVAL[1:18]])
    left = np.array([*topology.LEFT_EYE, *topology.LEFT_BROW, *topology.FACE_OVAL[:18:-1]])
    # The rings say how the mirror image lies on the mean; then the nearest landmark is the twin.
    both, twins = np.concatenate([right, left]), np.concatenate([left, right])
    scale, turn, shift = similarity(mean[both] * FLIP, mean[twins])
    flipped = scale * (mean * FLIP) @ turn.T + shift
    mirror = linear_sum_assignment(((flipped[:, None] - mean) ** 2).sum(-1))[1]
    if not (mirror[mirror] == np.arange(len(mirror))).all():
        raise SystemExit("the landmarks do not pair up: are the faces frontal?")
    return (mean + align(mean[mirror] * FLIP, mean)) / 2, mirror


def upright(mean: Array, mirror: Array) -> Array:
    """Place a symmetrical mean: x across, the line 10 to 152 upright, centimetres."""
    across = np.linalg.svd(mean - mean[mirror])[2][0]
    across *= np.sign(across @ (mean[473] - mean[468]))
    up = mean[10] - mean[152]
    up -= across * (up @ across)
    up /= np.linalg.norm(up)
    placed = mean @ np.stack([across, up, np.cross(across, up)]).T @ rotation_of(0, LEAN_DEG).T
    placed *= PUPILS_CM / np.linalg.norm(placed[473] - placed[468])
    return placed - (placed[468] + placed[473]) / 2 + PUPILS_AT


def unrolled(points: Array, triangles: Array) -> Array:
    """Return (468, 2) texture coordinates: unrolled from an upright cylinder."""
    axis = np.array([0.0, points[:, 1].mean(), points[:, 2].min() - 1.0])
    x, y, z = (points - axis).T
    flat = np.stack([np.arctan2(x, z) * np.hypot(x, z).mean(), y], 1)
    a, b, c = np.moveaxis(flat[triangles], 1, 0)
    area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    if (area <= 0).any():
        raise SystemExit(f"{(area <= 0).sum()} triangles are turned in the layout")
    low, high = flat.min(0), flat.max(0)
    return (flat - (low + high) / 2) / (high - low) * 0.98 + 0.5


def main() -> None:
    from mediapipe.python.solutions import face_mesh_connections as known

    from fewskin.face.mediapipe_worker import Finder, solution

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path("assets/face/landmark_topology.npz"))
    options = parser.parse_args()

    finder, shapes = Finder(solution(), closer=False), []
    for file in sorted(options.folder.rglob("*.jpg")):
        faces = finder.find(np.asarray(Image.open(file).convert("RGB")))
        shapes += [faces[0].points * [1.0, -1.0, -1.0]] if len(faces) == 1 else []
    edges = {tuple(sorted(edge)) for edge in known.FACEMESH_TESSELATION}
    skin, (eyes, mouth) = triangles_of(edges), fills()
    mean, mirror = mean_of(np.stack(shapes))
    mean = upright(mean, mirror)
    triangles = oriented([*skin, *eyes, *mouth], mean)
    lips = set(topology.LIPS_OUTER) | set(topology.LIPS_INNER) | between_lips(edges)
    region = np.array(
        [1 if set(found) <= lips else 0 for found in skin] + [3] * len(eyes) + [4] * len(mouth)
    )
    uv = unrolled(mean[:468], triangles)
    uv = (uv + uv[mirror[:468]] * [-1.0, 1.0] + [1.0, 0.0]) / 2
    options.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        options.out,
        triangles=triangles.astype(np.int16),
        region=region.astype(np.uint8),
        uv=uv.astype(np.float32),
        mirror=mirror.astype(np.int16),
        mean=mean.astype(np.float32),
    )
    print(len(shapes), "faces;", len(triangles), "triangles;", Counter(region.tolist()))


def between_lips(edges: Edges) -> set[int]:
    """Return the vertices inside the outer ring of the lips: reached from the inner ring."""
    rim, seen = set(topology.LIPS_OUTER), set(topology.LIPS_INNER)
    todo = deque(seen)
    while todo:
        a = todo.popleft()
        for edge in edges:
            if a in edge:
                (b,) = set(edge) - {a}
                if b not in seen and b not in rim:
                    seen.add(b)
                    todo.append(b)
    return seen


if __name__ == "__main__":
    main()
