import numpy as np

from fewskin.face.analytic import analytic_head
from fewskin.face.border import border_distance, border_edges, hanging
from fewskin.face.texture import atlas_of
from fewskin.face.topology import FACE_OVAL
from tests.face.mean_face import mean_face

PARTS = ("face", "lips", "eyes", "mouth")


def test_the_border_of_the_landmark_mesh_is_the_oval() -> None:
    model = mean_face(96).model
    found = border_edges(model, model.in_region(*PARTS))
    assert set(found.ravel()) == set(FACE_OVAL)
    assert len(found) == len(FACE_OVAL)


def test_distance_is_0_on_the_border_and_grows_to_the_nose() -> None:
    model = mean_face(96).model
    distance = border_distance(model, 128, *PARTS)
    atlas = atlas_of(model, 128)
    points = atlas.at_texels(model.vertices)
    tip = np.linalg.norm(points - model.vertices[4], axis=1).argmin()
    inside = atlas.values(distance)
    assert inside[tip] > 5.0
    assert inside.min() < 0.2
    assert (distance[~atlas.covered] <= inside.max()).all()


def test_the_middle_of_a_border_edge_is_on_the_border() -> None:
    model = mean_face(96).model
    ends = model.vertices[border_edges(model, model.in_region(*PARTS))]
    longest = ends[np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1).argmax()]
    distance = border_distance(model, 256, *PARTS)
    atlas = atlas_of(model, 256)
    apart = np.linalg.norm(atlas.at_texels(model.vertices) - longest.mean(0), axis=1)
    assert atlas.values(distance)[apart.argmin()] < 0.15


def test_a_fringe_hangs_from_the_border_and_covers_what_is_behind_it() -> None:
    model = mean_face(96).model
    atlas = atlas_of(model, 128)
    points = atlas.at_texels(model.vertices) - model.vertices[4]
    above = (points[:, 1] > 3.0) & (abs(points[:, 0]) < 2.0)
    every = atlas.image(np.ones(len(points), np.float32))
    made = atlas.values(hanging(model, atlas.image(above.astype(np.float32)), every, 128))
    assert made[above & (points[:, 1] > 5.5) & (abs(points[:, 0]) < 0.5)].min() > 0.9
    assert made[points[:, 1] < 0.0].max() < 0.05
    nothing = np.zeros((128, 128), np.float32)
    assert not hanging(model, nothing, every, 128).any()
    assert not hanging(model, every, nothing, 128).any()


def test_a_dark_fold_by_the_nose_hides_nothing_but_unknown_places_break_no_fringe() -> None:
    model = mean_face(96).model
    atlas = atlas_of(model, 128)
    points = atlas.at_texels(model.vertices) - model.vertices[4]
    away = np.linalg.norm(points, axis=1)
    every = atlas.image(np.ones(len(points), np.float32))
    fold = atlas.image(((away > 1.5) & (away < 3.0)).astype(np.float32))
    assert not hanging(model, fold, every, 128).any()
    above = points[:, 1] > 3.0
    hidden = above & (points[:, 1] > 6.0)  # too steep to be seen
    fringe, known = (atlas.image(one.astype(np.float32)) for one in (above & ~hidden, ~hidden))
    made = atlas.values(hanging(model, fringe, known, 128))
    assert made[hidden & (abs(points[:, 0]) < 0.5)].min() > 0.9


def test_what_hangs_never_reaches_back_to_the_nose() -> None:
    model = analytic_head()  # reaches further than the grid
    atlas = atlas_of(model, 128)
    nose = model.landmarks(model.vertices)[4]
    away = np.linalg.norm(atlas.at_texels(model.vertices) - nose, axis=1)
    every = atlas.image(np.ones(len(away), np.float32))
    made = atlas.values(hanging(model, atlas.image((away > 12.0).astype(np.float32)), every, 128))
    assert made.max() > 0.9
    assert made[away < 8.0].max() == 0.0
    assert made[away > 16.0].mean() > 0.95
