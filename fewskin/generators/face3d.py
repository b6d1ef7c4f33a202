"""New pictures of the people in the support set, or their condition on healthy people's faces.

Each photograph is fitted, its skin unwrapped, its light taken out, and what it does not show
completed; a sample is a face in another pose, expression, shape, light and exposure, before its own
bent surroundings. Three modes:

- view: the support's own faces. The skin stays.
- paint: healthy faces with the preset of the label's condition at a drawn severity.
- transplant: healthy faces with what was taken off the support's photographs of the label.

The label stays true: colour is changed by neutral light and exposure, by the condition, and by
melanin where the dial `tone` is opened; haemoglobin changes by the condition alone. Pictures of
healthy people go the same way, with a condition that is 0. A sample whose condition would be too
faint to see is rejected, and so is one without a face, with the reason.

Each looks taken by the camera of its photograph: as sharp, as noisy, as compressed. Photographs of
one patient may share one skin, and another background may stand behind the head; neither is done by
default.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from fewskin.data.images import square
from fewskin.data.support_images import SupportImages, knob_values
from fewskin.errors import ConfigError, DataError
from fewskin.face.backdrops import read_backgrounds
from fewskin.face.background import BACKGROUNDS, Background, Backgrounds
from fewskin.face.casting import Casting, Made, Streams
from fewskin.face.condition import condition_names
from fewskin.face.extract import Mixing
from fewskin.face.finder_error import corrected
from fewskin.face.gallery import Faces, Gallery
from fewskin.face.geometry import load_geometry
from fewskin.face.landmark_checks import Limits
from fewskin.face.mediapipe_provider import MediapipeProvider
from fewskin.face.recipes import PAINT, TRANSPLANT
from fewskin.face.scene import KNOBS
from fewskin.functional.augment import fork_seeds, uniforms
from fewskin.paths import atomic_write
from fewskin.protocols import ImageTable, Knob, Samples
from fewskin.provenance import unknown
from fewskin.seeding import rng_for

__all__ = ["Face3D"]

Pixels = npt.NDArray[np.uint8]
Mode = Literal["view", "paint", "transplant"]

_SCENE, _CAMERA, _CONDITION, _TARGET = 3, 4, 5, 6  # streams of a sample's seed
_SMALLEST = Limits(min_face_px=32.0)  # the images are small; landmarks there are .9 % off at 40 px
_KNOBS: Mapping[str, Mapping[str, Knob]] = {
    "view": KNOBS,
    "paint": {**PAINT, **KNOBS},
    "transplant": {**TRANSPLANT, **KNOBS},
}


@dataclass(frozen=True)
class Face3D:
    """Re-render support faces, or put their condition on healthy faces of the base rows.

    Attributes:
        mode: "view": new pose, expression, shape, light, tone and exposure of the same person;
            "paint": a healthy person with the condition's preset; "transplant": a healthy person
            with what is redder on the support's photographs than in health.
        model: "landmark" (the landmarks are the mesh; no asset needed), "analytic" (our own head),
            or an .npz file of `fewskin face import-ict`.
        side: texels of a texture.
        fuse: photographs of one patient (or group) and label share one skin, and a sample names all
            of them as parents. What only some of them show, a flush say, is averaged. For "view".
        background: "depth_sheet" (the photograph's own, hair stays hair), "uniform" (grey), "pool",
            or "identity_masked" (the photograph without the person). In the last three the head has
            no hair; with model "landmark" it is a face alone.
        pool: folder of pictures for background "pool"; `adapt` keeps their middle squares.
        healthy: label of healthy people; base rows of it bear the conditions, else support rows.
        conditions: label -> preset of `fewskin.face.conditions`, for "paint"; by default a label
            has the preset of its own name.
        max_targets: healthy base rows that are kept, chosen by seed.
        mixing: "one" donor, "mixup" of two, or "pca" of all, for "transplant".
    """

    mode: Mode = "view"
    model: str = "landmark"
    side: int = 512
    fuse: bool = False
    background: Background = "depth_sheet"
    pool: str = ""
    healthy: str = "healthy"
    conditions: Mapping[str, str] | None = None
    max_targets: int = 100
    mixing: Mixing = "mixup"
    _targets: Faces | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.mode not in _KNOBS:
            raise ConfigError(f"mode={self.mode!r}: expected {', '.join(_KNOBS)}.")
        if self.background not in BACKGROUNDS:
            raise ConfigError(unknown("background", self.background, BACKGROUNDS))
        if self.mixing not in ("one", "mixup", "pca"):
            raise ConfigError(f"mixing={self.mixing!r}: expected one, mixup or pca.")
        if self.max_targets < 1:
            raise ConfigError(f"max_targets={self.max_targets}: expected 1 or more.")
        for preset in (self.conditions or {}).values():
            if preset not in condition_names():
                raise ConfigError(unknown("condition", preset, condition_names()))

    def preset(self, label: str) -> str:
        """Return the condition's preset of a label; "" where there is none."""
        known = {name: name for name in condition_names()} | dict(self.conditions or {})
        return known.get(label, "")

    def fit(self, base: ImageTable | None, *, seed: int, out: Path) -> "Face3D":
        """Return a generator that keeps healthy faces of the base rows, if its mode needs any.

        Raises:
            MissingExtra: mediapipe is needed and not installed.
        """
        if base is None or self.mode == "view":
            return replace(self)
        rows = np.flatnonzero([label == self.healthy for label in base.labels])
        order = rng_for(seed, "healthy faces").permutation(len(rows))[: self.max_targets]
        return self._with(_found(base.take(rows[np.sort(order)]), {}) if len(rows) else None)

    def _with(self, targets: Faces | None) -> "Face3D":
        made = replace(self)
        object.__setattr__(made, "_targets", targets)
        return made

    def adapt(self, support: ImageTable, *, seed: int, out: Path) -> "Face3DSampler":
        """Return a sampler of the faces that are found in `support`.

        Raises:
            MissingExtra: mediapipe is not installed.
            ConfigError: no such model, a pool that is missing or not asked for, no healthy faces,
                or no label that can be painted.
            DataError, ImageError: the pool holds no pictures, or a broken one.
        """
        load_geometry(self.model)
        size = support.image_size
        behind = read_backgrounds(self.background, Path(self.pool) if self.pool else None, size)
        squares = [square(one, size) for one in behind.pictures]
        pool = np.stack(squares) if squares else np.zeros((0, size, size, 3), np.uint8)
        self._check_labels(support.classes)
        faces = _found(support, _patients(support) if self.fuse else {})
        return Face3DSampler(faces, self._healthy_faces(faces), self, pool)

    def _check_labels(self, labels: Sequence[str]) -> None:
        ill = [label for label in labels if label != self.healthy]
        if self.mode == "paint" and ill and not any(self.preset(label) for label in ill):
            raise ConfigError(
                f"no preset for {', '.join(ill)}: give conditions={{{ill[0]}: NAME}} with NAME of "
                f"{', '.join(condition_names())}."
            )

    def _healthy_faces(self, support: Faces) -> Faces | None:
        """Return the faces that bear the conditions: of the base rows, else of the support."""
        if self.mode == "view":
            return None
        if self._targets is not None:
            return self._targets
        rows = [k for k, label in enumerate(support.labels) if label == self.healthy]
        if not rows:
            raise ConfigError(
                f"mode={self.mode} needs healthy faces, and no base or support row has the label "
                f"{self.healthy!r}: add photographs of healthy people, or say healthy=LABEL."
            )
        return support.take(rows)

    def save(self, folder: Path) -> None:
        """Write the healthy faces, if any, to `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        if self._targets is not None:
            self._targets.save(folder)

    def load(self, folder: Path) -> "Face3D":
        """Return a generator with these settings and the healthy faces that `save` wrote."""
        there = (folder / "faces.json").is_file()
        return self._with(Faces.load(folder) if there else None)


def _found(table: ImageTable, people: Mapping[str, str]) -> Faces:
    """Return the faces of a table's rows, sorted by id."""
    images = SupportImages.of(table)
    pixels = np.ascontiguousarray(images.images.permute(0, 2, 3, 1).numpy())
    with MediapipeProvider(limits=_SMALLEST) as provider:
        found = [corrected(one) for one in provider.detect(list(pixels))]
    names = [people.get(one, one) for one in images.image_ids]
    return Faces.of(pixels, images.image_ids, images.labels, names, found)


def _patients(support: ImageTable) -> dict[str, str]:
    """Return image_id -> patient, or the group where no patient is known."""
    rows = support.rows
    patients = rows["patient_id"].where(rows["patient_id"] != "", rows["group_id"])
    return dict(zip(rows["image_id"], patients, strict=True))


@dataclass(frozen=True, eq=False)
class Face3DSampler:
    """Faces in new pictures, one a seed."""

    faces: Faces
    targets: Faces | None
    settings: Face3D
    pool: Pixels

    @property
    def knobs(self) -> Mapping[str, Knob]:
        """Ranges of pose, expression, shape, light, tone and exposure, and of the condition."""
        return _KNOBS[self.settings.mode]

    def sample(
        self, label: str, seeds: Sequence[int], *, knobs: Mapping[str, float] | None = None
    ) -> Samples:
        """Return one picture of a face of `label` a seed; rejected where there is no face.

        Raises:
            ConfigError: unknown label or knob.
        """
        values, rows = knob_values(self.knobs, knobs), self._support.draw(label, seeds)
        streams = [fork_seeds(seeds, one) for one in (_SCENE, _CAMERA, _CONDITION)]
        spots = uniforms(fork_seeds(seeds, _TARGET), 1)[:, 0]
        made, rejected = list[Made](), dict[int, str]()
        for i, row in enumerate(rows.tolist()):
            rngs = Streams(*(np.random.default_rng(int(stream[i])) for stream in streams))
            try:
                if self.targets is None:
                    made.append(self._casting.viewed(row, values, rngs))
                else:
                    made.append(self._casting.affected(label, float(spots[i]), values, rngs))
            except DataError as error:
                rejected[i] = str(error)
                made.append(Made(self.faces.pixels[row], {}, (self.faces.image_ids[row],), {}))
        pixels = np.stack([one.pixels for one in made])
        return Samples(
            torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy()),
            [one.parents for one in made],
            [one.params for one in made],
            rejected,
            _stacked([one.masks for one in made], pixels.shape[1:3]),
        )

    @cached_property
    def _support(self) -> SupportImages:
        pixels = torch.from_numpy(self.faces.pixels.transpose(0, 3, 1, 2).copy())
        return SupportImages(pixels, self.faces.image_ids, self.faces.labels)

    @cached_property
    def _casting(self) -> Casting:
        own = self.settings
        behind = Backgrounds(own.background, list(self.pool))
        there = sorted(set(self.faces.labels) - {own.healthy})
        presets = {label: own.preset(label) for label in there}
        people = Gallery(self.faces, own.model, own.side, behind)
        healthy = None
        if self.targets is not None:
            healthy = Gallery(self.targets, own.model, own.side, behind)
        named = presets if own.mode == "paint" else None
        return Casting(people, healthy, own.healthy, named, own.mixing)

    def save(self, folder: Path) -> None:
        """Write the support images, the healthy faces, the pool and the settings to `folder`."""
        from safetensors.numpy import save_file

        self.faces.save(folder)
        save_file({"pool": np.ascontiguousarray(self.pool)}, folder / "pool.safetensors")
        if self.targets is not None:
            self.targets.save(folder / "healthy")
        atomic_write(folder / "face3d.json", json.dumps(_plain(self.settings)) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Face3DSampler":
        """Return the sampler written by `save`."""
        from safetensors.numpy import load_file

        settings = Face3D(**json.loads((folder / "face3d.json").read_text()))
        there = (folder / "healthy").is_dir()
        targets = Faces.load(folder / "healthy") if there else None
        pool = load_file(folder / "pool.safetensors")["pool"]
        return cls(Faces.load(folder), targets, settings, pool)


def _plain(settings: Face3D) -> dict[str, Any]:  # Any: JSON values
    return {one.name: getattr(settings, one.name) for one in fields(settings) if one.init}


def _stacked(
    masks: Sequence[Mapping[str, Pixels]], size: tuple[int, ...]
) -> dict[str, torch.Tensor]:
    """Return name -> (n, H, W); a mask that a sample does not have is 0."""
    none = np.zeros(size, np.uint8)
    names = sorted({name for one in masks for name in one})
    return {n: torch.from_numpy(np.stack([one.get(n, none) for one in masks])) for n in names}
