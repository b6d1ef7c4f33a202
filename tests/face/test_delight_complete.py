"""Skin likelihood, light, completion and fusion against textures whose answer is known."""

from dataclasses import replace

import numpy as np
import pytest

from fewskin.errors import ConfigError, DataError
from fewskin.face.complete import complete
from fewskin.face.delight import delight, relight, shading
from fewskin.face.fuse import exposure_gains, fuse
from fewskin.face.mirror import mirror_of
from fewskin.face.skin import SkinReference, likelihood, pigments, skin_likelihood, skin_reference
from fewskin.face.texture import Texture, atlas_of
from fewskin.functional.lighting import ambient, directional
from fewskin.functional.pigment import HAEMOGLOBIN, SHADING, density, light, tone_density
from tests.face.globe import globe, texel_directions

SIDE = 128
UNIT = texel_directions(SIDE).astype(np.float32)
FRONT = (UNIT[..., 2] > 0.1).astype(np.float32)
MODEL = globe()
TINT = np.array([0.1, 0.0, -0.1])


def texture(od: np.ndarray, confidence: np.ndarray = FRONT, skin: np.ndarray = FRONT) -> Texture:
    colour = light(np.broadcast_to(od, (SIDE, SIDE, 3)).astype(np.float32))
    return Texture(colour * (confidence > 0)[..., None], confidence, skin, confidence.copy())


@pytest.mark.parametrize("tone", [0.0, 0.3, 0.7, 1.0])
def test_skin_of_any_tone_is_skin_and_hair_and_background_are_not(tone: float) -> None:
    base = tone_density(tone)
    od = np.broadcast_to(base, (SIDE, SIDE, 3)).copy()
    od[50:60, 50:60] = base + 0.25 * HAEMOGLOBIN  # a flush
    od[70:80, 50:60] = base + 0.15 * SHADING  # shade
    od[50:60, 70:80] = density(np.array([0.008, 0.007, 0.006]))  # black hair
    od[70:80, 70:80] = density(np.array([0.15, 0.4, 0.2]))  # a green wall
    found = skin_likelihood(texture(od), MODEL)
    middle = {k: found[r + 3 : r + 7, c + 3 : c + 7] for k, (r, c) in
              {"skin": (30, 60), "flush": (50, 50), "shade": (70, 50), "hair": (50, 70),
               "wall": (70, 70)}.items()}  # fmt: skip
    assert min(middle[k].min() for k in ("skin", "flush", "shade")) > 0.7
    assert max(middle[k].max() for k in ("hair", "wall")) < 0.2
    assert found.min() >= 0.0
    assert found[:, :10].max() == 0.0  # the back is not seen


def test_a_fringe_over_a_third_of_the_face_does_not_move_the_reference() -> None:
    base = tone_density(0.4)
    od = np.broadcast_to(base, (SIDE, SIDE, 3)).copy()
    od[:50] = density(np.array([0.02, 0.015, 0.01]))
    found = skin_reference(texture(od), MODEL)
    np.testing.assert_allclose(found.centre, base, atol=0.02)
    with pytest.raises(DataError, match="seen"):
        skin_reference(texture(od, confidence=np.zeros_like(FRONT)), MODEL)


def test_likelihood_falls_with_distance() -> None:
    reference = SkinReference(np.array([0.4, 0.6, 0.7]), 0.04, 0.1)
    odd = reference.centre + np.outer(np.linspace(0, 0.4, 9), [1.0, -0.5, -0.5])
    assert (np.diff(likelihood(odd, reference)) < 0).all()


@pytest.mark.parametrize("ridge", [0.0, 1.0])
def test_delight_recovers_a_known_light(ridge: float) -> None:
    lamp = ambient(0.7).plus(directional((0.4, 0.5, 1.0), 0.35))
    flat = texture(tone_density(0.4))
    lit = relight(flat, lamp, UNIT)
    found = delight(lit, MODEL, UNIT, ridge=ridge)
    seen = FRONT > 0
    ratio = found.shading[seen][:, 0] / shading(lamp, UNIT)[seen][:, 0]
    spread = ratio.std() / ratio.mean()
    assert spread < (0.005 if ridge == 0 else 0.05)
    before = lit.colour[seen][:, 1].std() / lit.colour[seen][:, 1].mean()
    after = found.albedo.colour[seen][:, 1].std() / found.albedo.colour[seen][:, 1].mean()
    assert after < 0.45 * before
    assert found.shading.min() >= 0.6
    assert found.shading.max() <= 1.6


def test_shading_is_the_light_within_its_range() -> None:
    lamp = ambient(0.9).plus(directional((0.0, 0.3, 1.0), 0.2, (1.0, 0.9, 0.8)))
    expected = np.clip(lamp.shade(UNIT), 0.6, 1.6)
    np.testing.assert_allclose(shading(lamp, UNIT), expected, atol=1e-4)
    assert (shading(lamp, np.zeros((2, 2, 3), np.float32)) == 1.0).all()  # outside the charts


def test_the_albedo_shows_the_photograph_again_under_its_light() -> None:
    lit = relight(texture(tone_density(0.2)), directional((1.0, 0.2, 0.6)).plus(ambient()), UNIT)
    found = delight(lit, MODEL, UNIT)
    again = relight(found.albedo, found.light, UNIT)
    np.testing.assert_allclose(again.colour, lit.colour, rtol=1e-5, atol=1e-7)


def test_a_diffuse_flush_stays_in_the_albedo() -> None:
    flush = 0.3 * np.clip(UNIT[..., 2], 0, 1) ** 2  # smooth in the normal, as light is
    red = texture(tone_density(0.3) + flush[..., None] * HAEMOGLOBIN)
    seen, base = FRONT > 0, tone_density(0.3)

    def kept(coloured: bool) -> float:
        albedo = delight(red, MODEL, UNIT, coloured=coloured).albedo
        reference = SkinReference(base, 0.04, 0.1)
        found = pigments(albedo, MODEL, reference=reference).haemoglobin[seen]
        return float(np.polyfit(flush[seen], found, 1)[0])

    assert kept(False) == pytest.approx(1.0, abs=0.02)  # neutral light cannot take chroma
    assert kept(True) < 0.97
    plain = delight(red, MODEL, UNIT)
    assert plain.shading[seen].std() < 0.04


def test_delight_refuses_what_it_cannot_use() -> None:
    flat = texture(tone_density(0.4))
    with pytest.raises(ConfigError, match="ridge"):
        delight(flat, MODEL, UNIT, ridge=-1.0)
    with pytest.raises(DataError, match="normals"):
        delight(flat, MODEL, UNIT[:64, :64])
    with pytest.raises(DataError, match="too little skin"):
        delight(replace(flat, skin=np.zeros_like(FRONT)), MODEL, UNIT)


def test_a_mirror_image_is_at_the_opposite_azimuth() -> None:
    mirror = mirror_of(MODEL, SIDE)
    row, column = np.divmod(mirror.texel, SIDE)
    inner = np.abs(row - SIDE / 2) < 50
    assert mirror.valid[inner].all()
    # A globe of flat facets: a texel's mirror image is on the chord, up to .1 texel off.
    np.testing.assert_allclose(mirror.x[inner], SIDE - (column[inner] + 0.5), atol=0.1)
    np.testing.assert_allclose(mirror.y[inner], row[inner] + 0.5, atol=0.1)


def half_seen() -> tuple[np.ndarray, np.ndarray]:
    """A symmetric pattern of density, and confidence that ends a little beyond the middle."""
    od = tone_density(0.4) + 0.1 * np.sin(9 * UNIT[..., 1:2]) * np.cos(
        7 * np.abs(UNIT[..., :1])
    ) * [1.0, 1.0, 1.0]
    return od, (FRONT * (UNIT[..., 0] < 0.2)).astype(np.float32)


def test_completion_recovers_the_hidden_half_of_a_symmetric_texture() -> None:
    od, seen = half_seen()
    made = complete(texture(od, seen, seen), MODEL)
    hidden = (
        (UNIT[..., 0] > 0.3) & (UNIT[..., 0] < 0.9) & (FRONT > 0) & (np.abs(UNIT[..., 1]) < 0.8)
    )
    error = density(made.colour) - od
    assert np.sqrt((error[hidden] ** 2).mean()) < 0.01
    assert np.sqrt((error[seen > 0] ** 2).mean()) < 0.002
    assert made.confidence[hidden].mean() == pytest.approx(0.5, abs=0.02)
    plain = complete(texture(od, seen, seen), MODEL, mirror=False)
    assert plain.confidence[hidden].max() == 0.0
    assert np.sqrt(((density(plain.colour) - od)[hidden] ** 2).mean()) > 0.03


def test_the_mirrored_half_takes_the_brightness_of_its_side_without_a_seam() -> None:
    od, _ = half_seen()
    seen = FRONT * np.clip((0.4 - UNIT[..., 0]) / 0.3, 0, 1).astype(np.float32)
    side_light = 0.12 * np.clip(UNIT[..., :1] / 0.2, -1, 1)  # each side has its own
    made = complete(texture(od + side_light, seen, seen), MODEL)
    across = np.diff(density(made.colour) - od - side_light, axis=1)[40:88, 60:100]
    assert np.abs(across).max() < 0.03
    far = (UNIT[..., 0] > 0.4) & (UNIT[..., 0] < 0.8) & (FRONT > 0) & (np.abs(UNIT[..., 1]) < 0.5)
    assert abs(float((density(made.colour) - od)[far].mean()) - 0.12) < 0.05


def test_hair_is_not_copied_to_the_other_side() -> None:
    od, seen = half_seen()
    fringe = (UNIT[..., 1] > 0.3) & (UNIT[..., 1] < 0.6) & (UNIT[..., 0] < -0.4)
    hairy = np.where(fringe[..., None], density(np.array([0.02, 0.02, 0.02])), od)
    made = complete(texture(hairy, seen, seen * ~fringe), MODEL)
    copied = fringe[:, ::-1] & (FRONT > 0)
    assert density(made.colour)[copied].mean(1).max() < 1.0
    kept = fringe & (seen > 0)
    assert density(made.colour)[kept].mean(1).min() > 1.4  # on its own side it stays


def test_every_texel_gets_a_colour_that_some_skin_has() -> None:
    made = complete(texture(tone_density(0.6)), MODEL)
    error = density(made.colour) - tone_density(0.6)
    assert np.abs(error).max() < 0.02
    assert made.confidence[UNIT[..., 2] < 0.05].max() == 0.0
    with pytest.raises(DataError, match="nothing"):
        complete(texture(tone_density(0.6), np.zeros_like(FRONT)), MODEL)


def test_an_inpainter_fills_what_neither_half_shows() -> None:
    asked = []

    def green(colour: np.ndarray, missing: np.ndarray) -> np.ndarray:
        asked.append(missing)
        return np.broadcast_to(np.float32([0.0, 1.0, 0.0]), colour.shape)

    made = complete(texture(tone_density(0.6)), MODEL, inpaint=green)
    assert (asked[0] == (FRONT < 0.5)).mean() > 0.98
    np.testing.assert_allclose(made.colour[SIDE // 2, 3], [0.0, 1.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(density(made.colour[64, 64]), tone_density(0.6), atol=1e-3)
    with pytest.raises(DataError, match="inpainter"):
        complete(texture(tone_density(0.6)), MODEL, inpaint=lambda colour, missing: colour[:5])


def test_fusion_takes_each_texel_from_who_saw_it_at_one_exposure() -> None:
    od, _ = half_seen()
    left = texture(od, (FRONT * (UNIT[..., 0] < 0.3)).astype(np.float32))
    right = texture(od, (FRONT * (UNIT[..., 0] > -0.3)).astype(np.float32))
    right = replace(right, colour=right.colour * np.float32(1.44))
    np.testing.assert_allclose(exposure_gains([left, right]), [1.2, 1 / 1.2], rtol=1e-3)
    made = fuse([left, right])
    seen = FRONT > 0
    np.testing.assert_allclose(made.colour[seen], 1.2 * light(od)[seen], rtol=2e-3)
    assert made.confidence[seen].min() == 1.0
    assert made.confidence[~seen].max() == 0.0


def test_fusion_prefers_the_sharper_photograph() -> None:
    sharp, soft = texture(tone_density(0.2)), texture(tone_density(0.2) + TINT)
    made = fuse([sharp, replace(soft, density=soft.density * np.float32(0.4))])
    shift = density(made.colour)[64, 64] - density(sharp.colour)[64, 64]
    assert abs(shift[0] - shift[2]) < 0.03  # of .2; half would be .1


def test_fusion_refuses_photographs_without_common_skin() -> None:
    left = texture(tone_density(0.2), (FRONT * (UNIT[..., 0] < -0.1)).astype(np.float32))
    right = texture(tone_density(0.2), (FRONT * (UNIT[..., 0] > 0.1)).astype(np.float32))
    with pytest.raises(DataError, match="no skin"):
        fuse([left, right])
    with pytest.raises(DataError, match="at least one"):
        fuse([])
    small = Texture(*(part[:64, :64] for part in vars(left).values()))
    with pytest.raises(DataError, match="one side"):
        fuse([left, small])


def test_a_texture_of_unequal_parts_is_refused() -> None:
    flat = texture(tone_density(0.2))
    with pytest.raises(DataError, match="skin"):
        Texture(flat.colour, flat.confidence, flat.skin[:5], flat.density)
    assert atlas_of(MODEL, SIDE).covered.all()
