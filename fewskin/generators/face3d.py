"""New pictures of the people in the support set, through a 3D model of their face.

Each photograph is fitted, its skin unwrapped, its light taken out, and what it does not show
completed; a sample is that face in another pose, expression, shape, light and exposure, before its
own bent surroundings. The label stays, for the skin stays: colour is changed by neutral light and
exposure only, unless the dial `tone` is opened, which moves melanin and never haemoglobin.

Each looks taken by the camera of its photograph: as sharp, as noisy, as compressed. Photographs of
one patient may share one skin, and another background may stand behind the head; neither is done by
default.

A photograph in which no face is found gives no samples: they are rejected, with the reason.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from fewskin.data.images import square
from fewskin.data.support_images import SupportImages, knob_values
from fewskin.errors import ConfigError, DataError
from fewskin.face.backdrops import read_backgrounds
from fewskin.face.background import BACKGROUNDS, Background, Backgrounds
from fewskin.face.finder_error import corrected
from fewskin.face.geometry import load_geometry
from fewskin.face.landmark_checks import Limits
from fewskin.face.landmarks import Landmarks, Reason
from fewskin.face.mediapipe_provider import MediapipeProvider
from fewskin.face.model import FaceModel
from fewskin.face.pictures import as_linear
from fewskin.face.portrait import Portrait, portrait_of
from fewskin.face.scene import KNOBS, draw_scene
from fewskin.face.shared_skin import share_skin
from fewskin.face.subject import Subject, subject_of
from fewskin.functional.augment import fork_seeds
from fewskin.paths import atomic_write
from fewskin.protocols import ImageTable, Knob, Samples
from fewskin.provenance import unknown

__all__ = ["Face3D"]

Pixels = npt.NDArray[np.uint8]

_SCENE, _CAMERA = 3, 4  # streams of a sample's seed
_SMALLEST = Limits(min_face_px=32.0)  # the images are small; landmarks there are .9 % off at 40 px


@dataclass(frozen=True)
class Face3D:
    """Re-render support faces; has nothing to fit.

    Attributes:
        mode: "view": new pose, expression, shape, light, tone and exposure of the same person.
        model: "landmark" (the landmarks are the mesh; no asset needed), "analytic" (our own head),
            or an .npz file of `fewskin face import-ict`.
        side: texels of a texture.
        fuse: photographs of one patient (or group) and label share one skin, and a sample names all
            of them as parents. What only some of them show, a flush say, is averaged.
        background: "depth_sheet" (the photograph's own, hair stays hair), "uniform" (grey), "pool",
            or "identity_masked" (the photograph without the person). In the last three the head has
            no hair; with model "landmark" it is a face alone.
        pool: folder of pictures for background "pool"; `adapt` keeps their middle squares.
    """

    mode: Literal["view"] = "view"
    model: str = "landmark"
    side: int = 512
    fuse: bool = False
    background: Background = "depth_sheet"
    pool: str = ""

    def __post_init__(self) -> None:
        if self.mode != "view":
            raise ConfigError(f"mode={self.mode!r}: expected view.")
        if self.background not in BACKGROUNDS:
            raise ConfigError(unknown("background", self.background, BACKGROUNDS))

    def fit(self, base: ImageTable | None, *, seed: int, out: Path) -> "Face3D":
        """Return an equal generator."""
        return replace(self)

    def adapt(self, support: ImageTable, *, seed: int, out: Path) -> "Face3DSampler":
        """Return a sampler of the faces that are found in `support`.

        Raises:
            MissingExtra: mediapipe is not installed.
            ConfigError: no such model, or a pool that is missing or not asked for.
            DataError, ImageError: the pool holds no pictures, or a broken one.
        """
        load_geometry(self.model)
        size = support.image_size
        behind = read_backgrounds(self.background, Path(self.pool) if self.pool else None, size)
        images = SupportImages.of(support)
        with MediapipeProvider(limits=_SMALLEST) as provider:
            raw = provider.detect(list(images.images.permute(0, 2, 3, 1).numpy()))
        found = [corrected(one) for one in raw]
        patients = _patients(support) if self.fuse else {}
        people = tuple(patients.get(one, one) for one in images.image_ids)
        return Face3DSampler(
            images, _Faces.of(found, people), self, _squares(behind.pictures, size)
        )

    def save(self, folder: Path) -> None:
        """Make `folder`; there is no state."""
        folder.mkdir(parents=True, exist_ok=True)

    def load(self, folder: Path) -> "Face3D":
        """Return an equal generator."""
        return replace(self)


@dataclass(frozen=True, eq=False)
class _Faces:
    """The faces of n support images.

    Attributes:
        points: landmarks (n, 468, 3), NaN without a face.
        reasons: why there is none, "" where there is.
        people: who each is; equal names of one label share one skin.
    """

    points: Tensor
    reasons: tuple[str, ...]
    people: tuple[str, ...]

    @classmethod
    def of(cls, found: Sequence[Landmarks | Reason], people: tuple[str, ...]) -> "_Faces":
        empty = np.full((468, 3), np.nan, np.float32)
        points = [empty if isinstance(one, Reason) else one.points for one in found]
        reasons = [one.code if isinstance(one, Reason) else "" for one in found]
        return cls(torch.from_numpy(np.stack(points)), tuple(reasons), people)


def _patients(support: ImageTable) -> dict[str, str]:
    """Return image_id -> patient, or the group where no patient is known."""
    rows = support.rows
    patients = rows["patient_id"].where(rows["patient_id"] != "", rows["group_id"])
    return dict(zip(rows["image_id"], patients, strict=True))


def _squares(pictures: Sequence[Pixels], size: int) -> Tensor:
    """Return (n, size, size, 3) uint8, the middle squares of pictures."""
    empty = np.zeros((0, size, size, 3), np.uint8)
    return torch.from_numpy(
        np.stack([square(one, size) for one in pictures]) if pictures else empty
    )


@dataclass(frozen=True, eq=False)
class Face3DSampler:
    """Faces of support images in new pictures, one a seed."""

    support: SupportImages
    faces: _Faces
    settings: Face3D
    pool: Tensor
    _portraits: dict[int, Portrait | str] = field(default_factory=dict, repr=False)
    _alone: dict[int, Subject | str] = field(default_factory=dict, repr=False)

    @property
    def knobs(self) -> Mapping[str, Knob]:
        """Ranges of pose, expression, shape, light, tone and exposure, see `face.scene`."""
        return KNOBS

    def sample(
        self, label: str, seeds: Sequence[int], *, knobs: Mapping[str, float] | None = None
    ) -> Samples:
        """Return one picture of a face of `label` a seed; rejected where there is no face.

        Raises:
            ConfigError: unknown label or knob.
        """
        ranges = knob_values(KNOBS, knobs)
        rows = self.support.draw(label, seeds)
        images = self.support.images[rows].clone()
        params: list[Mapping[str, float]] = []
        rejected = {}
        streams = zip(fork_seeds(seeds, _SCENE), fork_seeds(seeds, _CAMERA), strict=True)
        for i, (row, (drawn, shot)) in enumerate(zip(rows.tolist(), streams, strict=True)):
            portrait = self._portrait(row)
            if isinstance(portrait, str):
                rejected[i] = portrait
                params.append({})
                continue
            rng = np.random.default_rng(int(drawn))
            scene = draw_scene(rng, ranges, portrait.subject.model)
            _, made = portrait.picture(scene, np.random.default_rng(int(shot)))
            images[i] = torch.from_numpy(made).permute(2, 0, 1)
            params.append(scene.params)
        return Samples(images, self._parents(rows, rejected), params, rejected)

    def _parents(
        self, rows: npt.NDArray[np.int64], rejected: Mapping[int, str]
    ) -> list[tuple[str, ...]]:
        """Return the photographs that each sample's face and skin are from, its own first."""
        made = []
        for i, row in enumerate(rows.tolist()):
            others = [] if i in rejected else [k for k in self._together(row) if k != row]
            made.append(tuple(self.support.image_ids[k] for k in (row, *others)))
        return made

    def _together(self, row: int) -> list[int]:
        """Return the rows that share a row's skin, itself among them: faces of its patient."""
        key = (self.faces.people[row], self.support.labels[row])
        keys = zip(self.faces.people, self.support.labels, strict=True)
        rows = [k for k, other in enumerate(keys) if other == key]
        return [k for k in rows if not isinstance(self._subject(k), str)]

    def _portrait(self, row: int) -> Portrait | str:
        """Return the person of a support image with their camera, or why there is none."""
        if row not in self._portraits:
            subject = self._subject(row)
            if isinstance(subject, str):
                self._portraits[row] = subject
            else:
                self._join(row)
        return self._portraits[row]

    def _join(self, row: int) -> None:
        """Make the portraits of all photographs that share a row's skin."""
        rows = self._together(row)
        subjects = [one for k in rows if isinstance(one := self._subject(k), Subject)]
        pixels = [self._pixels(k) for k in rows]
        try:
            shared = share_skin(subjects, [as_linear(one) for one in pixels])
        except DataError as error:
            self._portraits.update({k: f"{self.support.image_ids[k]}: {error}" for k in rows})
            return
        for k, subject, own in zip(rows, shared, pixels, strict=True):
            try:
                self._portraits[k] = portrait_of(subject, own, own.shape[0], self._behind)
            except DataError as error:
                self._portraits[k] = f"{self.support.image_ids[k]}: {error}"

    def _pixels(self, row: int) -> Pixels:
        return self.support.images[row].permute(1, 2, 0).contiguous().numpy()

    def _subject(self, row: int) -> Subject | str:
        """Return the person of a support image alone, or why there is none; made once."""
        if row not in self._alone:
            self._alone[row] = self._made(row)
        return self._alone[row]

    def _made(self, row: int) -> Subject | str:
        if self.faces.reasons[row]:
            return f"{self.faces.reasons[row]} in {self.support.image_ids[row]}"
        face = Landmarks(self.faces.points[row].numpy())
        linear = as_linear(self._pixels(row))
        try:
            return subject_of(linear, face, self._geometry, side=self.settings.side)
        except DataError as error:
            return f"{self.support.image_ids[row]}: {error}"

    @cached_property
    def _behind(self) -> Backgrounds:
        return Backgrounds(self.settings.background, list(self.pool.numpy()))

    @cached_property
    def _geometry(self) -> FaceModel | None:
        return load_geometry(self.settings.model)

    def save(self, folder: Path) -> None:
        """Write the support images, their landmarks, the pool and the settings to `folder`."""
        self.support.save(folder)
        tensors = {"points": self.faces.points.contiguous(), "pool": self.pool.contiguous()}
        save_file(tensors, folder / "faces.safetensors")
        names = {"reasons": self.faces.reasons, "people": self.faces.people}
        about = {**names, "settings": asdict(self.settings)}
        atomic_write(folder / "face3d.json", json.dumps(about) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Face3DSampler":
        """Return the sampler written by `save`."""
        about = json.loads((folder / "face3d.json").read_text())
        tensors = load_file(folder / "faces.safetensors")
        faces = _Faces(tensors["points"], tuple(about["reasons"]), tuple(about["people"]))
        support, settings = SupportImages.load(folder), Face3D(**about["settings"])
        return cls(support, faces, settings, tensors["pool"])
