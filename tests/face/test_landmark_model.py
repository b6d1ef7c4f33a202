import numpy as np
import pytest

from fewskin.errors import DataError
from fewskin.face.geometry import fitted
from fewskin.face.landmark_model import landmark_model, landmark_vertices
from fewskin.face.landmarks import Landmarks
from fewskin.face.model import load_model, save_model
from fewskin.face.texture import atlas_of
from fewskin.face.topology import topology
from fewskin.functional.pose import angles_of, frontal_view


def seen(yaw=0.0, pitch=0.0, roll=0.0, distance=60.0):
    """The mean face through a pinhole camera, z in pixels at the eyes' depth."""
    mesh, view = topology(), frontal_view((300, 400), distance_cm=distance + 9.6)
    view = view.posed(yaw, pitch, roll)
    both = view.project(np.concatenate([mesh.mean, mesh.mean_irises]).astype(np.float64))
    eyes = both[[33, 133, 263, 362], 2].mean()
    both[:, 2] = (both[:, 2] - eyes) * view.focal_px / eyes
    return Landmarks(both[:468].astype(np.float32), both[468:].astype(np.float32))


@pytest.mark.parametrize("pose", [(0, 0, 0), (25, 5, -10), (-40, -15, 20)])
def test_the_view_projects_the_mesh_back_on_the_landmarks(pose):
    face = seen(*pose)
    vertices, view = landmark_vertices(face, (300, 400))
    assert np.abs(view.project(vertices)[:, :2] - face.points[:, :2]).max() < 1e-3
    assert view.size == (300, 400)


@pytest.mark.parametrize("pose", [(0, 0, 0), (25, 5, -10), (-40, -15, 20)])
def test_the_shape_and_the_pose_are_found_again(pose):
    vertices, view = landmark_vertices(seen(*pose), (300, 400))
    # cm; z in pixels is no exact depth, and the pupils' distance in it grows with the turn.
    assert np.abs(vertices - topology().mean).max() < (0.75 if any(pose) else 0.35)
    # A face away from the camera's axis looks turned by up to atan(offset / distance).
    assert np.allclose(angles_of(view.rotation), pose, atol=7.0)
    frontal = landmark_vertices(seen(), (300, 400))[1]
    assert np.allclose(angles_of(frontal.rotation), 0.0, atol=1.5)


def test_the_scale_follows_the_pupils():
    small = landmark_vertices(seen(), (300, 400), pupils_cm=5.5)[0]
    large = landmark_vertices(seen(), (300, 400), pupils_cm=6.3)[0]
    ratio = np.ptp(large[:, 0]) / np.ptp(small[:, 0])
    assert np.isclose(ratio, 6.3 / 5.5, rtol=0.02)


def test_without_irises_the_scale_is_nearly_the_same():
    face = seen()
    with_irises = landmark_vertices(face, (300, 400))[0]
    without = landmark_vertices(Landmarks(face.points), (300, 400))[0]
    assert np.isclose(np.ptp(without[:, 0]), np.ptp(with_irises[:, 0]), rtol=0.02)


def test_it_is_a_face_model(tmp_path):
    model = landmark_model()
    assert np.allclose(model.landmarks(model.vertices), model.vertices)
    assert model.shape().shape == (468, 3)
    save_model(model, tmp_path / "a.npz")
    assert np.allclose(load_model(tmp_path / "a.npz").vertices, model.vertices)


def test_unknown_landmarks_are_refused():
    points = seen().points.copy()
    points[5:, 2] = np.nan
    with pytest.raises(DataError, match="5 of 468"):
        landmark_vertices(Landmarks(points), (300, 400))


def test_landmarks_on_one_point_are_refused():
    with pytest.raises(DataError, match="one point"):
        landmark_vertices(Landmarks(np.ones((468, 3), np.float32)), (300, 400))


def test_photographs_share_the_model_and_so_the_maps_of_its_texture():
    (one, first), (other, second) = (
        fitted(None, seen(yaw, pitch=5.0), (300, 400)) for yaw in (0.0, 20.0)
    )
    assert one is other
    assert atlas_of(one, 32) is atlas_of(other, 32)
    assert not np.allclose(first.vertices, second.vertices)
    assert np.allclose(one.vertices, topology().mean)
