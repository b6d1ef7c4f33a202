"""Relief: a slope towards the light is brighter by what the light says, and no more."""

import numpy as np
import pytest

from fewskin.face.analytic import analytic_head
from fewskin.face.canvas import canvas_of
from fewskin.face.delight import shading
from fewskin.face.relief import displaced, relit
from fewskin.face.skin_layers import Layers, blank
from fewskin.face.texture import texel_normals
from fewskin.functional.lighting import ambient, directional

SIDE = 128
ALBEDO = np.full((SIDE, SIDE, 3), 0.3, np.float32)
HEAD = analytic_head()
LAMP = ambient(0.5).plus(directional((-1.0, 0.3, 1.0), 0.5))


def layers(**maps: np.ndarray) -> Layers:
    return Layers(**dict(blank(SIDE)) | maps)


def ramp(slope_mm_per_cm: float) -> np.ndarray:
    """Height that rises towards the subject's left over the cheeks."""
    canvas = canvas_of(HEAD, SIDE)
    return canvas.image(20.0 + slope_mm_per_cm * canvas.place[:, 0])


GRAZING = ambient(0.6).plus(directional((-1.0, 0.0, 0.05), 0.4))  # no highlight to the front


def relit_with(made: Layers, light=LAMP) -> np.ndarray:  # type: ignore[no-untyped-def]
    return relit(ALBEDO, made, HEAD, HEAD.vertices, np.eye(3), light)


def test_no_relief_changes_no_bit() -> None:
    assert relit_with(blank(SIDE)).tobytes() == ALBEDO.tobytes()


def test_light_from_all_sides_shows_no_relief() -> None:
    made = relit_with(layers(bump=ramp(1.0)), ambient(1.0))
    np.testing.assert_allclose(made, ALBEDO, rtol=1e-5)


def test_a_ramp_is_lit_as_its_tilted_normal() -> None:
    slope = 0.3
    made = relit_with(layers(bump=ramp(10.0 * slope)), GRAZING)
    canvas = canvas_of(HEAD, SIDE)
    place = np.zeros((SIDE * SIDE, 3), np.float32)
    place[canvas.texel] = canvas.place
    flat = np.zeros(SIDE * SIDE, bool)  # the forehead: nearly level, x nearly along the skin
    flat[canvas.texel] = (abs(canvas.place[:, 0]) < 1.0) & (abs(canvas.place[:, 1] - 6.5) < 0.5)
    normal = texel_normals(HEAD, HEAD.vertices, np.eye(3), SIDE).reshape(-1, 3)[flat]
    along = np.array([1.0, 0.0, 0.0]) - normal[:, :1] * normal
    tilted = normal - slope * along
    tilted /= np.linalg.norm(tilted, axis=1, keepdims=True)
    expected = (shading(GRAZING, tilted.astype(np.float32)) / shading(GRAZING, normal))[:, 0]
    gain = made.reshape(-1, 3)[flat, 0] / 0.3
    assert flat.sum() > 20
    assert np.median(abs(gain - expected)) < 0.03
    assert np.median(gain) > 1.02  # the ramp falls towards the lamp, on the right of the subject


def test_dull_skin_loses_its_highlight_and_glossy_skin_gains_one() -> None:
    made = {k: relit_with(layers(specular=np.full((SIDE, SIDE), k, np.float32))) for k in (-0.2, 1)}
    assert made[1].max() > 0.31
    assert (made[1] >= ALBEDO - 1e-6).all()
    assert made[-0.2].min() < 0.3 - 1e-4


def test_thick_skin_moves_outwards_by_its_thickness() -> None:
    canvas = canvas_of(HEAD, SIDE)
    made = layers(displacement=canvas.image(np.full(len(canvas.texel), 5.0)))
    moved = np.linalg.norm(displaced(HEAD, HEAD.vertices, made) - HEAD.vertices, axis=1)
    tip = int(HEAD.triangles[HEAD.landmark_triangles[4], 0])
    assert moved[tip] == pytest.approx(0.5, abs=0.02)
    assert moved[HEAD.vertices[:, 2] < -4.0].max() == 0.0  # the back of the head
    assert displaced(HEAD, HEAD.vertices, blank(SIDE)) is HEAD.vertices
