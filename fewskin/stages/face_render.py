"""Render each fitted face at chosen poses, with exact masks of face, lips, eyes and mouth."""

from collections.abc import Sequence
from pathlib import Path

from fewskin.provenance import DEFAULT_OUT, stage

__all__ = ["face_render"]


@stage(version=1, inputs=("path",))
def face_render(
    path: Path,
    *,
    model: str = "landmark",
    landmarks: str = "mediapipe",
    yaw_deg: Sequence[float] = (-30.0, 0.0, 30.0),
    pitch_deg: Sequence[float] = (0.0,),
    size: int = 256,
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
    """
    import itertools

    from fewskin.face.fit_folder import people_in
    from fewskin.face.folder_work import Pixels, Row, each_person
    from fewskin.face.people import Person
    from fewskin.face.pictures import as_pixels, label_map, save_png
    from fewskin.face.scene import picture_of, still
    from fewskin.face.subject import Subject

    def make(person: Person, subject: Subject) -> tuple[list[Row], list[Pixels]]:
        pictures = []
        for yaw, pitch in itertools.product(yaw_deg, pitch_deg):
            made = picture_of(subject, still(yaw_deg=yaw, pitch_deg=pitch), size)
            name = f"{person.image_id}_yaw{yaw:+g}_pitch{pitch:+g}.png"
            pictures.append(as_pixels(made.image))
            save_png(out / "images" / name, pictures[-1])
            save_png(out / "masks" / name, label_map(made))
        return [], pictures

    each_person(people_in(path, model, landmarks, out), out, make)
