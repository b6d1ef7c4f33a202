"""Make new pictures of each fitted face: pose, expression, shape, light, tone, exposure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from fewskin.provenance import DEFAULT_OUT, stage

__all__ = ["face_view"]


@stage(version=2, inputs=("path", "people", "pool"))
def face_view(
    path: Path,
    *,
    model: str = "landmark",
    landmarks: str = "mediapipe",
    n: int = 4,
    size: int = 256,
    knobs: Mapping[str, float] | None = None,
    people: Path | None = None,
    background: Literal["depth_sheet", "uniform", "pool", "identity_masked"] = "depth_sheet",
    pool: Path | None = None,
    seed: int = 0,
    out: Path = DEFAULT_OUT,
) -> None:
    """Make new pictures of each fitted face: pose, expression, shape, light, tone, exposure.

    Writes `images/<id>_<k>.png`, `masks/` of the same names, `views.csv` (parents, seed and all
    that was drawn for each), `findings.csv` and `contact.png`.

    Args:
        path: folder of `fewskin face fit`, or of photographs, which are fitted first.
        model: as in `fewskin face fit`; for photographs only.
        landmarks: as in `fewskin face fit`; for photographs only.
        n: pictures of each face.
        size: longer side of a picture, pixels.
        knobs: ranges, e.g. {yaw_deg: 30, light: 0.5}; see `fewskin list generators face3d`.
        people: CSV of patient_id and image_id, or path: photographs of one person share one skin.
        background: "depth_sheet" (the photograph's own, hair stays hair), "uniform" (grey), "pool",
            or "identity_masked" (the photograph without the person). In the last three the head has
            no hair; with model=landmark it is a face alone.
        pool: folder of pictures for background=pool.
        seed: picture k of a face depends on the seed, the face and k only.
    """
    import numpy as np
    import pandas as pd

    from fewskin.data.support_images import knob_values
    from fewskin.face.backdrops import read_backgrounds
    from fewskin.face.fit_folder import people_in
    from fewskin.face.folder_work import Parents, Pixels, Row, each_person
    from fewskin.face.people import Person
    from fewskin.face.pictures import label_map, save_png
    from fewskin.face.portrait import portrait_of
    from fewskin.face.scene import KNOBS, VIEWS, draw_scene
    from fewskin.face.subject import Subject
    from fewskin.seeding import rng_for, seed_for
    from fewskin.tables import write_table

    ranges, behind = knob_values(KNOBS, knobs), read_backgrounds(background, pool, size)

    def make(person: Person, subject: Subject, parents: Parents) -> tuple[list[Row], list[Pixels]]:
        rows: list[Row] = []
        pictures = []
        portrait = portrait_of(subject, person.pixels, size, behind)
        for k in range(n):
            own_seed = seed_for(seed, "face view", person.image_id, k)
            scene = draw_scene(np.random.default_rng(own_seed), ranges, subject.model)
            made, picture = portrait.picture(scene, rng_for(own_seed, "camera"))
            name = f"{person.image_id}_{k}"
            pictures.append(picture)
            save_png(out / "images" / f"{name}.png", picture)
            save_png(out / "masks" / f"{name}.png", label_map(made))
            shape = {
                "image_id": name,
                "path": f"images/{name}.png",
                "parent_ids": ";".join(parents),
            }
            drawn = {"seed": own_seed, "background": background, "scene": scene.to_json()}
            rows.append({**shape, **drawn, **scene.params})
        return rows, pictures

    rows = each_person(people_in(path, model, landmarks, out), out, make, patients=people)
    write_table(pd.DataFrame(rows, columns=list(VIEWS.required)), out / "views.csv", VIEWS)
