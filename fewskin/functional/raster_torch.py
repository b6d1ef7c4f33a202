"""The torch kernel of `functional.raster`: a batch of meshes of one topology, on any device.

All pairs of a triangle and a pixel in its box are tested at once. The nearest pair of a pixel is
the least of 64-bit keys, depth in the upper half and the triangle's number in the lower, so that
the picture does not depend on the order in which a GPU works.
"""

from itertools import pairwise

import torch
from torch import Tensor

__all__ = ["raster_torch"]

_PAIRS = 1 << 24  # of triangle and pixel at a time
_NOTHING = torch.iinfo(torch.int64).max


def raster_torch(
    points: Tensor, triangles: Tensor, size: tuple[int, int], *, cull: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what each pixel's centre sees of each mesh; see `raster`.

    Args:
        points: (B, V, 3) x px, y px, depth; float64, or float32 for speed.
        triangles: (T, 3), the same for all meshes, on the points' device.
        size: (height, width).
        cull: leave out triangles seen from behind.

    Returns:
        triangle (B, H, W) int32, bary (B, H, W, 3) float32, depth (B, H, W) float32.

    Example:
        >>> corners = torch.tensor([[[0.0, 0, 1], [0, 4, 1], [4, 0, 1]]])
        >>> raster_torch(corners, torch.tensor([[0, 1, 2]]), (2, 2))[0].tolist()
        [[[0, 0], [0, 0]]]
    """
    height, width = size
    corners = points[:, triangles.long()]  # (B, T, 3, 3)
    keys = _nearest(corners.flatten(0, 1), corners.shape[1], len(points), size, cull)
    keys = keys.view(len(points), height * width)
    hit = keys != _NOTHING
    number = torch.where(hit, keys & 0xFFFFFFFF, 0)
    own = corners.gather(1, number[..., None, None].expand(-1, -1, 3, 3))  # (B, H W, 3, 3)
    place = torch.arange(height * width, device=points.device)
    x, y = place % width + 0.5, torch.div(place, width, rounding_mode="floor") + 0.5
    shares = torch.stack(_weights(own, x, y), -1) / own[..., 2]
    depth = 1.0 / shares.sum(-1)
    bary = torch.where(hit[..., None], shares * depth[..., None], 0.0)
    return (
        torch.where(hit, number, -1).int().view(-1, height, width),
        bary.float().view(-1, height, width, 3),
        torch.where(hit, depth, torch.inf).float().view(-1, height, width),
    )


def _weights(corners: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the weights of (..., 3, 3) corners at (...,) points of the picture."""
    (xa, xb, xc), (ya, yb, yc) = corners[..., 0].unbind(-1), corners[..., 1].unbind(-1)
    area = (xb - xa) * (yc - ya) - (xc - xa) * (yb - ya)
    wa = ((xb - x) * (yc - y) - (xc - x) * (yb - y)) / area
    wb = ((xc - x) * (ya - y) - (xa - x) * (yc - y)) / area
    return wa, wb, 1.0 - wa - wb


def _nearest(
    corners: Tensor, n_triangles: int, n_meshes: int, size: tuple[int, int], cull: bool
) -> Tensor:
    """Return (B H W) keys of the nearest of (B T, 3, 3) corners, `_NOTHING` where there is none."""
    height, width = size
    edge = 1e-9 if corners.dtype == torch.float64 else 1e-5
    keys = torch.full((n_meshes * height * width,), _NOTHING, device=corners.device)
    number, low, counts = _boxes(corners, size, cull)
    n_pixels = counts.prod(1)
    for start, stop in _blocks(n_pixels):
        many = n_pixels[start:stop]
        own = torch.repeat_interleave(many) + start
        first = torch.cumsum(many, 0) - many
        nth = torch.arange(len(own), device=own.device) - first[own - start]
        wide = counts[own, 0]
        x, y = low[own, 0] + nth % wide, low[own, 1] + torch.div(nth, wide, rounding_mode="floor")
        mine = number[own]
        pair = corners[mine]
        weights = torch.stack(_weights(pair, x + 0.5, y + 0.5), -1)
        inside = (weights >= -edge).all(-1).nonzero()[:, 0]
        depth = 1.0 / (weights[inside] / pair[inside, :, 2]).sum(-1)
        mine = mine[inside]
        mesh = torch.div(mine, n_triangles, rounding_mode="floor")
        # The bits of positive floats are ordered as the floats are.
        key = depth.float().view(torch.int32).long() << 32 | (mine - mesh * n_triangles)
        place = (mesh * height + y[inside]) * width + x[inside]
        keys.scatter_reduce_(0, place, key, "amin")
    return keys


def _boxes(corners: Tensor, size: tuple[int, int], cull: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return the triangles that matter, the first pixel (x, y) of their boxes, and their sizes."""
    height, width = size
    a, b, c = corners[..., :2].unbind(1)
    u, v = b - a, c - a
    area = u[:, 0] * v[:, 1] - v[:, 0] * u[:, 1]
    # y points down, so counter-clockwise from outside has a negative area here.
    keep = (corners[..., 2].amin(1) > 0.0) & ((area < 0.0) | ((area > 0.0) & (not cull)))
    limits = torch.tensor([width, height], device=corners.device, dtype=corners.dtype)
    low = torch.ceil(corners[..., :2].amin(1) - 0.5).clamp(min=0.0)
    high = torch.minimum(torch.floor(corners[..., :2].amax(1) - 0.5), limits - 1.0)
    keep &= (high >= low).all(1)
    number = keep.nonzero()[:, 0]
    low, high = low[number].long(), high[number].long()
    return number, low, high - low + 1


def _blocks(n_pixels: Tensor) -> list[tuple[int, int]]:
    """Return slices of the triangles with about `_PAIRS` pixels each."""
    if not len(n_pixels):
        return []
    ends = torch.cumsum(n_pixels, 0)
    marks = _PAIRS * torch.arange(1, -(-int(ends[-1]) // _PAIRS), device=ends.device)
    cuts = [0, *torch.searchsorted(ends, marks).tolist(), len(n_pixels)]
    return [(start, stop) for start, stop in pairwise(cuts) if stop > start]
