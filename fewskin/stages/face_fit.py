"""Find the face in each photograph of a folder and fit a 3D face model to it."""

from pathlib import Path

from fewskin.provenance import DEFAULT_OUT, stage

__all__ = ["face_fit"]


@stage(version=1, inputs=("path",))
def face_fit(
    path: Path,
    *,
    model: str = "landmark",
    landmarks: str = "mediapipe",
    max_side: int = 1024,
    out: Path = DEFAULT_OUT,
) -> None:
    """Find the face in each photograph of a folder and fit a 3D face model to it.

    Writes `faces.csv`, a row a photograph: pose, how well the model fits, or the reason why there
    is no face; `landmarks/`, and `contact.png`, which shows every fit.

    Args:
        path: folder of photographs, subfolders included.
        model: "landmark" (the landmarks are the mesh), "analytic" (our own head), or an .npz file
            of `fewskin face import-ict` or your own.
        landmarks: "mediapipe", a .task file of yours, or a folder of landmark files (.npz, .csv or
            .pts) named like the photographs.
        max_side: larger photographs are shrunk to this many pixels.
    """
    from fewskin.face.fit_folder import fit_folder

    fit_folder(path, model, landmarks, max_side, out)
