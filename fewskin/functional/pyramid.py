"""Halving, doubling and filling images: the steps of an image pyramid.

Images here are planes, (..., H, W): long rows are what numpy is fast at.
"""

import numpy as np
import numpy.typing as npt

__all__ = ["doubled", "halved", "push_pull"]

Floats = npt.NDArray[np.float32]


def halved(image: Floats) -> Floats:
    """Return (..., H / 2, W / 2) sums of 2 x 2 pixels of a (..., H, W) image of even sides.

    Example:
        >>> halved(np.ones((4, 6), np.float32)).tolist()
        [[4.0, 4.0, 4.0], [4.0, 4.0, 4.0]]
    """
    rows = image[..., ::2, :] + image[..., 1::2, :]
    return np.asarray(rows[..., ::2] + rows[..., 1::2])


def doubled(image: Floats) -> Floats:
    """Return (..., 2 H, 2 W), linear between the pixel centres of a (..., H, W) image.

    Example:
        >>> doubled(np.array([[0.0, 4.0]], np.float32)).tolist()
        [[0.0, 1.0, 3.0, 4.0], [0.0, 1.0, 3.0, 4.0]]
    """
    *more, height, width = image.shape
    tall = np.empty((*more, 2 * height, width), np.float32)
    _spread(*(np.moveaxis(part, -2, 0) for part in (image, tall[..., ::2, :], tall[..., 1::2, :])))
    wide = np.empty((*more, 2 * height, 2 * width), np.float32)
    _spread(*(np.moveaxis(part, -1, 0) for part in (tall, wide[..., ::2], wide[..., 1::2])))
    return wide


def _spread(image: Floats, even: Floats, odd: Floats) -> None:
    """Write the two children of each row: 3/4 of it and 1/4 of the neighbour on their side."""
    main = image * np.float32(0.75)
    quarter = image * np.float32(0.25)
    even[0], odd[-1] = image[0], image[-1]
    np.add(main[1:], quarter[:-1], out=even[1:])
    np.add(main[:-1], quarter[1:], out=odd[:-1])


def push_pull(values: Floats, weight: Floats, levels: int | None = None) -> Floats:
    """Continue values smoothly to where their weight is 0.

    Source: Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.4.

    Args:
        values: (C, H, W).
        weight: (H, W) in [0, 1]; 1 keeps a value.
        levels: how often to halve: values reach about 2**levels pixels far, then fade to 0; all
            over the image if not given.

    Returns:
        (C, H, W); 0 if there is no weight at all.

    Example:
        >>> seen = np.zeros((8, 8), np.float32); seen[2, 3] = 1.0
        >>> filled = push_pull(np.full((1, 8, 8), 0.25, np.float32), seen)
        >>> float(filled.min()), float(filled.max())
        (0.25, 0.25)
    """
    height, width = weight.shape
    if height <= 1 and width <= 1:
        return np.where(weight > 0, values, 0.0).astype(np.float32)
    if levels == 0:
        return values * weight
    known, shown = weight, values
    if height % 2 or width % 2:
        odd = ((0, height % 2), (0, width % 2))
        known, shown = np.pad(weight, odd), np.pad(values, ((0, 0), *odd))
    total = halved(known)
    coarse = np.asarray(halved(shown * known) / np.maximum(total, 1e-8), np.float32)
    fewer = None if levels is None else levels - 1
    filled = doubled(push_pull(coarse, np.minimum(total, 1.0), fewer))[:, :height, :width]
    filled += (values - filled) * weight
    return filled
