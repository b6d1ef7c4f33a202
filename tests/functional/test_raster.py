from importlib.util import find_spec

import numpy as np
import pytest

from fewskin.errors import ConfigError
from fewskin.functional.mesh import vertex_normals, vertex_normals_numpy
from fewskin.functional.pose import View, frontal_view
from fewskin.functional.raster import raster, zbuffer
from fewskin.functional.sampling import blend

KERNELS = ("numpy", "torch", *(("numba",) if find_spec("numba") else ()))


def sphere(radius=5.0, rows=60, columns=120):
    """Vertices and triangles, counter-clockwise seen from outside."""
    up, round_ = np.meshgrid(
        np.linspace(0, np.pi, rows), np.linspace(0, 2 * np.pi, columns), indexing="ij"
    )
    vertices = radius * np.stack(
        [np.sin(up) * np.sin(round_), np.cos(up), np.sin(up) * np.cos(round_)], -1
    ).reshape(-1, 3)
    number = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]
    triangles = [np.stack([a, c, b], -1), np.stack([b, c, d], -1)]
    return vertices, np.concatenate([part.reshape(-1, 3) for part in triangles]).astype(np.int32)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_sphere_has_the_outline_and_depth_of_its_closed_form(kernel):
    radius, distance = 5.0, 40.0
    vertices, triangles = sphere(radius)
    view = frontal_view((200, 160), distance_cm=distance, span_cm=16.0)
    seen = raster(view.project(vertices), triangles, view.size, kernel=kernel)
    y, x = np.indices(view.size) + 0.5
    rays = np.stack([(x - 80) / view.focal_px, (y - 100) / view.focal_px, np.ones(view.size)], -1)
    # |z ray - centre| = radius, the nearer solution
    square = (rays**2).sum(-1)
    root = distance**2 - square * (distance**2 - radius**2)
    hit = root >= 0
    assert ((seen.triangle >= 0) != hit).mean() < 0.003
    both = (seen.triangle >= 0) & (root > 0.05 * radius**2)
    depth = (distance - np.sqrt(np.maximum(root, 0))) / square
    assert np.abs(seen.depth - depth)[both].max() < 0.03
    assert np.isinf(seen.depth[seen.triangle < 0]).all()


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_tilted_plane_is_interpolated_in_perspective(kernel):
    corners = np.array([[-6.0, -6, 20], [6, -6, 20], [6, 6, -20], [-6, 6, -20]])
    triangles = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    view = frontal_view((128, 128), distance_cm=60.0)
    points = view.project(corners)
    seen = raster(points, triangles, view.size, kernel=kernel)
    inside = seen.triangle >= 0
    found = blend(corners, triangles, seen.triangle[inside], seen.bary[inside])
    y, x = (np.indices(view.size) + 0.5)[:, inside]
    # The ray meets the plane z = -10/3 y: depth t = 60 - z, y = -(row - 64) t / f.
    down = (y - 64) / view.focal_px
    t = 60.0 / (1.0 + 10.0 / 3.0 * down)
    assert inside.sum() > 500
    assert np.allclose(found[:, 1], -down * t, atol=1e-3)
    assert np.allclose(found[:, 0], (x - 64) / view.focal_px * t, atol=1e-3)
    assert np.allclose(seen.depth[inside], t, atol=1e-3)
    flat = np.ptp(points[:, 2])
    assert flat > 30.0, "no perspective to test"


def test_the_three_kernels_see_the_same():
    rng = np.random.default_rng(0)
    corners = rng.uniform(-8, 8, (400, 1, 3)) + rng.normal(0, 1.5, (400, 3, 3))
    triangles = np.arange(1200, dtype=np.int32).reshape(400, 3)
    view = frontal_view((90, 120)).posed(20.0, -10.0, 5.0)
    points = view.project(corners.reshape(-1, 3))
    for cull in (True, False):
        first, *others = (
            raster(points, triangles, view.size, cull=cull, kernel=k) for k in KERNELS
        )
        assert (first.triangle >= 0).sum() > 1000
        for other in others:
            same = first.triangle == other.triangle
            assert same.mean() > 0.9999
            assert np.allclose(first.bary[same], other.bary[same], atol=1e-5)
            assert np.allclose(first.depth[same], other.depth[same], rtol=1e-5)


@pytest.mark.parametrize("kernel", KERNELS)
def test_neighbours_leave_no_seam_where_their_edge_meets_a_pixel_centre(kernel):
    number = np.arange(81).reshape(9, 9)
    y, x = np.divmod(np.arange(81), 9)
    points = np.stack([x + 0.5, y + 0.5, np.full(81, 30.0)], 1)  # every corner is a centre
    a, b, c, d = (
        part.ravel()
        for part in (number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:])
    )
    triangles = np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)]).astype(np.int32)
    assert (raster(points, triangles, (9, 9), kernel=kernel).triangle >= 0).all()


@pytest.mark.parametrize("kernel", KERNELS)
def test_what_faces_away_or_lies_behind_the_camera_is_not_seen(kernel):
    triangle = np.array([[0, 1, 2]], np.int32)
    front = np.array([[0.0, 0, 1], [0, 9, 1], [9, 0, 1]])
    assert (raster(front, triangle, (4, 4), kernel=kernel).triangle >= 0).any()
    assert (raster(front[::-1], triangle, (4, 4), kernel=kernel).triangle < 0).all()
    turned = raster(front[::-1], triangle, (4, 4), cull=False, kernel=kernel)
    assert (turned.triangle >= 0).any()
    behind = front * [1, 1, -1]
    assert (raster(behind, triangle, (4, 4), cull=False, kernel=kernel).triangle < 0).all()
    beside = front + np.array([100, 0, 0])
    assert (raster(beside, triangle, (4, 4), kernel=kernel).triangle < 0).all()


@pytest.mark.parametrize("kernel", KERNELS)
def test_only_some_triangles_keep_their_numbers(kernel):
    points = np.array([[0.0, 0, 1], [0, 9, 1], [9, 0, 1], [0, 0, 2], [0, 9, 2], [9, 0, 2]])
    triangles = np.arange(6, dtype=np.int32).reshape(2, 3)
    found, depth = zbuffer(points, triangles, (2, 2), kernel=kernel)
    assert (found == 0).all()
    found, depth = zbuffer(points, triangles, (2, 2), kernel=kernel, only=np.array([False, True]))
    assert (found == 1).all()
    assert (depth == 2).all()


def test_a_kernel_that_is_none_is_named():
    with pytest.raises(ConfigError, match="kernel='cuda'"):
        raster(np.zeros((3, 3)), np.zeros((1, 3), np.int32), (2, 2), kernel="cuda")


def test_a_subject_that_turns_left_shows_its_nose_to_the_right_of_the_picture():
    nose, view = np.array([0.0, 0.0, 10.0]), frontal_view((100, 100))
    assert view.posed(30, 0, 0).project(nose)[0] > 60  # image right = the subject's left
    assert view.posed(0, 30, 0).project(nose)[1] > 60  # nose down
    forehead = np.array([0.0, 10.0, 0.0])
    assert view.posed(0, 0, 30).project(forehead)[0] > 60  # clockwise


def test_a_known_camera_projects_by_hand():
    view = View(np.eye(3), np.array([1.0, -2.0, 50.0]), 500.0, (320.0, 240.0), (480, 640))
    # x = 3 + 1, y = -(4) - 2, depth = 50 - 10
    assert view.project(np.array([3.0, 4.0, 10.0])).tolist() == [370.0, 165.0, 40.0]


def test_a_batch_is_drawn_as_each_of_its_meshes():
    import torch

    from fewskin.functional.raster_torch import raster_torch

    vertices, triangles = sphere(rows=12, columns=24)
    views = [frontal_view((40, 48)).posed(yaw, 5, 0) for yaw in (-20, 0, 35)]
    points = np.stack([view.project(vertices) for view in views])
    found, bary, depth = raster_torch(
        torch.from_numpy(points), torch.from_numpy(triangles), (40, 48)
    )
    assert bary.shape == (3, 40, 48, 3)
    for i in range(3):
        one = raster(points[i], triangles, (40, 48), kernel="numpy")
        assert (found[i].numpy() == one.triangle).all()
        assert np.allclose(depth[i].numpy(), one.depth)


def test_blocks_of_pairs_do_not_change_the_picture(monkeypatch):
    from fewskin.functional import raster_numpy, raster_torch

    vertices, triangles = sphere(rows=12, columns=24)
    view = frontal_view((40, 48))
    whole = raster(view.project(vertices), triangles, view.size, kernel="numpy")
    monkeypatch.setattr(raster_numpy, "_PAIRS", 50)
    monkeypatch.setattr(raster_torch, "_PAIRS", 50)
    for kernel in ("numpy", "torch"):
        parts = raster(view.project(vertices), triangles, view.size, kernel=kernel)
        assert (parts.triangle == whole.triangle).all()


def test_normals_of_a_sphere_point_outwards():
    vertices, triangles = sphere(3.0)
    inner = slice(120, -120)  # the poles' triangles have no area
    expected = (vertices / 3.0)[inner]
    made = vertex_normals(vertices, triangles)
    cosine = (made[inner] * expected).sum(1)
    seam = np.isclose(vertices[inner, 0], 0, atol=1e-6)
    assert cosine[~seam].min() > 0.999
    assert np.allclose(made, vertex_normals_numpy(vertices, triangles), atol=1e-5)


@pytest.mark.gpu
def test_a_gpu_sees_what_a_cpu_sees():
    import torch

    from fewskin.functional.raster_torch import raster_torch

    vertices, triangles = sphere(rows=40, columns=80)
    view = frontal_view((128, 128)).posed(20, 10, 5)
    points, corners = torch.from_numpy(view.project(vertices))[None], torch.from_numpy(triangles)
    here = raster_torch(points, corners, view.size)
    there = raster_torch(points.cuda(), corners.cuda(), view.size)
    assert (here[0] == there[0].cpu()).float().mean() > 0.9999
    assert torch.allclose(here[2], there[2].cpu())
