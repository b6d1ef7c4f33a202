"""Masks of the lesion on support images: from a folder, or found."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fewskin.data.images import decode, square
from fewskin.data.support_images import SupportImages
from fewskin.errors import DataError
from fewskin.functional.lesion_mask import lesion_masks

__all__ = ["masks_of"]


def masks_of(support: SupportImages, folder: str = "") -> Tensor:
    """Return (n, S, S) uint8 masks, 255 where the lesion is.

    Args:
        support: the images.
        folder: of `<image_id>.png`, cut and scaled as the images are; "" finds the lesions.

    Raises:
        DataError: an image has no mask in the folder.
        ImageError: a mask cannot be decoded.
    """
    if not folder:
        return lesion_masks(support.images)
    made, side = [], support.images.shape[-1]
    for image_id in support.image_ids:
        file = Path(folder) / f"{image_id}.png"
        if not file.is_file():
            raise DataError(f"masks={folder}: {file.name} is missing; add it, or say masks=''.")
        made.append(square(decode(file), side)[..., 0])
    return torch.from_numpy(np.stack(made))
