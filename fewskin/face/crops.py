"""A photograph of a face as a sheet of tiles: the face in the middle, patches of skin round it.

All crops stand upright by the line of the eyes. A patch is 4 cm of a mean-sized face on a side, at
the same scale in all places, so that a papule is as large on the chin as on a cheek. Where a patch
lies is said by landmarks, and so holds in every pose. Nothing is invented: a patch that the head
turns away, and what lies outside the photograph, is grey.

Masked, only bare skin is left: brows, eyes, lips, and all that is not the face, are filled from the
skin beside them, and the whole face is left out. No pixel of what is masked enters the sheet.
Yang et al., "Patch-based Automatic Rosacea Detection Using the ResNet Deep Learning Framework",
2025, arXiv:2509.09841, find patches as good as whole faces, and private.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from fewskin.errors import ConfigError, DataError
from fewskin.face.landmarks import Landmarks, inter_ocular
from fewskin.face.pictures import as_linear, as_pixels
from fewskin.face.topology import (
    LEFT_BROW,
    LEFT_EYE,
    LEFT_EYE_CORNERS,
    LIPS_OUTER,
    RIGHT_BROW,
    RIGHT_EYE,
    RIGHT_EYE_CORNERS,
    topology,
)
from fewskin.face.zones import ZONES
from fewskin.functional.procrustes import similarity
from fewskin.functional.pyramid import push_pull
from fewskin.functional.sampling import bilinear
from fewskin.functional.tiles import GRID, LAYOUTS, MIDDLE, TILED, tile_side

__all__ = ["FILL", "PLACES", "Layout", "Sheet", "faceless_sheet", "tile_sheet"]

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Layout = Literal["patches", "face", "masked"]

FILL: Final = 128  # grey of what is not shown, sRGB of 255
# Tiles row by row, and the landmarks whose middle is a patch's; right and left are the subject's.
PLACES: Final[Mapping[str, tuple[int, ...]]] = {
    "between the brows": (8, 9),
    "forehead": (151,),
    "nose": (4, 195),
    "right cheek": ZONES["right cheek"],
    "face": (),
    "left cheek": ZONES["left cheek"],
    "right of the mouth": (61,),
    "chin": (199, 200),
    "left of the mouth": (291,),
}
_PATCH_CM: Final = 4.0
_FACE_CM: Final = 18.0
_LEAST: Final = 0.5  # share of a patch's skin that must be seen
_GRAZING: Final = 0.2  # cosine below which skin is turned away
# Rings that no masked sheet shows, and how far round them, cm.
_HIDDEN: Final = (
    (RIGHT_EYE, 0.55),
    (LEFT_EYE, 0.55),
    ((*RIGHT_BROW[:5], *RIGHT_BROW[:4:-1]), 0.5),
    ((*LEFT_BROW[:5], *LEFT_BROW[:4:-1]), 0.5),
    (LIPS_OUTER, 0.2),
)
_RIM_CM: Final = 0.3  # of the face: hair and background may reach in


@dataclass(frozen=True, eq=False)
class Sheet:
    """A sheet, and what it shows.

    Attributes:
        pixels: (S, S, 3) uint8 sRGB.
        visible: share of its skin that the photograph shows, in [0, 1], of each of `PLACES`; a
            patch with under half is grey. Empty where no face was found.
    """

    pixels: Pixels
    visible: Mapping[str, float]


@dataclass(frozen=True)
class _Frame:
    """An upright square on a photograph: middle and side in pixels, angle of its x axis."""

    x: float
    y: float
    side: float
    angle: float


def tile_sheet(
    pixels: Pixels, face: Landmarks, *, side: int = 192, layout: Layout = "patches"
) -> Sheet:
    """Return a face as a sheet of tiles.

    Args:
        pixels: (H, W, 3) uint8 sRGB, the photograph.
        face: its landmarks, in these pixels.
        side: of the sheet, pixels; of 3 x 3 tiles unless layout is "face".
        layout: "patches" (the face in the middle, the patches round it), "face" (alone, the sheet's
            full size), or "masked" (patches of bare skin; the middle is grey).

    Raises:
        ConfigError: an unknown layout, or a side that is no multiple of 3.
        DataError: the landmarks do not say where the eyes are, or, for "masked", some are unknown.

    Example:
        >>> mean = topology().mean * [10.0, -10.0, -10.0] + [100.0, 100.0, 0.0]
        >>> sheet = tile_sheet(np.full((200, 200, 3), 90, np.uint8), Landmarks(mean), side=48)
        >>> sheet.pixels.shape, int(np.ptp(sheet.pixels)), round(sheet.visible["chin"], 2)
        ((48, 48, 3), 0, 1.0)
    """
    tile = _checked(side, layout)
    if layout == "masked" and not np.isfinite(face.points[:, :2]).all():
        raise DataError("some landmarks are unknown, so that the face cannot be masked; give all.")
    photo, face = _near(pixels, face, side / _FACE_CM if layout == "face" else tile / _PATCH_CM)
    angle, scale = _upright(face)
    seen = _visible(face, scale, photo.shape[1:])
    if layout == "face":
        whole = _frame(face, "face", angle, scale)
        return Sheet(_crop(photo, None, whole, side), seen)
    kept = _bare(photo.shape[1:], face, scale) if layout == "masked" else None
    tiles = [np.full((tile, tile, 3), FILL, np.uint8) for _ in PLACES]
    for i, name in enumerate(PLACES):
        shown = seen[name] >= _LEAST if i != MIDDLE else kept is None
        if shown:
            tiles[i] = _crop(photo, kept, _frame(face, name, angle, scale), tile)
    return Sheet(_joined(tiles), seen)


def faceless_sheet(pixels: Pixels, *, side: int = 192, layout: Layout = "patches") -> Sheet:
    """Return the sheet of a photograph in which no face was found.

    Its centre square takes the place of every tile: it may be a close-up of skin. A masked sheet is
    grey instead: what cannot be found cannot be masked.

    Args:
        pixels: (H, W, 3) uint8 sRGB.
        side: as for `tile_sheet`.
        layout: as for `tile_sheet`.

    Raises:
        ConfigError: as `tile_sheet`.
    """
    tile = _checked(side, layout)
    if layout == "masked":
        return Sheet(np.full((side, side, 3), FILL, np.uint8), {})
    height, width = pixels.shape[:2]
    whole = _Frame(width / 2, height / 2, min(height, width), 0.0)
    one = _crop(_planes(pixels), None, whole, side if layout == "face" else tile)
    return Sheet(one if layout == "face" else _joined([one] * GRID**2), {})


def _checked(side: int, layout: str) -> int:
    """Return the side of a tile."""
    if layout not in LAYOUTS:
        raise ConfigError(f"layout={layout!r}: expected one of {', '.join(LAYOUTS)}.")
    if side < GRID:
        raise ConfigError(f"side={side}: expected {GRID} pixels or more.")
    return tile_side(side) if layout in TILED else side


def _near(pixels: Pixels, face: Landmarks, wanted: float) -> tuple[Floats, Landmarks]:
    """Return the photograph round the face, (3, H, W) linear, and the landmarks in it.

    Args:
        pixels: the photograph.
        face: in it.
        wanted: pixels of a centimetre that crops will have; a photograph with far more is shrunk.
    """
    angle, scale = _upright(face)
    frame = _frame(face, "face", angle, scale)
    reach = 0.75 * frame.side  # over half a diagonal
    left, top = (max(0, int(middle - reach)) for middle in (frame.x, frame.y))
    part = pixels[top : int(frame.y + reach) + 1, left : int(frame.x + reach) + 1]
    if not part.size:
        raise DataError("the face lies outside the photograph; are these its landmarks?")
    step = min(max(1, int(scale / (2.0 * wanted))), *part.shape[:2])
    points = (face.points - np.array([left, top, 0.0], np.float32)) / np.float32(step)
    irises = face.irises
    if irises is not None:
        irises = (irises - np.array([left, top, 0.0], np.float32)) / np.float32(step)
    return _blocks(_planes(part), step), replace(face, points=points, irises=irises)


def _planes(pixels: Pixels) -> Floats:
    return np.ascontiguousarray(np.moveaxis(as_linear(pixels), -1, 0))


def _blocks(planes: Floats, step: int) -> Floats:
    """Return means of step x step pixels of (C, H, W) planes; a rest at the far edges is cut off.

    Example: a (3, 9, 8) image in steps of 2 becomes (3, 4, 4).
    """
    if step == 1:
        return planes
    high, wide = (length // step for length in planes.shape[1:])
    parts = planes[:, : high * step, : wide * step].reshape(-1, high, step, wide, step)
    return np.asarray(parts.mean((2, 4), dtype=np.float32))


def _upright(face: Landmarks) -> tuple[float, float]:
    """Return the angle of the line of the eyes, radians, and the pixels of a centimetre."""
    corners = (RIGHT_EYE_CORNERS, LEFT_EYE_CORNERS)
    right, left = (face.points[list(pair), :2].mean(0) for pair in corners)
    if face.irises is not None and not np.isfinite(right + left).all():
        right, left = face.irises[0, :2], face.irises[5, :2]
    if not np.isfinite(right + left).all():
        raise DataError(
            "the landmarks do not say where the eyes are, by which a face is set upright; give the "
            "corners of both eyes."
        )
    mean = topology().mean
    placed = face.points * np.array([1.0, -1.0, -1.0], np.float32)
    if np.isfinite(placed).all(1).sum() >= 4:
        scale = similarity(mean, placed)[0]
    else:
        scale = inter_ocular(face) / inter_ocular(Landmarks(mean))
    return float(np.arctan2(left[1] - right[1], left[0] - right[0])), float(scale)


def _frame(face: Landmarks, name: str, angle: float, scale: float) -> _Frame:
    if PLACES[name]:
        x, y = face.points[list(PLACES[name]), :2].mean(0)
        return _Frame(float(x), float(y), _PATCH_CM * scale, angle)
    # The middle of the face's box, in the picture set upright.
    known = face.points[np.isfinite(face.points[:, :2]).all(1), :2]
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    upright = known @ turn
    x, y = turn @ (0.5 * (upright.min(0) + upright.max(0)))
    return _Frame(float(x), float(y), _FACE_CM * scale, angle)


def _facing(face: Landmarks, scale: float) -> tuple[Floats, Floats]:
    """Return (T,) areas of the mean face's triangles, cm2, and as seen; negative from behind."""
    mesh = topology()
    mean, points = mesh.mean[mesh.triangles], face.points[mesh.triangles][..., :2] / scale
    area = 0.5 * np.linalg.norm(np.cross(mean[:, 1] - mean[:, 0], mean[:, 2] - mean[:, 0]), axis=1)
    a, b = points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]
    return area, 0.5 * (b[:, 0] * a[:, 1] - b[:, 1] * a[:, 0])  # y is down


def _visible(face: Landmarks, scale: float, size: Sequence[int]) -> dict[str, float]:
    """Return for each place the share of its skin that faces the camera and is in the photograph.

    Skin of a place: the triangles of the mean face whose middle is in the patch.
    """
    mesh, (area, shown) = topology(), _facing(face, scale)
    middle = face.points[mesh.triangles][..., :2].mean(1)
    within = ((middle >= 0) & (middle < [size[1], size[0]])).all(1)  # NaN is not
    seen = within & (shown > _GRAZING * area)
    centres, made = mesh.mean[mesh.triangles].mean(1)[:, :2], {}
    for name, anchors in PLACES.items():
        here = mesh.region == 0
        if anchors:
            off = centres - mesh.mean[list(anchors), :2].mean(0)
            here = (np.abs(off) < _PATCH_CM / 2).all(1)
        made[name] = float((area * seen)[here].sum() / area[here].sum())
    return made


def _bare(size: Sequence[int], face: Landmarks, scale: float) -> Floats:
    """Return (H, W): 1 on the face's skin, 0 on and near brows, eyes, lips, and off the face."""
    from scipy.ndimage import distance_transform_edt

    mesh, (_, shown) = topology(), _facing(face, scale)
    points = face.points[:, :2]
    drawn = _drawn(size, [points[corners] for corners in mesh.triangles[shown > 0]])
    kept = distance_transform_edt(np.pad(drawn, 1, mode="edge"))[1:-1, 1:-1] > _RIM_CM * scale
    for ring, margin in _HIDDEN:
        hidden = _drawn(size, [points[list(ring)]])
        if hidden.any():
            kept &= distance_transform_edt(~hidden) > max(margin * scale, 1.0)
    return kept.astype(np.float32)


def _drawn(size: Sequence[int], polygons: Sequence[Floats]) -> Mask:
    from PIL import Image, ImageDraw

    image = Image.new("1", (size[1], size[0]))
    draw = ImageDraw.Draw(image)
    for polygon in polygons:
        draw.polygon([(float(x) - 0.5, float(y) - 0.5) for x, y in polygon], fill=1, outline=1)
    return np.array(image)


def _crop(photo: Floats, kept: Floats | None, frame: _Frame, size: int) -> Pixels:
    """Return the (size, size, 3) uint8 crop of a frame: means over each of its pixels, in light.

    Args:
        photo: (3, H, W) linear.
        kept: (H, W), 0 for what must not be seen: it is filled from its surroundings; None shows
            everything. What lies outside the photograph is grey where everything is shown.
        frame: in the photograph's pixels.
        size: pixels.
    """
    weight = np.ones(photo.shape[1:], np.float32) if kept is None else kept
    step = frame.side / size
    block = min(max(1, int(step / 2.0)), *photo.shape[1:])
    planes = _blocks(np.concatenate([photo * weight, weight[None]]), block)
    n = max(1, int(np.ceil(step / block)))  # points along a pixel's side
    off = ((np.arange(size * n) + 0.5) / (size * n) - 0.5) * frame.side
    cosine, sine = np.cos(frame.angle), np.sin(frame.angle)
    x = (frame.x + cosine * off[None] - sine * off[:, None]).ravel() / block
    y = (frame.y + sine * off[None] + cosine * off[:, None]).ravel() / block
    inside = (x >= 0) & (x <= planes.shape[2]) & (y >= 0) & (y <= planes.shape[1])
    points = bilinear(planes, x, y) * inside.astype(np.float32)
    sums = points.reshape(4, size, n, size, n).mean((2, 4), dtype=np.float32)
    colour, share = sums[:3] / np.maximum(sums[3], 1e-6), sums[3]
    known = (share >= 0.5).astype(np.float32)
    if kept is not None and known.any():
        colour = push_pull(colour, known)
        known[:] = 1.0
    made = as_pixels(np.moveaxis(colour, 0, -1))
    made[known == 0] = FILL
    return made


def _joined(tiles: Sequence[Pixels]) -> Pixels:
    rows = [np.concatenate(tiles[i : i + GRID], axis=1) for i in range(0, GRID**2, GRID)]
    return np.concatenate(rows)
