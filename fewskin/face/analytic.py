"""A head of our own: a smooth mannequin with 21 modes of identity and 20 of expression.

Made by code from no scan and no other model: the face follows the mean of the landmarks that were
found on synthetic photographs (SFHQ, MIT), see `topology`; the rest is ours.
`scripts/make_head.py` writes it to `assets/face/analytic_head.npz`.
"""

import functools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fewskin.errors import StageError
from fewskin.face.correspondence import Correspondence, closest_on_mesh, in_oval
from fewskin.face.head_modes import (
    EXPRESSIONS,
    IDENTITIES,
    expression_fields,
    identity_field,
    opened,
)
from fewskin.face.head_parts import Part
from fewskin.face.head_shape import EYE_CENTRES, Coarse, coarse_head
from fewskin.face.model import REGIONS, FaceModel, load_model
from fewskin.face.topology import LEFT_EYE, LIPS_INNER, LIPS_OUTER, RIGHT_EYE
from fewskin.functional.mesh import vertex_normals
from fewskin.functional.subdivision import Subdivided, subdivided, subdivided_where
from fewskin.paths import assets_dir

__all__ = ["analytic_head", "make_head"]

Array = npt.NDArray[np.floating]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

_PART_REGIONS = ("eyes", "eyes", "mouth", "mouth", "head", "head")
_UPPER_TEETH, _LOWER_TEETH = 2, 3
_CROWN_CM = 7.0  # above this the skull's outline is seen against the background
# What the file is rounded to, which halves it: modes and vertices in cm, texture coordinates.
_MODE_GRAIN, _VERTEX_GRAIN, _UV_GRAIN = 2.0**-9, 2.0**-12, 2.0**-14
_NOSTRIL, _NOSTRIL_REACH = np.array([1.12, -0.62, 12.05]), np.array([0.36, 0.5, 0.5])


@functools.cache
def analytic_head() -> FaceModel:
    """Return our own head, as it is shipped.

    Raises:
        StageError: the asset is missing or damaged.
    """
    file = assets_dir() / "face" / "analytic_head.npz"
    if not file.is_file():
        raise StageError(
            f"{file} is missing. Reinstall fewskin, restore it from the repository, or run "
            "scripts/make_head.py."
        )
    return load_model(file)


class _Block(NamedTuple):
    """A piece of the head; its triangles count from its own first vertex."""

    vertices: Array
    triangles: Ints
    uv: Array
    region: npt.NDArray[np.uint8]
    modes: Array  # (modes, V, 3)


def make_head() -> FaceModel:
    """Make the head from its coarse mesh; seconds."""
    coarse = coarse_head()
    skin = _skin(coarse)
    blocks = [skin, *(_piece(part, number) for number, part in enumerate(coarse.parts))]
    first = np.cumsum([0] + [len(block.vertices) for block in blocks])
    corners = np.concatenate([block.triangles + n for block, n in zip(blocks, first, strict=False)])
    corners = corners.astype(np.int32)
    whole = np.concatenate([block.modes for block in blocks], axis=1)
    whole = _rounded(whole, _MODE_GRAIN)
    at = _landmarks(skin, coarse.landmarks)
    blocks[0] = skin._replace(region=_with_oval(skin, at))
    return FaceModel(
        name="analytic",
        vertices=_rounded(np.concatenate([block.vertices for block in blocks]), _VERTEX_GRAIN),
        triangles=corners,
        uv=_rounded(np.concatenate([block.uv for block in blocks]), _UV_GRAIN),
        uv_triangles=corners,
        region=np.concatenate([block.region for block in blocks]),
        identity=whole[: len(IDENTITIES)],
        expression=whole[len(IDENTITIES) :],
        expression_names=EXPRESSIONS,
        landmark_triangles=at.triangle,
        landmark_bary=at.bary,
        licence="Apache-2.0, fewskin",
        extra={"identity_names": ", ".join(IDENTITIES)},
    )


def _skin(coarse: Coarse) -> _Block:
    """The head with its neck and the inside of its mouth."""
    head = _refined(coarse)
    fields = [identity_field(name, coarse.vertices) for name in IDENTITIES]
    fields += list(expression_fields(coarse).values())
    return _Block(
        _with_nostrils(head.weights @ coarse.vertices, head.triangles),
        head.triangles,
        head.weights @ coarse.uv,
        coarse.region[head.parent],
        np.stack([head.weights @ field for field in fields]),
    )


def _piece(part: Part, number: int) -> _Block:
    """An eyeball, an arch of teeth or an ear."""
    region = np.full(len(part.triangles), REGIONS.index(_PART_REGIONS[number]), dtype=np.uint8)
    modes = _part_modes(part.vertices, number)
    return _Block(part.vertices, part.triangles, part.uv, region, modes)


def _rounded(values: Array, grain: float) -> Floats:
    return np.asarray(np.round(values / grain) * grain, dtype=np.float32)


def _refined(coarse: Coarse) -> Subdivided:
    """The head subdivided once, its face, lips and crown twice."""
    once = subdivided(coarse.triangles, len(coarse.vertices))
    fine = np.isin(coarse.region, [REGIONS.index(name) for name in ("face", "lips")])
    height = coarse.vertices[coarse.triangles, 1].mean(1)
    fine |= (coarse.region == REGIONS.index("head")) & (height > _CROWN_CM)
    twice = subdivided_where(once.triangles, once.weights.shape[0], fine[once.parent])
    return Subdivided(twice.weights @ once.weights, twice.triangles, once.parent[twice.parent])


def _part_modes(placed: Array, number: int) -> Array:
    """Modes of a part: ears bend with the head, eyeballs and teeth move as a whole."""
    made = np.zeros((len(IDENTITIES) + len(EXPRESSIONS), len(placed), 3))
    at = placed
    if number < len(EYE_CENTRES):
        at = np.broadcast_to(EYE_CENTRES[number], placed.shape)
    elif number in (_UPPER_TEETH, _LOWER_TEETH):
        at = np.broadcast_to(placed.mean(0), placed.shape)
    for row, name in enumerate(IDENTITIES):
        made[row] = identity_field(name, at)
    if number == _LOWER_TEETH:
        made[len(IDENTITIES) + EXPRESSIONS.index("jawOpen")] = opened(placed)
    return made


def _with_nostrils(vertices: Array, triangles: Ints) -> Array:
    """The underside of the nose pushed in, in two places."""
    one_side = np.column_stack([np.abs(vertices[:, 0]), vertices[:, 1:]])
    depth = np.exp(-0.5 * (((one_side - _NOSTRIL) / _NOSTRIL_REACH) ** 2).sum(1) ** 2)
    below = np.clip(-vertex_normals(vertices, triangles)[:, 1], 0.0, 1.0)
    return np.asarray(vertices + (depth * below)[:, None] * [0.0, 0.45, -0.1])


def _landmarks(skin: _Block, wanted: Array) -> Correspondence:
    """The closest point of the skin to each landmark; those of lids and lips are vertices."""
    rows = np.flatnonzero(skin.region != REGIONS.index("mouth"))
    at = closest_on_mesh(wanted, skin.vertices, skin.triangles[rows])
    held = rows[at.triangle].astype(np.int32)
    # Upper and lower lips touch, so there the closest point may be of the wrong one.
    for landmark in (*LIPS_INNER, *LIPS_OUTER, *LEFT_EYE, *RIGHT_EYE):
        row = rows[(skin.triangles[rows] == landmark).any(1)][0]
        held[landmark] = row
        at.bary[landmark] = skin.triangles[row] == landmark
    return at._replace(triangle=held)


def _with_oval(skin: _Block, at: Correspondence) -> npt.NDArray[np.uint8]:
    """Regions with the face ending at the landmarks' oval, also where the mesh slid."""
    made = skin.region.copy()
    face, head = REGIONS.index("face"), REGIONS.index("head")
    plain = np.isin(made, (face, head))
    made[plain] = np.where(in_oval(skin.uv, skin.triangles, at)[plain], face, head)
    return made
