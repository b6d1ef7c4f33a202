"""People with a condition: one picture, a progression, a pair that differs in nothing else.

Every picture takes the same way, severity 0 too: layers on the albedo, relief in the person's
light, the same renderer. So a healthy picture bears no sign of another way.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fewskin.face.annotations import SeenInstance, seen_instances
from fewskin.face.painted import Painted
from fewskin.face.presentation import Drawn, Presentation, Severity
from fewskin.face.relief import displaced, relit
from fewskin.face.render import Render, render
from fewskin.face.skin_layers import apply, resized
from fewskin.face.subject import PARTS, Subject, border_opacity
from fewskin.face.texture import Texture, smooth_step
from fewskin.face.zones import zones_of
from fewskin.functional.lighting import Light, ambient, directional
from fewskin.functional.pigment import light as light_of
from fewskin.functional.pose import View

__all__ = [
    "Affected",
    "Worn",
    "affected",
    "bare_skin",
    "counterfactual",
    "opened",
    "progression",
    "worn_by",
]

Floats = npt.NDArray[np.float32]

_BARE: Final = (0.1, 0.5)  # likelihood of skin: none, certain
_KNOWN: Final = (0.03, 0.15)  # confidence of a texel that the photograph shows
_WALL: Final = 0.3  # linear grey behind a painted person


@dataclass(frozen=True, eq=False)
class Affected:
    """A picture of a person with a condition, and what is on it.

    Attributes:
        render: the picture; `render.masks` holds a mask for each feature of the condition.
        drawn: the condition on the texture, where the person's skin is bare.
        instances: lesions that this picture shows.
    """

    render: Render
    drawn: Drawn
    instances: tuple[SeenInstance, ...]


def bare_skin(person: Painted | Subject) -> Floats:
    """Return (S, S) in [0, 1]: where a person's own skin is to be seen, not hair, not what is worn.

    The lips count: conditions leave them out themselves, lipstick does not.

    Args:
        person: painted, or taken from a photograph.
    """
    if isinstance(person, Painted):
        lips = zones_of(person.model, len(person.skin)).of("lips")
        return np.maximum(person.skin, lips.astype(np.float32))
    known = smooth_step(person.albedo.confidence, *_KNOWN)
    model, side = person.model, person.albedo.side
    own = np.maximum(smooth_step(person.albedo.skin, *_BARE), zones_of(model, side).of("lips"))
    return np.asarray(own * border_opacity(model, side) * np.maximum(person.opacity, known))


def opened(person: Subject, side: int) -> Subject:
    """Return a photographed person whose bare skin is drawn as mesh, with a texture of a side.

    Behind a beard or a fringe the sheet shows the photograph; skin there must show the condition.

    Args:
        person: taken from a photograph.
        side: texels.
    """
    old = person.albedo
    maps = (resized(one, side) for one in (old.colour, old.confidence, old.skin, old.density))
    opacity = np.maximum(person.opacity, bare_skin(person))
    return replace(person, albedo=Texture(*maps), opacity=opacity)


class Worn(NamedTuple):
    """A picture of a person with a condition.

    Attributes:
        render: the picture, with the masks that were asked for.
        vertices: (V, 3) of the person with thickened skin, cm.
        only: (T,) triangles that are drawn as mesh; None for all.
    """

    render: Render
    vertices: Floats
    only: npt.NDArray[np.bool_] | None


def worn_by(
    person: Subject,
    drawn: Drawn,
    view: View,
    *,
    vertices: Floats,
    light: Light,
    melanin: float = 0.0,
    background: Floats | None = None,
    masks: Mapping[str, Floats] | None = None,
    supersample: int = 2,
) -> Worn:
    """Return a picture of a photographed person with a condition.

    Args:
        person: of `opened`.
        drawn: where the person's skin is bare, see `Drawn.on`.
        view: pose and camera.
        vertices: (V, 3) of the person without thickened skin, cm.
        light: in the scene's axes.
        melanin: see `Subject.picture`.
        background: (H, W, 3) linear RGB; None is what the photograph shows.
        masks: name -> (S, S) in [0, 1].
        supersample: points along a pixel's side.
    """
    shape = displaced(person.model, vertices, drawn.layers)
    skin = apply(person.albedo.colour, drawn.layers)
    made = person.picture(
        view,
        vertices=shape,
        light=light,
        melanin=melanin,
        albedo=relit(skin, drawn.layers, person.model, shape, view.rotation, light),
        background=background,
        masks=masks,
        supersample=supersample,
    )
    only = person.model.in_region(*PARTS) if background is None else None
    return Worn(made, shape, only)


def _worn_by_painted(
    person: Painted,
    drawn: Drawn,
    view: View,
    light: Light,
    vertices: Floats,
    background: Floats | None,
    supersample: int,
) -> Worn:
    shape = displaced(person.model, vertices, drawn.layers)
    skin = apply(light_of(person.density), drawn.layers)
    wall = np.full((*view.size, 3), _WALL, np.float32) if background is None else background
    made = render(
        person.model,
        shape,
        view,
        relit(skin, drawn.layers, person.model, shape, view.rotation, light),
        light=light,
        background=wall,
        masks=drawn.masks,
        supersample=supersample,
    )
    return Worn(made, shape, None)


def affected(
    person: Painted | Subject,
    condition: Presentation,
    severity: Severity,
    view: View,
    *,
    light: Light | None = None,
    vertices: Floats | None = None,
    background: Floats | None = None,
    melanin: float = 0.0,
    supersample: int = 2,
) -> Affected:
    """Return a picture of a person with a condition.

    Args:
        person: painted, or taken from a photograph.
        condition: of `condition.present` for the person's model.
        severity: 0 to 4, one number or one for each feature.
        view: pose and camera.
        light: in the scene's axes; by default that of the photograph, or a lamp from above.
        vertices: (V, 3) of another identity or expression, cm.
        background: (H, W, 3) linear RGB; by default what the photograph shows, or a grey wall.
        melanin: density added to a photographed person's skin, see `Subject.picture`.
        supersample: points along a pixel's side.
    """
    drawn = condition.at(severity).on(bare_skin(person))
    if isinstance(person, Painted):
        lamp = light or ambient(0.5).plus(directional((-0.5, 0.6, 1.0), 0.6))
        rest = person.vertices if vertices is None else vertices
        made = _worn_by_painted(person, drawn, view, lamp, rest, background, supersample)
    else:
        made = worn_by(
            opened(person, drawn.layers.side),
            drawn,
            view,
            vertices=person.fit.vertices if vertices is None else vertices,
            light=light or person.light,
            melanin=melanin,
            background=background,
            masks=drawn.masks,
            supersample=supersample,
        )
    found = seen_instances(
        drawn, person.model, made.vertices, view, only=made.only, supersample=supersample
    )
    return Affected(made.render, drawn, found)


def progression(
    person: Painted | Subject,
    condition: Presentation,
    severities: Iterable[Severity],
    view: View,
    *,
    light: Light | None = None,
) -> list[Affected]:
    """Return pictures of one person at several severities; nothing else changes.

    Args:
        person: painted, or taken from a photograph.
        condition: of `condition.present` for the person's model.
        severities: each 0 to 4, one number or one for each feature.
        view: pose and camera.
        light: see `affected`.
    """
    return [affected(person, condition, severity, view, light=light) for severity in severities]


def counterfactual(
    person: Painted | Subject,
    condition: Presentation,
    severity: Severity,
    view: View,
    *,
    light: Light | None = None,
) -> tuple[Affected, Affected]:
    """Return a person without and with a condition; the pair differs in nothing else.

    Arguments as in `progression`.
    """
    clear, ill = progression(person, condition, (0.0, severity), view, light=light)
    return clear, ill
