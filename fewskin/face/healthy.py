"""What a face's skin would be like in health, by its own skin and by what faces have in common.

Noses, cheeks and ears are redder than foreheads in health too, and a sunset reddens one side of a
face. Without a healthy photograph of the same person that must be told from erythema. A small
linear model of redness over healthy faces (`scripts/learn_healthy_skin.py`) is fitted to the skin
that is seen; skin much redder than the model allows does not count in the fit. What all faces have,
and what the person's own healthy skin shows, is thus explained; what is left is not.

Redness is one number a texel: the amount of haemoglobin that a matched filter finds in the optical
density, the one least disturbed by how healthy faces vary (light, tan, make-up, cameras). The model
is a principal component analysis with missing values (Tipping and Bishop, "Probabilistic principal
component analysis", 1999, https://doi.org/10.1111/1467-9868.00196), fitted to a face by iteratively
re-weighted least squares with a one-sided Tukey biweight.
"""

import functools
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fewskin.errors import DataError, StageError
from fewskin.face.model import N_LANDMARKS, FaceModel
from fewskin.face.per_model import per_model
from fewskin.face.texture import Texture, atlas_of
from fewskin.face.zones import zones_of
from fewskin.functional.pigment import density
from fewskin.paths import assets_dir

__all__ = ["HealthyModel", "at_landmarks", "healthy_model", "healthy_redness", "redness"]

Floats = npt.NDArray[np.floating]
Map = npt.NDArray[np.float32]

_BLUR_CM: Final = 0.3  # about a landmark: pores and single lesions are not its colour
_NEAR: Final = 8  # landmarks that a texel's value comes from
_SOFT_CM: Final = 0.4
_SEEN: Final = 0.25  # confidence times skin likelihood, above which a landmark counts
_FEWEST: Final = 40  # landmarks
_ROUNDS: Final = 30
_ABOVE, _BELOW = 0.06, 0.25  # density beyond which redder, and paler, skin does not count


@dataclass(frozen=True, eq=False)
class HealthyModel:
    """How redness varies over healthy faces, at the 468 landmarks.

    Attributes:
        filter: (3,) of optical density, RGB; haemoglobin has the response 1.
        known: (468,) whether a landmark is on bare skin.
        mean: (468,) redness relative to the face's own level.
        modes: (k, 468) of one standard deviation each.
        spread: standard deviation about the model.
    """

    filter: Floats
    known: npt.NDArray[np.bool_]
    mean: Floats
    modes: Floats
    spread: float

    def fitted(self, values: Floats, weight: Floats) -> Floats:
        """Return (468,) what the redness of a face would be in health.

        Args:
            values: (468,) redness of the face.
            weight: (468,) 0 or more; 0 where nothing is seen.

        Raises:
            DataError: too few landmarks are seen.
        """
        weight = np.where(self.known & np.isfinite(values), weight, 0.0)
        if (weight > 0).sum() < _FEWEST:
            raise DataError(
                f"skin is seen at {int((weight > 0).sum())} places of the face, {_FEWEST} are "
                "needed to tell what it is like in health; give a healthy photograph."
            )
        design = np.vstack([self.modes, np.ones(N_LANDMARKS)])
        prior = np.diag(np.r_[np.ones(len(self.modes)), 1e-6]) * self.spread**2
        target = np.where(weight > 0, values - self.mean, 0.0)
        off = target - np.median(target[weight > 0])
        for _ in range(_ROUNDS):
            reach = np.where(off > 0, _ABOVE, _BELOW)
            kept = weight * np.clip(1.0 - (off / reach) ** 2, 1e-4, 1.0) ** 2
            part = design * kept
            found = np.linalg.solve(part @ design.T + prior, part @ target)
            off = target - found @ design
        return np.asarray(self.mean + found @ design)


@functools.cache
def healthy_model() -> HealthyModel:
    """Return the model of `assets/face/healthy_skin.npz`.

    Raises:
        StageError: the file is missing or damaged.
    """
    file = assets_dir() / "face" / "healthy_skin.npz"
    try:
        with np.load(file, allow_pickle=False) as found:
            arrays = {name: found[name].astype(np.float64) for name in found.files}
        return HealthyModel(
            filter=arrays["filter"],
            known=arrays["known"] > 0,
            mean=arrays["mean"],
            modes=arrays["modes"],
            spread=float(arrays["spread"]),
        )
    except (OSError, KeyError, ValueError) as error:
        raise StageError(f"cannot read {file}: {error}. Install fewskin again.") from error


def redness(albedo: Texture, model: HealthyModel | None = None) -> Map:
    """Return (S, S) redness of a texture without light, in units of haemoglobin density.

    Only differences count: its level depends on tone, exposure and camera.
    """
    taken = (model or healthy_model()).filter.astype(np.float32)
    return np.asarray(density(albedo.colour) @ taken, dtype=np.float32)


def healthy_redness(
    albedo: Texture, model: FaceModel, *, prior: HealthyModel | None = None
) -> tuple[Map, Map]:
    """Return (S, S) redness of a face, and what it would be in health.

    Args:
        albedo: without light, not completed.
        model: face model with landmarks.
        prior: of healthy faces; the shipped one by default.

    Raises:
        DataError: too little skin is seen.
    """
    prior = prior or healthy_model()
    found = redness(albedo, prior)
    weight = albedo.confidence * albedo.skin
    values, seen = at_landmarks(model, found, weight)
    made = prior.fitted(values, np.where(seen > _SEEN, seen, 0.0))
    return found, _spread(model, albedo.side, made, prior)


def at_landmarks(model: FaceModel, image: Map, weight: Map) -> tuple[Floats, Floats]:
    """Return (468,) weighted means of a map about the landmarks, and (468,) the mean weight.

    Args:
        model: face model.
        image: (S, S).
        weight: (S, S), 0 or more.
    """
    atlas = atlas_of(model, image.shape[0])
    matrix = _around(model, image.shape[0])
    sums = matrix @ np.stack([atlas.values(image * weight), atlas.values(weight)], axis=1)
    return sums[:, 0] / np.maximum(sums[:, 1], 1e-6), sums[:, 1]


@per_model
def _around(model: FaceModel, side: int) -> Any:  # Any: scipy has no stubs
    """Return the sparse (468, n) weights of the texels about each landmark, on the mean face."""
    from scipy.sparse import csr_matrix
    from scipy.spatial import cKDTree

    atlas, marks = atlas_of(model, side), model.landmarks(model.vertices)
    place = atlas.at_texels(model.vertices)
    skin = np.flatnonzero(atlas.values(zones_of(model, side).of("face", "head")))
    tree = cKDTree(place[skin])
    finite = np.asarray(np.isfinite(marks).all(1))
    near = tree.query_ball_point(np.where(finite[:, None], marks, 1e3), 2.0 * _BLUR_CM)
    rows = np.repeat(np.arange(N_LANDMARKS), [len(one) for one in near])
    columns = skin[np.concatenate([np.asarray(one, dtype=np.int64) for one in near])]
    apart = np.linalg.norm(place[columns] - marks[rows], axis=1) / _BLUR_CM
    share = np.exp(-0.5 * apart**2)
    total = np.bincount(rows, share, N_LANDMARKS)
    entries = (share / np.maximum(total, 1e-12)[rows], (rows, columns))
    return csr_matrix(entries, shape=(N_LANDMARKS, len(place)))


def _spread(model: FaceModel, side: int, values: Floats, prior: HealthyModel) -> Map:
    """Return (S, S) a smooth map through values at landmarks; 0 outside the charts."""
    matrix, usable = _from_landmarks(model, side, prior)
    return atlas_of(model, side).image((matrix @ values[usable]).astype(np.float32))


@per_model
def _from_landmarks(
    model: FaceModel, side: int, prior: HealthyModel
) -> tuple[Any, npt.NDArray[np.int64]]:  # Any: scipy has no stubs
    """Return sparse (n, k) weights of the k known landmarks at each texel, and their numbers."""
    from scipy.sparse import csr_matrix
    from scipy.spatial import cKDTree

    marks = model.landmarks(model.vertices)
    usable = np.flatnonzero(prior.known & np.isfinite(marks).all(1))
    place = atlas_of(model, side).at_texels(model.vertices)
    apart, near = cKDTree(marks[usable]).query(place, k=_NEAR)
    share = 1.0 / (apart + _SOFT_CM) ** 2
    share /= share.sum(1, keepdims=True)
    starts = np.arange(len(place) + 1) * _NEAR
    return csr_matrix((share.ravel(), near.ravel(), starts), (len(place), len(usable))), usable
