"""Take a skin condition off a photograph: how much redder each texel is than in health.

With a healthy photograph of the same person the two are compared texel by texel, to within 1.5 mm:
two fits do not agree better. Without, what is healthy is guessed from the person's other skin and
from what faces have in common (`face.healthy`): a naturally red nose is not erythema then, but
slight, even redness of the whole face is missed.
Pigment is taken only with a healthy photograph: without, a mole and a mark look alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from fewskin.errors import ConfigError, DataError
from fewskin.face.healthy import (
    HealthyModel,
    bare_skin,
    redness,
    smoothed,
    unusual_blood,
)
from fewskin.face.mirror import mirror_of
from fewskin.face.model import FaceModel
from fewskin.face.skin_layers import Layers, blank
from fewskin.face.texture import Texture, atlas_of, smooth_step
from fewskin.functional.pigment import decompose, density
from fewskin.functional.pyramid import push_pull

__all__ = ["Extracted", "blended", "extract", "mixture"]

Map = npt.NDArray[np.float32]
Mixing = Literal["one", "mixup", "pca"]

_SURE: Final = (0.05, 0.3)  # confidence from which a texel is believed a little; wholly
_FLOOR: Final = (0.01, 0.05)  # redness that is noise; that is not
_MOST: Final = 0.6  # haemoglobin density
_BROWN: Final = (-0.15, 0.3)  # melanin that a condition may take or add
_ROUNDS: Final = 20


@dataclass(frozen=True, eq=False)
class Extracted:
    """A condition taken off a photograph.

    Attributes:
        layers: haemoglobin, and melanin where there was a healthy photograph; completed where the
            photograph does not show the face.
        confidence: (S, S) in [0, 1]: 1 measured, lower guessed from the other side or from around.
        against: "photograph" of the healthy person, or "prior".
    """

    layers: Layers
    confidence: Map
    against: Literal["photograph", "prior"]


def extract(
    albedo: Texture,
    model: FaceModel,
    *,
    healthy: Texture | None = None,
    prior: HealthyModel | None = None,
) -> Extracted:
    """Return the condition on a face.

    Args:
        albedo: of the ill face, without light (`delight`), completed or not.
        model: face model.
        healthy: albedo of the same person in health, on the same model.
        prior: of healthy skin, where there is no such albedo; the shipped one by default.

    Raises:
        DataError: textures of two sizes, or too little skin is seen.
    """
    if healthy is not None and healthy.side != albedo.side:
        raise DataError(
            f"the healthy texture has {healthy.side} texels a side, the ill one {albedo.side}; "
            "unwrap both with one side."
        )
    skin = bare_skin(model, albedo.side)
    weight = skin * albedo.confidence * albedo.skin
    if healthy is None:
        more = unusual_blood(albedo, model, prior=prior)
        brown = np.zeros_like(more)
    else:
        weight = weight * np.sqrt(healthy.confidence * healthy.skin)
        more = smoothed(redness(albedo, prior) - redness(healthy, prior), weight, model)
        more = more - _level(more, weight)
        brown = _brown(albedo, healthy, weight)
    blood = np.clip(more * smooth_step(more, *_FLOOR), 0.0, _MOST).astype(np.float32)
    sure = smooth_step(weight, *_SURE)
    blood, brown, sure = _completed(np.stack([blood, brown]), sure, model)
    layers = replace(blank(albedo.side), haemoglobin=blood * skin, melanin=brown * skin)
    return Extracted(layers, sure, "prior" if healthy is None else "photograph")


def _level(more: Map, weight: Map) -> np.float32:
    """Return by how much unaffected skin differs: another exposure or camera, not the condition.

    A mean with Tukey's biweight, one-sided: skin that is redder than the rest does not count.
    """
    use = np.flatnonzero(weight > _SURE[0])
    if not len(use):
        raise DataError("no skin is seen in both photographs; take two of the same side.")
    values, share = more.ravel()[use].astype(np.float64), weight.ravel()[use].astype(np.float64)
    level = float(np.median(values))
    for _ in range(_ROUNDS):
        off = values - level
        spread = 1.4826 * float(np.median(abs(off)))
        reach = np.where(off > 0, 1.5, 4.0) * max(spread, 0.02)
        kept = share * np.clip(1.0 - (off / reach) ** 2, 0.0, 1.0) ** 2
        level = float((kept * values).sum() / max(kept.sum(), 1e-9))
    return np.float32(level)


def _brown(albedo: Texture, healthy: Texture, weight: Map) -> Map:
    """Return (S, S) melanin more than in health."""
    melanin, _, _ = decompose(density(albedo.colour), density(healthy.colour))
    use = weight > _SURE[0]
    level = np.median(melanin[use])
    sized = abs(melanin - level)
    clear = smooth_step(sized, 2.0 * np.median(sized[use]), 5.0 * np.median(sized[use]))
    return np.clip((melanin - level) * clear, *_BROWN).astype(np.float32)


def _completed(planes: Map, sure: Map, model: FaceModel) -> tuple[Map, Map, Map]:
    """Return the planes where nothing was seen too, from the other side, else from around.

    Returns:
        two (S, S) planes and their confidence.
    """
    side = sure.shape[0]
    mirror = mirror_of(model, side)
    other = mirror.of(np.concatenate([planes * sure, sure[None]]))
    atlas = atlas_of(model, side)
    own = atlas.values(sure)
    borrowed = (1.0 - own) * 0.5 * other[-1]  # most conditions of the face are on both sides
    total = own + borrowed
    known = atlas.image(np.minimum(total, 1.0), gutter=False)
    values = [
        atlas.image((atlas.values(plane) * own + borrowed * mean) / np.maximum(total, 1e-6))
        for plane, mean in zip(planes, other[:-1] / np.maximum(other[-1], 1e-6), strict=True)
    ]
    made = push_pull(np.stack(values), known)
    return made[0], made[1], known


def mixture(
    rng: np.random.Generator, n: int, kind: Mixing = "mixup", *, strength: float = 1.0
) -> npt.NDArray[np.float64]:
    """Return (n,) weights of donors; they sum to 1.

    Args:
        rng: of this picture.
        n: donors, 1 or more.
        kind: "one" donor as it is; "mixup" of two (Zhang et al. 2018, arXiv:1710.09412), their
            share from Beta(.4, .4); "pca", a draw from the Gaussian through the donors, whose mean
            and covariance are theirs: weights may be negative.
        strength: of the draw about the mean, for "pca".

    Raises:
        ConfigError: no donor, or an unknown kind.

    Example:
        >>> weights = mixture(np.random.default_rng(0), 4, "pca")
        >>> round(float(weights.sum()), 6)
        1.0
    """
    if n < 1:
        raise ConfigError("no donor of a condition is left; see the findings for the reasons.")
    weights = np.zeros(n)
    if kind == "pca":
        draw = rng.standard_normal(n) / np.sqrt(max(n - 1, 1))
        return np.asarray(1.0 / n + strength * (draw - draw.mean()) * (n > 1))
    chosen = rng.integers(n, size=2)
    share = 1.0 if kind == "one" else float(rng.beta(0.4, 0.4))
    if kind not in ("one", "mixup"):
        raise ConfigError(f"mixing={kind!r}: expected one, mixup or pca.")
    np.add.at(weights, chosen, [share, 1.0 - share])
    return weights


def blended(donors: Sequence[Extracted], weights: npt.NDArray[np.floating]) -> Extracted:
    """Return a condition mixed of several donors'.

    Args:
        donors: on one model, of one size.
        weights: (n,) of `mixture`.

    Raises:
        DataError: no donor, or donors of several sizes.
    """
    if len({one.layers.side for one in donors}) != 1:
        sides = sorted({one.layers.side for one in donors})
        raise DataError(f"donors have textures of {sides} texels; extract all with one side.")
    total = blank(donors[0].layers.side)
    for donor, weight in zip(donors, weights, strict=True):
        parts = {name: values * np.float32(weight) for name, values in donor.layers}
        total = total.plus(Layers(**parts))
    blood = np.clip(total.haemoglobin, 0.0, _MOST)
    size = np.abs(weights) / np.abs(weights).sum()
    sure = sum(
        (one.confidence * np.float32(share) for one, share in zip(donors, size, strict=True)),
        np.zeros_like(blood),
    )
    kinds = {donor.against for donor in donors}
    return Extracted(
        replace(total, haemoglobin=blood), sure, "prior" if "prior" in kinds else "photograph"
    )
