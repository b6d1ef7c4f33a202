"""A photographed person with a condition, in a new picture that their own camera takes.

The layers go on the albedo, their relief is lit by the picture's light in its pose, the mesh moves
with thickened skin, and the rest is `Portrait.picture`. A healthy picture goes the same way with
layers that are 0. The camera is matched on the photograph without the condition, so that it is the
same for both.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fewskin.face.affected import bare_skin, opened, worn_by
from fewskin.face.annotations import SeenInstance, seen_instances
from fewskin.face.landmarks import Landmarks
from fewskin.face.portrait import Portrait
from fewskin.face.presentation import Drawn
from fewskin.face.render import Render
from fewskin.face.scene import Scene, exposed, placed
from fewskin.face.skin_layers import blank, resized
from fewskin.face.subject import Subject
from fewskin.functional.pose import View

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
        worn, person = drawn.on(self.bare), self.person
        masks = {"": person.albedo.confidence, **worn.masks}
        if worn.masks:
            masks[_WHOLE] = worn.mask
        at = placed(person, scene, self.portrait.size)
        made, shape, only = worn_by(
            person,
            worn,
            at.view,
            vertices=at.vertices,
            light=at.light,
            melanin=scene.melanin,
            background=self.portrait.behind(rng),
            masks=masks,
        )
        made = exposed(made, scene)
        shares = dict(made.masks)
        known, face = shares.pop(""), made.region("face")
        found: tuple[SeenInstance, ...] = ()
        if instances and worn.instances:
            found = seen_instances(worn, person.model, shape, at.view, only=only)
        return Taken(
            pixels=self.portrait.match.taken(made.image, rng),
            condition=shares.pop(_WHOLE, np.zeros(made.image.shape[:2], np.float32)),
            render=replace(made, masks=shares),
            drawn=worn,
            instances=found,
            landmarks=_landmarks(at.view, person.model.landmarks(shape)),
            confidence=float((known * face).sum() / max(float(face.sum()), 1e-6)),
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
    return Sitter(portrait, opened(person, side), resized(bare_skin(person), side))
