"""Make a render look as if the camera of its photograph had taken it: blur, noise, compression.

What differs from the photograph is a cue that tells the two apart, and a classifier would use it.
It is measured once a photograph, on its render in its own pose, where both show the same:

- Exposure is the photograph's as it is, for light of mean 1 is taken out and put back. Nothing is
  applied; white balance is never touched, for redness is the disease.
- Blur, where the render is sharper, in linear light: `camera_sharpness`. A texture that comes from
  the photograph has its blur already, and the render is a little softer: then it stays as it is.
  Only a texture of several photographs can be sharper than one of them.
- Noise, where the render has less: `functional.traces`.
- JPEG of the quality that the photograph's pixels show: `functional.traces`. A photograph that was
  scaled shows none, and the render is not compressed.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.errors import DataError
from fewskin.face.camera_sharpness import excess_sharpness
from fewskin.face.pictures import as_linear
from fewskin.face.render import Render
from fewskin.functional.camera import blur, compress
from fewskin.functional.colour import linear_to_srgb
from fewskin.functional.traces import grain, jpeg_quality

__all__ = ["Match", "match_of"]

Floats = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]

_SOFT: Final = 0.1  # edge of the window on the face, of the root of the face's area
_ROUNDS: Final = 6  # compression takes noise away: how much to add is found step by step


@dataclass(frozen=True, eq=False)
class Match:
    """What a render lacks beside its photograph.

    Attributes:
        blur_px: sigma of a Gaussian in linear light, pixels.
        noise: (3,) sigma of the noise of each channel, in units of 1 / 255 of sRGB.
        quality: of JPEG; 0 = not compressed.
    """

    blur_px: float
    noise: Array
    quality: int

    def taken(self, linear: Floats, rng: np.random.Generator) -> Pixels:
        """Return (H, W, 3) uint8 sRGB of (H, W, 3) linear RGB, clipped at white as a sensor is.

        Args:
            linear: a render, at the size that was matched.
            rng: of this picture.

        Example:
            >>> grey = np.full((8, 8, 3), 0.3, np.float32)
            >>> Match(0.0, np.zeros(3), 0).taken(grey, np.random.default_rng(0))[0, 0].tolist()
            [149, 149, 149]
        """
        return self._developed(linear, rng.standard_normal(linear.shape, dtype=np.float32))

    def _developed(self, linear: Floats, unit: Floats) -> Pixels:
        srgb = linear_to_srgb(blur(linear, self.blur_px))
        srgb = srgb + unit * (self.noise / 255.0).astype(np.float32)
        if self.quality:
            srgb = compress(np.clip(srgb, 0.0, 1.0), self.quality)
        return np.clip(np.round(srgb * np.float32(255.0)), 0, 255).astype(np.uint8)


def match_of(photograph: Pixels, own: Render) -> Match:
    """Return what makes renders look taken by the camera of a photograph.

    Args:
        photograph: (H, W, 3) uint8 sRGB.
        own: render of its face in its own pose and light, at its size.

    Raises:
        DataError: the sizes differ.
    """
    if photograph.shape != own.image.shape:
        raise DataError(
            f"a photograph of {photograph.shape} and a render of {own.image.shape}: scale one."
        )
    soft = excess_sharpness(as_linear(photograph), own.image, _window(own))
    quality, wanted = jpeg_quality(photograph), grain(photograph) ** 2
    # The match belongs to the photograph, not to a picture: its noise is always the same draw.
    unit = np.random.default_rng(0).standard_normal(own.image.shape, dtype=np.float32)
    variance = np.zeros(3)
    for _ in range(_ROUNDS if quality else 1):
        made = Match(soft, np.sqrt(variance), quality)._developed(own.image, unit)
        variance = np.maximum(variance + wanted - grain(made) ** 2, 0.0)
    return Match(soft, np.sqrt(variance), quality)


def _window(own: Render) -> Floats:
    """Return (H, W) in [0, 1], well inside the face."""
    from scipy.ndimage import gaussian_filter

    face = own.region("face", "lips", "eyes", "mouth") * own.coverage
    width = _SOFT * float(np.sqrt(face.sum()))
    inside = gaussian_filter(face, width, mode="constant") * 2.0 - 1.0
    return np.clip(inside, 0.0, 1.0).astype(np.float32)
