"""Landmarks from files: CSV, NPZ and .pts, of 468, 478, 68 or 5 points.

68 and 5 points are a subset: the landmarks of the mesh that lie where they do. The table below is
ours, from the annotation scheme of 300-W (Sagonas et al., "300 Faces In-The-Wild Challenge:
database and results", 2016, https://doi.org/10.1016/j.imavis.2016.01.002, figure 1) and mediapipe's
contours. The 17 of the jaw follow the visible outline in 300-W, so that on a turned face they are
not the same places on the head as the mesh's.
"""

import csv
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fewskin.errors import DataError
from fewskin.face.landmark_checks import Limits, checked_image, judge
from fewskin.face.landmarks import Landmarks, Reason
from fewskin.face.topology import N_IRIS_POINTS, N_LANDMARKS
from fewskin.paths import atomic_write

__all__ = ["FROM_68", "FileProvider", "read_landmarks", "write_landmarks"]

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

# 300-W's 68 points in their order, as landmarks of the mesh. "Right" is the subject's.
FROM_68 = (
    *(127, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 356),  # jaw
    *(70, 63, 105, 66, 107),  # right brow, from the side
    *(336, 296, 334, 293, 300),  # left brow, from the nose
    *(168, 197, 5, 4),  # ridge of the nose, downwards
    *(98, 97, 2, 326, 327),  # under the nose, right to left
    *(33, 160, 158, 133, 153, 144),  # right eye, from the outer corner over the upper lid
    *(362, 385, 387, 263, 373, 380),  # left eye, from the inner corner over the upper lid
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),  # outer lips, from the right corner
    *(78, 81, 13, 311, 308, 402, 14, 178),  # inner lips, from the right corner
)
# Five points: right and left eye, tip of the nose, right and left corner of the mouth. The eyes'
# middles are no landmarks of the mesh but the irises' centres.
_FROM_5 = (4, 61, 291)


def read_landmarks(file: Path) -> Landmarks:
    """Return the landmarks in a file; NaN for what it does not say.

    CSV: one point a row, x, y and perhaps z in pixels, perhaps a line of names; the picture's first
    pixel has its middle at 0.5. NPZ: `points` (n, 2 or 3) and perhaps `irises` (10, 3) and `score`.
    .pts (300-W): x and y, the first pixel's middle at 1.

    Raises:
        DataError: the file cannot be read, or has not 468, 478, 68 or 5 points.
    """
    readers = {".csv": _read_csv, ".pts": _read_pts, ".npz": _read_npz}
    if file.suffix.lower() not in readers:
        raise DataError(f"{file} is not .csv, .npz or .pts; convert it to one of them.")
    try:
        points, irises, score = readers[file.suffix.lower()](file)
    except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{file} is no file of landmarks: {error}. Expected one point a row, x, y and perhaps "
            "z in pixels."
        ) from error
    if points.ndim != 2 or points.shape[1] not in (2, 3):
        raise DataError(f"{file} has points of shape {points.shape}; expected (n, 2) or (n, 3).")
    placed = _placed(points, file)
    known = irises if irises is not None and irises.shape == (N_IRIS_POINTS, 3) else placed[1]
    return Landmarks(placed[0], known, score)


def write_landmarks(face: Landmarks, file: Path) -> None:
    """Write landmarks to an .npz file for `read_landmarks`."""
    stream = io.BytesIO()
    irises = np.full((N_IRIS_POINTS, 3), np.nan) if face.irises is None else face.irises
    np.savez_compressed(
        stream,
        points=face.points,
        irises=irises.astype(np.float32),
        score=np.float32(face.score),
    )
    atomic_write(file, stream.getvalue())


class FileProvider:
    """Gives landmarks that lie in files, one for each picture.

    Args:
        files: in the order of the pictures; None where a picture has none.
        limits: when a face is used; the defaults of `Limits`.
    """

    def __init__(self, files: Sequence[Path | None], *, limits: Limits | None = None) -> None:
        self._files, self._limits = tuple(files), limits

    def detect(self, images: Sequence[Pixels]) -> list[Landmarks | Reason]:
        """Return the landmarks of each (H, W, 3) uint8 picture, or why it has none.

        Raises:
            DataError: there are not as many pictures as files.
        """
        if len(images) != len(self._files):
            raise DataError(
                f"{len(images)} pictures but {len(self._files)} files of landmarks; give one for "
                "each, or None."
            )
        return [self._one(image, file) for image, file in zip(images, self._files, strict=True)]

    def _one(self, image: Pixels, file: Path | None) -> Landmarks | Reason:
        bad = checked_image(image)
        if bad:
            return bad
        if file is None or not file.is_file():
            return Reason("no_face", f"there is no file of landmarks ({file}).")
        try:
            return judge(image, [read_landmarks(file)], self._limits)
        except DataError as error:
            return Reason("unreadable", str(error))


_Read = tuple[Floats, Floats | None, float]


def _read_csv(file: Path) -> _Read:
    with file.open(newline="", encoding="utf-8-sig") as stream:
        rows = [row for row in csv.reader(stream) if row]
    if rows and not _is_number(rows[0][0]):
        names = [name.strip().lower() for name in rows.pop(0)]
        columns = [names.index(name) for name in ("x", "y", "z") if name in names]
        if len(columns) < 2:
            raise ValueError(f"its first line {names} has no x and y")
        rows = [[row[i] for i in columns] for row in rows]
    return np.array([[float(value) for value in row] for row in rows], np.float32), None, np.nan


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_pts(file: Path) -> _Read:
    _, opened, body = file.read_text(encoding="utf-8").partition("{")
    inside, closed, _ = body.partition("}")
    if not (opened and closed):
        raise ValueError("no points between { and }")
    rows = [
        [float(value) for value in line.split()] for line in inside.splitlines() if line.strip()
    ]
    return np.array(rows, np.float32) - np.float32(0.5), None, np.nan


def _read_npz(file: Path) -> _Read:
    with np.load(file, allow_pickle=False) as found:
        irises = found["irises"].astype(np.float32) if "irises" in found else None
        irises = None if irises is None or np.isnan(irises).all() else irises
        score = float(found["score"]) if "score" in found else np.nan
        return found["points"].astype(np.float32), irises, score


def _placed(points: Floats, file: Path) -> tuple[Floats, Floats | None]:
    """Return (468, 3) and perhaps (10, 3), NaN where not known."""
    n = len(points)
    if points.shape[1] == 2:
        points = np.concatenate([points, np.full((n, 1), np.nan, np.float32)], axis=1)
    if n == N_LANDMARKS:
        return points, None
    if n == N_LANDMARKS + N_IRIS_POINTS:
        return points[:N_LANDMARKS], points[N_LANDMARKS:]
    made = np.full((N_LANDMARKS, 3), np.nan, np.float32)
    if n == len(FROM_68):
        made[list(FROM_68)] = points
        return made, None
    if n == 5:
        irises = np.full((N_IRIS_POINTS, 3), np.nan, np.float32)
        irises[[0, 5]] = points[:2]
        made[list(_FROM_5)] = points[2:]
        return made, irises
    raise DataError(f"{file} has {n} points; expected 468, 478, 68 or 5.")
