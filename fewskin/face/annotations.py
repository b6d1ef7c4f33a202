"""Lesions in a picture: boxes, masks and counts, and the COCO file that holds them.

A lesion's mask is exact: each point of the picture is looked up on the texture, so what lies behind
the nose is not seen, and what turns away is as narrow as it looks. The file is COCO's object
detection format (Lin et al., 2014, https://cocodataset.org/#format-data) with masks as uncompressed
run lengths; instances and the masks of whole features are both annotations, of categories whose
supercategory is "instance" or "feature".
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fewskin.errors import DataError
from fewskin.face.model import FaceModel
from fewskin.face.presentation import Drawn, Instance
from fewskin.face.render import see
from fewskin.face.texture import atlas_of
from fewskin.functional.pose import View
from fewskin.functional.raster_numpy import bary_numpy
from fewskin.functional.sampling import blend
from fewskin.paths import atomic_write

__all__ = [
    "AnnotatedImage",
    "SeenInstance",
    "append_annotations",
    "mask_of",
    "read_annotations",
    "run_lengths",
    "seen_instances",
]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

ANNOTATIONS: Final = "annotations.json"
_SEEN_SHARE: Final = 0.25  # of the area that a lesion would have if it faced the camera
_INSIDE: Final = 0.5  # share from which a texel is the lesion's
_INFO: Final = {
    "description": "Simulated skin conditions on faces, drawn by fewskin.",
    "source": "simulated",
    "labels": "exact by construction; no person drew or checked them",
}
_TABLES: Final = ("images", "annotations", "categories")


@dataclass(frozen=True, eq=False)
class SeenInstance:
    """A lesion in a picture.

    Attributes:
        kind: such as "papule".
        feature: whose mask it is in.
        box: x, y, width, height in pixels, around the mask.
        mask: (H, W) bool, pixels of which it covers at least half; the one it covers most if none.
        area_px: that it covers, with parts of pixels.
    """

    kind: str
    feature: str
    box: tuple[int, int, int, int]
    mask: Mask
    area_px: float


@dataclass(frozen=True, eq=False)
class AnnotatedImage:
    """A picture's labels.

    Attributes:
        image_id: of the table of images.
        file_name: relative to the annotations' folder.
        condition: key.
        severity: feature -> 0 to 4.
        masks: feature -> (H, W) in [0, 1].
        instances: lesions that are seen.
    """

    image_id: str
    file_name: str
    condition: str
    severity: Mapping[str, float]
    masks: Mapping[str, Floats]
    instances: Sequence[SeenInstance]


def seen_instances(
    drawn: Drawn,
    model: FaceModel,
    vertices: Floats,
    view: View,
    *,
    only: Mask | None = None,
    supersample: int = 2,
    min_area_px: float = 1.0,
) -> tuple[SeenInstance, ...]:
    """Return the lesions that a picture shows, in the order in which they were drawn.

    Left out is what is hidden, what is seen at so flat an angle that less than a quarter of it
    shows, and what is smaller than `min_area_px`.

    Args:
        drawn: the condition.
        model: face model.
        vertices: (V, 3) of the person, cm.
        view: pose and camera.
        only: (T,) triangles that are drawn; all by default.
        supersample: points along a pixel's side, 2 or more for exact small lesions.
        min_area_px: least area, pixels.
    """
    if not drawn.instances:
        return ()
    owner = _owners(drawn)
    pixel, instance = _points(owner, model, vertices, view, only, supersample)
    order = np.argsort(instance, kind="stable")
    starts = np.searchsorted(instance[order], np.arange(len(drawn.instances) + 1))
    found = []
    for k, one in enumerate(drawn.instances):
        points = pixel[order[starts[k] : starts[k + 1]]]
        area = len(points) / supersample**2
        facing = _facing_area(one, drawn, model, vertices, view)
        if area >= max(min_area_px, _SEEN_SHARE * facing):
            found.append(_seen(one, points, view.size, supersample))
    return tuple(found)


def _owners(drawn: Drawn) -> npt.NDArray[np.int32]:
    """Return (S^2,) the instance that a texel belongs to; -1 for none. The plainer one wins."""
    owner = np.full(drawn.layers.side**2, -1, np.int32)
    most = np.full(drawn.layers.side**2, np.float32(_INSIDE))
    for k, one in enumerate(drawn.instances):
        mine = one.share >= most[one.at]
        owner[one.at[mine]] = k
        most[one.at[mine]] = one.share[mine]
    return owner


def _points(
    owner: npt.NDArray[np.int32],
    model: FaceModel,
    vertices: Floats,
    view: View,
    only: Mask | None,
    supersample: int,
) -> tuple[Ints, Ints]:
    """Return the pixel and the instance of each point of the picture that shows an instance."""
    side = round(len(owner) ** 0.5)
    atlas = atlas_of(model, side)
    seen, _ = see(model, vertices, view, supersample=supersample, only=only)
    bearing = np.zeros(len(model.triangles) + 1, bool)  # the last one is for "no triangle"
    bearing[atlas.triangle[owner[atlas.texel] >= 0]] = True
    hit = np.flatnonzero(bearing[seen.triangle.ravel()])
    triangle = seen.triangle.ravel()[hit]
    bary = bary_numpy(seen.points, seen.triangles, seen.triangle, hit)
    u, v = blend(seen.uv, seen.uv_triangles, triangle, bary).T
    column = np.clip((u * side).astype(np.int64), 0, side - 1)
    row = np.clip(((1.0 - v) * side).astype(np.int64), 0, side - 1)
    instance = owner[row * side + column]
    there = instance >= 0
    y, x = np.divmod(hit[there], seen.triangle.shape[1])
    return (y // supersample) * view.size[1] + x // supersample, instance[there].astype(np.int64)


def _facing_area(
    one: Instance, drawn: Drawn, model: FaceModel, vertices: Floats, view: View
) -> float:
    """Return the pixels that an instance would cover if it faced the camera unhidden."""
    atlas = atlas_of(model, drawn.layers.side)
    row, column = one.texel
    at = int(np.searchsorted(atlas.texel, row * drawn.layers.side + column))
    place = atlas.bary[at] @ vertices[atlas.corners[at]]
    scale = view.focal_px / float(view.to_camera(place)[2])
    return float(np.pi * (0.1 * one.radius_mm * scale) ** 2)


def _seen(one: Instance, points: Ints, size: tuple[int, int], supersample: int) -> SeenInstance:
    counts = np.bincount(points, minlength=size[0] * size[1])
    covered = counts >= min(int(counts.max()), 0.5 * supersample**2)
    mask = covered.reshape(size)
    return SeenInstance(one.kind, one.feature, _box(mask), mask, len(points) / supersample**2)


def run_lengths(mask: Mask) -> dict[str, list[int]]:
    """Return a mask as COCO's uncompressed run lengths: down the columns, zeros first.

    Example:
        >>> run_lengths(np.array([[True, False], [True, True]]))
        {'size': [2, 2], 'counts': [0, 2, 1, 1]}
    """
    flat = np.asarray(mask, bool).T.ravel()
    edges = np.flatnonzero(np.diff(flat, prepend=False))
    bounds = np.concatenate([[0], edges, [len(flat)]])
    return {"size": [int(n) for n in mask.shape], "counts": [int(n) for n in np.diff(bounds)]}


def mask_of(segmentation: Mapping[str, Any]) -> Mask:
    """Return the (H, W) mask of `run_lengths`.

    Raises:
        DataError: the run lengths do not fill the mask's size.

    Example:
        >>> mask_of({"size": [2, 2], "counts": [0, 2, 1, 1]}).tolist()
        [[True, False], [True, True]]
    """
    height, width = segmentation["size"]
    counts = segmentation["counts"]
    if isinstance(counts, str) or sum(counts) != height * width:
        raise DataError(
            f"run lengths of a mask of {height} x {width}: expected numbers that add up to "
            f"{height * width}. Compressed run lengths (a text) are not read."
        )
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape(width, height).T


def append_annotations(file: Path, images: Iterable[AnnotatedImage]) -> None:
    """Add pictures to a COCO file, which is made where it is missing; written in one move.

    Args:
        file: usually `annotations.json` beside the images.
        images: not yet in the file.

    Raises:
        DataError: the file is no COCO file, or holds one of the images already.
    """
    empty: dict[str, Any] = {"info": dict(_INFO)} | {name: [] for name in _TABLES}
    table = read_annotations(file) if file.exists() else empty
    categories = {(one["supercategory"], one["name"]): one["id"] for one in table["categories"]}
    known = {one["image_id"] for one in table["images"]}
    for image in images:
        if image.image_id in known:
            raise DataError(f"{file} holds image {image.image_id!r} already; write to a new file.")
        known.add(image.image_id)
        _append(table, categories, image)
    atomic_write(file, json.dumps(table, separators=(",", ":"), sort_keys=True) + "\n")


def _append(
    table: dict[str, Any], categories: dict[tuple[str, str], int], image: AnnotatedImage
) -> None:
    height, width = next(iter(image.masks.values())).shape
    number = len(table["images"]) + 1
    counts: dict[str, int] = {}
    for one in image.instances:
        counts[one.kind] = counts.get(one.kind, 0) + 1
    table["images"].append(
        {
            "id": number,
            "image_id": image.image_id,
            "file_name": image.file_name,
            "height": height,
            "width": width,
            "condition": image.condition,
            "severity": {name: round(float(x), 4) for name, x in image.severity.items()},
            "counts": counts,
        }
    )
    masks = [("feature", name, mask >= 0.5, None) for name, mask in image.masks.items()]
    lesions = [("instance", one.kind, one.mask, one.box) for one in image.instances]
    for kind, name, mask, box in (*masks, *lesions):
        if not mask.any():
            continue
        key = (kind, name)
        if key not in categories:
            categories[key] = len(categories) + 1
            entry = {"id": categories[key], "name": name, "supercategory": kind}
            table["categories"].append(entry)
        table["annotations"].append(
            {
                "id": len(table["annotations"]) + 1,
                "image_id": number,
                "category_id": categories[key],
                "bbox": list(box or _box(mask)),
                "area": int(mask.sum()),
                "segmentation": run_lengths(mask),
                "iscrowd": 0,
            }
        )


def _box(mask: Mask) -> tuple[int, int, int, int]:
    """Return x, y, width and height of a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1


def read_annotations(file: Path) -> dict[str, Any]:
    """Return a COCO file: info, images, annotations and categories.

    Raises:
        DataError: no such file, no JSON, or a table is missing or does not fit the others.
    """
    try:
        table = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"{file} is no annotation file: {error}.") from error
    if not isinstance(table, dict) or not all(isinstance(table.get(n), list) for n in _TABLES):
        raise DataError(f"{file} is no COCO file: expected the lists {', '.join(_TABLES)}.")
    images = {one.get("id") for one in table["images"]}
    kinds = {one.get("id") for one in table["categories"]}
    for one in table["annotations"]:
        if one.get("image_id") not in images or one.get("category_id") not in kinds:
            raise DataError(f"{file}: annotation {one.get('id')} has an unknown image or category.")
    return dict(table)
