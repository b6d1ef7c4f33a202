"""Contact sheets: named strips of small pictures, as one PNG."""

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["contact_sheet", "fitted_to", "strip"]

Pixels = npt.NDArray[np.uint8]

_GAP, _TITLE, _GREY = 4, 16, 60  # pixels, pixels, of 255
_WIDEST = 2400  # pixels


def fitted_to(picture: Pixels, side: int) -> Pixels:
    """Return a picture scaled so that its longer side is `side`, (h, w, 3) uint8."""
    from PIL import Image

    scale = side / max(picture.shape[:2])
    size = tuple(max(1, round(length * scale)) for length in picture.shape[1::-1])
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def strip(pictures: Sequence[Pixels], cell: int = 192) -> Pixels:
    """Return pictures side by side, each fitted into a square cell, (cell, w, 3) uint8.

    Args:
        pictures: (H, W, 3) uint8 each.
        cell: side of a cell, pixels.

    Example:
        >>> strip([np.zeros((9, 9, 3), np.uint8)] * 2, cell=10).shape
        (10, 24, 3)
    """
    made = np.full((cell, max(len(pictures), 1) * (cell + _GAP) - _GAP, 3), _GREY, np.uint8)
    for k, picture in enumerate(pictures):
        small = fitted_to(picture, cell)
        left = k * (cell + _GAP)
        made[: small.shape[0], left : left + small.shape[1]] = small
    return made


def contact_sheet(strips: Sequence[tuple[str, Pixels]]) -> bytes:
    r"""Return a PNG of named strips, in as many columns as fit.

    Args:
        strips: name, and an (h, w, 3) uint8 picture of `strip`.

    Example:
        >>> contact_sheet([("grey", np.full((8, 8, 3), 99, np.uint8))])[:4]
        b'\x89PNG'
    """
    from PIL import Image, ImageDraw

    high = max((one.shape[0] for _, one in strips), default=1) + _TITLE + _GAP
    wide = max((one.shape[1] for _, one in strips), default=1) + 2 * _GAP
    columns = max(1, min(_WIDEST // wide, round(np.sqrt(len(strips) * high / wide))))
    rows = max(1, -(-len(strips) // columns))
    sheet = Image.new("RGB", (columns * wide, rows * high), (_GREY, _GREY, _GREY))
    draw = ImageDraw.Draw(sheet)
    for i, (name, picture) in enumerate(strips):
        left, top = i % columns * wide, i // columns * high
        text = name.encode("latin-1", "replace").decode("latin-1")[: picture.shape[1] // 6]
        draw.text((left + 2, top + 1), text, (235, 235, 235))
        sheet.paste(Image.fromarray(picture), (left, top + _TITLE))
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    return buffer.getvalue()
