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
from fewskin.functional.skin import Grid, fold, smooth_step
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
    person, spots = _person(patient, seed)
    rng = rng_for(seed, "phantom face photograph", patient.patient_id, photo)
    view = _view(rng, size)
    picture, vertices = _drawn(rng, person, spots, view)
    points = view.project(person.model.landmarks(vertices))
    scale = view.focal_px / float(view.to_camera(np.zeros(3))[2])
    points[:, 2] = (points[:, 2] - np.median(points[:, 2])) * scale
    shown = picture.masks["condition"] * picture.region("face")
    return FacePhotograph(
        photograph(picture.image, camera_of(rng, patient.device, size // 2), rng),
        _byte(shown),
        _byte(picture.region("face")),
        points.astype(np.float32),
    )


def _byte(share: Floats) -> npt.NDArray[np.uint8]:
    return np.where(share >= 0.5, 255, 0).astype(np.uint8)


def _view(rng: np.random.Generator, size: int) -> View:
    turn = rng.normal(0.0, [14.0, 6.0, 4.0]).clip(-35.0, 35.0)
    view = frontal_view((size, size), distance_cm=rng.uniform(50, 90), span_cm=rng.uniform(21, 26))
    return view.posed(*turn)


def _drawn(
    rng: np.random.Generator, person: Painted, spots: Spots, view: View
) -> tuple[Render, Floats]:
    model = person.model
    moved = np.zeros(len(model.expression), np.float32)
    moved[rng.integers(len(moved), size=2)] = rng.uniform(0.0, 0.35, 2)
    vertices = (person.vertices + (model.shape(None, moved) - model.vertices)).astype(np.float32)
    azimuth = rng.uniform(-1.2, 1.2)
    lamp = directional((np.sin(azimuth), rng.uniform(0.1, 1.0), np.cos(azimuth)), 0.75)
    blood = rng.uniform(0.85, 1.15)  # passing redness
    wall = rng.uniform(0.15, 0.6, 3).astype(np.float32)
    return (
        render(
            model,
            vertices,
            view,
            _colour(person, spots, np.float32(blood)),
            light=ambient(rng.uniform(0.35, 0.6)).plus(lamp),
            background=np.broadcast_to(wall, (*view.size, 3)),
            masks={"condition": spots.mask * person.skin},
        ),
        vertices,
    )


def _colour(person: Painted, spots: Spots, blood: np.float32) -> Floats:
    """Return (S, S, 3) linear RGB of the texture with the condition on it."""
    od = person.density + np.multiply.outer(blood * spots.haemoglobin * person.skin, HAEMOGLOBIN)
    od = od + np.multiply.outer(spots.melanin * person.skin, MELANIN)
    colour = light(od.astype(np.float32))
    own = float(np.median(colour[person.skin > 0.5])) / 0.4
    for opacity, tint in ((spots.yellow, _PUS), (spots.white, _FLAKES)):
        share = (0.8 * opacity * person.skin)[..., None]
        colour = colour + share * (tint * np.float32(0.4 + 0.6 * own) - colour)
    return np.asarray(colour, dtype=np.float32)


@functools.lru_cache(maxsize=8)
def _person(patient: Patient, seed: int) -> tuple[Painted, Spots]:
    """Return a patient's person and condition; the person does not depend on the condition."""
    # One number for all classes: the same person stands model for every condition.
    person = paint_person(rng_for(seed, "phantom person", patient.number), patient.tone, _SIDE)
    rng = rng_for(seed, "phantom face condition", patient.patient_id)
    total = {name: np.zeros((_SIDE, _SIDE), np.float32) for name in vars(_zero())}
    for i, landmark in enumerate(_PLACES[patient.label]):
        if i and rng.uniform() > 0.35 + 0.65 * patient.strength:
            continue
        for name, layer in _laid(rng, patient, person, landmark).items():
            join = np.add if name == "melanin" else np.maximum
            total[name] = join(total[name], layer)
    return person, Spots(**total)


def _zero() -> Spots:
    none = np.zeros((1, 1), np.float32)
    return Spots(none, none, none, none)


def _laid(
    rng: np.random.Generator, patient: Patient, person: Painted, landmark: int
) -> dict[str, Floats]:
    """Return the layers of one patch on the texture, fading at the patch's border."""
    from scipy.ndimage import map_coordinates

    grid = Grid(round(_PATCH_MM * _PX_PER_MM), _PX_PER_MM)
    far = np.full((grid.size, grid.size), 1e3, np.float32)
    crease = fold(rng, grid) if rng.uniform() < 0.6 else far
    layers: Layers = CONDITIONS[patient.label](Scene(rng, grid, patient.strength, crease))
    x, y, depth = patch_places(person.model, landmark, _SIDE)
    away = np.hypot(x, y)
    share = smooth_step(0.42 * _PATCH_MM - away, 3.0) * (abs(depth) < 30.0)
    places = np.stack([y, x]) * _PX_PER_MM + grid.size / 2 - 0.5
    names = {"haemoglobin": "haemoglobin", "melanin": "melanin", "scale": "white", "pus": "yellow"}
    return {
        new: share * map_coordinates(getattr(layers, old), places, order=1, mode="nearest")
        for old, new in names.items()
    }
