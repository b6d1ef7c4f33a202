"""Pictures of a textured mesh with exact masks.

A picture is drawn at several points a pixel, in linear light. So the share of a pixel that the face
covers, and each mask, is what its edge says and not a guess.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.errors import ConfigError, DataError
from fewskin.face.model import REGIONS, FaceModel
from fewskin.functional.lighting import Light
from fewskin.functional.mesh import vertex_normals
from fewskin.functional.paint import Seen, paint, paint_parts
from fewskin.functional.pose import View
from fewskin.functional.raster import Kernel, zbuffer

__all__ = ["Render", "render", "see"]

Floats = npt.NDArray[np.float32]

_BLACK: Final = np.zeros((1, 1, 3), np.float32)


@dataclass(frozen=True, eq=False)
class Render:
    """A picture of a face and its masks.

    Attributes:
        image: (H, W, 3) linear RGB; over the background where one was given, else over black.
        coverage: (H, W) share of each pixel that the mesh covers, times its opacity.
        regions: (H, W, 5) share of each pixel that each of `REGIONS` covers.
        depth: (H, W) cm of the nearest point, inf where nothing is.
        masks: name -> (H, W) share of each pixel, of the masks given as textures.
    """

    image: Floats
    coverage: Floats
    regions: Floats
    depth: Floats
    masks: Mapping[str, Floats]

    def region(self, *names: str) -> Floats:
        """Return (H, W) share of each pixel that these `REGIONS` cover."""
        return np.asarray(self.regions[..., [REGIONS.index(name) for name in names]].sum(-1))

    def labels(self) -> npt.NDArray[np.int8]:
        """Return (H, W) position in `REGIONS` of what covers most of each pixel; -1 for nothing."""
        nothing = 1.0 - self.regions.sum(-1, keepdims=True)
        most = np.concatenate([nothing, self.regions], axis=-1).argmax(-1)
        return (most - 1).astype(np.int8)


def see(
    model: FaceModel,
    vertices: Floats,
    view: View,
    *,
    supersample: int = 2,
    kernel: Kernel = "auto",
    only: npt.NDArray[np.bool_] | None = None,
) -> tuple[Seen, Floats]:
    """Return what the points of a picture see of a mesh, and (H s, W s) its depth in cm.

    Args:
        model: face model.
        vertices: (V, 3) of the person, cm.
        view: pose and camera.
        supersample: points along a pixel's side, 1 or more.
        kernel: of `functional.raster`.
        only: (T,) triangles that are there; all by default.

    Raises:
        ConfigError: fewer than one point a pixel.
    """
    if supersample < 1:
        raise ConfigError(f"supersample={supersample}: expected 1 or more.")
    fine = view.scaled(supersample)
    points = fine.project(vertices)
    found, depth = zbuffer(points, model.triangles, fine.size, kernel=kernel, only=only)
    seen = Seen(found, points, model.triangles, model.uv, model.uv_triangles, supersample, kernel)
    return seen, depth


def render(
    model: FaceModel,
    vertices: Floats,
    view: View,
    texture: Floats,
    *,
    light: Light | None = None,
    background: Floats | None = None,
    opacity: Floats | None = None,
    masks: Mapping[str, Floats] | None = None,
    supersample: int = 2,
    kernel: Kernel = "auto",
    only: npt.NDArray[np.bool_] | None = None,
) -> Render:
    """Return a picture of a textured face.

    Args:
        model: face model.
        vertices: (V, 3) of the person, cm.
        view: pose, camera and size.
        texture: (S, S, 3) linear RGB; the albedo with a light, else the colour as it is.
        light: in the scene's axes; shading is held in [.6, 1.6], as in `delight`.
        background: (H, W, 3) linear RGB.
        opacity: (S, S) in [0, 1]; below 1 the background shows through.
        masks: name -> (S, S) in [0, 1], drawn as the texture is, without light.
        supersample: points along a pixel's side.
        kernel: of `functional.raster`.
        only: (T,) triangles that are there; all by default.

    Raises:
        ConfigError: fewer than one point a pixel.
        DataError: a background of another size than the view's.
    """
    if background is not None and background.shape != (*view.size, 3):
        expected = f"expected {(*view.size, 3)} like the view"
        raise DataError(f"a background of shape {background.shape}: {expected}; resize it.")
    seen, depth = see(model, vertices, view, supersample=supersample, kernel=kernel, only=only)
    gain = None if light is None else _shading(model, vertices, view, light)
    first, *others = _by_size(masks or {})
    painted = paint(seen, texture, gain=gain, opacity=opacity, layers=first[1])
    drawn = dict(zip(first[0], painted.layers, strict=True))
    for names, layers in others:
        drawn.update(zip(names, paint(seen, _BLACK, layers=layers).layers, strict=True))
    image, coverage = np.ascontiguousarray(painted.colour), painted.coverage
    if background is not None:
        image = image + (1.0 - coverage[..., None]) * background
    return Render(
        image=image,
        coverage=coverage,
        regions=paint_parts(seen, model.region, len(REGIONS)),
        depth=_nearest(depth, supersample),
        masks={name: drawn[name] for name in masks or {}},
    )


def _by_size(masks: Mapping[str, Floats]) -> list[tuple[list[str], Floats | None]]:
    """Return names and (L, h, w) of masks of one size, for each size; at least one, maybe empty."""
    made: list[tuple[list[str], Floats | None]] = []
    for shape in sorted({mask.shape for mask in masks.values()}):
        names = [name for name, mask in masks.items() if mask.shape == shape]
        made.append((names, np.stack([masks[name] for name in names])))
    return made or [([], None)]


def _nearest(depth: Floats, s: int) -> Floats:
    """Return (H, W) least of each pixel's points."""
    rows = reduce(np.minimum, [depth[i::s] for i in range(s)])
    return reduce(np.minimum, [rows[:, j::s] for j in range(s)])


def _shading(model: FaceModel, vertices: Floats, view: View, light: Light) -> Floats:
    from fewskin.face.delight import shading

    normals = vertex_normals(vertices, model.triangles) @ np.asarray(view.rotation, np.float32).T
    return shading(light, normals)
