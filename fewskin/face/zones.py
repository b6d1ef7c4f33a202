"""Where a face's parts lie on a texture: patches of skin, brows, eyes, lips, nostrils."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.errors import ConfigError
from fewskin.face.model import REGIONS, FaceModel
from fewskin.face.per_model import per_model
from fewskin.face.texture import Atlas, atlas_of, smooth_step

__all__ = ["ZONES", "Zones", "zone_distance", "zones_of"]

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

# Landmarks of MediaPipe's face mesh. The subject's right is on the left of the picture.
ZONES: Final = {
    "right cheek": (50, 101, 205, 36, 187),
    "left cheek": (280, 330, 425, 266, 411),
    "nose": (4, 5, 195),
    "forehead": (151, 108, 337),
    "brows": (70, 63, 105, 66, 107, 46, 53, 52, 65, 55, 300, 293, 334, 296, 336, 276, 283, 282,
              295, 285),
    "eyes": (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246, 263, 249,
             390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
    "lips": (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40,
             185),
    "hairline": (127, 162, 21, 54, 103, 67, 109, 10, 338, 297, 332, 284, 251, 389, 356),
    "nostrils": (60, 75, 20, 166, 290, 305, 250, 392),
}  # fmt: skip
_PATCHES: Final = ("right cheek", "left cheek", "nose", "forehead")
_PATCH_CM: Final = (0.45, 1.1)
_FEATURE_CM: Final = {"brows": 0.7, "eyes": 0.6, "lips": 0.5}
_NO_SKIN_CM: Final = {"lips": 0.25, "eyes": 0.3, "nostrils": 0.35}
_NOSTRIL_CM: Final = (0.4, 0.65)


@dataclass(frozen=True, eq=False)
class Zones:
    """Maps of a topology, each (S, S) in [0, 1] and 0 outside the charts.

    Attributes:
        prior: how likely the place is bare skin before its colour is known.
        patch: where a person's skin colour is taken: cheeks, nose, forehead.
        feature: brows, eyes, lips, inside of the mouth.
        nostril: the nostrils and their rims.
        scalp: where hair grows on most heads: behind the hairline and above the ears.
        region: (S, S) int8, position in `REGIONS`; -1 outside the charts.
    """

    prior: Floats
    patch: Floats
    feature: Floats
    nostril: Floats
    scalp: Floats
    region: npt.NDArray[np.int8]

    def of(self, *names: str) -> Mask:
        """Return (S, S) whether a texel is of one of these `REGIONS`."""
        return np.isin(self.region, [REGIONS.index(name) for name in names])


@per_model
def zones_of(model: FaceModel, side: int) -> Zones:
    """Return the zones of a model's texture; made once for each model and side.

    A model without landmarks has no patches, features or nostrils: those maps are 0.
    """
    return _make(model, atlas_of(model, side))


def zone_distance(model: FaceModel, side: int, zone: str) -> Floats:
    """Return (n,) cm from each covered texel to the nearest landmark of a zone, on the mean face.

    Args:
        model: face model; landmarks it does not have are left out.
        side: texels of the texture.
        zone: a key of `ZONES`.

    Returns:
        distances; inf everywhere where the model has no landmark of the zone.

    Raises:
        ConfigError: an unknown zone.
    """
    from scipy.spatial import cKDTree

    if zone not in ZONES:
        raise ConfigError(f"no zone {zone!r} on a face; there are: {', '.join(ZONES)}.")
    atlas = atlas_of(model, side)
    far = np.full(len(atlas.texel), np.inf, np.float32)
    if not len(model.landmark_triangles):
        return far
    places = model.landmarks(model.vertices)[list(ZONES[zone])]
    places = places[np.isfinite(places).all(1)]
    if not len(places):
        return far
    return np.asarray(cKDTree(places).query(atlas.at_texels(model.vertices))[0], np.float32)


def _make(model: FaceModel, atlas: Atlas) -> Zones:
    distance = {zone: zone_distance(model, atlas.side, zone) for zone in ZONES}
    region = model.region[atlas.triangle]
    by_region = np.array([{"face": 1.0, "head": 0.9}.get(name, 0.0) for name in REGIONS])
    prior = by_region[region]
    for zone, radius in _NO_SKIN_CM.items():
        prior = prior * smooth_step(distance[zone], 0.3 * radius, radius)
    scalp = _scalp(model, atlas.at_texels(model.vertices)) * np.isin(region, [0, 2])
    prior = prior * (1.0 - 0.5 * scalp)
    nearest = np.minimum.reduce([distance[zone] for zone in _PATCHES])
    patch = (1.0 - smooth_step(nearest, *_PATCH_CM)) * prior
    feature = np.isin(region, [REGIONS.index(n) for n in ("lips", "eyes", "mouth")]).astype(float)
    for zone, radius in _FEATURE_CM.items():
        feature = np.maximum(feature, 1.0 - smooth_step(distance[zone], radius, 1.3 * radius))
    nostril = 1.0 - smooth_step(distance["nostrils"], *_NOSTRIL_CM)
    regions = np.full(atlas.side**2, -1, np.int8)
    regions[atlas.texel] = region
    return Zones(
        prior=atlas.image(prior, gutter=False),
        patch=atlas.image(patch, gutter=False),
        feature=atlas.image(feature, gutter=False),
        nostril=atlas.image(nostril, gutter=False),
        scalp=atlas.image(scalp, gutter=False),
        region=regions.reshape(atlas.side, atlas.side),
    )


def _scalp(model: FaceModel, place: Floats) -> Floats:
    """Return (n,) how far points of the mean face lie behind the hairline and above the ears."""
    if not len(model.landmark_triangles):
        return np.zeros(len(place), np.float32)
    line = model.landmarks(model.vertices)[list(ZONES["hairline"])]
    line = line[np.isfinite(line).all(1)]
    if len(line) < 3:
        return np.zeros(len(place), np.float32)
    line = line[np.argsort(line[:, 1])]
    lowest, ear = line[0, 1], line[:2, 2].mean()
    front = np.interp(place[:, 1], line[:, 1], line[:, 2])
    above = smooth_step(front - place[:, 2], 0.3, 1.3) * smooth_step(place[:, 1] - lowest, 0.8, 2.0)
    behind = smooth_step(ear - place[:, 2], 5.0, 6.5) * smooth_step(
        place[:, 1] - lowest, -8.0, -6.0
    )
    return np.maximum(above, behind)
