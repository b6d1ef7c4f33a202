"""Where features are compared: as they are, on the unit sphere, or centred and on it.

Wang et al., SimpleShot: revisiting nearest-neighbor classification for few-shot learning, 2019,
arXiv:1911.04623.
"""

from typing import Literal

from torch import Tensor
from torch.nn.functional import normalize

from fewskin.errors import ConfigError

__all__ = ["Space", "check_space", "to_space"]

Space = Literal["un", "l2n", "cl2n"]


def to_space(features: Tensor, space: Space, mean: Tensor | None = None) -> Tensor:
    """Return features as SimpleShot compares them; section 3 of the paper.

    Args:
        features: (..., d) float.
        space: "un" leaves them as they are, "l2n" divides each row by its length, "cl2n" subtracts
            `mean` first.
        mean: (d,) of the base features; "cl2n" without one is "l2n".

    Returns:
        (..., d).

    Raises:
        ConfigError: unknown space.

    Example:
        >>> import torch
        >>> rows, mean = torch.tensor([[3.0, 5.0]]), torch.tensor([0.0, 1.0])
        >>> [round(value, 4) for value in to_space(rows, "cl2n", mean)[0].tolist()]
        [0.6, 0.8]
    """
    check_space(space)
    if space == "un":
        return features
    if space == "cl2n" and mean is not None:
        features = features - mean
    return normalize(features, dim=-1)


def check_space(space: str) -> None:
    """Raise unless `space` is one that `to_space` knows.

    Raises:
        ConfigError: it is not.

    Example:
        >>> check_space("l2n")
    """
    if space not in ("un", "l2n", "cl2n"):
        raise ConfigError(f"space={space!r}: expected un, l2n, cl2n or, on a base fit, whitened.")
