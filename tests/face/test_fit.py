"""Fitting our own head to landmarks that it made itself, so that the truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from fewskin.errors import DataError
from fewskin.face.analytic import analytic_head
from fewskin.face.correspondence import ANCHORS_68
from fewskin.face.fit import fit, fit_many
from fewskin.face.fit_system import Modes, Priors, State, _derivatives, residuals
from fewskin.functional.pose import View, angles_of, rotation_of
from fewskin.functional.procrustes import align

SIZE = (480, 640)


def landmarks_of(identity, expression, angles=(0.0, 0.0, 0.0), noise=0.0, seed=0):
    """Landmarks in a picture: x, y, and z in pixels away from the camera."""
    model = analytic_head()
    at = model.landmarks(model.shape(identity, expression))
    # The face is on the camera's axis, as the fit supposes: angles are those to the line of sight.
    seen = at @ rotation_of(*angles).T * [1.0, -1.0, -1.0]
    middle = (seen.min(0) + seen.max(0))[:2] / 2
    view = View(rotation_of(*angles), np.array([*-middle, 60.0]), 900.0, (350.0, 220.0), SIZE)
    points = view.project(at)
    depth = view.to_camera(at)[:, 2]
    points[:, 2] = (depth - depth.mean()) * view.focal_px / 60.0
    return points + np.random.default_rng(seed).normal(0.0, noise, points.shape)


def a_person(seed=3):
    model, rng = analytic_head(), np.random.default_rng(seed)
    identity = rng.normal(0.0, 1.0, len(model.identity)).astype(np.float32)
    expression = np.zeros(len(model.expression), dtype=np.float32)
    expression[model.expression_names.index("mouthSmile_L")] = 0.6
    return identity, expression


@pytest.mark.parametrize("angles", [(0.0, 0.0, 0.0), (25.0, -10.0, 5.0), (-40.0, 12.0, -8.0)])
def test_the_pose_comes_back(angles):
    made = fit(analytic_head(), landmarks_of(*a_person(), angles, noise=0.5), SIZE)
    assert angles_of(made.view.rotation) == pytest.approx(angles, abs=2.0)
    assert made.converged
    assert made.rms_iod < 0.02


def test_identity_and_smile_come_back():
    identity, expression = a_person()
    made = fit(analytic_head(), landmarks_of(identity, expression), SIZE)
    assert np.corrcoef(made.identity, identity)[0, 1] > 0.85
    smiles = [analytic_head().expression_names.index(f"mouthSmile_{side}") for side in "LR"]
    assert made.expression[smiles[0]] > made.expression[smiles[1]] + 0.3
    assert (made.expression >= 0).all()
    assert (made.expression <= 1).all()


def test_the_view_projects_the_vertices_onto_the_landmarks():
    points = landmarks_of(*a_person(), (15.0, 0.0, 0.0))
    made = fit(analytic_head(), points, SIZE)
    seen = made.view.project(analytic_head().landmarks(made.vertices))[:, :2]
    far = np.linalg.norm(seen - points[:, :2], axis=1)
    assert np.sqrt((far**2).mean()) == pytest.approx(made.rms_px, rel=1e-3)
    assert far.argmax() == made.worst
    assert far.max() == pytest.approx(made.worst_px, rel=1e-3)


def test_one_wild_landmark_does_not_move_the_rest():
    points = landmarks_of(*a_person())
    wild = points.copy()
    wild[50, :2] += 60.0
    clean, robust = (fit(analytic_head(), one, SIZE) for one in (points, wild))
    assert robust.worst == 50
    assert np.abs(robust.vertices - clean.vertices).max() < 0.15  # cm


def test_unknown_landmarks_are_ignored():
    points = landmarks_of(*a_person(), (20.0, 5.0, 0.0))
    points[np.random.default_rng(1).permutation(468)[:150]] = np.nan
    made = fit(analytic_head(), points, SIZE)
    assert angles_of(made.view.rotation) == pytest.approx((20.0, 5.0, 0.0), abs=2.5)
    assert made.notes == ()


def test_few_landmarks_give_a_coarser_fit_that_says_so():
    points = landmarks_of(*a_person(), (10.0, 0.0, 5.0))
    points[:, 2] = np.nan
    keep = [landmark for landmark in ANCHORS_68 if landmark >= 0]
    some, five = np.full((2, 468, 3), np.nan)
    some[keep] = points[keep]
    plain = landmarks_of(None, None, (10.0, 0.0, 5.0))[:, :2]
    five[[33, 263, 4, 61, 291], :2] = plain[[33, 263, 4, 61, 291]]
    made = fit(analytic_head(), some, SIZE)
    assert made.notes == ("36 landmarks: 20 modes of identity",)
    made = fit(analytic_head(), five, SIZE)
    assert made.notes == ("5 landmarks: pose and size only",)
    assert len(made.identity) == 0
    assert angles_of(made.view.rotation) == pytest.approx((10.0, 0.0, 5.0), abs=3.0)


def test_photographs_of_one_person_share_an_identity():
    model, (identity, smile) = analytic_head(), a_person()
    shots = [(-25.0, smile), (0.0, 0 * smile), (25.0, smile)]
    sets = [
        landmarks_of(identity, moved, (yaw, 0.0, 0.0), 2.0, seed)
        for seed, (yaw, moved) in enumerate(shots)
    ]
    made = fit_many(model, sets, [SIZE] * 3)
    assert all(np.array_equal(one.identity, made[0].identity) for one in made)

    def off(found):  # cm up to size, which a photograph does not show
        wanted = model.landmarks(model.shape(identity))
        at = model.landmarks(model.shape(found.identity))
        return np.linalg.norm(align(at, wanted) - wanted, axis=1).mean()

    assert off(made[0]) < 0.7 * np.mean([off(fit(model, one, SIZE)) for one in sets])


def test_a_model_without_modes_gives_a_pose():
    rigid = replace(
        analytic_head(),
        identity=np.zeros((0, *analytic_head().vertices.shape), dtype=np.float32),
        expression=np.zeros((0, *analytic_head().vertices.shape), dtype=np.float32),
        expression_names=(),
    )
    made = fit(rigid, landmarks_of(None, None, (30.0, 0.0, 0.0)), SIZE)
    assert angles_of(made.view.rotation) == pytest.approx((30.0, 0.0, 0.0), abs=1.0)


@pytest.mark.parametrize(
    ("points", "message"),
    [(np.zeros((68, 3)), "shape"), (np.full((468, 3), np.nan), "0 landmarks are known")],
)
def test_what_cannot_be_fitted_is_refused(points, message):
    with pytest.raises(DataError, match=message):
        fit(analytic_head(), points, SIZE)


def test_sizes_and_landmarks_come_in_pairs():
    with pytest.raises(DataError, match="expected pairs"):
        fit_many(analytic_head(), [landmarks_of(None, None)], [])


def test_derivatives_are_those_of_the_residuals():
    rng = np.random.default_rng(0)
    mean, moves = rng.normal(0, 5, (6, 3)), rng.normal(0, 1, (6, 3, 4)).astype(np.float32)
    modes = Modes(mean, moves, 2)
    state = State(rotation_of(20.0, 10.0, 5.0), np.array([1.0, 2, 2, -4, 1]), np.array([0.2, 0.4]))
    identity, points = np.array([0.5, -1.0]), np.zeros((6, 3))
    slopes = _derivatives(modes, identity, state, pose_only=False)
    here = -residuals(modes, identity, state, points)
    step = 1e-4
    for column, change in enumerate(np.eye(5) * step, start=3):
        there = -residuals(modes, identity, replace(state, pose=state.pose + change), points)
        assert slopes[:, :, column] == pytest.approx((there - here) / step, rel=2e-3, abs=2e-3)
    for column in range(2):
        change = np.eye(2)[column] * 0.01
        there = -residuals(modes, identity + change, state, points)
        assert slopes[:, :, 10 + column] == pytest.approx((there - here) / 0.01, rel=0.02, abs=0.02)
    turned = rotation_of(pitch_deg=np.degrees(step)) @ state.rotation  # about x
    there = -residuals(modes, identity, replace(state, rotation=turned), points)
    assert slopes[:, :, 0] == pytest.approx((there - here) / step, rel=2e-3, abs=2e-3)


def test_a_depth_prior_is_needed_only_weakly():
    near = fit(analytic_head(), landmarks_of(*a_person()), SIZE, priors=Priors(distance_cm=50.0))
    far = fit(analytic_head(), landmarks_of(*a_person()), SIZE, priors=Priors(distance_cm=80.0))
    assert near.view.translation[2] < far.view.translation[2]
    assert abs(angles_of(near.view.rotation)[1] - angles_of(far.view.rotation)[1]) < 3.0
