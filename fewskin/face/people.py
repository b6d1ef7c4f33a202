"""The faces that `fewskin face fit` found in a folder, read back."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fewskin.data.images import decode
from fewskin.errors import DataError, StageError
from fewskin.face.geometry import load_geometry
from fewskin.face.landmark_files import read_landmarks
from fewskin.face.landmarks import Landmarks
from fewskin.face.model import FaceModel
from fewskin.face.pictures import as_linear
from fewskin.paths import inside
from fewskin.tables import Schema, read_table

__all__ = ["FACES", "PATIENTS", "People", "Person", "read_people", "shrunk"]

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

FACES = Schema(
    name="faces",
    required=("image_id", "path", "reason", "detail"),
    unique=("image_id",),
    sort=("image_id",),
)
PATIENTS = Schema(
    name="patients",
    required=("patient_id",),
    sort=("patient_id",),
)


@dataclass(frozen=True, eq=False)
class Person:
    """A face in a photograph.

    Attributes:
        image_id: of the photograph.
        pixels: (H, W, 3) uint8 sRGB, at the size at which the face was found.
        landmarks: in these pixels.
    """

    image_id: str
    pixels: Pixels
    landmarks: Landmarks

    @property
    def linear(self) -> Floats:
        """(H, W, 3) linear RGB."""
        return as_linear(self.pixels)


@dataclass(frozen=True)
class People:
    """A finished result of `fewskin face fit`.

    Attributes:
        folder: of the result.
        root: of the photographs.
        max_side: they are shrunk to, pixels.
        model: name or file of the face model.
        faces: image_id and path of each face, sorted.
    """

    folder: Path
    root: Path
    max_side: int
    model: str
    faces: tuple[tuple[str, str], ...]

    def __iter__(self) -> Iterator[Person]:
        for image_id, _ in self.faces:
            yield self.person(image_id)

    def person(self, image_id: str) -> Person:
        """Return the face of one photograph.

        Raises:
            KeyError: no face was found in it.
        """
        return Person(
            image_id,
            shrunk(decode(inside(self.root, self._paths[image_id])), self.max_side),
            read_landmarks(self.folder / "landmarks" / f"{image_id}.npz"),
        )

    @cached_property
    def _paths(self) -> dict[str, str]:
        return dict(self.faces)

    def grouped(self, file: Path | None) -> list[tuple[str, ...]]:
        """Return the image_ids of the photographs of each person, in the order of the first.

        Args:
            file: CSV with a column patient_id, and image_id or path as in `faces.csv`; None makes
                every photograph its own person, and so is one without a row or a patient_id.

        Raises:
            TableError, DataError: no such table, or a photograph that `faces.csv` does not have.
        """
        patients = {} if file is None else self._patients(file)
        groups: dict[tuple[bool, str], list[str]] = {}
        for image_id, _ in self.faces:
            patient = patients.get(image_id, "")
            key = (True, patient) if patient else (False, image_id)
            groups.setdefault(key, []).append(image_id)
        return [tuple(ids) for ids in groups.values()]

    def _patients(self, file: Path) -> dict[str, str]:
        rows = read_table(file, PATIENTS)
        column = next((name for name in ("image_id", "path") if name in rows.columns), None)
        if column is None:
            raise DataError(f"{file}: has no column image_id or path, as in faces.csv.")
        known = read_table(self.folder / "faces.csv", FACES)
        ids = dict(zip(known[column], known["image_id"], strict=True))
        strange = [name for name in rows[column] if name not in ids]
        if strange:
            raise DataError(
                f"{file}: {column} {strange[0]!r} is not in {self.folder / 'faces.csv'}."
            )
        pairs = zip(rows[column], rows["patient_id"], strict=True)
        return {ids[name]: patient for name, patient in pairs}

    def geometry(self) -> FaceModel | None:
        """Return the face model; None where every photograph has its own."""
        return load_geometry(self.model)


def read_people(folder: Path) -> People:
    """Return what `fewskin face fit` wrote.

    Raises:
        StageError: it is no such folder, or no face was found.
    """
    try:
        about = json.loads((folder / "photographs.json").read_text())
    except (OSError, ValueError) as error:
        raise StageError(
            f"{folder} is no result of `fewskin face fit`; run it on the photographs first."
        ) from error
    rows = read_table(folder / "faces.csv", FACES)
    found = rows[rows["reason"] == ""]
    if not len(found):
        raise StageError(f"{folder}: no face was found; faces.csv says why for each photograph.")
    pairs = zip(found["image_id"], found["path"], strict=True)
    return People(folder, Path(about["root"]), about["max_side"], about["model"], tuple(pairs))


def shrunk(pixels: Pixels, max_side: int) -> Pixels:
    """Return a picture whose longer side is at most `max_side`; smaller ones stay as they are."""
    from PIL import Image

    longest = max(pixels.shape[:2])
    if longest <= max_side:
        return pixels
    size = tuple(max(1, round(side * max_side / longest)) for side in pixels.shape[1::-1])
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
