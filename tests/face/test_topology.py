import itertools
from collections import Counter

import numpy as np
import pytest

from fewskin.errors import StageError
from fewskin.face import topology as module
from fewskin.face.topology import (
    FACE_OVAL,
    LEFT_BROW,
    LEFT_EYE,
    LIPS_INNER,
    LIPS_OUTER,
    NOSE_TIP,
    RIGHT_BROW,
    RIGHT_EYE,
    topology,
)

mesh = topology()
RINGS = {"eye": RIGHT_EYE, "left eye": LEFT_EYE, "outer": LIPS_OUTER, "inner": LIPS_INNER}


def edges_of(triangles):
    return Counter(
        tuple(sorted(pair))
        for found in triangles.tolist()
        for pair in itertools.combinations(found, 2)
    )


def test_the_mesh_is_one_disc_bounded_by_the_face_oval():
    assert mesh.triangles.shape == (898, 3)
    assert set(mesh.triangles.ravel()) == set(range(468))
    count = edges_of(mesh.triangles)
    assert set(count.values()) == {1, 2}
    rim = {edge for edge, n in count.items() if n == 1}
    assert rim == {
        tuple(sorted(pair)) for pair in zip(FACE_OVAL, FACE_OVAL[1:] + FACE_OVAL[:1], strict=True)
    }
    assert 468 - len(count) + 898 == 1  # Euler: no hole


def test_triangles_agree_with_their_neighbours():
    directed = Counter(
        pair for a, b, c in mesh.triangles.tolist() for pair in ((a, b), (b, c), (c, a))
    )
    assert max(directed.values()) == 1


def test_triangles_face_the_viewer():
    a, b, c = np.moveaxis(mesh.mean[mesh.triangles], 1, 0)
    normal = np.cross(b - a, c - a)
    assert (normal[:, 2] > 0).mean() > 0.95
    outwards = ((a + b + c) / 3 - mesh.mean.mean(0) * [1, 1, 0]) * normal
    assert (outwards.sum(1) > 0).mean() > 0.95


@pytest.mark.parametrize("name", RINGS)
def test_rings_follow_edges_of_the_mesh(name):
    ring, count = RINGS[name], edges_of(mesh.triangles)
    assert all(tuple(sorted(pair)) in count for pair in zip(ring, ring[1:] + ring[:1], strict=True))


def test_regions_are_where_they_are_named():
    assert Counter(mesh.region.tolist()) == {0: 732, 1: 120, 3: 28, 4: 18}
    inside = {3: set(RIGHT_EYE) | set(LEFT_EYE), 4: set(LIPS_INNER)}
    for region, ring in inside.items():
        assert set(mesh.triangles[mesh.region == region].ravel()) == ring
    assert set(LIPS_OUTER) < set(mesh.triangles[mesh.region == 1].ravel())


def test_the_texture_layout_turns_no_triangle_and_is_symmetrical():
    a, b, c = np.moveaxis(mesh.uv[mesh.triangles].astype(float), 1, 0)
    area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    assert area.min() > 0
    assert mesh.uv.min() >= 0
    assert mesh.uv.max() <= 1
    assert np.allclose(mesh.uv[mesh.mirror], [1.0, 0.0] + mesh.uv * [-1.0, 1.0], atol=1e-6)


def test_the_mirror_swaps_left_and_right():
    assert np.array_equal(mesh.mirror[mesh.mirror], np.arange(468))
    assert mesh.mirror[list(RIGHT_EYE)].tolist() == list(LEFT_EYE)
    assert mesh.mirror[list(RIGHT_BROW)].tolist() == list(LEFT_BROW)
    assert mesh.mirror[NOSE_TIP] == NOSE_TIP
    assert mesh.mirror_irises[0] == 5


def test_the_mean_face_is_upright_in_centimetres():
    right, left = mesh.mean_irises[0], mesh.mean_irises[5]
    assert np.allclose(left - right, [6.3, 0.0, 0.0], atol=1e-4)  # the subject's left is +x
    assert mesh.mean[10, 1] > mesh.mean[NOSE_TIP, 1] > mesh.mean[152, 1]
    assert mesh.mean[:, 2].argmax() in (1, 4)  # the nose is in front


def test_arrays_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        mesh.uv[0] = 0


def test_a_missing_asset_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "assets_dir", lambda: tmp_path)
    with pytest.raises(StageError, match=r"landmark_topology\.npz"):
        topology.__wrapped__()
