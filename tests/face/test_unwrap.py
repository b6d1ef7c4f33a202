"""Atlas, visibility, density and unwrapping against the closed forms of a globe."""

import numpy as np
import pytest

from fewskin.errors import ConfigError, DataError
from fewskin.face.texture import atlas_of, texel_normals
from fewskin.face.unwrap import unwrap, visibility
from fewskin.functional.pose import frontal_view, rotation_of
from tests.face.globe import RADIUS, globe, picture, texel_directions

SIDE = 128
VIEW = frontal_view((200, 240)).posed(20.0, -10.0, 5.0)
MAGENTA = (1.0, 0.0, 1.0)


def pattern(unit: np.ndarray) -> np.ndarray:
    return 0.3 + 0.15 * np.stack(
        [np.sin(3 * unit[..., 0]), np.cos(4 * unit[..., 1]), unit[..., 2]], -1
    )


def test_a_texel_lies_where_its_centre_says() -> None:
    model = globe()
    atlas = atlas_of(model, SIDE)
    row, column = np.divmod(atlas.texel, SIDE)
    expected = np.stack([(column + 0.5) / SIDE, 1.0 - (row + 0.5) / SIDE], axis=1)
    uv = (model.uv[model.uv_triangles[atlas.triangle]] * atlas.bary[..., None]).sum(1)
    assert len(atlas.texel) == SIDE**2
    np.testing.assert_allclose(uv, expected, atol=1e-5)
    assert atlas_of(model, SIDE) is atlas


def test_gutters_repeat_the_border_and_nothing_else() -> None:
    model = globe(bump_cm=2.0)
    atlas = atlas_of(model, SIDE)
    image = atlas.image(np.full(len(atlas.texel), 0.5))
    assert set(np.unique(image)) <= {0.0, 0.5}
    assert (image > 0).sum() > atlas.covered.sum()
    assert (atlas.image(np.ones(len(atlas.texel)), gutter=False) > 0).sum() == atlas.covered.sum()


def test_a_texel_is_seen_where_the_globe_faces_the_camera() -> None:
    model = globe()
    seen = visibility(atlas_of(model, SIDE), model, model.vertices, VIEW)
    unit = texel_directions(SIDE).reshape(-1, 3) @ VIEW.rotation.T
    ray = unit * RADIUS - [0.0, 0.0, 60.0]  # from the camera, in the scene's axes
    cosine = -(ray * unit).sum(1) / np.linalg.norm(ray, axis=1)
    np.testing.assert_allclose(seen.cosine, cosine, atol=0.015)
    clear = np.abs(cosine) > 0.1
    assert (seen.visible == (cosine > 0))[clear].mean() > 0.999


def test_what_is_behind_another_part_is_not_seen() -> None:
    model, view = globe(bump_cm=2.0), frontal_view((300, 300))
    atlas = atlas_of(model, SIDE)
    seen = visibility(atlas, model, model.vertices, view)
    place = atlas.at_texels(model.vertices)
    behind = place[:, 2] < 9.0
    # The small globe hides a cone: its silhouette seen from the camera, 46 cm before its centre.
    ray = place - [0.0, 0.0, 60.0]
    angle = np.arccos(-ray[:, 2] / np.linalg.norm(ray, axis=1))
    edge = np.arcsin(2.0 / 46.0)
    hidden = behind & (angle < edge - 0.003)
    free = behind & (angle > edge + 0.003) & (seen.cosine > 0.1)
    assert hidden.sum() > 20
    assert not seen.visible[hidden].any()
    assert seen.visible[free].mean() > 0.999
    assert seen.confidence()[behind & (np.abs(angle - edge) < 0.001)].max() < 0.5


def test_density_is_pixels_per_texel() -> None:
    model, view = globe(), frontal_view((260, 260))  # 10 px a cm at the origin
    made = unwrap(picture(view, pattern, MAGENTA), model, model.vertices, view, SIDE)
    px_per_cm = view.focal_px / (60.0 - RADIUS)
    across, along = 2 * np.pi * RADIUS / SIDE, np.pi * RADIUS / SIDE
    expected = px_per_cm * np.sqrt(across * along)
    assert made.density[SIDE // 2, SIDE // 2] == pytest.approx(expected, rel=0.02)
    assert made.density[SIDE // 2, 2] == 0.0  # the back


def test_unwrap_recovers_a_known_texture_and_no_background() -> None:
    model = globe(192, 96)
    made = unwrap(picture(VIEW, pattern, MAGENTA), model, model.vertices, VIEW, SIDE)
    error = np.abs(made.colour - pattern(texel_directions(SIDE))).max(-1)
    sure = made.confidence > 0.8
    assert sure.mean() > 0.15
    assert error[sure].max() < 0.02
    assert error[made.confidence > 0.02].max() < 0.06


def test_a_fit_that_is_too_large_brings_in_background_only_where_confidence_is_low() -> None:
    model, view = globe(), frontal_view((260, 260))
    shown = picture(view, pattern, MAGENTA)
    made = unwrap(shown, model, model.vertices * np.float32(1.02), view, SIDE)
    leaked = (np.abs(made.colour - MAGENTA).max(-1) < 0.2) & (made.density > 0)
    assert leaked.sum() > 20
    assert made.confidence[leaked].max() < 0.05


def test_a_large_photograph_is_averaged_not_sampled() -> None:
    model, view = globe(), frontal_view((640, 640))
    rng = np.random.default_rng(0)
    noise = rng.normal(0.4, 0.1, (640, 640, 3)).astype(np.float32)
    made = unwrap(noise, model, model.vertices, view, SIDE)
    assert float(np.median(made.density)) == 0.0  # most of a globe is not seen
    assert made.colour[made.confidence > 0.9].std() < 0.05


def test_normals_turn_with_the_head() -> None:
    model = globe()
    turn = rotation_of(30.0, 10.0, 0.0)
    normals = texel_normals(model, model.vertices, turn, SIDE)
    np.testing.assert_allclose(normals, texel_directions(SIDE) @ turn.T, atol=0.03)


def test_inputs_that_do_not_fit_together_are_refused() -> None:
    model, view = globe(8, 4), frontal_view((20, 30))
    good = np.zeros((20, 30, 3), np.float32)
    with pytest.raises(DataError, match="linear light"):
        unwrap(good.astype(np.uint8), model, model.vertices, view, 16)
    with pytest.raises(DataError, match="picture"):
        unwrap(good[:10], model, model.vertices, view, 16)
    with pytest.raises(DataError, match="vertices"):
        unwrap(good, model, model.vertices[:-1], view, 16)
    with pytest.raises(ConfigError, match="side"):
        unwrap(good, model, model.vertices, view, 4)
    away = frontal_view((20, 30))
    with pytest.raises(DataError, match="no part"):
        unwrap(good, model, model.vertices + np.float32([500, 0, 0]), away, 16)
