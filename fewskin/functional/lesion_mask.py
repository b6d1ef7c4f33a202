"""Where the lesion is on a close photograph: what is unlike the skin at the border of the image.

Otsu, A threshold selection method from grey-level histograms, 1979; on the optical density of
`descriptors.skin_density`. A rule of thumb for framed lesions, no segmentation: where the border of
the image is not skin, give masks instead.
"""

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import binary_dilation, binary_fill_holes, binary_opening, gaussian_filter, label
from torch import Tensor

from fewskin.functional.descriptors import skin_density

__all__ = ["lesion_masks", "otsu"]

Array = npt.NDArray[np.float64]
_SMOOTH, _GROW, _FEATHER = 1 / 32, 1 / 24, 1 / 64  # of the side
_BINS = 64


def otsu(values: Array) -> float:
    """Return the threshold with the largest variance between the values below and above it.

    Example:
        >>> 1.0 < otsu(np.array([0.9, 1.0, 1.0, 4.0, 4.1])) < 4.0
        True
    """
    counts, edges = np.histogram(values, _BINS)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts).astype(np.float64)
    total = np.cumsum(counts * middles)
    above = below[-1] - below
    apart = total / np.maximum(below, 1) - (total[-1] - total) / np.maximum(above, 1)
    variance = below * above * apart**2
    # A gap between both groups has many best thresholds; its middle is as far from either.
    best = np.flatnonzero(variance >= variance.max() * (1 - 1e-9))
    return float(edges[1:][best].mean())


def lesion_masks(images: Tensor) -> Tensor:
    """Return where each image differs from the skin at its border, with a soft edge.

    Args:
        images: (n, 3, S, S) uint8 sRGB, S >= 16.

    Returns:
        (n, S, S) uint8: 255 on the lesion and a little around it, falling to 0 over a few pixels.

    Example:
        >>> image = torch.full((1, 3, 32, 32), 200, dtype=torch.uint8)
        >>> image[:, :, 12:20, 12:20] = 60
        >>> mask = lesion_masks(image)[0]
        >>> int(mask[16, 16]), int(mask[1, 1])
        (255, 0)
    """
    density = skin_density(images.float() / 255.0).square().sum(1).sqrt().double().numpy()
    masks = [_mask(one) for one in density]
    return torch.from_numpy(np.stack(masks)) if masks else torch.empty(0, *images.shape[-2:]).byte()


def _mask(unlike: Array) -> npt.NDArray[np.uint8]:
    side = len(unlike)
    smooth = gaussian_filter(unlike, max(0.5, _SMOOTH * side))
    found = binary_opening(smooth > otsu(smooth))
    parts, n = label(found)
    if n == 0:
        return np.zeros(unlike.shape, np.uint8)
    # Largest where it is also darkest: a corner of shadow is neither.
    weights = [smooth[parts == i + 1].sum() for i in range(n)]
    lesion = binary_fill_holes(parts == 1 + int(np.argmax(weights)))
    grown = binary_dilation(lesion, iterations=max(1, round(_GROW * side)))
    soft = gaussian_filter(grown.astype(np.float64), max(0.5, _FEATHER * side))
    soft[soft < 0.02] = 0.0
    return np.asarray(np.round(255.0 * soft), dtype=np.uint8)
