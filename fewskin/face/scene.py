"""What a new picture of a person is like: pose, expression, shape, light, tone, exposure.

Every range is a dial in its own unit; at 0 that part stays as in the photograph. Redness is never
changed: tone moves melanin alone, light is neutral, exposure scales all channels.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fewskin.errors import DataError
from fewskin.face.model import FaceModel
from fewskin.face.render import Render
from fewskin.face.subject import Subject
from fewskin.functional.lighting import Light, ambient, directional
from fewskin.functional.pose import View, angles_of
from fewskin.functional.raster import Kernel
from fewskin.protocols import Knob
from fewskin.tables import Schema

__all__ = [
    "KNOBS",
    "VIEWS",
    "Placed",
    "Scene",
    "draw_scene",
    "exposed",
    "picture_of",
    "placed",
    "still",
]

Floats = npt.NDArray[np.float32]

KNOBS: Final[Mapping[str, Knob]] = {
    "yaw_deg": Knob(0.0, 40.0, 20.0, "degrees, most to either side"),
    "pitch_deg": Knob(0.0, 20.0, 7.0, "degrees, most up or down"),
    "roll_deg": Knob(0.0, 30.0, 6.0, "degrees, most to either side"),
    "expression": Knob(0.0, 1.0, 0.25, "share of an expression, most; models that have them"),
    "identity": Knob(0.0, 2.0, 0.4, "standard deviations of the head's shape; models that have it"),
    "light": Knob(0.0, 1.0, 0.4, "share of the light that is replaced, most"),
    "tone": Knob(0.0, 0.2, 0.0, "melanin density, most more or less"),
    "exposure_ev": Knob(0.0, 1.0, 0.2, "stops, most to either side"),
}


_MODES: Final = 40  # of identity that are changed

_NUMBERS: Final = ("yaw_deg", "pitch_deg", "roll_deg", "light", "melanin", "exposure_ev")
_PARAMS: Final = (*_NUMBERS, "expression_norm", "identity_norm")
VIEWS: Final = Schema(
    name="views",
    required=("image_id", "path", "parent_ids", "background", "seed", *_PARAMS, "scene"),
    unique=("image_id",),
    sort=("image_id",),
)


@dataclass(frozen=True, eq=False)
class Scene:
    """How a new picture differs from the photograph.

    Attributes:
        yaw_deg, pitch_deg, roll_deg: turn from the photograph's pose, see `functional.pose`.
        expression: (E,) added to the photograph's coefficients.
        identity: (I,) added likewise, standard deviations.
        light: share of the photograph's light that `lamp` replaces.
        lamp: another light, of mean 1 on the face.
        melanin: density added along the melanin vector.
        exposure_ev: stops.
    """

    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    expression: Floats
    identity: Floats
    light: float
    lamp: Light
    melanin: float
    exposure_ev: float

    @property
    def params(self) -> dict[str, float]:
        """Its numbers, for the record; of expression and identity the length."""
        made = {name: float(getattr(self, name)) for name in _NUMBERS}
        lengths = (float(np.linalg.norm(one)) for one in (self.expression, self.identity))
        return made | dict(zip(_PARAMS[len(_NUMBERS) :], lengths, strict=True))

    def to_json(self) -> str:
        """Return all of it in one line of JSON; `from_json` gives the same scene back."""
        whole = {name: float(getattr(self, name)) for name in _NUMBERS}
        lists = {name: _short(getattr(self, name)) for name in ("expression", "identity")}
        return json.dumps({**whole, **lists, "lamp": _short(self.lamp.coefficients.ravel())})

    @classmethod
    def from_json(cls, text: str) -> "Scene":
        """Return the scene of `to_json`.

        Raises:
            DataError: the text is no scene.

        Example:
            >>> Scene.from_json(still(yaw_deg=20.0).to_json()).yaw_deg
            20.0
        """
        try:
            known = json.loads(text)
            for name in ("expression", "identity", "lamp"):
                known[name] = np.asarray(known[name], np.float32)
            return cls(**{**known, "lamp": Light(known["lamp"].reshape(9, 3))})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataError(
                f"not a scene ({error}); expected the column `scene` of views.csv."
            ) from None


def _short(values: Floats) -> list[float]:
    """Return float32 numbers as the shortest decimals that are read back as the same."""
    return [float(str(value)) for value in np.asarray(values, np.float32)]


def still(*, yaw_deg: float = 0.0, pitch_deg: float = 0.0, roll_deg: float = 0.0) -> Scene:
    """Return a scene that is the photograph's but for the pose."""
    none = np.zeros(0, np.float32)
    return Scene(yaw_deg, pitch_deg, roll_deg, none, none, 0.0, ambient(), 0.0, 0.0)


def draw_scene(rng: np.random.Generator, knobs: Mapping[str, float], model: FaceModel) -> Scene:
    """Return a scene within the ranges of `KNOBS`.

    The same seed gives the same scene whatever the model: every number is drawn every time.

    Args:
        rng: of this picture.
        knobs: a value for every one of `KNOBS`.
        model: whose shape and expression can be changed, if it has modes.
    """
    n_identity, n_expression = min(len(model.identity), _MODES), len(model.expression)
    turn = rng.uniform(-1.0, 1.0, 3) * [
        knobs[name] for name in ("yaw_deg", "pitch_deg", "roll_deg")
    ]
    share, melanin, exposure = rng.uniform(0.0, 1.0), *rng.uniform(-1.0, 1.0, 2)
    azimuth, height = rng.uniform(-1.2, 1.2), rng.uniform(0.0, 1.0)
    lamp = directional((np.sin(azimuth), height, np.cos(azimuth)), 0.75).plus(ambient(0.45))
    modes = rng.integers(1 << 30, size=2)
    weights = rng.uniform(0.0, 1.0, 2)
    expression = np.zeros(n_expression, np.float32)
    if n_expression:
        expression[modes % n_expression] = knobs["expression"] * weights
    return Scene(
        yaw_deg=float(turn[0]),
        pitch_deg=float(turn[1]),
        roll_deg=float(turn[2]),
        expression=expression,
        identity=(knobs["identity"] * rng.standard_normal(n_identity)).astype(np.float32),
        light=float(knobs["light"] * share),
        lamp=lamp,
        melanin=float(knobs["tone"] * melanin),
        exposure_ev=float(knobs["exposure_ev"] * exposure),
    )


def picture_of(
    subject: Subject,
    scene: Scene,
    size: int,
    *,
    masks: Mapping[str, Floats] | None = None,
    background: Floats | None = None,
    kernel: Kernel = "auto",
) -> Render:
    """Return a picture of a person in a scene, its longer side `size` pixels.

    Args:
        subject: the person.
        scene: what is different from the photograph.
        size: longer side, pixels.
        masks: name -> (S, S) in [0, 1] on the texture.
        background: (h, w, 3) linear RGB in place of the photograph's surroundings.
        kernel: of `functional.raster`.
    """
    at = placed(subject, scene, size)
    made = subject.picture(
        at.view,
        vertices=at.vertices,
        light=at.light,
        melanin=scene.melanin,
        background=background,
        masks=masks,
        kernel=kernel,
    )
    return exposed(made, scene)


class Placed(NamedTuple):
    """A person in a scene.

    Attributes:
        view: pose and camera.
        vertices: (V, 3) of the scene's shape and expression, cm.
        light: in the scene's axes.
    """

    view: View
    vertices: Floats
    light: Light


def placed(subject: Subject, scene: Scene, size: int) -> Placed:
    """Return where a person is in a scene whose picture's longer side is `size` pixels."""
    view = subject.fit.view
    yaw, pitch, roll = angles_of(view.rotation)
    turned = view.scaled(size / max(view.size)).posed(
        yaw + scene.yaw_deg, pitch + scene.pitch_deg, roll + scene.roll_deg
    )
    light = subject.light.mixed(scene.lamp, scene.light)
    return Placed(turned, _shape(subject, scene), light)


def exposed(made: Render, scene: Scene) -> Render:
    """Return a picture at the scene's exposure."""
    return replace(made, image=made.image * np.float32(2.0**scene.exposure_ev))


def _shape(subject: Subject, scene: Scene) -> Floats:
    """Return the person's vertices with the scene's shape and expression on top."""
    model, fit = subject.model, subject.fit
    if not len(scene.expression) and not len(scene.identity):
        return fit.vertices
    whole = np.zeros(len(model.expression), np.float32)
    whole[: len(fit.expression)] = fit.expression
    identity = np.zeros(max(len(fit.identity), len(scene.identity)), np.float32)
    identity[: len(fit.identity)] = fit.identity
    before = model.shape(identity, whole)
    identity[: len(scene.identity)] += scene.identity
    if len(scene.expression):
        whole = np.clip(whole + scene.expression, 0.0, 1.0)
    after = model.shape(identity, whole)
    return np.asarray(fit.vertices + (after - before))
