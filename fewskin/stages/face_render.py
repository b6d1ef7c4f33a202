"""Render each fitted face at chosen poses, with exact masks of face, lips, eyes and mouth."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from fewskin.provenance import DEFAULT_OUT, stage

__all__ = ["face_render"]


@stage(version=2, inputs=("path", "pool"))
def face_render(
    path: Path,
    *,
    model: str = "landmark",
    landmarks: str = "mediapipe",
    yaw_deg: Sequence[float] = (-30.0, 0.0, 30.0),
    pitch_deg: Sequence[float] = (0.0,),
    size: int = 256,
    background: Literal["depth_sheet", "uniform", "pool", "identity_masked"] = "depth_sheet",
    pool: Path | None = None,
    seed: int = 0,
    out: Path = DEFAULT_OUT,
) -> None:
    """Render each fitted face at chosen poses, with exact masks of its parts.

    Writes `images/<id>_yaw<Y>_pitch<P>.png`, `masks/` of the same names (0 none, 1 face, 2 lips,
    4 eyes, 5 mouth), `findings.csv` and `contact.png`.

    Args:
        path: folder of `fewskin face fit`, or of photographs, which are fitted first.
        model: as in `fewskin face fit`; for photographs only.
        landmarks: as in `fewskin face fit`; for photographs only.
        yaw_deg: turns from the photograph's pose; positive to the subject's own left.
        pitch_deg: turns from the photograph's pose; positive is nose down.
        size: longer side of a picture, pixels.
        background: as in `fewskin face view`.
        pool: folder of pictures for background=pool.
        seed: draws a picture of the pool for each render.
    """
    import itertools

    from fewskin.face.backdrops import read_backgrounds
    from fewskin.face.fit_folder import people_in
    from fewskin.face.folder_work import Parents, Pixels, Row, each_person
    from fewskin.face.people import Person
    from fewskin.face.pictures import as_pixels, label_map, save_png
    from fewskin.face.portrait import portrait_of
    from fewskin.face.scene import still
    from fewskin.face.subject import Subject
    from fewskin.seeding import rng_for

    behind = read_backgrounds(background, pool, size)

    def make(person: Person, subject: Subject, parents: Parents) -> tuple[list[Row], list[Pixels]]:
        pictures = []
        portrait = portrait_of(subject, person.pixels, size, behind)
        for yaw, pitch in itertools.product(yaw_deg, pitch_deg):
            name = f"{person.image_id}_yaw{yaw:+g}_pitch{pitch:+g}.png"
            made = portrait.drawn(still(yaw_deg=yaw, pitch_deg=pitch), rng_for(seed, name))
            pictures.append(as_pixels(made.image))
            save_png(out / "images" / name, pictures[-1])
            save_png(out / "masks" / name, label_map(made))
        return [], pictures

    each_person(people_in(path, model, landmarks, out), out, make)
