"""Give the photographs of one person one skin: what one of them hides, another shows."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fewskin.errors import DataError
from fewskin.face.complete import complete
from fewskin.face.fuse import fuse
from fewskin.face.subject import Subject, unlit
from fewskin.face.texture import Texture

__all__ = ["share_skin"]

Floats = npt.NDArray[np.float32]


def share_skin(subjects: Sequence[Subject], images: Sequence[Floats]) -> list[Subject]:
    """Return the subjects with one fused skin, each at the exposure of its own photograph.

    Shape, pose, light, hair and background stay each photograph's own. A redness that only some of
    the photographs show is averaged: fuse photographs of one visit.

    Args:
        subjects: of photographs of one person, of one face model's texture and side.
        images: (H, W, 3) linear RGB of each.

    Raises:
        DataError: no photograph, models that differ, or two groups without common skin.
    """
    if not subjects or len(subjects) != len(images):
        raise DataError(f"{len(subjects)} subjects and {len(images)} photographs of one person.")
    if len({len(subject.model.vertices) for subject in subjects}) > 1:
        raise DataError("the photographs of one person were fitted with different face models.")
    if len(subjects) == 1:
        return list(subjects)
    seen = [
        unlit(image, one.model, one.fit, one.albedo.side).bare.albedo
        for image, one in zip(images, subjects, strict=True)
    ]
    whole = complete(fuse(seen), subjects[0].model)
    made = []
    for subject, own in zip(subjects, seen, strict=True):
        gain = np.float32(_exposure(own, whole))
        made.append(replace(subject, albedo=replace(whole, colour=whole.colour * gain)))
    return made


def _exposure(own: Texture, whole: Texture) -> float:
    """Return by how much a photograph's own skin is brighter than the fused one where it shows."""
    weight = own.confidence * own.skin
    ours, all_of_it = ((weight[..., None] * one.colour).sum() for one in (own, whole))
    return float(ours / max(all_of_it, 1e-9))
