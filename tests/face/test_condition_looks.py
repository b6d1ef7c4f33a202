"""What was once wrong with the looks of conditions, and where each may lie on a mean face."""

import functools
from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import label

from fewskin.face.anatomy import Anatomy
from fewskin.face.canvas import canvas_of
from fewskin.face.condition import present
from fewskin.face.landmark_model import landmark_model
from fewskin.face.lesions import ragged
from fewskin.face.presentation import Drawn
from fewskin.face.relief import relit
from fewskin.face.skin_layers import Layers, apply, blank
from fewskin.functional.lighting import ambient, directional
from fewskin.functional.pigment import light, tone_density

SIDE = 256
LAMP = ambient(0.5).plus(directional((-0.5, 0.6, 1.0), 0.6))
Zone = Callable[[Anatomy], np.ndarray]


@functools.cache
def face() -> Anatomy:
    return Anatomy(canvas_of(landmark_model(), SIDE))


@functools.cache
def shown(name: str, seed: int = 0) -> Drawn:
    return present(name, landmark_model(), rng=np.random.default_rng(seed), side=SIDE).at(4.0)


def amount(name: str, seed: int = 0) -> np.ndarray:
    """Pigment of melasma, blood of all else, at the canvas's texels."""
    layers = shown(name, seed).layers
    layer = layers.melanin if name == "melasma" else layers.haemoglobin
    return layer.ravel()[face().canvas.texel]


def density(name: str, zone: Zone) -> float:
    """How dense a condition is in a zone relative to the face: 0 is spared, 1 as elsewhere."""
    area, where, made = face().canvas.texel_mm ** 2, zone(face()), amount(name)
    assert where.sum() > 20
    mass = area * np.maximum(made, 0.0)
    return float(mass[where].sum() / mass.sum() / (area[where].sum() / area.sum()))


def lids(f: Anatomy) -> np.ndarray:
    return (f.eyes < 0.0) & (f.eyes > -0.4)


def rim(f: Anatomy) -> np.ndarray:
    return (f.mouth < 0.0) & (f.mouth > -0.25)


def fold(f: Anatomy) -> np.ndarray:
    return (f.folds < 0.3) & (f.canvas.place[:, 1] > -2.5)


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        *((name, lids) for name in ("acne", "flush", "lupus", "melasma", "perioral", "rosacea")),
        *((name, rim) for name in ("flush", "lupus", "perioral", "rosacea")),
        ("lupus", fold),
        ("perioral", lambda f: f.malar > 0.8),
        ("seborrhoeic_dermatitis", lambda f: f.malar > 0.9),
        ("melasma", lambda f: (abs(f.canvas.place[:, 0]) < 0.2) & (f.upper_lip > 0.1)),
    ],
)
def test_a_zone_that_a_condition_spares_holds_none_of_it(name: str, zone: Zone) -> None:
    assert density(name, zone) < 0.05


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("rosacea", lambda f: f.cheeks > 0.6),
        ("rosacea", lambda f: f.nose > 0.3),
        ("lupus", lambda f: f.malar > 0.6),
        ("lupus", lambda f: f.bridge > 0.2),
        ("perioral", lambda f: (f.mouth < -0.6) & (f.mouth > -1.4) & ~f.canvas.lips),
        ("seborrhoeic_dermatitis", fold),
        ("seborrhoeic_dermatitis", lambda f: f.brows > 0.0),
        ("seborrhoeic_dermatitis", lambda f: f.glabella > 0.1),
        ("melasma", lambda f: f.malar > 0.6),
        ("melasma", lambda f: (abs(f.canvas.place[:, 0]) > 0.7) & (f.upper_lip > 0.2)),
    ],
)
def test_a_zone_that_a_condition_prefers_holds_twice_its_share(name: str, zone: Zone) -> None:
    assert density(name, zone) > 2.0


def test_the_wings_of_lupus_join_over_the_nose() -> None:
    walls = (face().nasal_walls < 0.25) & (face().alar_creases > 1.2)
    made = amount("lupus")
    assert made[walls].mean() > 0.4 * made[face().malar > 0.6].mean()


def test_sunburn_fades_towards_the_hairline_without_a_line() -> None:
    place, made = face().canvas.place, amount("sunburn")
    middle = abs(place[:, 0]) < 0.8
    heights = np.arange(5.25, 8.6, 0.5)
    bands = [made[middle & (abs(place[:, 1] - height) < 0.25)].mean() for height in heights]
    steps = np.diff(bands) / max(bands)
    assert bands[-1] < 0.15 * bands[0]
    assert steps.min() > -0.35  # in 5 mm; a hat's line is the whole of it


@pytest.mark.parametrize("name", ["rosacea", "flush", "melasma", "sunburn"])
def test_nothing_is_left_where_the_texture_ends_on_the_forehead(name: str) -> None:
    made, edge = amount(name), (face().below_top < 0.3) & (face().canvas.place[:, 1] > 7.0)
    assert made[edge].mean() < 0.1 * np.quantile(made[made > 0.0], 0.9)


def test_melasmas_border_comes_apart() -> None:
    made = shown("melasma").layers.melanin
    assert label(made > 0.25 * np.quantile(made[made > 0.0], 0.9))[1] >= 8  # with its islands
    half = np.mean((made > 0.2 * made.max()) & (made < 0.7 * made.max()))
    assert half > 6.0 * np.mean(made >= 0.7 * made.max())  # most of it is border, not core


def test_melasma_is_alike_on_both_sides_but_not_the_same() -> None:
    left = face().canvas.image(amount("melasma"))  # the texture is mirrored about its middle
    both = (left + left[:, ::-1]) > 0.0
    alike = np.corrcoef(left[both], left[:, ::-1][both])[0, 1]
    assert 0.77 < alike < 0.98


def test_mirrored_noise_is_the_same_on_both_sides() -> None:
    canvas = face().canvas
    plain, alike = (
        canvas.image(canvas.noise(np.random.default_rng(0), 20.0, mirrored=both))
        for both in (False, True)
    )
    assert np.corrcoef(alike.ravel(), alike[:, ::-1].ravel())[0, 1] > 0.97
    assert abs(np.corrcoef(plain.ravel(), plain[:, ::-1].ravel())[0, 1]) < 0.5


def test_a_ragged_patch_is_whole_inside_and_nothing_outside() -> None:
    depth = face().malar
    made = ragged(
        face().canvas, np.random.default_rng(0), depth - 0.4, width_cm=0.3, wander_cm=0.05
    )
    assert made[depth > 1.0].min(initial=1.0) == 1.0
    assert made[depth < -0.3].max() == 0.0
    assert 0.3 < made[abs(depth - 0.4) < 0.05].mean() < 0.7


def test_no_papule_shines_like_a_bead_on_dark_skin() -> None:
    drawn = present("rosacea", landmark_model(), rng=np.random.default_rng(0), side=512)
    made = drawn.at({"papules": 4.0})
    skin = np.broadcast_to(light(tone_density(0.92)), (512, 512, 3)).astype(np.float32)
    model = landmark_model()
    seen = relit(
        apply(skin, made.layers), made.layers, model, model.vertices, np.eye(3, dtype=np.float32),
        LAMP,
    )  # fmt: skip
    assert seen[made.mask > 0].mean(1).max() < 1.4 * skin[0, 0].mean()


def test_gloss_on_dark_skin_is_at_most_a_share_of_its_own_light() -> None:
    model, glossy = landmark_model(), dict(blank(SIDE))
    glossy["specular"] = face().canvas.image(np.full(len(face().canvas.texel), 3.0))
    for tone in (0.1, 0.92):
        skin = np.broadcast_to(light(tone_density(tone)), (SIDE, SIDE, 3)).astype(np.float32)
        made = relit(
            skin, Layers(**glossy), model, model.vertices, np.eye(3, dtype=np.float32), LAMP
        )
        gain = made.mean(2) / skin.mean(2)
        assert 1.02 < gain.max() < 1.31


def test_pus_is_darker_under_dark_skin_than_under_light() -> None:
    layers = dict(blank(8)) | {"pus": np.ones((8, 8), np.float32)}
    seen = []
    for tone in (0.1, 0.92):
        skin = np.broadcast_to(light(tone_density(tone)), (8, 8, 3)).astype(np.float32)
        seen.append((apply(skin, Layers(**layers)).mean(), skin.mean()))
    (pale, fair), (dim, dark) = seen
    assert dim < 0.35 * pale
    assert dim / dark < 2.5
    assert pale / fair < 1.5


def test_vessels_are_plain_on_a_texture_that_can_show_them() -> None:
    drawn = present("rosacea", landmark_model(), rng=np.random.default_rng(0), side=1024)
    layers = drawn.at({"telangiectasia": 4.0}).layers
    skin = np.broadcast_to(light(tone_density(0.15)), (1024, 1024, 3)).astype(np.float32)
    green = apply(skin, layers)[..., 1]
    rest = skin[0, 0, 1]
    middles = green[layers.haemoglobin > 0.5 * layers.haemoglobin.max()]
    contrast = (rest - np.median(middles)) / (rest + np.median(middles))
    assert 0.08 < contrast < 0.35
