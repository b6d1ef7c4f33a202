"""Fill what a photograph does not show of a face: the other side's skin, then the neighbours'.

The other half of the face is the best guess of a hidden half. Its colour is matched by the
difference between the two halves where both are seen, continued smoothly into the hidden part (a
membrane, as in Poisson image editing, Perez et al. 2003; solved by an image pyramid), in optical
density, where light is a sum. So there is no seam. What neither half shows is continued from its
surroundings by the same pyramid.

Only bare skin, and the brows, eyes and lips, are mirrored: a fringe, a beard's edge or glasses are
not copied. Nostrils are not mirrored: their dark insides and bright rims never fit, and leave a
ring.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.errors import DataError
from fewskin.face.mirror import mirror_of
from fewskin.face.model import REGIONS, FaceModel
from fewskin.face.surroundings import surroundings_of
from fewskin.face.texture import Atlas, Texture, atlas_of, smooth_step
from fewskin.face.zones import Zones, zones_of
from fewskin.functional.pyramid import doubled, halved, push_pull
from fewskin.functional.sampling import bilinear

__all__ = ["Inpainter", "complete"]

Floats = npt.NDArray[np.float32]

Inpainter = Callable[[Floats, npt.NDArray[np.bool_]], Floats]
"""(S, S, 3) linear colour and (S, S) what is missing -> (S, S, 3) linear colour, filled."""

_COARSE: Final = 128  # side at which the difference of the halves is continued
_LEVELS: Final = 4  # of the pyramid that joins the guess to what is seen beside it: 2 cm
_DARK: Final = np.float32(0.004)  # light added before the logarithm: black has no steady hue
_MOST_SHADE: Final = 1.5  # difference of the halves, natural density: brightness
_MOST_HUE: Final = 0.25  # and each channel beside it
_SPARSE: Final = np.float32(0.1)  # so that a local mean is one over some texels, not of one
_SPREAD: Final = np.array([0.15, 0.06, 0.06], np.float32)  # of brightness, G - R, B - R
_ANYTHING: Final = 0.005  # weight of a colour of the wrong kind
# Colour of parts that no photograph shows, as multiples of the skin's luminance.
_UNSEEN: Final = {"eyes": (1.2, 1.15, 1.1), "mouth": (0.5, 0.2, 0.18), "lips": (1.1, 0.6, 0.55)}


def complete(
    texture: Texture,
    model: FaceModel,
    *,
    mirror: bool = True,
    inpaint: Inpainter | None = None,
) -> Texture:
    """Return the texture with a colour for every texel.

    Args:
        texture: best delighted first, so that the halves differ little.
        model: face model.
        mirror: use the other half.
        inpaint: fills what neither half shows, in place of the pyramid: gets the texture with the
            pyramid's fill, and where that fill is.

    Returns:
        The texture. Where a colour is taken from the other half its confidence is half of what it
        is there, and where it is filled 0, so that `confidence` still tells seen from guessed.

    Raises:
        DataError: nothing of the face is seen, or the inpainter returns another shape.
    """
    atlas, zones = atlas_of(model, texture.side), zones_of(model, texture.side)
    layers = _layers(texture)
    own = _own_weight(texture, layers) * atlas.covered
    if own.sum() < 1.0:
        raise DataError("nothing of the face is seen, so there is nothing to complete it from.")
    known = own
    if mirror:
        known = _mirrored(layers, own, model, zones)
    fill = _fill(layers, known, model, zones)
    made = Texture(
        colour=_composed(layers[:3], fill, known, atlas),
        confidence=layers[3] * known,
        skin=layers[4] * known + (1.0 - known) * zones.prior * (1.0 - zones.scalp),
        density=layers[5] * known,
    )
    return made if inpaint is None else _inpainted(made, known, atlas, inpaint)


def _layers(texture: Texture) -> Floats:
    """Return (6, S, S): colour as natural density, confidence, skin, pixels per texel."""
    layers = np.empty((6, texture.side, texture.side), np.float32)
    np.log(np.moveaxis(texture.colour, -1, 0) + _DARK, out=layers[:3])
    np.negative(layers[:3], out=layers[:3])
    layers[3], layers[4], layers[5] = texture.confidence, texture.skin, texture.density
    return layers


def _own_weight(texture: Texture, layers: Floats) -> Floats:
    """Return (S, S) how far a texel's own colour is kept.

    Near an outline, where confidence is low, only what looks like skin, or like the surely seen
    texels beside it, is kept: what does not may be background.
    """
    sure = smooth_step(texture.confidence, 0.35, 0.75)
    fits = np.maximum(smooth_step(texture.skin, 0.15, 0.6), _like_inside(layers, sure))
    kept = smooth_step(texture.confidence, 0.0, 0.2)
    return np.asarray(kept * (sure + (1.0 - sure) * fits))


def _like_inside(layers: Floats, sure: Floats) -> Floats:
    """Return (S, S) 1 where a colour is within the spread of the surely seen ones around it."""
    half = sure.shape[0] % 2 == 0 and sure.shape[0] >= 2 * _COARSE
    colour = halved(layers[:3]) * np.float32(0.25) if half else layers[:3]
    sure = halved(sure) * np.float32(0.25) if half else sure
    red, green, blue = colour
    axes = np.stack([(red + green + blue) / np.float32(3.0), green - red, blue - red])
    stack = np.concatenate([axes, axes * axes, np.ones((1, *sure.shape), np.float32)]) * sure
    times = 0
    while stack.shape[1] > _COARSE and stack.shape[1] % 2 == 0:
        stack, times = halved(stack), times + 1
    count = np.maximum(stack[6], 1e-6)
    local = push_pull(stack[:6] / count, np.minimum(stack[6] / 4.0**times, 1.0) * _SPARSE)
    for _ in range(times):
        local = doubled(local)
    spread = np.sqrt(np.maximum(local[3:] - local[:3] ** 2, 0.0))
    spread = np.clip(spread, _SPREAD[:, None, None], 2.5 * _SPREAD[:, None, None])
    first, second, third = (axes - local[:3]) / spread
    found = 1.0 - smooth_step(first * first + second * second + third * third, 4.0, 12.0)
    return doubled(found) if half else found


def _mirrored(layers: Floats, own: Floats, model: FaceModel, zones: Zones) -> Floats:
    """Blend the other half's layers into `layers`, in place; return (S, S) what is known then."""
    mirror = mirror_of(model, len(own))
    weight = mirror.of(own[None])[0]
    rows = np.flatnonzero((own.ravel()[mirror.texel] < 0.999) & (weight > 1e-3))
    texel, weight = mirror.texel[rows], weight[rows]
    weighted = np.concatenate([layers * own, own[None]])
    other = mirror.of(weighted[:6], rows) / weight
    other[3] *= 0.5  # confidence in a guess
    difference = _difference(weighted[[0, 1, 2, 6]], model)
    row, column = np.divmod(texel, len(own))
    scale = np.float32(difference.shape[1] / len(own))
    half = np.float32(0.5)
    other[:3] += bilinear(difference, (column + half) * scale, (row + half) * scale)
    copied = np.maximum(zones.feature, zones.scalp).ravel()[texel]  # though it is no bare skin
    allowed = np.maximum(smooth_step(other[4], 0.25, 0.7), copied)
    allowed *= 1.0 - zones.nostril.ravel()[texel]
    mine = own.ravel()[texel]
    part = (1.0 - mine) * weight * allowed
    total = mine + part
    share = part / np.maximum(total, 1e-6)
    for layer, values in zip(layers, other, strict=True):
        flat = layer.reshape(-1)
        flat[texel] += (values - flat[texel]) * share
    known = own.copy()
    known.reshape(-1)[texel] = total
    return known


def _difference(weighted: Floats, model: FaceModel) -> Floats:
    """Return (3, s, s) own minus mirrored density, smooth, continued to where one is unknown."""
    while weighted.shape[1] > _COARSE and weighted.shape[1] % 2 == 0:
        weighted = halved(weighted) * np.float32(0.25)
    side = weighted.shape[1]
    mirror = mirror_of(model, side)
    own, other = weighted.reshape(4, -1)[:, mirror.texel], mirror.of(weighted)
    mine, theirs = (part[:3] / np.maximum(part[3], 1e-6) for part in (own, other))
    difference = mine - theirs
    shade = difference.mean(0)
    hue = np.clip(difference - shade, -_MOST_HUE, _MOST_HUE)
    difference = hue + np.clip(shade, -_MOST_SHADE, _MOST_SHADE)
    values = np.zeros((3, side**2), np.float32)
    weight = np.zeros(side**2, np.float32)
    values[:, mirror.texel], weight[mirror.texel] = difference, own[3] * other[3]
    return push_pull(values.reshape(3, side, side), weight.reshape(side, side))


def _fill(layers: Floats, known: Floats, model: FaceModel, zones: Zones) -> Floats:
    """Return (3, S, S) density continued from the known part of the same kind of surface."""
    skin = zones.of("face", "head")
    scalp = zones.scalp * skin
    # Skin is continued from skin, not from the hair, collar or frame beside it, and scalp from hair
    # if there is any. A little of the rest counts where there is nothing better.
    bare = smooth_step(layers[4], 0.15, 0.6)
    weight = known * (scalp * (1.0 - bare) + (skin - scalp) * bare) * (1.0 - zones.nostril)
    stack = np.concatenate([layers[:3], np.ones((1, *known.shape), np.float32)])
    stack *= weight + np.float32(_ANYTHING) * known * skin
    if stack[3].sum() < 1.0:
        stack = np.concatenate([layers[:3] * known, known[None]])
    beside = np.concatenate([layers[:3] * (known * skin), (known * skin)[None]])
    half = len(known) % 2 == 0 and len(known) >= 64
    if half:
        sums, weight, beside = halved(stack), halved(weight), halved(beside)
    else:
        sums = stack
    fill = surroundings_of(model, sums.shape[1]).continued(sums[:3], sums[3])
    fill += push_pull(_mean(sums) - fill, np.minimum(weight, 1.0), _LEVELS)
    # A thin gap takes what is beside it, whatever that is, or a rim of skin would frame a beard.
    fill += push_pull(_mean(beside) - fill, np.minimum(beside[3], 1.0), _LEVELS - 1)
    fill = doubled(fill) if half else fill
    typical = np.exp(-sums[:3].sum((1, 2)) / sums[3].sum()).mean()
    for name, factors in _UNSEEN.items():
        part = np.flatnonzero(zones.region == REGIONS.index(name))
        unseen = -np.log(np.clip(typical * np.array(factors), 0.02, 0.8))
        values, seen = layers[:3].reshape(3, -1)[:, part], known.ravel()[part]
        if seen.sum() > 20.0:
            # The white of an eye rather than the iris; the dark of a mouth rather than teeth.
            shade = values.sum(0) * {"eyes": 1.0, "mouth": -1.0}.get(name, 0.0)
            seen = seen * (shade <= np.median(shade[seen > 0.5 * seen.max()]))
            colour = (values * seen).sum(1) / max(seen.sum(), 1e-6)
            if name == "mouth":  # what shows in a closed mouth is a strip of lip
                colour = np.maximum(colour, unseen)
        else:
            colour = unseen
        fill.reshape(3, -1)[:, part] = colour[:, None]
    return fill


def _mean(sums: Floats) -> Floats:
    return np.asarray(sums[:3] / np.maximum(sums[3], 1e-6))


def _composed(values: Floats, fill: Floats, known: Floats, atlas: Atlas) -> Floats:
    """Return (S, S, 3) linear colour; gutters repeat the charts' borders."""
    fill += (values - fill) * known
    flat = fill.reshape(3, -1)
    flat[:, atlas.gutter] = flat[:, atlas.texel[atlas.gutter_from]]
    np.exp(np.negative(fill, out=fill), out=fill)
    np.maximum(fill - _DARK, 0.0, out=fill)
    return np.ascontiguousarray(np.moveaxis(fill, 0, -1))


def _inpainted(texture: Texture, known: Floats, atlas: Atlas, inpaint: Inpainter) -> Texture:
    missing = (known < 0.5) & atlas.covered
    colour = np.asarray(inpaint(texture.colour, missing), np.float32)
    if colour.shape != texture.colour.shape:
        raise DataError(
            f"the inpainter returned {colour.shape}, not {texture.colour.shape} linear colour."
        )
    keep = np.where(atlas.covered, known, 1.0)[..., None].astype(np.float32)
    return replace(texture, colour=keep * texture.colour + (1.0 - keep) * colour)
