"""New pictures of the people in the support set, through a 3D model of their face.

Each photograph is fitted, its skin unwrapped, its light taken out, and what it does not show
completed; a sample is that face in another pose, expression, shape, light and exposure, before its
own bent surroundings. The label stays, for the skin stays: colour is changed by neutral light and
exposure only, unless the dial `tone` is opened, which moves melanin and never haemoglobin.

A photograph in which no face is found gives no samples: they are rejected, with the reason.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from fewskin.data.support_images import SupportImages, knob_values
from fewskin.errors import ConfigError, DataError
from fewskin.face.geometry import load_geometry
from fewskin.face.landmark_checks import Limits
from fewskin.face.landmarks import Landmarks, Reason
from fewskin.face.match import with_grain_of
from fewskin.face.mediapipe_provider import MediapipeProvider
from fewskin.face.model import FaceModel
from fewskin.face.pictures import as_linear, as_pixels
from fewskin.face.scene import KNOBS, draw_scene, picture_of
from fewskin.face.subject import Subject, subject_of
from fewskin.functional.augment import fork_seeds
from fewskin.paths import atomic_write
from fewskin.protocols import ImageTable, Knob, Samples

__all__ = ["Face3D"]

_SCENE = 3  # stream of a sample's seed
_SMALLEST = Limits(min_face_px=32.0)  # the images are small; landmarks there are .9 % off at 40 px


@dataclass(frozen=True)
class Face3D:
    """Re-render support faces; has nothing to fit.

    Attributes:
        mode: "view": new pose, expression, shape, light, tone and exposure of the same person.
        model: "landmark" (the landmarks are the mesh; no asset needed), "analytic" (our own head),
            or an .npz file of `fewskin face import-ict`.
        side: texels of a texture.
    """

    mode: Literal["view"] = "view"
    model: str = "landmark"
    side: int = 512

    def __post_init__(self) -> None:
        if self.mode != "view":
            raise ConfigError(f"mode={self.mode!r}: expected view.")

    def fit(self, base: ImageTable | None, *, seed: int, out: Path) -> "Face3D":
        """Return an equal generator."""
        return replace(self)

    def adapt(self, support: ImageTable, *, seed: int, out: Path) -> "Face3DSampler":
        """Return a sampler of the faces that are found in `support`.

        Raises:
            MissingExtra: mediapipe is not installed.
            ConfigError: the model is neither a name nor a file.
        """
        load_geometry(self.model)
        images = SupportImages.of(support)
        with MediapipeProvider(limits=_SMALLEST) as provider:
            found = provider.detect(list(images.images.permute(0, 2, 3, 1).numpy()))
        return Face3DSampler(images, _Faces.of(found), self)

    def save(self, folder: Path) -> None:
        """Make `folder`; there is no state."""
        folder.mkdir(parents=True, exist_ok=True)

    def load(self, folder: Path) -> "Face3D":
        """Return an equal generator."""
        return replace(self)


@dataclass(frozen=True, eq=False)
class _Faces:
    """Landmarks (n, 468, 3), NaN without a face, and why there is none, "" where there is."""

    points: Tensor
    reasons: tuple[str, ...]

    @classmethod
    def of(cls, found: Sequence[Landmarks | Reason]) -> "_Faces":
        empty = np.full((468, 3), np.nan, np.float32)
        points = [empty if isinstance(one, Reason) else one.points for one in found]
        reasons = [one.code if isinstance(one, Reason) else "" for one in found]
        return cls(torch.from_numpy(np.stack(points)), tuple(reasons))


@dataclass(frozen=True, eq=False)
class Face3DSampler:
    """Faces of support images in new pictures, one a seed."""

    support: SupportImages
    faces: _Faces
    settings: Face3D
    _subjects: dict[int, Subject | str] = field(default_factory=dict, repr=False)

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
        for i, (row, seed) in enumerate(zip(rows.tolist(), fork_seeds(seeds, _SCENE), strict=True)):
            subject = self._subject(row)
            if isinstance(subject, str):
                rejected[i] = subject
                params.append({})
                continue
            rng = np.random.default_rng(int(seed))
            scene = draw_scene(rng, ranges, subject.model)
            made = as_pixels(picture_of(subject, scene, images.shape[-1]).image)
            own = images[i].permute(1, 2, 0).numpy()
            images[i] = torch.from_numpy(with_grain_of(own, made, rng)).permute(2, 0, 1)
            params.append(scene.params)
        return Samples(images, self.support.parents(rows), params, rejected)

    def _subject(self, row: int) -> Subject | str:
        """Return the person of a support image, or why there is none; made once."""
        if row not in self._subjects:
            self._subjects[row] = self._made(row)
        return self._subjects[row]

    def _made(self, row: int) -> Subject | str:
        if self.faces.reasons[row]:
            return f"{self.faces.reasons[row]} in {self.support.image_ids[row]}"
        pixels = self.support.images[row].permute(1, 2, 0).numpy()
        face = Landmarks(self.faces.points[row].numpy())
        try:
            return subject_of(as_linear(pixels), face, self._geometry, side=self.settings.side)
        except DataError as error:
            return f"{self.support.image_ids[row]}: {error}"

    @cached_property
    def _geometry(self) -> FaceModel | None:
        return load_geometry(self.settings.model)

    def save(self, folder: Path) -> None:
        """Write the support images, their landmarks and the settings to `folder`."""
        self.support.save(folder)
        save_file({"points": self.faces.points.contiguous()}, folder / "landmarks.safetensors")
        about = {"reasons": self.faces.reasons, "settings": asdict(self.settings)}
        atomic_write(folder / "face3d.json", json.dumps(about) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Face3DSampler":
        """Return the sampler written by `save`."""
        about = json.loads((folder / "face3d.json").read_text())
        points = load_file(folder / "landmarks.safetensors")["points"]
        faces = _Faces(points, tuple(about["reasons"]))
        return cls(SupportImages.load(folder), faces, Face3D(**about["settings"]))
