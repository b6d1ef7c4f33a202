"""Near-duplicates: the same photograph cropped, recompressed, turned, mirrored or brightened.

A perceptual hash (low DCT coefficients of the centre, compared in the eight orientations and with
a few shifts and scales) proposes pairs. A pair is confirmed when, after the two images have been
registered, their local contrast correlates: skin is smooth and lesions are dark blobs in the
middle, so plain thumbnails of different people already correlate at .9.

Differs from the usual 64-bit hash with a Hamming radius: that one is not robust to a 10 % crop.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["WORKING_SIZE", "Pairs", "complete_linkage", "components", "near_pairs"]

Array = npt.NDArray[np.float32]
Index = npt.NDArray[np.int64]

WORKING_SIZE = 64
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601

# Proposing: a 12 x 12 view of the centre; copies of dermoscopy score .85 and more.
_HASH_SIDE, _HASH_SHARE = 12, 0.75
_BAND = (3, 12)  # DCT orders u + v that are compared: no overall shade, no pixel detail
# Views as (dy, dx, scale): a copy shows 100 to 90 % of the side, from its middle to a corner.
_VIEWS = (
    *((0.0, 0.0, 0.99), (0.0, 0.05, 0.98), (0.0, -0.05, 0.98), (0.05, 0.0, 0.98)),
    *((-0.05, 0.0, 0.98), (0.03, 0.03, 0.95), (0.03, -0.03, 0.95), (-0.03, 0.03, 0.95)),
    *((-0.03, -0.03, 0.95), (0.0, 0.0, 0.92), (0.0, 0.06, 0.92), (0.0, -0.06, 0.92)),
    *((0.06, 0.0, 0.92), (-0.06, 0.0, 0.92), (0.06, 0.06, 0.92), (0.06, -0.06, 0.92)),
    *((-0.06, 0.06, 0.92), (-0.06, -0.06, 0.92)),
)
_PROPOSE = 0.8
# Confirming: a 32 x 32 view, contrast within a neighbourhood of 8 % of the side.
_VIEW_SIDE, _VIEW_SHARE = 32, 0.8
_NEIGHBOURHOOD = 0.08
_NOISE = 3.0  # grey levels; weaker contrast is compression noise
_STEPS = 8
_BLOCK = 256


@dataclass(frozen=True)
class Pairs:
    """Confirmed pairs.

    Attributes:
        first: (m) index of one image.
        second: (m) index of the other, higher than `first`.
        correlation: (m) correlation of local contrast after registration, in [-1, 1].
    """

    first: Index
    second: Index
    correlation: npt.NDArray[np.float64]


def near_pairs(
    images: npt.NDArray[np.uint8], *, correlation: float = 0.95, at_most: int = 64
) -> Pairs:
    """Find pairs of images that show the same photograph.

    Args:
        images: (n, 3, 64, 64) uint8 sRGB, centre squares; may be a memory map.
        correlation: least correlation of a confirmed pair.
        at_most: proposals kept an image, the best ones; bounds the work on look-alike data.
    """
    if len(images) < 2:
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    templates, views = _hashes(images)
    starts = range(0, len(images), _BLOCK)
    proposed = [_propose(templates, views, start, at_most) for start in starts]
    first, second = _unordered(np.concatenate(proposed))
    score = np.zeros(len(first))
    for start in range(0, len(first), _BLOCK):
        part = slice(start, start + _BLOCK)
        score[part] = _confirm(images, first[part], second[part], templates, views)
    kept = score >= correlation
    low, high = np.minimum(first, second)[kept], np.maximum(first, second)[kept]
    order = np.lexsort((high, low))
    return Pairs(low[order], high[order], score[kept][order])


def _float32(values: npt.NDArray[np.floating]) -> Array:
    return values.astype(np.float32, copy=False)


def _grey(images: npt.NDArray[np.uint8]) -> Array:
    # (n, 3, S, S) -> (n, S, S)
    return _float32(np.tensordot(images.astype(np.float32), _LUMA, axes=([1], [0])))


def _samplers(centre: Array, share: Array, side: int) -> Array:
    """Return matrices that sample part of a row of pixels.

    Args:
        centre: (m) centre of the part, in [0, 1].
        share: (m) length of the part, in [0, 1].
        side: pixels of the result.

    Returns:
        (m, side, 64) triangle filters, as wide as a result's pixel.
    """
    step = share[:, None] * (WORKING_SIZE / side)
    at = (centre - share / 2)[:, None] * WORKING_SIZE + (np.arange(side) + 0.5) * step
    pixel = np.arange(WORKING_SIZE) + 0.5
    distance = np.abs(pixel - at[..., None]) / np.maximum(step, 1.0)[..., None]
    weight = np.clip(1.0 - distance, 0.0, None)
    return _float32(weight / np.maximum(weight.sum(-1, keepdims=True), 1e-6))


def _one(value: float) -> Array:
    return np.array([value], np.float32)


def _dct(side: int) -> Array:
    k = np.arange(side)
    basis = np.cos(np.pi * (k + 0.5) * k[:, None] / side) * np.sqrt(2.0 / side)
    return _float32(basis)


def _turned(square: npt.NDArray[np.float32], k: int, flips: tuple[Array, Array]) -> Array:
    """Return DCT coefficients of the k-th of eight orientations: a transpose, then sign changes."""
    turned = square.transpose(0, 2, 1) if k & 4 else square
    return _float32(turned * flips[k >> 1 & 1][:, None] * flips[k & 1])


def _hashes(images: npt.NDArray[np.uint8]) -> tuple[Array, Array]:
    """Return templates (8, n, d) in all orientations and views (18, n, d) of likely crops."""
    order = np.add.outer(np.arange(_HASH_SIDE), np.arange(_HASH_SIDE))
    band = (order >= _BAND[0]) & (order <= _BAND[1])
    # Skin has amplitude ~ 1 / frequency ** 1.3; weighing by it lets every order count.
    weight = (np.hypot(*np.indices(band.shape))[band] ** 1.3).astype(np.float32)
    signs = (np.ones(_HASH_SIDE, np.float32), (-1.0) ** np.arange(_HASH_SIDE, dtype=np.float32))

    def unit(coefficients: Array) -> Array:
        flat = coefficients[:, band] * weight
        return _float32(flat / (np.linalg.norm(flat, axis=1, keepdims=True) + 1.0))

    def hashed(grey: Array, dy: float, dx: float, share: float) -> Array:
        rows = _dct(_HASH_SIDE) @ _samplers(_one(0.5 + dy), _one(share), _HASH_SIDE)[0]
        columns = _dct(_HASH_SIDE) @ _samplers(_one(0.5 + dx), _one(share), _HASH_SIDE)[0]
        return _float32(rows @ grey @ columns.T)

    templates, views = [], []
    for start in range(0, len(images), _BLOCK):
        grey = _grey(images[start : start + _BLOCK])
        upright = hashed(grey, 0.0, 0.0, _HASH_SHARE)
        templates.append([unit(_turned(upright, k, signs)) for k in range(8)])
        views.append([unit(hashed(grey, *where[:2], where[2])) for where in _view_places()])
    return np.concatenate(templates, axis=1), np.concatenate(views, axis=1)


def _view_places() -> list[tuple[float, float, float]]:
    """Return (dy, dx, share) of the views: where the template's content lies in a cropped copy."""
    return [(dy, dx, _HASH_SHARE / scale) for dy, dx, scale in _VIEWS]


def _propose(templates: Array, views: Array, start: int, at_most: int) -> npt.NDArray[np.float64]:
    """Return rows (i, j, score) whose best score over orientations and views is high enough."""
    block = templates[:, start : start + _BLOCK]
    turns, rows, size = block.shape
    best = np.full((rows, views.shape[1]), -1.0, np.float32)
    for view in views:
        scores = block.reshape(turns * rows, size) @ view.T  # (8 rows, n)
        np.maximum(best, scores.reshape(turns, rows, -1).max(axis=0), out=best)
    best[np.arange(rows), start + np.arange(rows)] = -1.0
    if best.shape[1] > at_most:
        floor = np.partition(best, -at_most, axis=1)[:, -at_most]
        best[best < floor[:, None]] = -1.0
    i, j = np.nonzero(best >= _PROPOSE)
    return np.column_stack([start + i, j, best[i, j]])


def _unordered(proposed: npt.NDArray[np.float64]) -> tuple[Index, Index]:
    """Return each pair once, as (template, view) in its better direction."""
    i, j = proposed[:, 0].astype(np.int64), proposed[:, 1].astype(np.int64)
    order = np.lexsort((i, -proposed[:, 2], np.maximum(i, j), np.minimum(i, j)))
    i, j = i[order], j[order]
    pair = np.column_stack([np.minimum(i, j), np.maximum(i, j)])
    new = np.ones(len(pair), bool)
    new[1:] = (pair[1:] != pair[:-1]).any(axis=1)
    return i[new], j[new]


def _local_contrast(images: npt.NDArray[np.uint8]) -> Array:
    """Return (n, 64, 64) grey minus its neighbourhood, over the contrast of the neighbourhood."""
    x = np.arange(WORKING_SIZE)
    gap = np.subtract.outer(x, x) / (_NEIGHBOURHOOD * WORKING_SIZE)
    blur = np.exp(-0.5 * gap**2)
    blur = (blur / blur.sum(axis=1, keepdims=True)).astype(np.float32)
    grey = _grey(images)
    detail = grey - blur @ grey @ blur.T
    spread = np.sqrt(np.maximum(blur @ (detail * detail) @ blur.T, 0.0))
    return _float32(detail / (spread + _NOISE))


def _standard(views: Array) -> Array:
    centred = views - views.mean(axis=(1, 2), keepdims=True)
    return _float32(centred / (np.sqrt((centred**2).sum(axis=(1, 2), keepdims=True)) + 1e-6))


def _oriented(views: Array, k: Index) -> Array:
    turn = k[:, None, None]
    views = np.where(turn & 4, views.transpose(0, 2, 1), views)
    views = np.where(turn & 2, views[:, ::-1], views)
    return np.where(turn & 1, views[:, :, ::-1], views)


def _confirm(
    images: npt.NDArray[np.uint8], first: Index, second: Index, templates: Array, views: Array
) -> npt.NDArray[np.float64]:
    """Register each pair by shift and scale and return the correlation of their local contrast.

    Inverse compositional Gauss-Newton (Baker and Matthews, IJCV 2004), a block of pairs at once.
    """
    # (p, 8, d) x (p, d, 18): which orientation and view proposed the pair
    scores = templates[:, first].transpose(1, 0, 2) @ views[:, second].transpose(1, 2, 0)
    best = scores.reshape(len(first), -1).argmax(axis=1)
    where = np.array(_view_places(), np.float32)[best % len(views)]
    wider = _VIEW_SHARE / _HASH_SHARE
    pose = where * np.array([1, 1, wider], np.float32) + np.array([0.5, 0.5, 0], np.float32)
    known, back = np.unique(np.concatenate([first, second]), return_inverse=True)
    contrast = _local_contrast(images[known])[back]
    middle = _samplers(_one(0.5), _one(_VIEW_SHARE), _VIEW_SIDE)[0]
    upright = middle @ contrast[: len(first)] @ middle.T
    target = _standard(_oriented(_float32(upright), best // len(views)))
    return _register(target, contrast[len(first) :], pose)


def _register(target: Array, moving: Array, pose: Array) -> npt.NDArray[np.float64]:
    """Return the best correlation met while moving the view of `moving` onto `target`.

    Args:
        target: (p, 32, 32) standardised views.
        moving: (p, 64, 64) local contrast.
        pose: (p, 3) centre y, centre x and share of the side of the first view.
    """
    down, across = np.gradient(target, axis=1), np.gradient(target, axis=2)
    place = (np.arange(_VIEW_SIDE, dtype=np.float32) + 0.5) / _VIEW_SIDE - 0.5
    grow = down * place[:, None] + across * place
    slopes = np.stack([down, across, grow], axis=1).reshape(len(target), 3, -1) * _VIEW_SIDE
    normal = slopes @ slopes.transpose(0, 2, 1)
    ridge = 1e-3 * np.trace(normal, axis1=1, axis2=2)[:, None, None] / 3 + 1e-9
    inverse = np.linalg.inv(normal + ridge * np.eye(3, dtype=np.float32))
    best = np.full(len(target), -1.0)
    for _ in range(_STEPS):
        rows = _samplers(pose[:, 0], pose[:, 2], _VIEW_SIDE)
        columns = _samplers(pose[:, 1], pose[:, 2], _VIEW_SIDE)
        seen = _standard(_float32(rows @ moving @ columns.transpose(0, 2, 1)))
        best = np.maximum(best, (seen * target).sum(axis=(1, 2)))
        residual = (seen - target).reshape(len(target), -1, 1)
        step = np.clip((inverse @ (slopes @ residual))[..., 0], -0.1, 0.1)
        centre = np.clip(pose[:, :2] - step[:, :2] * pose[:, 2:], 0.38, 0.62)
        share = np.clip(pose[:, 2:] * (1 - step[:, 2:]), 0.85 * _VIEW_SHARE, 1.2 * _VIEW_SHARE)
        pose = np.concatenate([centre, share], axis=1).astype(np.float32)
    return best


def components(n: int, groups: Iterable[Sequence[int]]) -> Index:
    """Return the connected component of each of n items, numbered by first appearance.

    Args:
        n: number of items.
        groups: items that belong together; groups may overlap.

    Example:
        >>> components(5, [(0, 3), (3, 4)]).tolist()
        [0, 1, 2, 0, 0]
    """
    parent = list(range(n))

    def top(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for group in groups:
        for item in group[1:]:
            low, high = sorted((top(group[0]), top(item)))
            parent[high] = low
    return np.unique([top(item) for item in range(n)], return_inverse=True)[1].astype(np.int64)


def complete_linkage(n: int, pairs: Pairs) -> list[list[int]]:
    """Return clusters of two or more images in which every pair is confirmed.

    Example:
        >>> chain = Pairs(np.array([0, 1]), np.array([1, 2]), np.array([0.99, 0.96]))
        >>> complete_linkage(3, chain)
        [[0, 1]]
    """
    sure = dict(
        zip(
            zip(pairs.first.tolist(), pairs.second.tolist(), strict=True),
            pairs.correlation,
            strict=True,
        )
    )
    part = components(n, sure)
    clusters = []
    for number in np.unique(part[pairs.first]):
        clusters += _link(np.flatnonzero(part == number).tolist(), sure)
    return clusters


def _link(items: list[int], sure: dict[tuple[int, int], float]) -> list[list[int]]:
    from scipy.cluster.hierarchy import fcluster, linkage

    far = 2.0  # more than 1 - correlation can be
    gaps = [
        1.0 - sure[items[a], items[b]] if (items[a], items[b]) in sure else far
        for a in range(len(items))
        for b in range(a + 1, len(items))
    ]
    cluster = fcluster(linkage(np.array(gaps), "complete"), t=1.5, criterion="distance")
    members = [[i for i, c in zip(items, cluster, strict=True) if c == k] for k in set(cluster)]
    return sorted(group for group in members if len(group) > 1)
