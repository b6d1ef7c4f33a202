"""Measure each picture of `face paint` or `transplant`, and drop those that are not good enough."""

from pathlib import Path

from fewskin.provenance import DEFAULT_OUT, stage

__all__ = ["face_audit"]


@stage(version=1, inputs=("path",))
def face_audit(
    path: Path,
    *,
    landmarks: str = "mediapipe",
    most_landmark_error: float | None = 5.0,
    least_confidence: float | None = 0.3,
    most_ita_shift: float | None = 1.0,
    least_recovery: float | None = None,
    most_artefact: float | None = 2.0,
    out: Path = DEFAULT_OUT,
) -> None:
    """Measure made pictures of skin conditions, and drop those that are not good enough.

    Each is compared with its twin: the same person, scene and camera without the condition. Writes
    `audit.csv` (a row a picture; `dropped` is the reason, or empty), `kept.csv` (rows of
    `views.csv` that are good), `findings.csv` and `contact.png` (photograph, then each picture
    beside its twin). Measures: `landmark_error`, percent of the eyes' distance, of a face found
    again; `confidence` of the texture that is seen; `ita` of skin free of the condition, degrees,
    and its shift from the twin's; `recovery`, the correlation of the blood that is found again with
    what was put there, without a healthy picture, and `recovery_with_twin`, with the twin as one;
    `artefact`, fine detail along the condition's border over the twin's. Empty where it cannot be
    measured.

    Args:
        path: result of `fewskin face paint` or `transplant`.
        landmarks: as in `fewskin face fit`.
        most_landmark_error: percent of the eyes' distance; null for no limit, as below.
        least_confidence: 0 to 1.
        most_ita_shift: degrees, either way.
        least_recovery: -1 to 1.
        most_artefact: times the twin's.
    """
    from fewskin.face.folder_work import Parents, Pixels, Row, each_person
    from fewskin.face.made_audit import audited, made_folder, problems, write_audit
    from fewskin.face.people import Person
    from fewskin.face.subject import Subject

    limits = {
        "most_landmark_error": most_landmark_error,
        "least_confidence": least_confidence,
        "most_ita_shift": most_ita_shift,
        "least_recovery": least_recovery,
        "most_artefact": most_artefact,
    }
    folder = made_folder(path, landmarks, out)

    def make(person: Person, subject: Subject, parents: Parents) -> tuple[list[Row], list[Pixels]]:
        rows, pictures = list[Row](), list[Pixels]()
        sitter = folder.sitter(person, subject)
        for view in folder.rows.get(person.image_id, []):
            row, pair = audited(folder, view, sitter)
            reason = folder.why.get(view["image_id"], "not looked at")
            rows.append({**row, "dropped": problems(row, reason, limits)})
            pictures += pair
        return rows, pictures

    write_audit(each_person(folder.people, out, make), path, out)
