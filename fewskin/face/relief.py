"""How the height of a condition's layers catches the light, and how thickened skin moves the mesh.

The renderer shades at vertices, a centimetre apart on some meshes. So the relief of a layer, which
is finer, is put into the albedo: each texel's normal is tilted by the slope of the height, and the
albedo is multiplied by what the light gives the tilted normal over what it gives the smooth one.
The renderer's own shading then gives the tilted surface, exactly, where a texel is not clipped. The
result belongs to one pose and one light. A gloss (Blinn, 1977, for the light's main direction) is
added in the same way, as the difference between the surface with the condition and without.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fewskin.face.delight import shading
from fewskin.face.model import FaceModel
from fewskin.face.skin_layers import Layers
from fewskin.face.texture import atlas_of
from fewskin.functional.colour import luminance
from fewskin.functional.lighting import Light
from fewskin.functional.mesh import vertex_normals
from fewskin.functional.sampling import bilinear

__all__ = ["displaced", "relit"]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

_STEEPEST: Final = 1.2  # slope, height over length
_GLOSS: Final = 0.02  # of healthy skin, and the exponent of its highlight
_EXPONENT: Final = 18.0
_BRIGHTEST: Final = 0.3  # of a highlight, over the skin's own light
_VIEWER: Final = np.array([0.0, 0.0, 1.0], dtype=np.float32)


class _Surface(NamedTuple):
    """Some texels of a person's skin in the scene's axes: flat position, normal, slope."""

    at: Ints
    normal: Floats
    slope: Floats


def displaced(model: FaceModel, vertices: Floats, layers: Layers) -> Floats:
    """Return (V, 3) vertices moved outwards by the layers' displacement.

    Args:
        model: face model.
        vertices: (V, 3) of the person, cm.
        layers: of a condition on this model's texture.
    """
    if not layers.displacement.any():
        return vertices
    uv = np.full((len(vertices), 2), -1.0, np.float32)
    uv[model.triangles.ravel()] = model.uv[model.uv_triangles.ravel()]
    side = layers.side
    found = bilinear(layers.displacement, uv[:, 0] * side, (1.0 - uv[:, 1]) * side)
    found[uv[:, 0] < 0.0] = 0.0
    normals = vertex_normals(vertices, model.triangles)
    return np.asarray(vertices + normals * (found / 10.0)[:, None], np.float32)


def relit(
    albedo: Floats,
    layers: Layers,
    model: FaceModel,
    vertices: Floats,
    rotation: npt.NDArray[np.floating],
    light: Light,
) -> Floats:
    """Return an albedo with a condition's relief and gloss under a light.

    Args:
        albedo: (S, S, 3) linear RGB, of `skin_layers.apply`.
        layers: (S, S) maps.
        model: face model.
        vertices: (V, 3) of the person, cm.
        rotation: (3, 3) of the head.
        light: in the scene's axes.

    Returns:
        (S, S, 3) linear RGB; the input's values, exactly, where there is neither.
    """
    skin = _surface(layers, model, vertices, rotation)
    if not len(skin.at):
        return albedo
    tilted = skin.normal - skin.slope
    tilted /= np.linalg.norm(tilted, axis=1, keepdims=True)
    smooth = shading(light, skin.normal)
    gain = shading(light, tilted) / smooth
    made = albedo.reshape(-1, 3).copy()
    gloss = _gloss(light, tilted, _GLOSS * (1.0 + 4.0 * layers.specular.ravel()[skin.at]))
    gloss -= _gloss(light, skin.normal, np.full(len(tilted), _GLOSS, np.float32))
    own = made[skin.at]
    made[skin.at] = np.maximum(own * gain + _dimmed(gloss[:, None] / smooth, own), 0.0)
    return made.reshape(albedo.shape)


def _dimmed(gloss: Floats, skin: Floats) -> Floats:
    """Return (n, 3) gloss as an albedo, no brighter than a share of the skin under it.

    A lesion's highlight is small and the camera spreads it; on dark skin, whose own light is
    little, the same gloss would stand out like a bead of glass.
    """
    most = np.float32(_BRIGHTEST) * skin.mean(1, keepdims=True)
    return np.asarray(np.where(gloss > 0.0, most * np.tanh(gloss / np.maximum(most, 1e-6)), gloss))


def _gloss(light: Light, normals: Floats, amount: Floats) -> Floats:
    """Return (n,) light that a glossy surface sends to the viewer, for the light's main direction.

    The three harmonics of order 1 point to where most light comes from.
    """
    towards = luminance(light.coefficients.astype(np.float32))[[3, 1, 2]]
    level = float(np.linalg.norm(towards))
    if level < 1e-6:
        return np.zeros(len(normals), np.float32)
    half = towards / level + _VIEWER
    half /= max(float(np.linalg.norm(half)), 1e-6)
    shine = np.maximum(normals @ half, 0.0) ** _EXPONENT
    return np.asarray(level * np.maximum(amount, 0.0) * shine, np.float32)


def _surface(
    layers: Layers, model: FaceModel, vertices: Floats, rotation: npt.NDArray[np.floating]
) -> _Surface:
    """Return the texels with relief or gloss, with their normals and the slope of the height.

    The slope is the gradient of the height along the skin: with the tangents a and b of a texel's
    row and column, and height steps p and q, it is the g in their plane with g.a = p and g.b = q.
    """
    atlas, side = atlas_of(model, layers.side), layers.side
    rough = (layers.bump != 0.0) | (layers.specular != 0.0)
    rough[[0, -1]] = rough[:, [0, -1]] = False
    at = np.flatnonzero(rough & atlas.covered)
    turned = vertices @ np.asarray(rotation, np.float32).T
    place = atlas.image(atlas.at_texels(turned)).reshape(-1, 3)
    normals = atlas.image(atlas.at_texels(vertex_normals(turned, model.triangles)), gutter=False)
    normal = normals.reshape(-1, 3)[at]
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
    height = 0.1 * layers.bump.ravel()
    a, b = place[at + 1] - place[at - 1], place[at + side] - place[at - side]
    p, q = height[at + 1] - height[at - 1], height[at + side] - height[at - side]
    aa, bb, ab = ((x * y).sum(1) for x, y in ((a, a), (b, b), (a, b)))
    det = aa * bb - ab * ab
    whole = (det > 1e-3 * aa * bb) & (aa < 1.0) & (bb < 1.0)  # not across a chart's border
    det = np.where(whole, det, 1.0)
    first, second = (p * bb - q * ab) / det * whole, (q * aa - p * ab) / det * whole
    slope = first[:, None] * a + second[:, None] * b
    steep = np.linalg.norm(slope, axis=1, keepdims=True)
    return _Surface(at, normal, slope * np.minimum(1.0, _STEEPEST / np.maximum(steep, 1e-6)))
