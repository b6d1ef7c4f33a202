"""Many pictures of one face model at once, on a GPU or not: `face.render` in torch.

Shapes, poses, textures and lights differ from picture to picture; the mesh's topology and the size
do not. The pictures are those of `render` up to rounding; float32 may give a point on an edge to
the neighbour, and what is without a normal is lit as a normal of 0 and not left as it is.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample

from fewskin.errors import DataError
from fewskin.face.delight import SHADING_RANGE
from fewskin.face.model import REGIONS, FaceModel
from fewskin.functional.pose import View
from fewskin.functional.raster_torch import raster_torch

__all__ = ["BatchRender", "FaceTensors", "face_tensors", "render_batch", "view_tensors"]


class FaceTensors(NamedTuple):
    """A face model on a device.

    Attributes:
        triangles: (T, 3) int64.
        uv_corners: (T, 3, 2) float32 texture coordinates of each triangle's corners, v up.
        region: (T,) int64.
    """

    triangles: Tensor
    uv_corners: Tensor
    region: Tensor


class Views(NamedTuple):
    """Poses and cameras of B pictures: (B, 3, 3), (B, 3), (B, 1), (B, 2), and their size."""

    rotation: Tensor
    translation: Tensor
    focal_px: Tensor
    centre_px: Tensor
    size: tuple[int, int]


class BatchRender(NamedTuple):
    """B pictures.

    Attributes:
        image: (B, 3, H, W) float32 linear RGB, times coverage.
        coverage: (B, H, W) float32.
        regions: (B, 5, H, W) float32 share of each pixel that each of `REGIONS` covers.
    """

    image: Tensor
    coverage: Tensor
    regions: Tensor


def face_tensors(
    model: FaceModel, device: torch.device | str = "cpu", *, regions: Sequence[str] = REGIONS
) -> FaceTensors:
    """Return what of a model is the same in all pictures.

    Args:
        model: face model.
        device: where to.
        regions: that are there.
    """
    only = model.in_region(*regions)
    corners = torch.from_numpy(model.uv)[torch.from_numpy(model.uv_triangles[only]).long()]
    return FaceTensors(
        torch.from_numpy(model.triangles[only]).long().to(device),
        corners.to(device),
        torch.from_numpy(model.region[only]).long().to(device),
    )


def view_tensors(views: Sequence[View], device: torch.device | str = "cpu") -> Views:
    """Return views of one size as tensors.

    Raises:
        DataError: no views, or of more than one size.
    """
    sizes = {view.size for view in views}
    if len(sizes) != 1:
        raise DataError(f"pictures of a batch have one size, not {sorted(sizes)}.")
    rows = [
        torch.tensor([*view.rotation.ravel(), *view.translation, view.focal_px, *view.centre_px])
        for view in views
    ]
    table = torch.stack(rows).float().to(device)
    turned, moved, focal, centre = table.split([9, 3, 1, 2], 1)
    return Views(turned.view(-1, 3, 3), moved, focal, centre, views[0].size)


def render_batch(
    face: FaceTensors,
    vertices: Tensor,
    views: Views,
    textures: Tensor,
    *,
    lights: Tensor | None = None,
    supersample: int = 2,
) -> BatchRender:
    """Return pictures of textured faces.

    Args:
        face: of `face_tensors`.
        vertices: (B, V, 3) float32, cm; or (1, V, 3), the same in all.
        views: of `view_tensors`.
        textures: (B, 3, S, S) float32 linear RGB, or (1, 3, S, S).
        lights: (B, 9, 3) float32 coefficients of `functional.lighting`, or (1, 9, 3).
        supersample: points along a pixel's side.
    """
    n, s = len(views.rotation), supersample
    vertices = vertices.expand(n, -1, -1)
    points = _projected(vertices, views, s)
    fine = (views.size[0] * s, views.size[1] * s)
    found, bary, _ = raster_torch(points, face.triangles, fine)
    there = found >= 0
    number = found.clamp(min=0).long()
    uv = (face.uv_corners[number] * bary[..., None]).sum(-2)  # (B, H s, W s, 2)
    grid = torch.stack([uv[..., 0], 1.0 - uv[..., 1]], -1) * 2.0 - 1.0
    colour = grid_sample(
        textures.expand(n, -1, -1, -1), grid, padding_mode="border", align_corners=False
    )
    if lights is not None:
        colour = colour * _gain(face, vertices, views, lights, number, bary)
    parts = [(face.region[number] == i) & there for i in range(len(REGIONS))]
    stack = torch.cat([colour * there[:, None], torch.stack(parts, 1).to(colour.dtype)], 1)
    made = avg_pool2d(stack, s) if s > 1 else stack
    return BatchRender(made[:, :3], made[:, 3:].sum(1), made[:, 3:])


def _projected(vertices: Tensor, views: Views, s: int) -> Tensor:
    """Return (B, V, 3) x and y in the finer picture, and depth."""
    seen = vertices @ views.rotation.transpose(1, 2)
    seen = seen * seen.new_tensor([1.0, -1.0, -1.0]) + views.translation[:, None]
    flat = seen[..., :2] * (views.focal_px[:, None] / seen[..., 2:]) + views.centre_px[:, None]
    return torch.cat([flat * s, seen[..., 2:]], -1)


def _gain(
    face: FaceTensors, vertices: Tensor, views: Views, lights: Tensor, number: Tensor, bary: Tensor
) -> Tensor:
    """Return (B, 3, H s, W s) shading."""
    corners = vertices[:, face.triangles]  # (B, T, 3, 3)
    sides = torch.linalg.cross(
        corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0]
    )
    normals = torch.zeros_like(vertices)
    for k in range(3):
        normals.index_add_(1, face.triangles[:, k], sides)
    normals = normals / normals.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    shade = _basis(normals @ views.rotation.transpose(1, 2)) @ lights.expand(len(vertices), -1, -1)
    shade = shade.clamp(*SHADING_RANGE)  # (B, V, 3)
    rows = face.triangles[number]  # (B, H s, W s, 3)
    flat = rows.flatten(1)[..., None].expand(-1, -1, 3)
    mine = shade.gather(1, flat).view(*rows.shape, 3)
    return (mine * bary[..., None]).sum(-2).permute(0, 3, 1, 2)


def _basis(normals: Tensor) -> Tensor:
    """Return (..., 9) of (..., 3); see `functional.lighting.basis`."""
    x, y, z = normals.unbind(-1)
    rows = [
        torch.full_like(x, 0.282095),
        *(0.488603 * axis for axis in (y, z, x)),
        *(1.092548 * pair for pair in (x * y, y * z)),
        0.315392 * (3.0 * z * z - 1.0),
        1.092548 * x * z,
        0.546274 * (x * x - y * y),
    ]
    return torch.stack(rows, -1)
