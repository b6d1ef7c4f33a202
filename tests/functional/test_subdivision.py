"""Loop subdivision: counts, flat and round shapes, partial refinement."""

import numpy as np
import pytest

from fewskin.functional.subdivision import subdivided, subdivided_where

TETRAHEDRON = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]], dtype=np.int32)
GRID = np.array(
    [[0, 1, 4], [0, 4, 3], [1, 2, 5], [1, 5, 4], [3, 4, 7], [3, 7, 6], [4, 5, 8], [4, 8, 7]]
)


def edge_counts(triangles):
    ends = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    return np.unique(np.sort(ends, axis=1), axis=0, return_counts=True)[1]


def test_a_closed_mesh_keeps_its_euler_number():
    made = subdivided(TETRAHEDRON, 4, levels=2)
    n_vertices, n_triangles = made.weights.shape[0], len(made.triangles)
    n_edges = len(edge_counts(made.triangles))
    assert (n_triangles, n_vertices - n_edges + n_triangles) == (64, 2)
    assert (edge_counts(made.triangles) == 2).all()


def test_a_plane_stays_the_same_plane():
    x, y = np.meshgrid(np.arange(3.0), np.arange(3.0))
    points = np.stack([x.ravel(), y.ravel(), 2 * x.ravel() - y.ravel()], 1)
    made = subdivided(GRID, 9, levels=2)
    fine = made.weights @ points
    assert np.allclose(fine[:, 2], 2 * fine[:, 0] - fine[:, 1])
    assert np.allclose(made.weights.sum(1), 1.0)


def test_a_regular_inner_vertex_weighs_ten_and_six_sixteenths():
    # Loop 1987: degree 6 gives 1 - 6 / 16 of its own place and 1 / 16 of each neighbour.
    hexagon = np.array([[0, 1 + i, 1 + (i + 1) % 6] for i in range(6)], dtype=np.int32)
    row = subdivided(hexagon, 7).weights[0].toarray()[0]
    assert row == pytest.approx([10 / 16] + [1 / 16] * 6)


def test_partial_refinement_leaves_no_vertex_on_an_edge():
    whole = subdivided(TETRAHEDRON, 4, levels=2)
    wanted = np.arange(64) % 5 == 0
    made = subdivided_where(whole.triangles, whole.weights.shape[0], wanted)
    assert (edge_counts(made.triangles) == 2).all()
    assert 64 < len(made.triangles) < 256
    assert set(np.unique(made.triangles)) == set(range(made.weights.shape[0]))


def test_partial_refinement_of_everything_is_subdivision():
    both = [subdivided(GRID, 9), subdivided_where(GRID, 9, np.ones(8, dtype=bool))]
    same = [np.sort(np.sort(one.triangles, axis=1), axis=0) for one in both]
    assert np.array_equal(*same)
    assert np.allclose(*(one.weights.toarray() for one in both))
