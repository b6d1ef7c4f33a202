"""A made-up photograph of the mean face, whose landmarks are known: for tests."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from fewskin.face.landmark_model import landmark_model, landmark_vertices
from fewskin.face.landmarks import Landmarks
from fewskin.face.model import FaceModel
from fewskin.face.render import render
from fewskin.face.topology import topology
from fewskin.functional.lighting import ambient, directional
from fewskin.functional.pigment import light, tone_density
from fewskin.functional.pose import View


class MeanFace(NamedTuple):
    """A photograph (H, W, 3) in linear RGB and what is in it."""

    image: np.ndarray
    landmarks: Landmarks
    model: FaceModel
    view: View


def landmarks_at(size: int) -> Landmarks:
    """Return the mean face head-on, in the middle of a picture of this side."""
    mean = topology().mean
    middle = (mean.max(0) + mean.min(0)) / 2.0
    px = 0.55 * size / np.ptp(mean[:, 1])
    points = (mean - middle) * [px, -px, -px] + [size / 2.0, size / 2.0, 0.0]
    return Landmarks(points.astype(np.float32))


def mean_face(size: int = 192, tone: float = 0.3, seed: int = 0) -> MeanFace:
    """Return the mean face, lit from above on the left, before a background of stripes."""
    rng = np.random.default_rng(seed)
    face = landmarks_at(size)
    vertices, view = landmark_vertices(face, (size, size))
    model = replace(landmark_model(), vertices=vertices)
    coarse = rng.normal(0.0, 0.03, (16, 16, 3)).astype(np.float32)
    mottle = np.kron(coarse, np.ones((16, 16, 1), np.float32))
    texture = light(tone_density(tone).astype(np.float32) + mottle)
    stripes = 0.25 + 0.1 * np.sin(np.arange(size) / 7.0)
    behind = np.broadcast_to(stripes[:, None, None], (size, size, 3)).astype(np.float32)
    behind = behind * np.float32([0.5, 0.8, 1.1])
    lamp = ambient(0.6).plus(directional((-0.6, 0.7, 1.0), 0.45))
    made = render(model, model.vertices, view, texture, light=lamp, background=behind)
    return MeanFace(np.clip(made.image, 0.0, 1.0), face, model, view)
