"""Paint a skin condition on healthy faces: new pictures, exact masks, boxes of the lesions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from fewskin.provenance import DEFAULT_OUT, stage

__all__ = ["face_paint"]


@stage(version=1, inputs=("path", "people", "pool"))
def face_paint(
    path: Path,
    *,
    condition: str = "rosacea",
    severity: float | Mapping[str, float] | None = None,
    extent: float = 1.0,
    model: str = "landmark",
    landmarks: str = "mediapipe",
    n: int = 4,
    size: int = 256,
    side: int = 1024,
    knobs: Mapping[str, float] | None = None,
    people: Path | None = None,
    background: Literal["depth_sheet", "uniform", "pool", "identity_masked"] = "depth_sheet",
    pool: Path | None = None,
    seed: int = 0,
    out: Path = DEFAULT_OUT,
) -> None:
    """Paint a skin condition on healthy faces.

    Writes `images/<id>_<k>.png`, `masks/` (condition, face, each feature), `annotations.json`
    (COCO: masks of features, boxes and masks of lesions, counts), `views.csv`, `findings.csv` and
    `contact.png`.

    Args:
        path: folder of `fewskin face fit`, or of photographs of healthy people, fitted first.
        condition: acne, flush, lupus, make_up, melasma, perioral, rosacea, seborrhoeic_dermatitis
            or sunburn; or none, for pictures of the same people in health, taken the same way.
        severity: 0 to 4, or {feature: 0 to 4}, e.g. {erythema: 2, papules: 3}; drawn from 1 to 4
            for each picture by default.
        extent: area relative to the usual, 0.5 to 1.5.
        model: as in `fewskin face fit`; for photographs only.
        landmarks: as in `fewskin face fit`; for photographs only.
        n: pictures of each face.
        size: longer side of a picture, pixels.
        side: texels of the condition's layers; 1024 shows vessels in pictures of 512 pixels.
        knobs: ranges of the scene, e.g. {yaw_deg: 30, light: 0.5}.
        people: as in `fewskin face view`.
        background: as in `fewskin face view`.
        pool: folder of pictures for background=pool.
        seed: picture k of a face depends on the seed, the face and k only; two severities of one
            seed are the same person, scene and lesions.
    """
    import numpy as np

    from fewskin.data.support_images import knob_values
    from fewskin.errors import ConfigError
    from fewskin.face.affected_portrait import Sitter, nothing
    from fewskin.face.backdrops import read_backgrounds
    from fewskin.face.condition import condition_names, present
    from fewskin.face.condition_folder import Order, write_affected
    from fewskin.face.fit_folder import people_in
    from fewskin.face.recipes import Recipe
    from fewskin.face.scene import KNOBS
    from fewskin.provenance import unknown

    if condition not in ("none", *condition_names()):
        raise ConfigError(unknown("condition", condition, ("none", *condition_names())))
    ranges, behind = knob_values(KNOBS, knobs), read_backgrounds(background, pool, size)

    def cook(sitter: Sitter, rng: np.random.Generator) -> tuple[Recipe, list[str]]:
        grade = float(rng.uniform(1.0, 4.0))  # drawn in any case: the lesions stay the same
        if condition == "none":
            return Recipe(nothing(side), {}), []
        drawn = present(condition, sitter.person.model, rng=rng, side=side, extent=extent)
        made = drawn.at(grade if severity is None else severity)
        return Recipe(made, made.severity), []

    order = Order("face paint", condition, cook, ranges, n, size, side, behind, seed)
    write_affected(people_in(path, model, landmarks, out), order, out, patients=people)
