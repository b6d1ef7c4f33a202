import functools

import numpy as np
import pytest

from fewskin.face.affected_portrait import Sitter, nothing, sitter_of
from fewskin.face.condition import present
from fewskin.face.landmarks import inter_ocular
from fewskin.face.pictures import as_linear, as_pixels
from fewskin.face.portrait import portrait_of
from fewskin.face.presentation import Drawn
from fewskin.face.scene import KNOBS as SCENE
from fewskin.face.scene import draw_scene, still
from fewskin.face.subject import subject_of
from tests.face.mean_face import mean_face

SIZE, SIDE = 160, 256


@functools.cache
def sitter() -> Sitter:
    made = mean_face(SIZE, tone=0.25)
    pixels = as_pixels(made.image)
    return sitter_of(portrait_of(subject_of(as_linear(pixels), made.landmarks), pixels, SIZE), SIDE)


@functools.cache
def rosacea() -> Drawn:
    model = sitter().person.model
    return present("rosacea", model, rng=np.random.default_rng(1), side=SIDE).at(3.0)


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_no_condition_gives_the_portrait_in_another_scene() -> None:
    scene = draw_scene(
        rng(), {name: one.default for name, one in SCENE.items()}, sitter().person.model
    )
    _, plain = sitter().portrait.picture(scene, rng())
    taken = sitter().picture(scene, nothing(SIDE), rng())
    apart = np.abs(taken.pixels.astype(int) - plain)
    assert apart.mean() < 1.5  # the texture is of another side, bare skin is mesh
    assert not taken.masks["condition"].any()
    assert set(taken.masks) == {"condition", "face"}


def test_layers_that_are_nought_change_no_byte() -> None:
    drawn = rosacea()
    zero = Drawn("rosacea", {}, drawn.layers.scaled(0.0), {}, ())
    one, other = (sitter().picture(still(yaw_deg=9.0), d, rng()) for d in (zero, nothing(SIDE)))
    assert (one.pixels == other.pixels).all()


def test_a_condition_reddens_its_mask_and_nothing_far_from_it() -> None:
    well, ill = (sitter().picture(still(), d, rng()) for d in (nothing(SIDE), rosacea()))
    ratio = (ill.render.image / np.maximum(well.render.image, 1e-4))[..., 1]
    there = ill.masks["condition"] > 0
    assert ratio[there].mean() < 0.95
    assert np.abs(ratio[ill.condition == 0.0] - 1.0).max() < 1e-3
    assert set(ill.masks) == {"condition", "face", *ill.drawn.masks}
    assert well.confidence == ill.confidence
    assert 0.5 < ill.confidence <= 1.0


def test_lesions_are_looked_for_where_asked_and_lie_in_their_feature() -> None:
    assert sitter().picture(still(), rosacea(), rng()).instances == ()
    taken = sitter().picture(still(yaw_deg=12.0), rosacea(), rng(), instances=True)
    papules = [one for one in taken.instances if one.kind == "papule"]
    assert papules
    for one in papules:
        assert taken.render.masks[one.feature][one.mask].max() > 0.3


@pytest.mark.parametrize("yaw", [0.0, 15.0])
def test_landmarks_are_where_the_picture_shows_them(yaw: float) -> None:
    person = sitter().portrait.subject
    taken = sitter().picture(still(yaw_deg=yaw), nothing(SIDE), rng())
    expected = person.fit.view.project(person.model.landmarks(person.fit.vertices))
    apart = np.linalg.norm((taken.landmarks.points - expected)[:, :2], axis=1)
    eyes = inter_ocular(taken.landmarks)
    assert (np.median(apart) < 0.01 * eyes) == (yaw == 0.0)
    assert eyes == pytest.approx(inter_ocular(mean_face(SIZE).landmarks), rel=0.05)
