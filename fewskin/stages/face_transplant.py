"""Move a skin condition from photographs of patients to healthy faces."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from fewskin.provenance import DEFAULT_OUT, stage

__all__ = ["face_transplant"]


@stage(version=1, inputs=("path", "donors", "people", "pool"))
def face_transplant(
    path: Path,
    *,
    donors: Path,
    condition: str = "rosacea",
    strength: float = 1.0,
    mixing: Literal["one", "mixup", "pca"] = "one",
    model: str = "landmark",
    landmarks: str = "mediapipe",
    n: int = 4,
    size: int = 256,
    side: int = 512,
    knobs: Mapping[str, float] | None = None,
    people: Path | None = None,
    background: Literal["depth_sheet", "uniform", "pool", "identity_masked"] = "depth_sheet",
    pool: Path | None = None,
    seed: int = 0,
    out: Path = DEFAULT_OUT,
) -> None:
    """Move a skin condition from photographs of patients to healthy faces.

    What is redder on a donor's photograph than that person's skin is in health, which is guessed,
    is put on the healthy faces as the same amount of blood, so their own tone stays. Writes what
    `fewskin face paint` writes, without lesions; `parent_ids` names the donors, then the face.

    Args:
        path: folder of `fewskin face fit`, or of photographs of healthy people, fitted first.
        donors: likewise, of the patients; of the same model.
        condition: its name, for the table.
        strength: times what was taken off, 0 to 2.
        mixing: "one" donor a picture, "mixup" of two, or "pca" of all.
        model: as in `fewskin face fit`; for photographs only.
        landmarks: as in `fewskin face fit`; for photographs only.
        n: pictures of each face.
        size: longer side of a picture, pixels.
        side: texels of the textures.
        knobs: ranges of the scene, e.g. {yaw_deg: 30, light: 0.5}.
        people: as in `fewskin face view`, for the healthy faces.
        background: as in `fewskin face view`.
        pool: folder of pictures for background=pool.
        seed: picture k of a face depends on the seed, the face and k only.
    """
    import numpy as np

    from fewskin.data.support_images import knob_values
    from fewskin.errors import ConfigError
    from fewskin.face.affected_portrait import Sitter
    from fewskin.face.backdrops import read_backgrounds
    from fewskin.face.condition_folder import Order, write_affected
    from fewskin.face.donors import donors_of
    from fewskin.face.fit_folder import people_in
    from fewskin.face.recipes import TRANSPLANT, Recipe, transplanted
    from fewskin.face.scene import KNOBS

    values, ranges = knob_values(TRANSPLANT, {"strength": strength}), knob_values(KNOBS, knobs)
    behind = read_backgrounds(background, pool, size)
    healthy = people_in(path, model, landmarks, out)
    ill = people_in(donors, model, landmarks, out / "donors")
    if ill.model != healthy.model:
        raise ConfigError(
            f"donors were fitted with model={ill.model}, the healthy faces with {healthy.model}; "
            "run `fewskin face fit` on both with one model."
        )
    taken = donors_of(ill, out, side=side)

    def cook(sitter: Sitter, rng: np.random.Generator) -> tuple[Recipe, list[str]]:
        made = transplanted(list(taken.values()), sitter.person.model, values, rng, mixing)
        return made, list(taken)

    order = Order("face transplant", condition, cook, ranges, n, size, side, behind, seed)
    write_affected(healthy, order, out, patients=people)
