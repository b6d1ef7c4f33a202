"""Simulated patients seen as faces: a painted person on our own head with a condition's preset.

A person has a shape, a tone, lips, brows, eyes and hair; a condition is one of `face.conditions`,
at the patient's severity. Healthy people flush, burn and wear make-up. A photograph is a pose, an
expression, a light, a distance and a camera. Its masks and landmarks are drawn with it, and so
exact. Simulated: nothing here is a real face.
"""

import functools
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.data.phantom import Patient, camera_of
from fewskin.face.affected import bare_skin
from fewskin.face.condition import present
from fewskin.face.painted import Painted, paint_person
from fewskin.face.presentation import Drawn
from fewskin.face.relief import displaced, relit
from fewskin.face.render import Render, render
from fewskin.face.skin_layers import apply
from fewskin.functional.camera import photograph
from fewskin.functional.lighting import ambient, directional
from fewskin.functional.pigment import light
from fewskin.functional.pose import View, frontal_view
from fewskin.seeding import rng_for

__all__ = ["COMMON_FACES", "RARE_FACES", "FacePhotograph", "take_face"]

Floats = npt.NDArray[np.float32]

COMMON_FACES: Final = ("acne", "healthy", "melasma", "seborrhoeic_dermatitis")
RARE_FACES: Final = ("lupus", "perioral", "rosacea")
_SIDES: Final = {128: 256, 320: 512, 10_000: 1024}  # pixels of a picture up to here: texels
# What healthy skin may show, and how often. Redness alone is no disease.
_HEALTHY: Final = {"": 0.35, "flush": 0.25, "sunburn": 0.2, "make_up": 0.2}


@dataclass(frozen=True, eq=False)
class FacePhotograph:
    """A photograph of a simulated patient.

    Attributes:
        pixels: (H, W, 3) uint8 sRGB.
        condition: (H, W) uint8, 255 where the condition is plain to see.
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
        patient: of one of `COMMON_FACES` or `RARE_FACES`, from `phantom.make_patient` with the same
            seed.
        photo: 0, 1, ...; pose, expression, light and exposure change with it.
        size: side in pixels.
        seed: of the data set.
    """
    side = next(texels for most, texels in _SIDES.items() if size <= most)
    case = _case(patient, seed, side)
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
    shape = (case.vertices + (model.shape(None, moved) - model.vertices)).astype(np.float32)
    azimuth = rng.uniform(-1.2, 1.2)
    lamp = directional((np.sin(azimuth), rng.uniform(0.1, 1.0), np.cos(azimuth)), 0.75)
    lamp = ambient(rng.uniform(0.35, 0.6)).plus(lamp)
    wall = (rng.uniform(0.12, 0.6) * np.exp(rng.normal(0.0, 0.08, 3))).astype(np.float32)
    passing = np.float32(rng.uniform(0.85, 1.15))  # redness comes and goes
    layers = case.drawn.layers
    layers = replace(layers, haemoglobin=passing * layers.haemoglobin)
    albedo = relit(apply(case.healthy, layers), layers, model, shape, view.rotation, lamp)
    made = render(
        model,
        shape,
        view,
        albedo,
        light=lamp,
        background=np.broadcast_to(wall, (*view.size, 3)),
        masks={"condition": case.drawn.mask},
    )
    return made, shape


@dataclass(frozen=True, eq=False)
class _Case:
    """A person with a condition, ready to be photographed.

    Attributes:
        person: without it.
        healthy: (S, S, 3) linear RGB of the skin without it.
        drawn: the condition, where the person's skin is bare.
        vertices: (V, 3) of the person at rest, thickened skin included, cm.
    """

    person: Painted
    healthy: Floats
    drawn: Drawn
    vertices: Floats


@functools.lru_cache(maxsize=8)
def _case(patient: Patient, seed: int, side: int) -> _Case:
    """Return a patient's person with the condition; the person does not depend on it."""
    # One number for all classes: the same person stands model for every condition.
    person = paint_person(rng_for(seed, "phantom person", patient.number), patient.tone, side)
    rng = rng_for(seed, "phantom face condition", patient.patient_id)
    name, severity = patient.label, 4.0 * patient.strength
    if name == "healthy":
        name = str(rng.choice(list(_HEALTHY), p=list(_HEALTHY.values())))
        name, severity = (name, severity) if name else ("flush", 0.0)
    drawn = present(name, person.model, rng=rng, side=side).at(severity).on(bare_skin(person))
    vertices = displaced(person.model, person.vertices, drawn.layers)
    return _Case(person, light(person.density), drawn, vertices)
