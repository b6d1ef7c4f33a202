"""From a photograph and a fitted mesh to a texture: what each texel looks like, and how sure.

A texel counts by three things: it is seen (a z-buffer of the fitted mesh), it faces the camera, and
it is well inside its outline. A fit is never exact, so that next to a silhouette, or next to the
edge of a part in front such as the nose, the photograph may show the background or another part of
the face: confidence starts at 0 there and grows with the distance.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.errors import DataError
from fewskin.face.model import FaceModel
from fewskin.face.skin import skin_likelihood
from fewskin.face.texture import (
    Atlas,
    Texture,
    atlas_of,
    flat_areas,
    smooth_step,
)
from fewskin.functional.mesh import vertex_normals
from fewskin.functional.pose import View
from fewskin.functional.pyramid import halved
from fewskin.functional.raster import zbuffer
from fewskin.functional.sampling import bilinear

__all__ = ["Seen", "Texture", "unwrap", "visibility"]

Floats = npt.NDArray[np.float32]

_BUFFER_SIDE: Final = 448  # of the z-buffer; finer does not change which texels are seen
_JUMP_CM: Final = 0.45  # a step in depth that makes an occlusion edge; lids and lips stay below
_DEEP_CM: Final = 2.5  # a step that makes an outline: cheek before ear, jaw before neck
_SELF: Final = 4.0  # a distance from a smaller step counts so many times
_LOOSE: Final = 0.5  # a distance on the head counts so many times
_SHRINK: Final = 1.6  # photograph pixels per texel side above which the photograph is halved
_QUARTER: Final = np.float32(0.25)
_FAR_CM: Final = 1e4
_BIAS_CM: Final = 0.06
_MARGIN_CM: Final = (0.12, 0.65)  # distance from an edge: nothing is trusted; all is trusted
_COSINE: Final = (0.06, 0.5)


@dataclass(frozen=True, eq=False)
class Seen:
    """How the texels of an atlas lie in a photograph.

    Attributes:
        x, y: (n,) where in the photograph, pixels.
        visible: (n,) nothing of the mesh is in front, and the texel is inside the photograph.
        cosine: (n,) between the surface normal and the direction to the camera.
        margin_cm: (n,) distance in the picture to the nearest silhouette or occlusion edge.
        density: (n,) photograph pixels per texel side.
    """

    x: Floats
    y: Floats
    visible: npt.NDArray[np.bool_]
    cosine: Floats
    margin_cm: Floats
    density: Floats

    def confidence(self) -> Floats:
        """Return (n,) confidence in [0, 1]: visible, times cosine, times margin."""
        facing = smooth_step(self.cosine, *_COSINE)
        return np.asarray(self.visible * facing * smooth_step(self.margin_cm, *_MARGIN_CM))


def unwrap(
    image_linear: npt.NDArray[np.floating],
    model: FaceModel,
    vertices: npt.NDArray[np.floating],
    view: View,
    side: int = 512,
) -> Texture:
    """Return the texture that a photograph shows.

    Args:
        image_linear: (H, W, 3) linear RGB.
        model: face model.
        vertices: (V, 3) of the person, cm.
        view: the head's pose before the camera of this photograph.
        side: texels of the texture.

    Returns:
        The texture; `colour` is what the photograph shows, light included.

    Raises:
        DataError: the picture, the view and the mesh do not belong together.
    """
    _check(image_linear, model, vertices, view)
    atlas = atlas_of(model, side)
    seen = visibility(atlas, model, vertices, view)
    use = np.flatnonzero(seen.visible)
    if not len(use):
        raise DataError("no part of the mesh lies in the photograph: check the fit's view.")
    x, y, density = seen.x[use], seen.y[use], seen.density[use]
    layers = np.zeros((5, len(atlas.texel)), dtype=np.float32)
    picture = np.asarray(image_linear, np.float32)
    layers[:3, use] = _sample(picture, x, y, float(np.median(density)))
    layers[3], layers[4, use] = seen.confidence(), density
    red, green, blue, confidence, pixels = (atlas.image(layer) for layer in layers)
    colour = np.stack([red, green, blue], axis=-1)
    made = Texture(colour, confidence, np.zeros((side, side), np.float32), pixels)
    return replace(made, skin=skin_likelihood(made, model))


def _check(
    image: npt.NDArray[np.floating],
    model: FaceModel,
    vertices: npt.NDArray[np.floating],
    view: View,
) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype.kind != "f":
        raise DataError(
            f"unwrap takes an (H, W, 3) picture of linear light as floats, not {image.dtype} "
            f"{image.shape}; see functional.colour.srgb_to_linear."
        )
    if image.shape[:2] != tuple(view.size):
        raise DataError(f"the view is of a {view.size} picture, not {image.shape[:2]}.")
    if vertices.shape != model.vertices.shape:
        raise DataError(
            f"model {model.name!r} has vertices {model.vertices.shape}, not {vertices.shape}."
        )


def visibility(
    atlas: Atlas, model: FaceModel, vertices: npt.NDArray[np.floating], view: View
) -> Seen:
    """Return how the atlas's texels lie in a picture of the mesh.

    Args:
        atlas: of the model.
        model: face model.
        vertices: (V, 3) of the person, cm.
        view: the head's pose before the camera.
    """
    camera, points = view.to_camera(vertices), view.project(vertices)
    normals = vertex_normals(vertices, model.triangles) @ np.asarray(view.rotation).T
    normals = normals * np.array([1.0, -1.0, -1.0])  # into camera axes
    towards = -np.einsum("vc,vc->v", camera, normals) / np.linalg.norm(camera, axis=1)
    pixels = flat_areas(points, model.triangles)
    per_triangle = np.sqrt(pixels / np.maximum(atlas.areas, np.float32(1e-6)))
    at = atlas.at_texels(np.concatenate([camera, towards[:, None]], axis=1))
    across, down, depth, cosine = np.ascontiguousarray(at.T)
    scale = np.float32(view.focal_px) / np.maximum(depth, np.float32(1e-3))
    x = across * scale + np.float32(view.centre_px[0])
    y = down * scale + np.float32(view.centre_px[1])
    inside = (x > 0) & (y > 0) & (x < view.size[1]) & (y < view.size[0]) & (depth > 0)
    candidate = np.flatnonzero(inside & (cosine > 0))
    visible = np.zeros(len(x), dtype=bool)
    margin = np.zeros(len(x), dtype=np.float32)
    if len(candidate):
        visible[candidate], margin[candidate] = _Buffer.of(model, view, points).test(
            x[candidate], y[candidate], depth[candidate], cosine[candidate]
        )
    # No landmark holds the scalp, the ears and the neck, and their outlines are less sure.
    margin[model.in_region("head")[atlas.triangle]] *= np.float32(_LOOSE)
    return Seen(x, y, visible, cosine, margin, per_triangle[atlas.triangle])


@dataclass(frozen=True, eq=False)
class _Buffer:
    """A z-buffer of the part of the picture that holds the mesh."""

    depth: Floats  # (h, w) cm, inf where nothing is
    margin_cm: Floats  # (h / 2, w / 2)
    left: float
    top: float
    scale: float  # buffer pixels per picture pixel
    focal: float  # buffer pixels

    @classmethod
    def of(cls, model: FaceModel, view: View, points: npt.NDArray[np.floating]) -> "_Buffer":
        height, width = view.size
        left, top = np.clip(np.floor(points[:, :2].min(0)) - 2, 0, [width - 1, height - 1])
        right, bottom = np.clip(np.ceil(points[:, :2].max(0)) + 2, 1, [width, height])
        scale = min(_BUFFER_SIDE / max(right - left, bottom - top), 2.0)
        size = (max(int((bottom - top) * scale), 2), max(int((right - left) * scale), 2))
        flat = (points[:, :2] - [left, top]) * scale
        flat = np.concatenate([flat, points[:, 2:]], axis=1)
        triangle, depth = zbuffer(flat, model.triangles, size)
        focal = view.focal_px * scale
        soft = np.append(model.in_region("eyes", "mouth"), False)[triangle]
        margin = _edge_distance(depth, soft, focal)
        return cls(depth, margin, float(left), float(top), float(scale), focal)

    def test(
        self, x: Floats, y: Floats, depth: Floats, cosine: Floats
    ) -> tuple[npt.NDArray[np.bool_], Floats]:
        """Return whether each point is seen, and its margin in cm."""
        height, width = self.depth.shape
        bx = (x - np.float32(self.left)) * np.float32(self.scale)
        by = (y - np.float32(self.top)) * np.float32(self.scale)
        column = np.clip(bx.astype(np.int32), 0, width - 1)
        row = np.clip(by.astype(np.int32), 0, height - 1)
        # A buffer pixel holds the depth of its centre: allow for the slope across it.
        slope = np.sqrt(1.0 - np.minimum(cosine, 1.0) ** 2) / np.maximum(cosine, 0.1)
        slack = _BIAS_CM + depth / np.float32(self.focal) * slope
        in_front = self.depth[row, column]
        visible = depth <= np.where(np.isfinite(in_front), in_front + slack, -np.inf)
        return visible, bilinear(self.margin_cm, bx * np.float32(0.5), by * np.float32(0.5))


def _edge_distance(depth: Floats, soft: npt.NDArray[np.bool_], focal_px: float) -> Floats:
    """Return (h / 2, w / 2) the distance in cm to the nearest silhouette or step in depth.

    Steps at `soft` pixels, in the eyes and the mouth, are none: no background shows there. Beside a
    small step, such as the tip of the nose makes, only another part of the face may show: the
    distance counts `_SELF` times there.
    """
    seen = np.isfinite(depth)
    if not seen.any():
        return np.zeros(((depth.shape[0] + 1) // 2, (depth.shape[1] + 1) // 2), np.float32)
    cm_per_px = np.float32(2.0 * float(np.median(depth[seen])) / focal_px)
    filled = np.where(seen, depth, np.float32(_FAR_CM))
    down = np.abs(np.diff(filled, axis=0)) * ~(soft[1:] | soft[:-1])
    across = np.abs(np.diff(filled, axis=1)) * ~(soft[:, 1:] | soft[:, :-1])
    outline = _distance(_beside(down > _DEEP_CM, across > _DEEP_CM) | ~seen)
    inner = _distance(_beside(down > _JUMP_CM, across > _JUMP_CM))
    return np.minimum(outline, (inner + np.float32(0.5)) * np.float32(_SELF)) * cm_per_px


def _beside(down: npt.NDArray[np.bool_], across: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return (h, w): pixels on either side of a step to the next row, or the next column."""
    edge = np.zeros((across.shape[0], down.shape[1]), dtype=bool)
    edge[:-1] |= down
    edge[1:] |= down
    edge[:, :-1] |= across
    edge[:, 1:] |= across
    return edge


def _distance(edge: npt.NDArray[np.bool_]) -> Floats:
    """Return (h / 2, w / 2) distance to an edge in pixels of this half size; inf without one."""
    from scipy.ndimage import distance_transform_edt

    # Half the side is fine enough for a margin, and the distance transform is slow.
    rows = np.pad(edge, ((0, edge.shape[0] % 2), (0, edge.shape[1] % 2)), mode="edge")
    small = rows[::2, ::2] | rows[1::2, ::2] | rows[::2, 1::2] | rows[1::2, 1::2]
    if not small.any():
        return np.full(small.shape, np.inf, dtype=np.float32)
    return np.asarray(distance_transform_edt(~small), dtype=np.float32)


def _sample(image: Floats, x: Floats, y: Floats, density: float) -> Floats:
    """Return (3, n): bilinear, from a smaller picture where texels are wider than pixels."""
    left, top = int(max(np.floor(x.min()) - 2, 0)), int(max(np.floor(y.min()) - 2, 0))
    part = image[top : int(np.ceil(y.max())) + 2, left : int(np.ceil(x.max())) + 2]
    part = np.ascontiguousarray(np.moveaxis(part, -1, 0))
    x, y = x - np.float32(left), y - np.float32(top)
    while density > _SHRINK and min(part.shape[1:]) >= 4:
        part = halved(part[:, : part.shape[1] // 2 * 2, : part.shape[2] // 2 * 2]) * _QUARTER
        x, y, density = x * np.float32(0.5), y * np.float32(0.5), density / 2
    return bilinear(part, x, y)
