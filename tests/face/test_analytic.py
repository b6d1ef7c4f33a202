"""Our own head: a sound mesh, human measures, modes that do what their names say."""

import numpy as np
import pytest

from fewskin.face.analytic import analytic_head, make_head
from fewskin.face.head_modes import EXPRESSIONS, IDENTITIES, identity_field
from fewskin.face.model import REGIONS
from fewskin.face.topology import topology
from fewskin.functional.pose import frontal_view


@pytest.fixture(scope="module")
def head():
    return analytic_head()


def with_expression(head, name, value=1.0):
    values = np.zeros(len(head.expression), dtype=np.float32)
    values[head.expression_names.index(name)] = value
    return head.landmarks(head.shape(None, values)), head.landmarks(head.vertices)


def test_the_asset_is_what_the_code_makes(head):
    made = make_head()
    assert np.array_equal(made.triangles, head.triangles)
    assert np.abs(made.vertices - head.vertices).max() < 2e-3
    assert np.abs(made.identity - head.identity).max() < 5e-3
    assert np.abs(made.expression - head.expression).max() < 5e-3


def test_edges_have_one_or_two_triangles_and_no_triangle_is_empty(head):
    t = head.triangles
    ends = np.sort(np.concatenate([t[:, [0, 1]], t[:, [1, 2]], t[:, [2, 0]]]), axis=1)
    counts = np.unique(ends, axis=0, return_counts=True)[1]
    assert set(counts) <= {1, 2}
    a, b, c = (head.vertices[t[:, i]] for i in range(3))
    assert np.linalg.norm(np.cross(b - a, c - a), axis=1).min() > 0


def test_texture_coordinates_do_not_overlap_and_the_face_has_most(head):
    u = head.uv[head.uv_triangles]
    assert head.uv.min() >= 0
    assert head.uv.max() <= 1
    area = np.linalg.det(np.stack([u[:, 1] - u[:, 0], u[:, 2] - u[:, 0]], 1)) / 2
    ears = (head.region == REGIONS.index("head")) & (u[:, :, 0].min(1) > 0.86)
    assert (area[~ears & head.in_region("face", "lips", "head")] > 0).all()
    share = {name: np.abs(area[head.in_region(name)]).sum() for name in REGIONS}
    assert max(share, key=lambda name: share[name] / area_of(head, name)) in ("face", "lips")


def area_of(head, name):
    a, b, c = (head.vertices[head.triangles[head.in_region(name)][:, i]] for i in range(3))
    return np.linalg.norm(np.cross(b - a, c - a), axis=1).sum()


def test_measures_are_those_of_adults(head):
    skin = head.vertices[np.unique(head.triangles[head.in_region("face", "head")])]
    above = skin[skin[:, 1] > 5.0]
    assert 14.0 < np.ptp(above[:, 0]) < 16.5  # head breadth, cm
    assert 18.0 < np.ptp(above[:, 2]) < 21.5  # head length
    at = head.landmarks(head.vertices)
    assert 10.5 < at[168, 1] - at[152, 1] < 12.9  # nasion to chin
    assert 4.5 < at[291, 0] - at[61, 0] < 5.8  # mouth


def test_the_mean_head_is_symmetrical(head):
    at = head.landmarks(head.vertices)
    assert np.abs(at - at[topology().mirror] * [-1, 1, 1]).max() < 0.12


def test_landmarks_are_where_the_mean_face_has_them(head):
    off = np.linalg.norm(head.landmarks(head.vertices) - topology().mean, axis=1)
    assert np.median(off) < 0.1
    assert off.max() < 0.6  # the mouth is shut here


def test_lips_meet_at_rest_and_part_when_the_jaw_opens(head):
    opened, closed = with_expression(head, "jawOpen")
    assert abs(closed[13, 1] - closed[14, 1]) < 0.15
    assert opened[13, 1] - opened[14, 1] > 2.0
    assert np.abs(opened[[4, 10, 33, 263]] - closed[[4, 10, 33, 263]]).max() < 0.05


def test_a_blink_shuts_one_eye_only(head):
    shut, still = with_expression(head, "eyeBlink_L")
    assert shut[386, 1] - shut[374, 1] < 0.25 * (still[386, 1] - still[374, 1])
    assert np.abs(shut[[159, 145]] - still[[159, 145]]).max() < 0.02


def test_left_and_right_are_mirror_images(head):
    left, still = with_expression(head, "mouthSmile_L")
    right, _ = with_expression(head, "mouthSmile_R")
    mirrored = (right - still)[topology().mirror] * [-1, 1, 1]
    assert np.abs((left - still) - mirrored).max() < 0.12
    assert left[291, 1] - still[291, 1] > 0.25
    assert abs(left[61, 1] - still[61, 1]) < 0.1


@pytest.mark.parametrize("name", IDENTITIES)
def test_modes_of_identity_are_of_human_size(head, name):
    field = identity_field(name, head.vertices)
    assert 0.05 < np.linalg.norm(field, axis=1).max() < 1.2  # cm


def test_every_expression_moves_the_face(head):
    assert head.expression_names == EXPRESSIONS
    face = np.unique(head.triangles[head.in_region("face", "lips")])
    assert (np.abs(head.expression[:, face]).max((1, 2)) > 0.1).all()


def test_random_people_keep_their_skin_outside_their_eyes(head):
    rng = np.random.default_rng(0)
    at = head.vertices
    for _ in range(5):
        at = head.shape(rng.normal(0, 1, len(head.identity)).astype(np.float32))
        marks = head.landmarks(at)
        assert marks[159, 1] > marks[145, 1] + 0.3
        assert marks[4, 2] > marks[2, 2] > marks[152, 2] - 3.0
    assert np.isfinite(frontal_view((64, 64)).project(at)).all()
