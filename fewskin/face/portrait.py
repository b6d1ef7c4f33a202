"""A person's new pictures as their own camera would take them, before a chosen background."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from fewskin.face.background import Backgrounds, identity_masked
from fewskin.face.match import Match, match_of
from fewskin.face.pictures import as_linear
from fewskin.face.render import Render
from fewskin.face.scene import Scene, picture_of, still
from fewskin.face.subject import Subject
from fewskin.functional.raster import Kernel

__all__ = ["Portrait", "portrait_of"]

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Portrait:
    """A person, the camera of their photograph, and what is behind them.

    Attributes:
        subject: the person.
        photograph: (H, W, 3) uint8 sRGB, at the size of the pictures.
        backgrounds: of the run.
        own_wall: (H, W, 3) linear RGB, the photograph without the person; None in other modes.
    """

    subject: Subject
    photograph: Pixels
    backgrounds: Backgrounds
    own_wall: Floats | None

    @property
    def size(self) -> int:
        """Longer side of the pictures, pixels."""
        return max(self.photograph.shape[:2])

    @cached_property
    def match(self) -> Match:
        """What renders of this size lack beside the photograph."""
        return match_of(self.photograph, picture_of(self.subject, still(), self.size))

    def picture(
        self,
        scene: Scene,
        rng: np.random.Generator,
        *,
        masks: Mapping[str, Floats] | None = None,
        kernel: Kernel = "auto",
    ) -> tuple[Render, Pixels]:
        """Return the render of a scene with its masks, and the photograph that is taken of it.

        Args:
            scene: what is different from the photograph.
            rng: of this picture: its background, then its noise.
            masks: name -> (S, S) in [0, 1] on the texture.
            kernel: of `functional.raster`.
        """
        made = self.drawn(scene, rng, masks=masks, kernel=kernel)
        return made, self.match.taken(made.image, rng)

    def drawn(
        self,
        scene: Scene,
        rng: np.random.Generator,
        *,
        masks: Mapping[str, Floats] | None = None,
        kernel: Kernel = "auto",
    ) -> Render:
        """Return the render alone; `picture` says what the arguments are."""
        behind = self.behind(rng)
        return picture_of(
            self.subject, scene, self.size, masks=masks, background=behind, kernel=kernel
        )

    def behind(self, rng: np.random.Generator) -> Floats | None:
        """Return (H, W, 3) linear RGB of a picture's background; None is the photograph's own."""
        if self.own_wall is not None:
            return self.own_wall
        height, width = self.photograph.shape[:2]
        return self.backgrounds.drawn((height, width), rng)


def portrait_of(
    subject: Subject,
    photograph: Pixels,
    size: int,
    backgrounds: Backgrounds | None = None,
) -> Portrait:
    """Return a person ready to be photographed anew.

    Args:
        subject: of `photograph`.
        photograph: (h, w, 3) uint8 sRGB, as it was given to `subject_of`.
        size: longer side of the pictures, pixels.
        backgrounds: the photograph's own surroundings by default.

    Raises:
        DataError: the head fills the photograph, and its background is asked for without it.
    """
    backgrounds = Backgrounds() if backgrounds is None else backgrounds
    fit = subject.fit
    shape = fit.view.scaled(size / max(fit.view.size)).size
    wall = None
    if backgrounds.mode == "identity_masked":
        linear = as_linear(photograph)
        wall = identity_masked(linear, subject.model, fit.vertices, fit.view, shape).image
    return Portrait(subject, _at(photograph, shape), backgrounds, wall)


def _at(photograph: Pixels, shape: tuple[int, int]) -> Pixels:
    """Return the photograph at (height, width); as it is, with its JPEG, where that is its size."""
    from PIL import Image

    if photograph.shape[:2] == shape:
        return photograph
    return np.array(Image.fromarray(photograph).resize(shape[::-1], Image.Resampling.LANCZOS))
