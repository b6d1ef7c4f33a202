"""A person's face taken from one photograph, and new pictures of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fewskin.face.border import border_distance, hanging
from fewskin.face.complete import complete
from fewskin.face.delight import Delighted, delight
from fewskin.face.fit import Fit
from fewskin.face.geometry import fitted
from fewskin.face.head_layers import PARTS
from fewskin.face.landmarks import Landmarks
from fewskin.face.model import FaceModel
from fewskin.face.render import Render, render
from fewskin.face.sheet import Sheet, depth_sheet
from fewskin.face.skin import likelihood, skin_reference
from fewskin.face.texture import Texture, atlas_of, smooth_step, texel_normals
from fewskin.face.unwrap import unwrap, visibility
from fewskin.face.zones import zones_of
from fewskin.functional.lighting import Light
from fewskin.functional.pigment import MELANIN, density
from fewskin.functional.pose import View
from fewskin.functional.raster import Kernel
from fewskin.functional.sampling import bilinear

__all__ = ["PARTS", "Skin", "Subject", "border_opacity", "skin_of", "subject_of", "unlit"]

Floats = npt.NDArray[np.float32]

_SOFT_CM: Final = 1.2  # width over which the mesh gives way to the sheet at its border


@dataclass(frozen=True, eq=False)
class Subject:
    """A face model fitted to a photograph, with its skin and what is around it.

    Attributes:
        model: face model.
        fit: of the photograph.
        albedo: completed texture without light.
        light: of the photograph.
        opacity: (S, S) in [0, 1]; where the mesh's border gives way to the sheet.
        sheet: hair, neck and background.
    """

    model: FaceModel
    fit: Fit
    albedo: Texture
    light: Light
    opacity: Floats
    sheet: Sheet

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
        """Return a picture of the person.

        Args:
            view: pose and camera, usually `fit.view` in another pose and size.
            vertices: (V, 3) of another identity or expression, cm.
            light: in the scene's axes; that of the photograph by default.
            melanin: density that is added along the melanin vector where there is skin.
            albedo: (S, S, 3) linear RGB of another skin.
            background: (H, W, 3) linear RGB instead of the photograph's surroundings; the whole
                head is drawn as a mesh then, without hair.
            masks: name -> (S, S) in [0, 1].
            supersample: points along a pixel's side.
            kernel: of `functional.raster`.
        """
        new = self.light if light is None else light
        alone = background is not None
        if background is None:
            lights = (self.light, new)
            background = self.sheet.draw(view, light=lights, melanin=melanin, kernel=kernel)
        colour = self.albedo.colour if albedo is None else albedo
        if melanin != 0.0:
            amount = self.albedo.skin[..., None] * (melanin * MELANIN).astype(np.float32)
            colour = colour * np.power(np.float32(10.0), -amount)
        return render(
            self.model,
            self.fit.vertices if vertices is None else vertices,
            view,
            colour,
            light=new,
            background=background,
            opacity=None if alone else self.opacity,
            masks=masks,
            supersample=supersample,
            kernel=kernel,
            only=None if alone else self.model.in_region(*PARTS),
        )


class Skin(NamedTuple):
    """A face's skin in one photograph.

    Attributes:
        seen: texture as the photograph shows it.
        bare: the same without its light, and the light; nothing is guessed.
    """

    seen: Texture
    bare: Delighted


def unlit(image: Floats, model: FaceModel, fit: Fit, side: int) -> Skin:
    """Return the skin of a fitted face, with its light and without.

    Args:
        image: (H, W, 3) linear RGB.
        model: face model.
        fit: of the photograph.
        side: texels.

    Raises:
        DataError: too little skin is seen.
    """
    seen = unwrap(image, model, fit.vertices, fit.view, side)
    normals = texel_normals(model, fit.vertices, fit.view.rotation, side)
    return Skin(seen, delight(seen, model, normals))


def skin_of(
    image: Floats, landmarks: Landmarks, geometry: FaceModel | None = None, *, side: int = 512
) -> tuple[Texture, FaceModel]:
    """Return the skin in a photograph without its light and without guesses, and its face model.

    A part of what `subject_of` does, for those who need no new pictures.

    Args:
        image: (H, W, 3) linear RGB.
        landmarks: of the photograph, in its pixels.
        geometry: face model; None takes the landmarks as the mesh.
        side: texels.

    Raises:
        DataError: the landmarks or the fit do not suit the picture.
    """
    model, made = fitted(geometry, landmarks, (image.shape[0], image.shape[1]))
    return unlit(image, model, made, side).bare.albedo, model


def subject_of(
    image: Floats,
    landmarks: Landmarks,
    geometry: FaceModel | None = None,
    *,
    side: int = 512,
    kernel: Kernel = "auto",
) -> Subject:
    """Return the person in a photograph.

    Args:
        image: (H, W, 3) linear RGB.
        landmarks: of the photograph, in its pixels.
        geometry: face model; None takes the landmarks as the mesh.
        side: texels of the texture.
        kernel: of `functional.raster`.

    Raises:
        DataError: the landmarks or the fit do not suit the picture.
    """
    model, made = fitted(geometry, landmarks, (image.shape[0], image.shape[1]))
    seen, bare = unlit(image, model, made, side)
    colours = density(image.reshape(-1, 3))
    skin = likelihood(colours, skin_reference(seen, model)).reshape(image.shape[:2])
    sheet = depth_sheet(image, skin, model, made.vertices, made.view, kernel=kernel)
    covered = _covered(bare.albedo, model, made, skin, sheet)
    return Subject(
        model=model,
        fit=made,
        albedo=complete(bare.albedo, model),
        light=bare.light,
        opacity=border_opacity(model, side) * (1.0 - covered),
        sheet=sheet,
    )


def _covered(bare: Texture, model: FaceModel, fit: Fit, skin: Floats, sheet: Sheet) -> Floats:
    """Return (S, S) in [0, 1]: the photograph shows hair and the like in front of the face here.

    There the sheet shows, so that hair stays hair. It hangs in from the border of the face; what
    lies further out from the nose than hair is covered too: it is behind it. Where a texel is seen
    too steeply to know its colour, the photograph's pixel says whether hair is there, and the
    sheet's layers that it is hair and not what is behind the head.

    Args:
        bare: texture without light.
        model: face model.
        fit: of the photograph.
        skin: (H, W) in [0, 1], likelihood that a pixel shows bare skin.
        sheet: of the photograph.
    """
    atlas, zones = atlas_of(model, bare.side), zones_of(model, bare.side)
    at = visibility(atlas, model, fit.vertices, fit.view)
    head, beyond = sheet.head.opacities[0], sheet.head.beyond
    of_head = at.visible * bilinear(head, at.x + beyond, at.y + beyond)
    there = atlas.image(of_head * (1.0 - zones.feature.ravel()[atlas.texel]))
    known = np.maximum(smooth_step(bare.confidence, 0.03, 0.15) * (1.0 - zones.feature), there)
    shown = np.maximum(bare.skin, atlas.image(at.visible * bilinear(skin, at.x, at.y)))
    return hanging(model, smooth_step(1.0 - shown, 0.5, 0.85), known, bare.side)


def border_opacity(model: FaceModel, side: int) -> Floats:
    """Return (S, S) in [0, 1], 0 at the border of the face region and 1 well inside."""
    return smooth_step(border_distance(model, side, *PARTS), 0.0, _SOFT_CM)
