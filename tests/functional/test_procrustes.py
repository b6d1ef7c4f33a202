import numpy as np

from fewskin.functional.pose import rotation_of
from fewskin.functional.procrustes import align, similarity


def test_a_similarity_is_found_again_also_with_unknown_points():
    rng = np.random.default_rng(0)
    points, turn = rng.normal(size=(20, 3)), rotation_of(40.0, -20.0, 10.0)
    moved = 2.5 * points @ turn.T + [1.0, -2.0, 3.0]
    moved[3] = np.nan
    scale, rotation, shift = similarity(points, moved)
    assert np.isclose(scale, 2.5)
    assert np.allclose(rotation, turn)
    assert np.allclose(shift, [1.0, -2.0, 3.0])


def test_a_mirror_image_is_not_reached_by_a_reflection():
    points = np.random.default_rng(1).normal(size=(20, 3))
    _, rotation, _ = similarity(points, points * [-1.0, 1.0, 1.0])
    assert np.isclose(np.linalg.det(rotation), 1.0)


def test_points_in_one_plane_give_a_proper_rotation():
    flat = np.random.default_rng(2).normal(size=(9, 3)) * [1.0, 1.0, 0.0]
    turn = rotation_of(30.0, 0.0, 0.0)
    assert np.allclose(align(flat, flat @ turn.T), flat @ turn.T)
