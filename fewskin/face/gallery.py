"""Small photographs of faces, each made into a person when it is first needed.

What a generator adapts to, or keeps of its base images: pixels, landmarks, and who is who. A person
whose face was not found, or does not suit, has the reason in its place.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from fewskin.errors import DataError
from fewskin.face.affected_portrait import Sitter, sitter_of
from fewskin.face.background import Backgrounds
from fewskin.face.extract import Extracted, extract
from fewskin.face.geometry import load_geometry
from fewskin.face.landmarks import Landmarks, Reason
from fewskin.face.model import N_LANDMARKS, FaceModel
from fewskin.face.pictures import as_linear
from fewskin.face.portrait import Portrait, portrait_of
from fewskin.face.shared_skin import share_skin
from fewskin.face.subject import Subject, skin_of, subject_of
from fewskin.paths import atomic_write

__all__ = ["Faces", "Gallery"]

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

Made = TypeVar("Made")

_EMPTY = np.full((N_LANDMARKS, 3), np.nan, np.float32)


@dataclass(frozen=True, eq=False)
class Faces:
    """n photographs and the faces in them.

    Attributes:
        pixels: (n, H, W, 3) uint8 sRGB.
        image_ids: of each.
        labels: of each.
        people: who each is; photographs with equal names and labels can share one skin.
        points: (n, 468, 3) landmarks, NaN without a face.
        reasons: why there is none, "" where there is.
    """

    pixels: Pixels
    image_ids: tuple[str, ...]
    labels: tuple[str, ...]
    people: tuple[str, ...]
    points: Floats
    reasons: tuple[str, ...]

    @classmethod
    def of(
        cls,
        pixels: Pixels,
        image_ids: Sequence[str],
        labels: Sequence[str],
        people: Sequence[str],
        found: Sequence[Landmarks | Reason],
    ) -> "Faces":
        """Return photographs with what a landmark finder said of each."""
        points = [_EMPTY if isinstance(one, Reason) else one.points for one in found]
        reasons = [one.code if isinstance(one, Reason) else "" for one in found]
        whole = np.stack(points).astype(np.float32) if points else _EMPTY[None][:0]
        return cls(pixels, tuple(image_ids), tuple(labels), tuple(people), whole, tuple(reasons))

    def take(self, rows: Sequence[int]) -> "Faces":
        """Return some of the photographs."""
        at = list(rows)
        names = ("image_ids", "labels", "people", "reasons")
        picked = {name: tuple(getattr(self, name)[k] for k in at) for name in names}
        return Faces(pixels=self.pixels[at], points=self.points[at], **picked)

    def save(self, folder: Path) -> None:
        """Write `faces.safetensors` and `faces.json`."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, npt.NDArray[Any]] = {"pixels": self.pixels, "points": self.points}
        arrays = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
        save_file(arrays, folder / "faces.safetensors")
        names = ("image_ids", "labels", "people", "reasons")
        about = {name: list(getattr(self, name)) for name in names}
        atomic_write(folder / "faces.json", json.dumps(about) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Faces":
        """Return what `save` wrote."""
        from safetensors.numpy import load_file

        about = json.loads((folder / "faces.json").read_text())
        arrays = load_file(folder / "faces.safetensors")
        names = {name: tuple(values) for name, values in about.items()}
        return cls(pixels=arrays["pixels"], points=arrays["points"], **names)


@dataclass(frozen=True, eq=False)
class Gallery:
    """The people of `Faces`, each made once.

    Attributes:
        faces: their photographs.
        model: "landmark", "analytic" or an .npz file.
        side: texels of a texture.
        behind: backgrounds of their pictures.
    """

    faces: Faces
    model: str
    side: int
    behind: Backgrounds
    _alone: dict[int, Subject | str] = field(default_factory=dict, repr=False)
    _portraits: dict[int, Portrait | str] = field(default_factory=dict, repr=False)
    _sitters: dict[int, Sitter | str] = field(default_factory=dict, repr=False)
    _donors: dict[int, Extracted | str] = field(default_factory=dict, repr=False)

    @property
    def usable(self) -> list[int]:
        """Rows in which a face was found."""
        return [k for k, reason in enumerate(self.faces.reasons) if not reason]

    def subject(self, row: int) -> Subject | str:
        """Return the person of one photograph alone, or why there is none."""
        if row not in self._alone:
            self._alone[row] = self._of_face(row, self._fitted)
        return self._alone[row]

    def together(self, row: int) -> list[int]:
        """Return the rows that share a row's skin, itself among them: faces of its person."""
        own = (self.faces.people[row], self.faces.labels[row])
        keys = zip(self.faces.people, self.faces.labels, strict=True)
        rows = [k for k, key in enumerate(keys) if key == own]
        return [k for k in rows if not isinstance(self.subject(k), str)]

    def portrait(self, row: int) -> Portrait | str:
        """Return the person of a photograph with their camera, or why there is none."""
        if row not in self._portraits:
            subject = self.subject(row)
            if isinstance(subject, str):
                self._portraits[row] = subject
            else:
                self._join(row)
        return self._portraits[row]

    def sitter(self, row: int) -> Sitter | str:
        """Return the person of a photograph, ready to bear a condition, or why there is none."""
        if row not in self._sitters:
            found = self.portrait(row)
            self._sitters[row] = found if isinstance(found, str) else sitter_of(found, self.side)
        return self._sitters[row]

    def donor(self, row: int) -> Extracted | str:
        """Return the condition on a photograph, taken without a healthy one, or why there is none.

        What is healthy is guessed, see `face.extract`.
        """
        if row not in self._donors:
            self._donors[row] = self._of_face(row, self._extracted)
        return self._donors[row]

    def _join(self, row: int) -> None:
        """Make the portraits of all photographs that share a row's skin."""
        rows = self.together(row)
        subjects = [one for k in rows if isinstance(one := self.subject(k), Subject)]
        pixels = [self.faces.pixels[k] for k in rows]
        try:
            shared = share_skin(subjects, [as_linear(one) for one in pixels])
        except DataError as error:
            self._portraits.update({k: self._why(k, error) for k in rows})
            return
        for k, subject, own in zip(rows, shared, pixels, strict=True):
            try:
                self._portraits[k] = portrait_of(subject, own, own.shape[0], self.behind)
            except DataError as error:
                self._portraits[k] = self._why(k, error)

    def _fitted(self, linear: Floats, face: Landmarks) -> Subject:
        return subject_of(linear, face, self._geometry, side=self.side)

    def _extracted(self, linear: Floats, face: Landmarks) -> Extracted:
        return extract(*skin_of(linear, face, self._geometry, side=self.side))

    def _of_face(self, row: int, make: Callable[[Floats, Landmarks], Made]) -> Made | str:
        """Return what is made of a photograph and its landmarks, or why nothing can be."""
        if self.faces.reasons[row]:
            return f"{self.faces.reasons[row]} in {self.faces.image_ids[row]}"
        try:
            return make(as_linear(self.faces.pixels[row]), Landmarks(self.faces.points[row]))
        except DataError as error:
            return self._why(row, error)

    def _why(self, row: int, error: DataError) -> str:
        return f"{self.faces.image_ids[row]}: {error}"

    @cached_property
    def _geometry(self) -> FaceModel | None:
        return load_geometry(self.model)
