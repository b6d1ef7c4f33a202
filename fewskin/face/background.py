"""What is behind a face: one colour, another picture, or the photograph without the person.

The first mode, the photograph's own surroundings as they move with the head, is `face.sheet`. The
sheet has the person's hair and neck on it, so that only the face is drawn over it; over these three
the whole head is drawn. Every mode gives linear RGB, and how much of each pixel a photograph shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from fewskin.errors import ConfigError, DataError
from fewskin.face.model import FaceModel
from fewskin.face.pictures import as_linear
from fewskin.functional.pose import View
from fewskin.functional.pyramid import push_pull
from fewskin.functional.raster import Kernel, zbuffer
from fewskin.provenance import unknown

__all__ = [
    "BACKGROUNDS",
    "Backdrop",
    "Background",
    "Backgrounds",
    "identity_masked",
    "pool",
    "uniform",
]

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

Background = Literal["depth_sheet", "uniform", "pool", "identity_masked"]
BACKGROUNDS: Final[tuple[Background, ...]] = ("depth_sheet", "uniform", "pool", "identity_masked")

_HAIR: Final = 0.45  # how far around a head its hair may reach, in its radii
_SOFT: Final = 0.15  # width over which the filling gives way to the photograph, likewise


class Backdrop(NamedTuple):
    """A background.

    Attributes:
        image: (H, W, 3) float32 linear RGB.
        coverage: (H, W) float32 in [0, 1], the share that a photograph shows; the rest is made up.
    """

    image: Floats
    coverage: Floats


@dataclass(frozen=True, eq=False)
class Backgrounds:
    """What is to be behind the faces of a run.

    Attributes:
        mode: "depth_sheet", the photograph's own surroundings; or another of `BACKGROUNDS`.
        pictures: (h, w, 3) uint8 sRGB each, of the pool; one is drawn for each new picture.

    Raises:
        ConfigError: an unknown mode, a pool without pictures, or pictures for another mode.
    """

    mode: Background = "depth_sheet"
    pictures: Sequence[Pixels] = ()

    def __post_init__(self) -> None:
        if self.mode not in BACKGROUNDS:
            raise ConfigError(unknown("background", self.mode, BACKGROUNDS))
        if self.mode == "pool" and not len(self.pictures):
            raise ConfigError("background=pool: give pool=DIR, a folder with pictures.")
        if self.mode != "pool" and len(self.pictures):
            raise ConfigError(f"pool is for background=pool, not background={self.mode}.")

    def drawn(self, size: tuple[int, int], rng: np.random.Generator) -> Floats | None:
        """Return (H, W, 3) linear RGB for one picture; None where the photograph has it.

        Args:
            size: (height, width).
            rng: of this picture: chooses from the pool, and the part.
        """
        if self.mode == "uniform":
            return uniform(size).image
        if self.mode == "pool":
            chosen = self.pictures[int(rng.integers(len(self.pictures)))]
            return pool(as_linear(chosen), size, rng=rng).image
        return None


def uniform(
    size: tuple[int, int], colour: tuple[float, float, float] = (0.18, 0.18, 0.18)
) -> Backdrop:
    """Return one colour.

    Args:
        size: (height, width).
        colour: linear RGB; mid grey by default.

    Example:
        >>> uniform((2, 3)).image.shape
        (2, 3, 3)
    """
    return Backdrop(np.full((*size, 3), colour, np.float32), np.zeros(size, np.float32))


def pool(
    picture: Floats, size: tuple[int, int], *, rng: np.random.Generator | None = None
) -> Backdrop:
    """Return a part of another picture that fills the frame.

    Args:
        picture: (h, w, 3) linear RGB.
        size: (height, width).
        rng: draws which part, and whether it is mirrored; the middle, as it is, by default.

    Raises:
        DataError: the picture is not (h, w, 3).
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise DataError(f"a picture of the pool is (h, w, 3), not {picture.shape}.")
    height, width = picture.shape[:2]
    scale = min(height / size[0], width / size[1])
    high, wide = size[0] * scale, size[1] * scale
    down, across = (0.5, 0.5) if rng is None else rng.uniform(size=2)
    top, left = (height - high) * down, (width - wide) * across
    made = _resized(picture, size, (left, top, left + wide, top + high))
    if rng is not None and rng.random() < 0.5:
        made = np.ascontiguousarray(made[:, ::-1])
    return Backdrop(made, np.ones(size, np.float32))


def identity_masked(
    image: Floats,
    model: FaceModel,
    vertices: Floats,
    view: View,
    size: tuple[int, int] | None = None,
    *,
    kernel: Kernel = "auto",
) -> Backdrop:
    """Return a photograph without its person: what is around the head, continued over it.

    Head and hair are filled in smoothly, so that nothing of the person is left but clothes; it
    stands still as the head turns.

    Args:
        image: (h, w, 3) linear RGB.
        model: face model.
        vertices: (V, 3) of the person in the photograph, cm.
        view: of the photograph.
        size: (height, width) of the result; the photograph's by default.
        kernel: of `functional.raster`.

    Raises:
        DataError: the head is not in the photograph, or fills it.
    """
    from scipy.ndimage import distance_transform_edt

    size = view.size if size is None else size
    made = _resized(image, size, (0.0, 0.0, float(image.shape[1]), float(image.shape[0])))
    stretch = np.array([size[1] / view.size[1], size[0] / view.size[0], 1.0])
    points = view.project(vertices) * stretch
    found, _ = zbuffer(points, model.triangles, size, kernel=kernel)
    head = found >= 0
    if not head.any():
        raise DataError("the fitted head lies outside the photograph; was it fitted to this one?")
    radius = float(np.sqrt(head.sum() / np.pi))
    away = distance_transform_edt(~head) / radius
    kept = np.clip((away - _HAIR) / _SOFT, 0.0, 1.0).astype(np.float32)
    if kept.max() < 1.0:
        raise DataError(
            "the head fills the photograph, nothing of its background is left; "
            "use background=uniform or a pool."
        )
    filled = push_pull(np.moveaxis(made, -1, 0), kept)
    return Backdrop(np.ascontiguousarray(np.moveaxis(filled, 0, -1)), kept)


def _resized(
    image: Floats, size: tuple[int, int], box: tuple[float, float, float, float]
) -> Floats:
    """Return (H, W, 3) of a box (left, top, right, bottom), averaged where it shrinks."""
    from PIL import Image

    planes = [
        Image.fromarray(np.ascontiguousarray(image[..., i], np.float32)).resize(
            size[::-1], Image.Resampling.BILINEAR, box=box
        )
        for i in range(3)
    ]
    return np.stack([np.asarray(plane) for plane in planes], axis=-1)
