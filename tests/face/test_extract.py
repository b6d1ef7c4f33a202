from dataclasses import replace

import numpy as np
import pytest

from fewskin.errors import ConfigError, DataError
from fewskin.face.analytic import analytic_head
from fewskin.face.condition import draw_condition
from fewskin.face.extract import Extracted, blended, extract, mixture
from fewskin.face.skin_layers import apply, blank
from fewskin.face.texture import Texture, atlas_of
from fewskin.face.zones import zones_of
from fewskin.functional.pigment import light, tone_density

SIDE = 256
HEAD = analytic_head()
ZONES = zones_of(HEAD, SIDE)
SKIN = ZONES.of("face") * (1.0 - np.maximum(ZONES.feature, ZONES.nostril))


def skin_of(tone: float, seen: np.ndarray | None = None, seed: int = 0) -> Texture:
    noise = np.random.default_rng(seed).normal(0.0, 0.01, (SIDE, SIDE, 1))
    colour = light(tone_density(tone) + noise).astype(np.float32)
    whole = atlas_of(HEAD, SIDE).covered.astype(np.float32)
    confidence = whole if seen is None else whole * seen
    return Texture(colour, confidence, SKIN.astype(np.float32), whole)


def painted(texture: Texture, severity: float = 3.0) -> tuple[Texture, np.ndarray]:
    drawn = draw_condition(
        "rosacea", HEAD, severity=severity, rng=np.random.default_rng(5), side=SIDE
    )
    layers = replace(drawn.layers.on(texture.skin), pus=blank(SIDE).pus, scale=blank(SIDE).scale)
    return replace(texture, colour=apply(texture.colour, layers)), layers.haemoglobin


def likeness(one: np.ndarray, other: np.ndarray, where: np.ndarray) -> float:
    return float(np.corrcoef(one[where], other[where])[0, 1])


@pytest.mark.parametrize("tone", [0.1, 0.5, 0.9])
def test_with_a_healthy_photograph_the_painted_blood_comes_back(tone: float) -> None:
    ill, truth = painted(skin_of(tone))
    brighter = skin_of(tone, seed=1)
    brighter = replace(brighter, colour=brighter.colour * np.float32(1.15))  # another exposure
    found = extract(ill, HEAD, healthy=brighter)
    inside = SKIN > 0.5
    assert found.against == "photograph"
    assert likeness(found.layers.haemoglobin, truth, inside) > 0.97
    assert np.abs(found.layers.haemoglobin - truth)[inside].mean() < 0.02


def test_without_one_the_redness_is_found_where_it_is_but_less_surely() -> None:
    ill, truth = painted(skin_of(0.3))
    found = extract(ill, HEAD)
    assert found.against == "prior"
    assert likeness(found.layers.haemoglobin, truth, SKIN > 0.5) > 0.8
    assert not found.layers.melanin.any()  # a mole and a mark look alike


def test_healthy_skin_has_no_condition() -> None:
    bare = skin_of(0.3)
    same = extract(bare, HEAD, healthy=skin_of(0.3, seed=2)).layers.haemoglobin
    assert same[SKIN > 0.5].mean() < 0.01


def test_two_fits_that_differ_by_less_than_a_millimetre_do_not_look_ill() -> None:
    rng = np.random.default_rng(0)
    spots = (rng.random((SIDE, SIDE)) < 0.05).astype(np.float32) * 0.3  # freckles of one texel
    well, moved = skin_of(0.3), skin_of(0.3, seed=1)
    well, moved = (
        replace(one, colour=one.colour * 10.0 ** -np.roll(spots, shift, 1)[..., None])
        for shift, one in enumerate((well, moved))
    )
    assert extract(moved, HEAD, healthy=well).layers.haemoglobin[SKIN > 0.5].mean() < 0.01


def test_what_one_side_hides_is_taken_from_the_other() -> None:
    left = np.zeros((SIDE, SIDE), np.float32)
    place = atlas_of(HEAD, SIDE).at_texels(HEAD.vertices)
    left.ravel()[atlas_of(HEAD, SIDE).texel[place[:, 0] > 0.3]] = 1.0
    ill, truth = painted(skin_of(0.3, seen=left))
    found = extract(ill, HEAD, healthy=skin_of(0.3, seen=left, seed=1))
    hidden = (SKIN > 0.5) & (left == 0)
    assert likeness(found.layers.haemoglobin, truth, hidden) > 0.6
    assert found.confidence[hidden].max() <= 0.5


def test_textures_of_two_sizes_or_without_skin_are_refused() -> None:
    small = Texture(*(one[::2, ::2] for one in vars(skin_of(0.3)).values()))
    with pytest.raises(DataError, match="unwrap both with one side"):
        extract(skin_of(0.3), HEAD, healthy=small)
    with pytest.raises(DataError, match="give a healthy photograph"):
        extract(skin_of(0.3, seen=np.zeros((SIDE, SIDE), np.float32)), HEAD)


def test_donors_weights_sum_to_one_and_pca_has_the_donors_mean_and_covariance() -> None:
    rng = np.random.default_rng(0)
    for kind in ("one", "mixup", "pca"):
        assert mixture(rng, 5, kind).sum() == pytest.approx(1.0)
    donors = rng.normal(size=(5, 3))
    drawn = np.stack([mixture(rng, 5, "pca") @ donors for _ in range(20_000)])
    np.testing.assert_allclose(drawn.mean(0), donors.mean(0), atol=0.03)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(donors.T), atol=0.05)
    with pytest.raises(ConfigError, match="no donor"):
        mixture(rng, 0)
    with pytest.raises(ConfigError, match="expected one, mixup or pca"):
        mixture(rng, 2, "all")  # type: ignore[arg-type]


def test_a_blend_is_the_weighted_sum_and_blood_is_never_negative() -> None:
    layers = [
        replace(blank(8), haemoglobin=np.full((8, 8), value, np.float32)) for value in (0.1, 0.3)
    ]
    donors = [Extracted(one, np.ones((8, 8), np.float32), "prior") for one in layers]
    assert blended(donors, np.array([0.25, 0.75])).layers.haemoglobin[0, 0] == pytest.approx(0.25)
    assert blended(donors, np.array([2.0, -1.0])).layers.haemoglobin.min() == 0.0
    with pytest.raises(DataError, match="one side"):
        blended([donors[0], replace(donors[1], layers=blank(4))], np.array([0.5, 0.5]))
