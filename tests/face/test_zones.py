"""Where the parts of the shipped head lie on its texture, and what completion does with them."""

import numpy as np
import pytest

from fewskin.errors import ConfigError
from fewskin.face.complete import complete
from fewskin.face.mirror import mirror_of
from fewskin.face.model import REGIONS, FaceModel, load_model
from fewskin.face.texture import Texture, atlas_of
from fewskin.face.zones import Zones, zone_distance, zones_of
from fewskin.functional.pigment import density, light, tone_density
from fewskin.paths import assets_dir
from tests.face.globe import globe

SIDE = 256


@pytest.fixture(scope="module")
def head() -> FaceModel:
    return load_model(assets_dir() / "face" / "analytic_head.npz")


@pytest.fixture(scope="module")
def zones(head: FaceModel) -> Zones:
    return zones_of(head, SIDE)


def test_every_landmark_is_in_its_zone(head: FaceModel, zones: Zones) -> None:
    assert zones.patch.sum() > 200
    assert zones.nostril.sum() > 20
    assert (zones.patch * zones.nostril).max() < 0.2  # no skin colour from a nostril
    assert zones.prior[zones.of("eyes", "mouth", "lips")].max() == 0.0
    assert zones.prior[zones.region < 0].max() == 0.0
    assert zone_distance(head, SIDE, "brows").min() < 0.2
    with pytest.raises(ConfigError, match="no zone 'chin'"):
        zone_distance(head, SIDE, "chin")


def test_scalp_is_behind_and_above_the_face(head: FaceModel, zones: Zones) -> None:
    atlas = atlas_of(head, SIDE)
    scalp = atlas.values(zones.scalp)
    place = atlas.at_texels(head.vertices)
    assert (scalp > 0.9).sum() > 100
    chin, forehead = head.landmarks(head.vertices)[[152, 151]]
    assert place[scalp > 0.5, 1].min() > chin[1]
    assert place[scalp > 0.5, 2].max() < forehead[2]


def test_the_head_is_its_own_mirror_image(head: FaceModel) -> None:
    atlas, mirror = atlas_of(head, SIDE), mirror_of(head, SIDE)
    weight = atlas.image(np.ones(len(atlas.texel)), gutter=False)
    place = np.moveaxis(atlas.image(atlas.at_texels(head.vertices), gutter=False), -1, 0)
    other = mirror.of(np.concatenate([place, weight[None]]))
    whole = mirror.valid & (other[3] > 0.999)
    error = other[:3, whole].T - atlas.at_texels(head.vertices)[whole] * [-1.0, 1.0, 1.0]
    assert whole.mean() > 0.8
    off_cm = np.linalg.norm(error, axis=1)
    face = head.region[atlas.triangle][whole] == REGIONS.index("face")
    assert np.percentile(off_cm[face], 99) < 0.05
    assert np.percentile(off_cm, 99) < 0.3  # the scalp's triangles are wide


def test_a_nostril_is_not_copied_to_the_other_side(head: FaceModel, zones: Zones) -> None:
    atlas = atlas_of(head, SIDE)
    left = atlas.image(atlas.at_texels(head.vertices)[:, 0], gutter=False) > 0.0
    black = zones.nostril > 0.05
    od = np.where(black[..., None], 2.0, tone_density(0.3)).astype(np.float32)
    known = ((zones.region >= 0) & left).astype(np.float32)
    # Taken for skin, so that only the place speaks against it.
    seen = Texture(light(od) * known[..., None], known, known, known)
    made = density(complete(seen, head).colour).mean(-1)
    right = (zones.nostril > 0.9) & ~left
    assert made[(zones.nostril > 0.9) & left].min() > 1.5
    assert made[right].mean() < 1.45  # continued from both sides; a copy would be 2
    bare = (zones.prior > 0.9) & ~left & (zones.nostril == 0) & (zones.of("face"))
    assert abs(float(np.median(made[bare])) - tone_density(0.3).mean()) < 0.05


def test_a_model_without_landmarks_has_no_zones_but_skin() -> None:
    found = zones_of(globe(24, 12), 64)
    assert found.prior.min() == 1.0
    for name in ("patch", "feature", "nostril", "scalp"):
        assert getattr(found, name).max() == 0.0
