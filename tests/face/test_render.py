from dataclasses import replace

import numpy as np
import pytest

from fewskin.errors import ConfigError, DataError
from fewskin.face.model import REGIONS
from fewskin.face.render import render
from fewskin.functional.lighting import ambient, directional
from fewskin.functional.pose import frontal_view
from tests.face.globe import RADIUS, globe, texel_directions

VIEW = frontal_view((96, 96), distance_cm=60.0, span_cm=24.0)
WHITE = np.ones((16, 16, 3), np.float32)


@pytest.fixture(scope="module")
def model():
    made = globe()
    centre = made.vertices[made.triangles].mean(1)
    region = np.where(centre[:, 1] > 0, REGIONS.index("face"), REGIONS.index("lips"))
    return replace(made, region=region.astype(np.uint8))


def test_a_globe_covers_the_disc_of_its_closed_form(model):
    made = render(model, model.vertices, VIEW, WHITE)
    sine = RADIUS / 60.0  # of the angle under which the camera sees the globe's edge
    radius = VIEW.focal_px * sine / np.sqrt(1 - sine**2)
    assert made.coverage.sum() == pytest.approx(np.pi * radius**2, rel=0.004)
    assert made.depth.min() == pytest.approx(60.0 - RADIUS, abs=0.02)
    assert np.isinf(made.depth[0, 0])


def test_regions_share_out_the_coverage(model):
    made = render(model, model.vertices, VIEW, WHITE)
    assert np.allclose(made.regions.sum(-1), made.coverage, atol=1e-6)
    assert made.region("face")[:46].sum() == pytest.approx(made.coverage[:46].sum(), rel=1e-3)
    assert made.region("lips")[50:].sum() == pytest.approx(made.coverage[50:].sum(), rel=1e-3)
    labels = made.labels()
    assert labels[0, 0] == -1
    assert REGIONS[labels[40, 48]] == "face"
    assert REGIONS[labels[60, 48]] == "lips"


def test_a_spot_on_the_texture_is_where_the_camera_sees_that_point(model):
    spot = np.array([0.3, -0.4, 0.866])
    spot /= np.linalg.norm(spot)
    mask = (texel_directions(256) @ spot > 0.995).astype(np.float32)
    for yaw, pitch in ((0, 0), (35, 0), (-25, 20)):
        view = VIEW.posed(yaw, pitch, 10.0)
        made = render(model, model.vertices, view, WHITE, masks={"spot": mask})
        weight = made.masks["spot"]
        y, x = (np.indices(weight.shape) + 0.5).reshape(2, -1) @ weight.ravel() / weight.sum()
        assert np.hypot(*(view.project(spot * RADIUS)[:2] - [x, y])) < 0.7


def test_a_turn_to_the_subjects_left_moves_the_front_to_image_right(model):
    front = (texel_directions(64)[..., 2] > 0.95).astype(np.float32)
    column = np.arange(96) + 0.5

    def where(yaw):
        made = render(model, model.vertices, VIEW.posed(yaw, 0, 0), WHITE, masks={"front": front})
        return (made.masks["front"].sum(0) @ column) / made.masks["front"].sum()

    assert where(30) > where(0) + 8
    assert where(-30) < where(0) - 8


def test_light_stays_in_the_scene_when_the_head_turns(model):
    lamp = ambient(0.5).plus(directional((1.0, 0.0, 0.5), 0.7))
    made = [
        render(model, model.vertices, VIEW.posed(yaw, 0, 0), WHITE, light=lamp) for yaw in (0, 50)
    ]
    pictures = [one.image for one in made]
    inside = (made[0].coverage == 1) & (made[1].coverage == 1)
    assert abs(pictures[0] - pictures[1])[inside].max() < 0.03  # a globe looks alike
    assert pictures[0][48, 70, 0] > 1.3 * pictures[0][48, 26, 0]


def test_masks_do_not_depend_on_light_background_or_opacity(model):
    mask = {"m": np.random.default_rng(0).random((32, 32), np.float32)}
    plain = render(model, model.vertices, VIEW, WHITE, masks=mask)
    other = render(
        model,
        model.vertices,
        VIEW,
        WHITE,
        masks=mask,
        light=ambient(0.7),
        background=np.full((96, 96, 3), 0.3, np.float32),
        opacity=np.full((16, 16), 0.5, np.float32),
    )
    assert (plain.masks["m"] == other.masks["m"]).all()
    assert (plain.regions == other.regions).all()


def test_the_edge_over_a_background_is_between_the_two(model):
    grey = np.full((96, 96, 3), 0.4, np.float32)
    same = render(model, model.vertices, VIEW, np.full((8, 8, 3), 0.4, np.float32), background=grey)
    assert np.allclose(same.image, 0.4, atol=1e-5)
    made = render(model, model.vertices, VIEW, WHITE, background=grey)
    edge = (made.coverage > 0) & (made.coverage < 1)
    assert np.allclose(made.image[edge, 0], 0.4 + 0.6 * made.coverage[edge], atol=1e-5)


def test_masks_of_several_sides_keep_their_order(model):
    masks = {
        name: np.full((side, side), value, np.float32)
        for name, side, value in (("a", 8, 0.2), ("b", 16, 0.4), ("c", 8, 0.6))
    }
    made = render(model, model.vertices, VIEW, WHITE, masks=masks)
    assert list(made.masks) == ["a", "b", "c"]
    assert [round(float(m[48, 48]), 3) for m in made.masks.values()] == [0.2, 0.4, 0.6]


def test_kernels_give_the_same_picture(model):
    pytest.importorskip("numba")
    texture = np.random.default_rng(1).random((32, 32, 3), np.float32)
    first, *others = (
        render(model, model.vertices, VIEW.posed(20, 5, 3), texture, light=ambient(), kernel=k)
        for k in ("numba", "numpy", "torch")
    )
    for other in others:
        assert abs(first.image - other.image).mean() < 1e-4
        assert np.allclose(first.coverage, other.coverage, atol=1e-6)
        assert (abs(first.regions - other.regions).sum(-1) > 1e-6).mean() < 1e-3


def test_only_some_regions_are_drawn(model):
    made = render(model, model.vertices, VIEW, WHITE, only=model.in_region("lips"))
    assert made.region("face").sum() == 0
    assert made.coverage[60, 48] == 1.0


def test_errors_say_what_is_wrong(model):
    with pytest.raises(ConfigError, match="supersample=0"):
        render(model, model.vertices, VIEW, WHITE, supersample=0)
    with pytest.raises(DataError, match="background of shape"):
        render(model, model.vertices, VIEW, WHITE, background=np.zeros((9, 9, 3), np.float32))


def test_a_batch_has_the_pictures_of_render(model):
    import torch

    from fewskin.face.render_torch import face_tensors, render_batch, view_tensors

    rng = np.random.default_rng(2)
    textures = rng.random((3, 32, 32, 3), dtype=np.float32)
    views = [VIEW.posed(yaw, 5, 0) for yaw in (-20, 0, 30)]
    lamps = [ambient(0.8).plus(directional((x, 0.3, 1.0), 0.3)) for x in (-1.0, 0.0, 1.0)]
    made = render_batch(
        face_tensors(model),
        torch.from_numpy(model.vertices)[None],
        view_tensors(views),
        torch.from_numpy(textures).permute(0, 3, 1, 2),
        lights=torch.stack([torch.from_numpy(lamp.coefficients) for lamp in lamps]),
    )
    for i, (view, lamp) in enumerate(zip(views, lamps, strict=True)):
        one = render(model, model.vertices, view, textures[i], light=lamp)
        assert abs(made.image[i].permute(1, 2, 0).numpy() - one.image).mean() < 2e-3
        assert abs(made.coverage[i].numpy() - one.coverage).mean() < 1e-4
        assert abs(made.regions[i].permute(1, 2, 0).numpy() - one.regions).mean() < 1e-4


def test_a_batch_of_several_sizes_is_refused():
    from fewskin.face.render_torch import view_tensors

    with pytest.raises(DataError, match="one size"):
        view_tensors([VIEW, VIEW.scaled(0.5)])
