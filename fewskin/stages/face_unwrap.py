"""Take the skin off each fitted photograph: a texture without light, completed, as GLB and PNG."""

from pathlib import Path

from fewskin.provenance import DEFAULT_OUT, stage

__all__ = ["face_unwrap"]


@stage(version=2, inputs=("path", "people"))
def face_unwrap(
    path: Path,
    *,
    model: str = "landmark",
    landmarks: str = "mediapipe",
    side: int = 512,
    people: Path | None = None,
    out: Path = DEFAULT_OUT,
) -> None:
    """Take the skin off each fitted photograph: a texture without light, completed.

    Writes for each face `heads/<id>.glb` (mesh and texture, for any 3D viewer) with `.json` and
    `.maps.png` (how sure each texel is), `findings.csv` and `contact.png`.

    Args:
        path: folder of `fewskin face fit`, or of photographs, which are fitted first.
        model: as in `fewskin face fit`; for photographs only.
        landmarks: as in `fewskin face fit`; for photographs only.
        side: texels of the texture.
        people: CSV of patient_id and image_id, or path: photographs of one person share one skin.
    """
    import numpy as np

    from fewskin.face.export import save_face
    from fewskin.face.fit_folder import people_in
    from fewskin.face.folder_work import Parents, Pixels, Row, each_person
    from fewskin.face.people import Person
    from fewskin.face.pictures import as_pixels
    from fewskin.face.subject import Subject

    found = people_in(path, model, landmarks, out)

    def make(person: Person, subject: Subject, parents: Parents) -> tuple[list[Row], list[Pixels]]:
        file = out / "heads" / f"{person.image_id}.glb"
        about = {"image_id": person.image_id, "model": found.model}
        about["parent_ids"] = ";".join(parents)
        save_face(file, subject.model, subject.fit.vertices, subject.albedo, about)
        sure = np.round(subject.albedo.confidence * 255.0).astype(np.uint8)
        return [], [as_pixels(subject.albedo.colour), np.stack([sure] * 3, axis=-1)]

    each_person(found, out, make, side=side, patients=people)
