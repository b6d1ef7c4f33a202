"""A photographed person with a condition, in a new picture that their own camera takes.

The layers go on the albedo, their relief is lit by the picture's light in its pose, the mesh moves
with thickened skin, and the rest is `Portrait.picture`. A healthy picture goes the same way with
layers that are 0. The camera is matched on the photograph without the condition, so that it is the
same for both.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

import numpy as np
import numpy.typing as npt

from fewskin.face.affected import bare_skin
from fewskin.face.annotations import SeenInstance, seen_instances
from fewskin.face.landmarks import Landmarks
from fewskin.face.portrait import Portrait
from fewskin.face.presentation import Drawn
from fewskin.face.relief import displaced, relit
from fewskin.face.render import Render
from fewskin.face.scene import Scene
from fewskin.face.skin_layers import apply, blank, resized
from fewskin.face.subject import PARTS, Subject
from fewskin.face.texture import Texture
from fewskin.functional.lighting import Light
from fewskin.functional.pose import View
from fewskin.functional.raster import Kernel

__all__ = ["Sitter", "Taken", "nothing", "sitter_of"]

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

_WHOLE = "condition"


@dataclass(frozen=True, eq=False)
class Taken:
    """A picture of a person with a condition.

    Attributes:
        pixels: (H, W, 3) uint8 sRGB, as the photograph's camera takes it.
        render: what it took; its masks are those of the condition's features.
        drawn: the condition on the texture, where the person's skin is bare.
        condition: (H, W) share of each pixel that bears the condition, the most of all features.
        instances: lesions that the picture shows; looked for where asked.
        landmarks: of the model, as exact as the fit, in pixels.
        confidence: mean over the face of how surely its texels are known, in [0, 1].
    """

    pixels: Pixels
    render: Render
    drawn: Drawn
    condition: Floats
    instances: tuple[SeenInstance, ...]
    landmarks: Landmarks
    confidence: float

    @property
    def masks(self) -> dict[str, Pixels]:
        """(H, W) uint8, 255 where it is: "condition", each feature, and "face"."""
        shares = {**self.render.masks, "condition": self.condition}
        shares["face"] = self.render.region("face") * self.render.coverage
        return {name: np.where(s >= 0.5, 255, 0).astype(np.uint8) for name, s in shares.items()}


def nothing(side: int) -> Drawn:
    """Return no condition, to be taken the same way as one.

    Example:
        >>> nothing(8).layers.side
        8
    """
    return Drawn("healthy", {}, blank(side), {}, ())


@dataclass(frozen=True, eq=False)
class _Bearer(Subject):
    """A person on whom a condition is drawn in the light and pose of each picture."""

    drawn: Drawn
    shots: list[tuple[View, Floats, bool]] = field(default_factory=list)

    def picture(
        self,
        view: View,
        *,
        vertices: Floats | None = None,
        light: Light | None = None,
        melanin: float = 0.0,
        albedo: Floats | None = None,
        background: Floats | None = None,
        masks: Mapping[str, Floats] | None = None,
        supersample: int = 2,
        kernel: Kernel = "auto",
    ) -> Render:
        """Return a picture of the person with the condition; see `Subject.picture`."""
        layers, lamp = self.drawn.layers, self.light if light is None else light
        rest = self.fit.vertices if vertices is None else vertices
        shape = displaced(self.model, rest, layers)
        skin = apply(self.albedo.colour if albedo is None else albedo, layers)
        self.shots.append((view, shape, background is not None))
        return super().picture(
            view,
            vertices=shape,
            light=lamp,
            melanin=melanin,
            albedo=relit(skin, layers, self.model, shape, view.rotation, lamp),
            background=background,
            masks=masks,
            supersample=supersample,
            kernel=kernel,
        )


@dataclass(frozen=True, eq=False)
class Sitter:
    """A person with their camera, ready to bear conditions.

    Attributes:
        portrait: of the person in health.
        person: the same, bare skin drawn as mesh, with a texture of the conditions' side.
        bare: (S, S) in [0, 1], where the person's own skin is to be seen.
    """

    portrait: Portrait
    person: Subject
    bare: Floats

    def picture(
        self, scene: Scene, drawn: Drawn, rng: np.random.Generator, *, instances: bool = False
    ) -> Taken:
        """Return a picture of the person with a condition.

        Args:
            scene: pose, expression, shape, light, tone, exposure.
            drawn: the condition, on the person's model, of this sitter's side; or `nothing`.
            rng: of the picture: its background, then its noise.
            instances: look for the lesions in the picture too.
        """
        worn = drawn.on(self.bare)
        own = {one.name: getattr(self.person, one.name) for one in fields(Subject)}
        bearer = _Bearer(**own, drawn=worn)
        masks = {"": self.person.albedo.confidence, **worn.masks}
        if worn.masks:
            masks[_WHOLE] = worn.mask
        made = replace(self.portrait, subject=bearer).drawn(scene, rng, masks=masks)
        pixels = self.portrait.match.taken(made.image, rng)
        shares = dict(made.masks)
        known = shares.pop("")
        condition = shares.pop(_WHOLE, np.zeros(made.image.shape[:2], np.float32))
        face = made.region("face")
        view, shape, whole = bearer.shots[-1]
        found: tuple[SeenInstance, ...] = ()
        if instances and worn.instances:
            only = None if whole else bearer.model.in_region(*PARTS)
            found = seen_instances(worn, bearer.model, shape, view, only=only)
        return Taken(
            pixels,
            replace(made, masks=shares),
            worn,
            condition,
            found,
            _landmarks(view, bearer.model.landmarks(shape)),
            float((known * face).sum() / max(float(face.sum()), 1e-6)),
        )


def _landmarks(view: View, places: Floats) -> Landmarks:
    """Return landmarks in pixels, their depth about the face's middle in the same unit."""
    points = view.project(places).astype(np.float32)
    scale = view.focal_px / float(view.to_camera(np.zeros(3, np.float32))[2])
    points[:, 2] = (points[:, 2] - np.nanmedian(points[:, 2])) * scale
    return Landmarks(points)


def sitter_of(portrait: Portrait, side: int) -> Sitter:
    """Return a person ready to bear conditions.

    Args:
        portrait: of the person in health.
        side: texels of the conditions' layers.
    """
    person = portrait.subject
    bare, old = bare_skin(person), person.albedo
    maps = (resized(one, side) for one in (old.colour, old.confidence, old.skin, old.density))
    opened = replace(person, albedo=Texture(*maps), opacity=np.maximum(person.opacity, bare))
    return Sitter(portrait, opened, resized(bare, side))
