"""Take the light out of a texture: order-2 spherical harmonics, fitted to its bare skin.

Distant light on a matt surface is, to within a few per cent, a sum of nine functions of the normal:
Ramamoorthi and Hanrahan, "An efficient representation for irradiance environment maps", SIGGRAPH
2001. Skin is no Lambertian sphere of one colour, so the fit is kept tame: a strong prior towards
even light, robust weights, and shading held in [.6, 1.6].

Redness must stay. By default the light is neutral, and it is fitted to a mixture of the channels
that haemoglobin hardly changes: a diffuse flush of the middle of the face, which is a smooth
function of the normal too, is then not taken for light.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.errors import ConfigError, DataError
from fewskin.face.model import FaceModel
from fewskin.face.skin import skin_likelihood
from fewskin.face.texture import Texture
from fewskin.functional.lighting import Light, basis
from fewskin.functional.pigment import density, light

__all__ = ["SHADING_RANGE", "Delighted", "delight", "relight", "shading"]

Floats = npt.NDArray[np.float32]

SHADING_RANGE: Final = (0.6, 1.6)
# Density of this mixture of R, G, B is that of shading, plus .07 of a unit of haemoglobin (.55 in
# the mean of the channels) and .30 of one of melanin; more exact mixtures amplify the cast of
# coloured light.
_NEUTRAL: Final = np.array([1.6, -0.3, -0.3], np.float32)
_PRIOR_SD: Final = np.array([10.0, *[0.35] * 3, *[0.1] * 5])  # of shading, by order 0, 1, 2
_NOISE_SD: Final = 0.15  # of shading about the fit: pores, folds, pigment
_N_FREE: Final = 50.0  # texels are many but not independent: they are worth this many
_TURN: Final = np.arange(24) * 2.39996  # the golden angle: directions all over the sphere
_HEIGHT: Final = (np.arange(24) + 0.5) / 12.0 - 1.0
_SPREAD: Final = np.stack(
    [np.cos(_TURN) * np.sqrt(1 - _HEIGHT**2), np.sin(_TURN) * np.sqrt(1 - _HEIGHT**2), _HEIGHT], 1
)
_SHADE_RANGE: Final = 0.55  # of `skin.likelihood` once light is taken out


@dataclass(frozen=True, eq=False)
class Delighted:
    """A texture and its light.

    Attributes:
        albedo: the texture without the light; its `skin` is better than the photograph's, since
            shadow no longer looks like hair.
        light: in the axes of the normals; its mean over the seen skin is 1, so that the albedo has
            the exposure of the photograph.
        shading: (S, S, 3) what the colour was divided by.
    """

    albedo: Texture
    light: Light
    shading: Floats


def delight(
    texture: Texture,
    model: FaceModel,
    normals: Floats,
    *,
    coloured: bool = False,
    ridge: float = 1.0,
) -> Delighted:
    """Return the texture without the light it was seen under.

    Args:
        texture: unwrapped from one photograph.
        model: face model.
        normals: (S, S, 3), see `texture.texel_normals`; turned with the head, so that the light is
            the scene's.
        coloured: fit each channel on its own. That takes out coloured light, and with it part of
            a diffuse redness.
        ridge: strength of the prior towards even light; 0 = none.

    Raises:
        ConfigError: a negative ridge.
        DataError: normals of another side, or no skin is seen.
    """
    if ridge < 0:
        raise ConfigError(f"ridge of the light fit is {ridge}; it is 0 or more.")
    if normals.shape != texture.colour.shape:
        raise DataError(f"normals are {normals.shape}, not {texture.colour.shape} as the texture.")
    step = max(1, texture.side // 96)  # order 2 is smooth: a few thousand texels are plenty
    part = (slice(step // 2, None, step), slice(step // 2, None, step))
    # The root: skin in the shade is less sure to be skin, but light shows there.
    weight = (texture.confidence * np.sqrt(texture.skin))[part].ravel()
    if weight.sum() < 20.0:
        raise DataError("too little skin is seen to fit a light: check the fit, or the mask.")
    use = np.flatnonzero(weight > 0.05)
    colours = texture.colour[part].reshape(-1, 3)[use]
    functions = basis(normals[part].reshape(-1, 3)[use])
    found = _fit(functions, colours, weight[use], coloured, ridge)
    made = Light(found)
    shade = shading(made, normals)
    colour = np.empty_like(texture.colour)
    for k in range(3):  # by plane: numpy is slow along a last axis of 3
        np.divide(texture.colour[..., k], shade[..., k], out=colour[..., k])
    albedo = replace(texture, colour=colour)
    skin = skin_likelihood(albedo, model, shade_range=_SHADE_RANGE)
    return Delighted(replace(albedo, skin=skin), made, shade)


def _fit(
    functions: Floats, colours: Floats, weight: Floats, coloured: bool, ridge: float
) -> Floats:
    """Return (9, 3) coefficients whose shading has mean 1 over the texels."""
    od = density(colours).astype(np.float64)
    targets = od if coloured else (od @ _NEUTRAL)[:, None]
    # The mean of the light is fixed first: a skin colour and a strength of light look alike.
    radiance = light(targets - np.average(targets, axis=0, weights=weight))
    columns = [_robust(functions, radiance[:, k], weight, ridge) for k in range(radiance.shape[1])]
    found = np.stack(columns, axis=1)
    means = np.average(np.maximum(functions @ found, 0.05), axis=0, weights=weight)
    return np.broadcast_to(found / means, (9, 3)).astype(np.float32)


def _robust(
    functions: Floats, radiance: npt.NDArray[np.floating], weight: Floats, ridge: float
) -> npt.NDArray[np.float64]:
    """Return (9,) ridge regression, re-weighted by Tukey's biweight of the relative error."""
    constant = float(functions[0, 0])
    functions = functions.astype(np.float64)
    prior = np.zeros(9)
    precision = ridge * (_NOISE_SD / (_PRIOR_SD / constant)) ** 2 / _N_FREE
    kept = weight.astype(np.float64)
    for _ in range(6):
        share = kept / kept.sum()
        prior[0] = (share * radiance).sum() / constant
        normal = (functions * share[:, None]).T @ functions + np.diag(precision)
        found = np.linalg.solve(normal, functions.T @ (share * radiance) + precision * prior)
        error = radiance / np.maximum(functions @ found, 0.1) - 1.0
        spread = 1.4826 * np.median(np.abs(error))
        kept = weight * np.clip(1.0 - (error / (4.0 * max(spread, 0.02))) ** 2, 0.0, 1.0) ** 2
    return np.asarray(found)


def shading(made: Light, normals: Floats) -> Floats:
    """Return (..., 3) how much light falls on surfaces with (..., 3) normals, held in [.6, 1.6].

    A texture that was delighted with this shading shows the photograph again under it.
    """
    x, y, z = (np.ascontiguousarray(normals[..., k]) for k in range(3))
    outside = x * x + y * y + z * z < 0.25  # a normal of length 0
    neutral = bool(np.ptp(made.coefficients, axis=1).max() == 0)
    planes = []
    for xx, yy, zz, xy, yz, xz, bx, by, bz in _polynomial(made)[: 1 if neutral else 3]:
        values = (
            x * (xx * x + xy * y + xz * z + bx) + y * (yy * y + yz * z + by) + z * (zz * z + bz)
        )
        values[outside] = 1.0
        planes.append(np.clip(values, *SHADING_RANGE))
    return np.broadcast_to(np.stack(planes, axis=-1), normals.shape)


def _polynomial(made: Light) -> Floats:
    """Return (3, 9) by channel: xx, yy, zz, xy, yz, xz, x, y, z of the shading of unit normals.

    Order 0 is a multiple of xx + yy + zz. Ten products a texel are faster than nine functions.
    """
    x, y, z = _SPREAD.T
    columns = np.stack([x * x, y * y, z * z, x * y, y * z, x * z, x, y, z], axis=1)
    values = basis(_SPREAD.astype(np.float32)).astype(np.float64) @ made.coefficients
    return np.asarray(np.linalg.lstsq(columns, values, rcond=None)[0].T, dtype=np.float32)


def relight(albedo: Texture, made: Light, normals: Floats) -> Texture:
    """Return an albedo as it looks under a light.

    Args:
        albedo: of `delight`, completed or not.
        made: light.
        normals: (S, S, 3) of the pose.
    """
    return replace(albedo, colour=albedo.colour * shading(made, normals))
