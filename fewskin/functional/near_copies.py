"""How alike two photographs of different patients are at most: beyond it, an image is a copy."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fewskin.functional.resemblance import nearest_correlation

__all__ = ["MOST", "copy_limit"]

MOST = 0.98  # what near-duplicates of one photograph reach; also where there is nothing to compare
_LEAST = 0.9
_FEWEST = 8
_REFERENCES = 20  # as many as a support set may have: the nearest of more is nearer


def copy_limit(
    images: npt.NDArray[np.uint8],
    groups: Sequence[str],
    rng: np.random.Generator,
    *,
    share: float = 0.99,
) -> float:
    """Return the correlation with the nearest of 20 others that `share` of real images stay below.

    Args:
        images: (n, 3, S, S) uint8, at most a few hundred.
        groups: (n) patient of each: photographs of one patient are not compared.
        rng: picks the 20.
        share: of real images that are no copies.

    Returns:
        a correlation in [0.9, 0.98]; 0.98 for fewer than eight patients.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> photos = rng.integers(0, 255, (20, 3, 8, 8)).astype(np.uint8)
        >>> copy_limit(photos, [str(i) for i in range(20)], rng)  # noise is like nothing else
        0.9
    """
    known = sorted(set(groups))
    if len(known) < _FEWEST:
        return MOST
    chosen = set(rng.permutation(known)[: min(_REFERENCES, len(known) // 2)].tolist())
    inside = np.array([group in chosen for group in groups])
    near = nearest_correlation(images[~inside], images[inside])
    return float(np.clip(np.quantile(near, share), _LEAST, MOST))
