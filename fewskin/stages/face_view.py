"""Make new pictures of each fitted face: pose, expression, shape, light, tone, exposure."""

from collections.abc import Mapping
from pathlib import Path

from fewskin.provenance import DEFAULT_OUT, stage

__all__ = ["face_view"]


@stage(version=1, inputs=("path",))
def face_view(
    path: Path,
    *,
    model: str = "landmark",
    landmarks: str = "mediapipe",
    n: int = 4,
    size: int = 256,
    knobs: Mapping[str, float] | None = None,
    seed: int = 0,
    out: Path = DEFAULT_OUT,
) -> None:
    """Make new pictures of each fitted face: pose, expression, shape, light, tone, exposure.

    Writes `images/<id>_<k>.png`, `masks/` of the same names, `views.csv` (the parent and what was
    drawn for each), `findings.csv` and `contact.png`.

    Args:
        path: folder of `fewskin face fit`, or of photographs, which are fitted first.
        model: as in `fewskin face fit`; for photographs only.
        landmarks: as in `fewskin face fit`; for photographs only.
        n: pictures of each face.
        size: longer side of a picture, pixels.
        knobs: ranges, e.g. {yaw_deg: 30, light: 0.5}; see `fewskin list generators face3d`.
        seed: picture k of a face depends on the seed, the face and k only.
    """
    import pandas as pd

    from fewskin.data.support_images import knob_values
    from fewskin.face.contact import fitted_to
    from fewskin.face.fit_folder import people_in
    from fewskin.face.folder_work import Pixels, Row, each_person
    from fewskin.face.match import with_grain_of
    from fewskin.face.people import Person
    from fewskin.face.pictures import as_pixels, label_map, save_png
    from fewskin.face.scene import KNOBS, VIEWS, draw_scene, picture_of
    from fewskin.face.subject import Subject
    from fewskin.seeding import rng_for
    from fewskin.tables import write_table

    ranges = knob_values(KNOBS, knobs)

    def make(person: Person, subject: Subject) -> tuple[list[Row], list[Pixels]]:
        rows: list[Row] = []
        pictures = []
        for k in range(n):
            rng = rng_for(seed, "face view", person.image_id, k)
            scene = draw_scene(rng, ranges, subject.model)
            made = picture_of(subject, scene, size)
            name = f"{person.image_id}_{k}"
            own = fitted_to(person.pixels, size)
            pictures.append(with_grain_of(own, as_pixels(made.image), rng))
            save_png(out / "images" / f"{name}.png", pictures[-1])
            save_png(out / "masks" / f"{name}.png", label_map(made))
            shape = {"image_id": name, "path": f"images/{name}.png", "parent_ids": person.image_id}
            rows.append({**shape, **scene.params})
        return rows, pictures

    rows = each_person(people_in(path, model, landmarks, out), out, make)
    write_table(pd.DataFrame(rows, columns=list(VIEWS.required)), out / "views.csv", VIEWS)
