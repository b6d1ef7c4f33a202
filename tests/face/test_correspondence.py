"""Closest points and registration against surfaces that are known."""

import numpy as np
import pytest

from fewskin.errors import DataError
from fewskin.face.correspondence import closest_on_mesh, correspond
from fewskin.face.topology import topology
from fewskin.functional.pose import rotation_of
from fewskin.functional.subdivision import subdivided


def at(found, vertices, triangles):
    return (vertices[triangles[found.triangle]] * found.bary[..., None]).sum(1)


def test_closest_points_on_a_square_are_the_clamped_points():
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    triangles = np.array([[0, 1, 2], [0, 2, 3]])
    points = np.random.default_rng(0).uniform(-1, 2, (200, 3))
    found = closest_on_mesh(points, corners, triangles)
    wanted = np.column_stack([np.clip(points[:, :2], 0, 1), np.zeros(200)])
    assert np.allclose(at(found, corners, triangles), wanted, atol=1e-6)
    assert np.allclose(found.residual, np.linalg.norm(points - wanted, axis=1), atol=1e-6)


def moved_face():
    """The mean face, finer, turned, larger and longer; and where its landmarks are."""
    mesh = topology()
    fine = subdivided(mesh.triangles[:852], 468)
    stretched = mesh.mean * [1.08, 0.95, 1.0] * 1.1
    turned = stretched @ rotation_of(10.0, -5.0, 3.0).T + [1.0, -2.0, 3.0]
    return fine.weights @ turned, fine.triangles, turned


def test_registration_finds_the_landmarks_of_a_stretched_face():
    vertices, triangles, wanted = moved_face()
    anchors = np.full((468, 3), np.nan)
    known = [4, 2, 168, 33, 133, 362, 263, 61, 291, 0, 17, 152]
    anchors[known] = wanted[known]
    found = correspond(vertices, triangles, anchors)
    off = np.linalg.norm(at(found, vertices, triangles) - wanted, axis=1)
    assert np.median(off) < 0.15  # cm; subdivision itself moves a vertex by .05
    assert np.median(found.residual) < 0.05


def test_registration_needs_six_anchors():
    vertices, triangles, wanted = moved_face()
    anchors = np.full((468, 3), np.nan)
    anchors[:5] = wanted[:5]
    with pytest.raises(DataError, match="5 anchors"):
        correspond(vertices, triangles, anchors)


def test_registration_needs_a_usable_triangle():
    vertices, triangles, wanted = moved_face()
    with pytest.raises(DataError, match="no triangle"):
        correspond(vertices, triangles, wanted, usable=np.zeros(len(triangles), dtype=bool))
