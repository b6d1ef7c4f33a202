"""Every photograph of a folder: find its face, fit a model, or say why not."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from fewskin.data.images import decode
from fewskin.data.source import image_ids, list_images
from fewskin.errors import ConfigError, DataError, ImageError
from fewskin.face.contact import contact_sheet, fitted_to, strip
from fewskin.face.finder_error import corrected
from fewskin.face.fit import Fit
from fewskin.face.geometry import fitted, load_geometry
from fewskin.face.landmark_files import FileProvider, write_landmarks
from fewskin.face.landmarks import Landmarks, Reason, face_side
from fewskin.face.mediapipe_provider import MediapipeProvider
from fewskin.face.model import FaceModel
from fewskin.face.people import FACES, People, Pixels, read_people, shrunk
from fewskin.face.pictures import as_linear, as_pixels
from fewskin.face.render import render
from fewskin.functional.lighting import ambient, directional
from fewskin.functional.pose import angles_of
from fewskin.paths import atomic_write
from fewskin.tables import write_table

__all__ = ["MAX_SIDE", "finder", "fit_folder", "people_in"]

MAX_SIDE = 1024  # pixels larger photographs are shrunk to

log = logging.getLogger(__name__)

Row = dict[str, object]
Find = Callable[[Path, Pixels], Landmarks | Reason]

_COLUMNS = [
    *("image_id", "path", "reason", "detail", "width", "height", "face_px"),
    *("yaw_deg", "pitch_deg", "roll_deg", "rms_iod_percent", "note"),
]
_MOST_SHOWN = 60


def people_in(path: Path, model: str, landmarks: str, out: Path) -> People:
    """Return the people of a folder of `fewskin face fit`, or of photographs, fitted first.

    Args:
        path: either folder.
        model: as of `fit_folder`; for photographs only.
        landmarks: as of `fit_folder`; for photographs only.
        out: folder of the result; the fits of photographs go to `fit` inside.
    """
    if (path / "faces.csv").is_file():
        return read_people(path)
    if not (out / "fit" / "faces.csv").is_file():
        fit_folder(path, model, landmarks, MAX_SIDE, out / "fit")
    return read_people(out / "fit")


def fit_folder(path: Path, model: str, landmarks: str, max_side: int, out: Path) -> None:
    """Write what `fewskin face fit` writes.

    Args:
        path: folder of photographs.
        model: "landmark", "analytic" or an .npz file.
        landmarks: "mediapipe", a .task file or a folder of landmark files.
        max_side: larger photographs are shrunk to this many pixels.
        out: folder of the result.

    Raises:
        ConfigError: an unknown model or finder.
        MissingExtra: mediapipe is asked for and not installed.
    """
    import pandas as pd

    files, geometry = list_images(path), load_geometry(model)
    ids = image_ids(files.paths)
    rows: list[Row] = [
        {"image_id": f"file-{i}", "path": f["path"], "reason": f["kind"], "detail": f["detail"]}
        for i, f in enumerate(files.findings)
        if f["kind"] != "skipped"  # no photograph
    ]
    (out / "landmarks").mkdir(parents=True, exist_ok=True)
    shown = list[tuple[str, Pixels]]()
    with finder(landmarks, out / "found") as find:
        for i, (image_id, name) in enumerate(zip(ids, files.paths, strict=True)):
            row, pictures = _one(image_id, files.root / name, find, geometry, max_side, out)
            rows.append({"image_id": image_id, "path": name, **row})
            if len(shown) < _MOST_SHOWN:
                shown.append((f"{image_id} {row['reason']}", strip(pictures)))
            if i % 20 == 19:
                log.info("face_fit: %d of %d photographs", i + 1, len(ids))
    atomic_write(out / "contact.png", contact_sheet(shown))
    about = {"root": str(path.resolve()), "max_side": max_side, "model": _absolute(model)}
    atomic_write(out / "photographs.json", json.dumps(about) + "\n")
    table = pd.DataFrame(rows, columns=_COLUMNS, dtype=object).fillna("").astype(str)
    write_table(table, out / "faces.csv", FACES)
    found = int((table["reason"] == "").sum())
    log.info("face_fit: a face in %d of %d photographs", found, len(table))


@contextmanager
def finder(landmarks: str, cache: Path) -> Iterator[Find]:
    """Give a function that finds the face of a photograph; earlier findings are remembered.

    Args:
        landmarks: as of `fit_folder`.
        cache: folder of what is remembered.

    Raises:
        ConfigError: an unknown finder.
    """
    given = Path(landmarks)
    if given.is_dir():
        yield lambda file, pixels: FileProvider([_beside(given, file)]).detect([pixels])[0]
        return
    if landmarks != "mediapipe" and given.suffix != ".task":
        raise ConfigError(
            f"landmarks={landmarks}: expected mediapipe, a .task file, or a folder of .npz, .csv "
            "or .pts files."
        )
    if given.suffix == ".task":
        with MediapipeProvider(cache=cache, task=given) as provider:
            yield lambda file, pixels: provider.detect([pixels])[0]
        return
    with MediapipeProvider(cache=cache) as provider:
        yield lambda file, pixels: corrected(provider.detect([pixels])[0])


def _beside(folder: Path, photograph: Path) -> Path | None:
    names = (f"{photograph.stem}{suffix}" for suffix in (".npz", ".csv", ".pts"))
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _one(
    image_id: str,
    file: Path,
    find: Find,
    geometry: FaceModel | None,
    max_side: int,
    out: Path,
) -> tuple[Row, list[Pixels]]:
    """Return a photograph's columns and the pictures that show what was found."""
    try:
        pixels = shrunk(decode(file), max_side)
    except ImageError as error:
        return {"reason": "unreadable", "detail": str(error).removeprefix(f"{file}: ")}, []
    row: Row = {"width": str(pixels.shape[1]), "height": str(pixels.shape[0])}
    found = find(file, pixels)
    if isinstance(found, Reason):
        return {**row, "reason": found.code, "detail": found.text}, [pixels]
    try:
        model, fit = fitted(geometry, found, (pixels.shape[0], pixels.shape[1]))
    except DataError as error:
        return {**row, "reason": "no_fit", "detail": str(error)}, [pixels]
    write_landmarks(found, out / "landmarks" / f"{image_id}.npz")
    return {**row, **_columns(found, fit)}, [pixels, _overlaid(pixels, model, fit)]


def _columns(face: Landmarks, fit: Fit) -> Row:
    yaw, pitch, roll = (f"{angle:.1f}" for angle in angles_of(fit.view.rotation))
    return {
        "reason": "",
        "face_px": f"{face_side(face):.0f}",
        "yaw_deg": yaw,
        "pitch_deg": pitch,
        "roll_deg": roll,
        "rms_iod_percent": f"{100 * fit.rms_iod:.2f}",
        "note": "; ".join(fit.notes),
    }


def _overlaid(pixels: Pixels, model: FaceModel, fit: Fit) -> Pixels:
    """Return the photograph with the mesh, in grey and lit from the left, half over it."""
    view = fit.view.scaled(256 / max(fit.view.size))
    behind = as_linear(fitted_to(pixels, 256))
    grey = np.full((8, 8, 3), 0.5, np.float32)
    light = ambient(0.5).plus(directional((-1.0, 1.0, 1.5), 0.7))
    drawn = render(model, fit.vertices, view, grey, light=light, background=behind)
    return as_pixels(np.float32(0.6) * drawn.image + np.float32(0.4) * behind)


def _absolute(model: str) -> str:
    return str(Path(model).resolve()) if Path(model).exists() else model
