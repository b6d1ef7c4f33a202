"""The skin of a made-up person on our own head: tone, lips, brows, eyes, hair, and what is on it.

Everything is a layer of optical density on the texture, so that a picture, its masks and its labels
agree. Simulated: it looks like a painted mannequin, not like a photograph.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.face.analytic import analytic_head
from fewskin.face.head_shape import EYE_CENTRES
from fewskin.face.model import REGIONS, FaceModel
from fewskin.face.per_model import per_model
from fewskin.face.texture import atlas_of
from fewskin.face.topology import LEFT_BROW, RIGHT_BROW
from fewskin.functional.pigment import HAEMOGLOBIN, MELANIN, tone_density
from fewskin.functional.skin import Grid, noise, smooth_step

__all__ = ["Painted", "paint_person"]

Floats = npt.NDArray[np.float32]

_GRID_MM: Final = 220.0  # of the texture, about: noise is drawn in millimetres
_LIPS: Final = np.array([0.10, 0.22, 0.20])  # density over skin
_HAIR: Final = np.array(
    [[1.5, 1.55, 1.6], [1.1, 1.3, 1.5], [0.45, 0.65, 1.0], [0.5, 0.52, 0.55]], dtype=np.float32
)
_IRIS: Final = np.array(
    [[1.0, 1.2, 1.4], [0.8, 0.95, 1.2], [0.75, 0.6, 0.5], [0.7, 0.65, 0.75]], dtype=np.float32
)
_SCLERA, _PUPIL = 0.12, 1.7
_TEETH: Final = np.array([0.10, 0.13, 0.22], dtype=np.float32)
_GUMS: Final = np.array([0.35, 0.75, 0.7], dtype=np.float32)
_IRIS_CM, _PUPIL_CM = 0.6, 0.26
_HAIRLINE_CM: Final = 8.6  # height of the model above which hair may grow, at the middle


@dataclass(frozen=True, eq=False)
class Painted:
    """A made-up person.

    Attributes:
        model: our own head.
        vertices: (V, 3) of the person at rest, cm.
        density: (S, S, 3) optical density of the texture without a condition.
        skin: (S, S) in [0, 1], bare skin of the face, where conditions may be.
    """

    model: FaceModel
    vertices: Floats
    density: Floats
    skin: Floats


def paint_person(rng: np.random.Generator, tone: float, side: int = 512) -> Painted:
    """Return a person of a skin tone; everything else is drawn.

    Args:
        rng: of the person.
        tone: 0 very light to 1 dark, see `functional.pigment`.
        side: texels of the texture.
    """
    model = analytic_head()
    atlas, canvas = atlas_of(model, side), _canvas(model, side)
    grid = Grid(side, side / _GRID_MM)
    red = atlas.values(noise(rng, grid, (3.0, 9.0, 30.0)))
    brown = atlas.values(noise(rng, grid, (6.0, 24.0)))
    blood = np.float32(0.02) * red + canvas.flush * np.float32(rng.uniform(0.0, 0.06))
    od = np.multiply.outer(blood, HAEMOGLOBIN.astype(np.float32))
    od += np.multiply.outer(np.float32(0.015) * brown, MELANIN.astype(np.float32))
    od += tone_density(tone).astype(np.float32)
    od[canvas.lips] += _LIPS.astype(np.float32)
    hair = _HAIR[int(rng.integers(4 if tone < 0.6 else 2))]
    bald = rng.uniform() < 0.15
    brows = canvas.brows * np.float32(rng.uniform(0.6, 0.95))
    covered = brows if bald else np.maximum(canvas.hairline, brows)
    strands = np.float32(0.12) * atlas.values(noise(rng, grid, (1.5, 3.0)))
    od += covered[:, None] * (hair + strands[:, None] - od)
    od[canvas.inside] = canvas.paints[int(rng.integers(len(_IRIS)))]
    skin = canvas.face * (1.0 - np.clip(1.5 * covered, 0.0, 1.0))
    shape = model.shape(rng.normal(0.0, 0.8, len(model.identity)).astype(np.float32))
    return Painted(model, shape, atlas.image(od), atlas.image(skin.astype(np.float32)))


@dataclass(frozen=True, eq=False)
class _Canvas:
    """What every person has in the same texels, (n,) over the atlas.

    Attributes:
        face: 1 on the skin of the face.
        lips: flat index of the lips' texels.
        flush: where blood lies near the surface in health.
        brows: share covered by brows.
        hairline: share covered by hair.
        inside: flat index of the texels of eyes and mouth.
        paints: (irises, k, 3) their density for each colour of the iris.
    """

    face: Floats
    lips: npt.NDArray[np.int64]
    flush: Floats
    brows: Floats
    hairline: Floats
    inside: npt.NDArray[np.int64]
    paints: Floats


@per_model
def _canvas(model: FaceModel, side: int) -> _Canvas:
    atlas = atlas_of(model, side)
    place = atlas.at_texels(model.vertices)
    region = model.region[atlas.triangle]
    inside = np.flatnonzero(np.isin(region, [REGIONS.index("eyes"), REGIONS.index("mouth")]))
    height = model.uv[model.uv_triangles[atlas.triangle[inside], 0], 1]
    paints = [_inside(place[inside], region[inside], height, iris) for iris in _IRIS]
    face = (region == REGIONS.index("face")).astype(np.float32)
    return _Canvas(
        face=face,
        lips=np.flatnonzero(region == REGIONS.index("lips")),
        flush=_flush(model, place),
        brows=_brows(model, place) * face,
        hairline=_hairline(place, region).astype(np.float32),
        inside=inside,
        paints=np.stack(paints),
    )


def _flush(model: FaceModel, place: Floats) -> Floats:
    """Return (n,) where blood lies near the surface in health: cheeks and tip of the nose."""
    marks = model.landmarks(model.vertices)[[50, 280, 4]]
    apart = np.linalg.norm(place[:, None] - marks, axis=2)
    return np.asarray(np.exp(-((apart / [2.6, 2.6, 1.4]) ** 2)).sum(1), dtype=np.float32)


def _brows(model: FaceModel, place: Floats) -> Floats:
    marks = model.landmarks(model.vertices)
    found = np.zeros(len(place), np.float32)
    for ring in (RIGHT_BROW, LEFT_BROW):
        line = 0.5 * (marks[list(ring[:5])] + marks[list(ring[5:])])
        steps = np.linspace(0.0, 4.0, 40)
        points = np.stack([np.interp(steps, np.arange(5.0), line[:, i]) for i in range(3)], 1)
        width = np.interp(steps, [0.0, 4.0], [0.2, 0.36])
        near = (np.linalg.norm(place[:, None] - points, axis=2) / width).min(1)
        found = np.maximum(found, np.clip(1.7 - near, 0.0, 1.0).astype(np.float32))
    return found


def _hairline(place: Floats, region: npt.NDArray[np.uint8]) -> Floats:
    """Return (n,) in [0, 1] where hair grows: above the forehead, behind the temples and ears."""
    x, y, z = place.T
    height = y - (_HAIRLINE_CM - 0.035 * x * x - 0.9 * np.clip(4.0 - z, 0.0, 7.0))
    ears = (abs(x) > 7.2) & (y < 5.5) & (z > -2.5)
    return smooth_step(height, 0.25) * np.isin(region, [0, 2]) * ~ears


def _inside(place: Floats, region: npt.NDArray[np.uint8], height: Floats, iris: Floats) -> Floats:
    """Return (k, 3) density of iris, pupil and white, of teeth and gums.

    Args:
        place: (k, 3) of texels of eyes and mouth, cm.
        region: (k,) position in `REGIONS`.
        height: (k,) v on the texture.
        iris: (3,) density.
    """
    nearest = EYE_CENTRES[(place[:, 0] > 0).astype(int)]
    apart = np.hypot(*(place - nearest)[:, :2].T)
    eyes = region == REGIONS.index("eyes")
    front = eyes & (place[:, 2] > nearest[:, 2])
    made = np.where(height[:, None] < 0.14, _TEETH, _GUMS).astype(np.float32)
    made[eyes] = _SCLERA
    made[front & (apart < _IRIS_CM)] = iris
    made[front & (apart < _PUPIL_CM)] = _PUPIL
    return made
