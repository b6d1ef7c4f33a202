"""Seeds derived from names, so that nothing depends on the order in which things run."""

import hashlib

import numpy as np

__all__ = ["rng_for", "seed_for"]


def seed_for(root: int, *parts: object) -> int:
    """Return a seed in [0, 2**62) that depends only on `root` and `parts`.

    Args:
        root: the experiment's seed, or a seed made by this function.
        parts: names and numbers that say what the seed is for, e.g. ``"train", shots, draw``.

    Example:
        >>> seed_for(0, "support", 3) == seed_for(0, "support", 3)
        True
        >>> seed_for(0, "support", 3) == seed_for(0, "support", 4)
        False
    """
    text = "\x1f".join([str(root), *map(str, parts)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 2


def rng_for(root: int, *parts: object) -> np.random.Generator:
    """Return a NumPy generator seeded with `seed_for(root, *parts)`."""
    return np.random.default_rng(seed_for(root, *parts))
