"""What can be measured on a made picture: landmarks, tone, seams, and the condition found again."""

import numpy as np
import numpy.typing as npt

from fewskin.face.landmarks import Landmarks, inter_ocular
from fewskin.face.pictures import as_linear
from fewskin.functional.colour import ita, linear_to_lab

__all__ = ["border_energy", "correlation", "landmark_error", "tone"]

Floats = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.uint8]

_BAND_PX = 2  # to either side of a border
_FEWEST = 50  # pixels that a tone or a border needs


def landmark_error(expected: Landmarks, found: Landmarks) -> float:
    """Return the mean distance of landmarks in the picture, percent of the eyes' distance.

    Example:
        >>> from fewskin.face.topology import topology
        >>> face = Landmarks(topology().mean)
        >>> landmark_error(face, face)
        0.0
    """
    apart = np.linalg.norm(expected.points[:, :2] - found.points[:, :2], axis=1)
    return 100.0 * float(np.nanmean(apart)) / inter_ocular(expected)


def tone(pixels: Pixels, where: Mask) -> float:
    """Return the ITA of the median colour of some pixels, degrees; NaN of fewer than 50.

    Args:
        pixels: (H, W, 3) uint8 sRGB.
        where: (H, W).
    """
    if int(where.sum()) < _FEWEST:
        return float("nan")
    lab = linear_to_lab(as_linear(pixels[where][None])[0].astype(np.float64))
    return float(ita(np.median(lab, axis=0)))


def border_energy(pixels: Pixels, mask: Mask, within: Mask) -> float:
    """Return the fine detail along a mask's border, the rms of the Laplacian of L*.

    A seam, a halo or a hard edge has more of it than the same place without the mask. NaN where
    fewer than 50 pixels lie within 2 of the border.

    Args:
        pixels: (H, W, 3) uint8 sRGB.
        mask: (H, W).
        within: (H, W) pixels that count.
    """
    from scipy.ndimage import binary_dilation, binary_erosion, laplace

    band = binary_dilation(mask, iterations=_BAND_PX) & within
    band &= ~binary_erosion(mask, iterations=_BAND_PX, border_value=1)
    if int(band.sum()) < _FEWEST:
        return float("nan")
    light = linear_to_lab(as_linear(pixels).astype(np.float64))[..., 0]
    return float(np.sqrt(np.mean(laplace(light)[band] ** 2)))


def correlation(a: Floats, b: Floats, where: Mask) -> float:
    """Return Pearson's correlation of two maps over some texels; NaN where one is constant.

    Example:
        >>> x = np.arange(4.0)
        >>> correlation(x, 2.0 * x, x >= 0.0)
        1.0
    """
    x, y = (one[where].astype(np.float64) - one[where].mean() for one in (a, b))
    size = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum() / size) if size > 1e-12 else float("nan")
