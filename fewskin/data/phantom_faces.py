"""Simulated patients seen as faces: the conditions of the close-ups, laid on our own head.

A person has a shape, a tone, lips, brows, eyes and hair; a condition is drawn as 50 mm patches at
the places it likes. A photograph is a pose, an expression, a light, a distance and a camera. Its
masks and landmarks are drawn with it, and so exact. Simulated: nothing here is a real face.
"""

import functools
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.data.phantom import Patient, camera_of
from fewskin.data.phantom_conditions import CONDITIONS, Layers, Scene
from fewskin.face.painted import Painted, Spots, paint_person, patch_places
from fewskin.face.render import Render, render
from fewskin.functional.camera import photograph
from fewskin.functional.lighting import ambient, directional
from fewskin.functional.pigment import HAEMOGLOBIN, MELANIN, light
from fewskin.functional.pose import View, frontal_view
from fewskin.functional.skin import Grid, fold
from fewskin.seeding import rng_for

__all__ = ["FacePhotograph", "take_face"]

Floats = npt.NDArray[np.float32]

_PATCH_MM, _PX_PER_MM = 50.0, 3.0
_SIDE: Final = 512
# Landmarks about which a patch is laid; the first always, each other with the patient's severity.
_PLACES: Final = {
    "acne": (205, 425, 151, 199, 50, 280),
    "eczema": (50, 280, 151, 205, 425),
    "healthy": (50, 280, 4),
    "psoriasis": (151, 108, 337, 50),
    "lupus": (50, 280, 6),
    "perioral": (205, 425, 199),
    "rosacea": (50, 280, 4, 199, 151),
}
_LAYERS: Final = {  # of a close-up -> of a face
    "haemoglobin": "haemoglobin",
    "melanin": "melanin",
    "scale": "white",
    "pus": "yellow",
}
_FADE_MM: Final = 10.0  # at the border of a patch
_FLAKES: Final = np.array([0.70, 0.63, 0.56], dtype=np.float32)  # linear RGB
_PUS: Final = np.array([0.68, 0.55, 0.26], dtype=np.float32)


@dataclass(frozen=True, eq=False)
class FacePhotograph:
    """A photograph of a simulated patient.

    Attributes:
        pixels: (H, W, 3) uint8 sRGB.
        condition: (H, W) uint8, 255 where the condition is to be seen.
        face: (H, W) uint8, 255 where the skin of the face is.
        landmarks: (468, 3) float32, px, as `face.landmarks.Landmarks`.
    """

    pixels: npt.NDArray[np.uint8]
    condition: npt.NDArray[np.uint8]
    face: npt.NDArray[np.uint8]
    landmarks: Floats


def take_face(patient: Patient, photo: int, *, size: int, seed: int) -> FacePhotograph:
    """Return photograph `photo` of a simulated patient's face.

    Args:
        patient: from `phantom.make_patient` with the same seed.
        photo: 0, 1, ...; pose, expression, light and exposure change with it.
        size: side in pixels.
        seed: of the data set.
    """
    case = _case(patient, seed)
    rng = rng_for(seed, "phantom face photograph", patient.patient_id, photo)
    view = _view(rng, size)
    picture, vertices = _drawn(rng, case, view)
    points = view.project(case.person.model.landmarks(vertices))
    scale = view.focal_px / float(view.to_camera(np.zeros(3))[2])
    points[:, 2] = (points[:, 2] - np.median(points[:, 2])) * scale
    return FacePhotograph(
        photograph(picture.image, camera_of(rng, patient.device, size // 2), rng),
        _byte(picture.masks["condition"] * picture.region("face")),
        _byte(picture.region("face")),
        points.astype(np.float32),
    )


def _byte(share: Floats) -> npt.NDArray[np.uint8]:
    return np.where(share >= 0.5, 255, 0).astype(np.uint8)


def _view(rng: np.random.Generator, size: int) -> View:
    turn = rng.normal(0.0, [14.0, 6.0, 4.0]).clip(-35.0, 35.0)
    view = frontal_view((size, size), distance_cm=rng.uniform(50, 90), span_cm=rng.uniform(17, 21))
    return view.posed(*turn)


def _drawn(rng: np.random.Generator, case: "_Case", view: View) -> tuple[Render, Floats]:
    """Return a picture with its masks, and the head's vertices in it."""
    model = case.person.model
    moved = np.zeros(len(model.expression), np.float32)
    moved[rng.integers(len(moved), size=2)] = rng.uniform(0.0, 0.35, 2)
    rest = case.person.vertices
    vertices = (rest + (model.shape(None, moved) - model.vertices)).astype(np.float32)
    azimuth = rng.uniform(-1.2, 1.2)
    lamp = directional((np.sin(azimuth), rng.uniform(0.1, 1.0), np.cos(azimuth)), 0.75)
    passing = rng.uniform(0.85, 1.15)
    wall = (rng.uniform(0.12, 0.6) * np.exp(rng.normal(0.0, 0.08, 3))).astype(np.float32)
    made = render(
        model,
        vertices,
        view,
        case.colour(np.float32(passing)),
        light=ambient(rng.uniform(0.35, 0.6)).plus(lamp),
        background=np.broadcast_to(wall, (*view.size, 3)),
        masks={"condition": case.mask},
    )
    return made, vertices


@dataclass(frozen=True, eq=False)
class _Case:
    """A person with a condition, ready to be photographed.

    Attributes:
        person: without it.
        pale: (S^2, 3) linear RGB of the texture without the condition's blood.
        bloody: flat index of the k texels with more or less blood than in health.
        blood: (k,) density units.
        opaque: flat index of the m texels with flakes or pus.
        flakes, pus: (m, 1) opacity.
        tint: of flakes and pus on this skin, relative to light skin.
        mask: (S, S) in [0, 1], where the condition is to be seen.
    """

    person: Painted
    pale: Floats
    bloody: npt.NDArray[np.int64]
    blood: Floats
    opaque: npt.NDArray[np.int64]
    flakes: Floats
    pus: Floats
    tint: np.float32
    mask: Floats

    @classmethod
    def of(cls, person: Painted, spots: Spots) -> "_Case":
        skin = person.skin.ravel()
        od = person.density + np.multiply.outer(spots.melanin * person.skin, MELANIN)
        pale = light(od.astype(np.float32)).reshape(-1, 3)
        blood = spots.haemoglobin.ravel() * skin
        flakes, pus = (0.8 * one.ravel() * skin for one in (spots.white, spots.yellow))
        bloody, opaque = np.flatnonzero(blood), np.flatnonzero(flakes + pus)
        own = float(np.median(pale[skin > 0.5])) / 0.4
        return cls(
            person=person,
            pale=pale,
            bloody=bloody,
            blood=blood[bloody],
            opaque=opaque,
            flakes=flakes[opaque, None],
            pus=pus[opaque, None],
            tint=np.float32(0.4 + 0.6 * own),
            mask=spots.mask * person.skin,
        )

    def colour(self, passing: np.float32) -> Floats:
        """Return (S, S, 3) linear RGB of the texture; `passing` scales the redness of the day."""
        made = self.pale.copy()
        vector = HAEMOGLOBIN.astype(np.float32)
        made[self.bloody] *= light(np.multiply.outer(passing * self.blood, vector))
        covered = made[self.opaque]
        for opacity, colour in ((self.pus, _PUS), (self.flakes, _FLAKES)):
            covered += opacity * (colour * self.tint - covered)
        made[self.opaque] = covered
        return made.reshape(_SIDE, _SIDE, 3)


@functools.lru_cache(maxsize=8)
def _case(patient: Patient, seed: int) -> _Case:
    """Return a patient's person with the condition; the person does not depend on it."""
    # One number for all classes: the same person stands model for every condition.
    person = paint_person(rng_for(seed, "phantom person", patient.number), patient.tone, _SIDE)
    rng = rng_for(seed, "phantom face condition", patient.patient_id)
    total = {name: np.zeros(_SIDE**2, np.float32) for name in _LAYERS.values()}
    for i, landmark in enumerate(_PLACES[patient.label]):
        if i and rng.uniform() > 0.35 + 0.65 * patient.strength:
            continue
        texels, layers = _laid(rng, patient, person, landmark)
        for name, layer in layers.items():
            join = np.add if name == "melanin" else np.maximum
            total[name][texels] = join(total[name][texels], layer)
    spots = Spots(**{name: one.reshape(_SIDE, _SIDE) for name, one in total.items()})
    return _Case.of(person, spots)


def _laid(
    rng: np.random.Generator, patient: Patient, person: Painted, landmark: int
) -> tuple[npt.NDArray[np.int64], dict[str, Floats]]:
    """Return the texels of one patch, and its layers there, fading at the patch's border."""
    from scipy.ndimage import map_coordinates

    grid = Grid(round(_PATCH_MM * _PX_PER_MM), _PX_PER_MM)
    far = np.full((grid.size, grid.size), 1e3, np.float32)
    crease = fold(rng, grid) if rng.uniform() < 0.6 else far
    layers: Layers = CONDITIONS[patient.label](Scene(rng, grid, patient.strength, crease))
    x, y, depth = (one.ravel() for one in patch_places(person.model, landmark, _SIDE))
    away = np.hypot(x, y)
    texels = np.flatnonzero((away < 0.5 * _PATCH_MM) & (abs(depth) < 30.0))
    share = np.clip((0.5 * _PATCH_MM - away[texels]) / _FADE_MM, 0.0, 1.0)
    share = share * share * (3.0 - 2.0 * share)
    places = np.stack([y[texels], x[texels]]) * _PX_PER_MM + grid.size / 2 - 0.5
    return texels, {
        new: share * map_coordinates(getattr(layers, old), places, order=1, mode="nearest")
        for old, new in _LAYERS.items()
    }
