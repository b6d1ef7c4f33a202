import numpy as np
import pytest

from fewskin.functional.paint import Seen, paint, paint_parts
from fewskin.functional.raster import zbuffer

KERNELS = ("numpy", "numba")


def seen_of(points, s=4, size=(16, 20), kernel="numpy", uv=((0, 0), (0, 1), (1, 0))):
    """One triangle."""
    if kernel == "numba":
        pytest.importorskip("numba")
    one = np.array([[0, 1, 2]], np.int32)
    fine = np.asarray(points, float) * [s, s, 1]
    found, _ = zbuffer(fine, one, (size[0] * s, size[1] * s), cull=False, kernel=kernel)
    return Seen(found, fine, one, np.asarray(uv, np.float32), one, s, kernel)


FLAT = [[2.0, 3.0, 10.0], [2.0, 14.0, 10.0], [18.0, 3.0, 10.0]]
DEEP = [[2.0, 3.0, 10.0], [2.0, 14.0, 40.0], [18.0, 3.0, 25.0]]


@pytest.mark.parametrize("kernel", KERNELS)
def test_coverage_is_the_area_that_the_edge_leaves(kernel):
    painted = paint(seen_of(FLAT, s=8, kernel=kernel), np.ones((4, 4, 3), np.float32))
    assert painted.coverage.sum() == pytest.approx(16 * 11 / 2, rel=0.005)
    # The long edge enters the pixel of row 8, column 10 half way up its left side, slope 11/16.
    assert painted.coverage[8, 10] == pytest.approx(0.5 * 0.5 * (0.5 * 16 / 11), abs=0.02)
    assert 0 < (painted.coverage % 1 > 0).sum() < 40


@pytest.mark.parametrize("kernel", KERNELS)
def test_an_edge_over_its_own_colour_shows_no_rim(kernel):
    colour = np.array([0.3, 0.5, 0.7], np.float32)
    painted = paint(seen_of(FLAT, kernel=kernel), np.broadcast_to(colour, (4, 4, 3)))
    over = painted.colour + (1 - painted.coverage[..., None]) * colour
    assert np.allclose(over, colour, atol=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_texture_is_looked_up_in_perspective_with_v_up(kernel):
    side = 64
    v, u = 1 - (np.arange(side) + 0.5)[:, None] / side, (np.arange(side) + 0.5)[None] / side
    ramp = np.stack(np.broadcast_arrays(u, v, 1 - u), -1).astype(np.float32)
    painted = paint(seen_of(DEEP, s=1, kernel=kernel), ramp)
    row, column = 5, 6  # centre (6.5, 5.5)
    b = np.linalg.solve(np.vstack([np.array(DEEP)[:, :2].T, np.ones(3)]), [6.5, 5.5, 1])
    q = b / [10.0, 40.0, 25.0]
    w = q / q.sum()
    assert painted.colour[row, column, :2] == pytest.approx([w[2], w[1]], abs=1e-3)
    assert abs(w - b).max() > 0.1, "no perspective to test"


@pytest.mark.parametrize("kernel", KERNELS)
def test_gain_and_opacity_multiply(kernel):
    seen = seen_of(FLAT, kernel=kernel)
    white = np.full((8, 8, 3), 0.5, np.float32)
    plain = paint(seen, white)
    lit = paint(seen, white, gain=np.full((3, 3), 1.2, np.float32))
    assert np.allclose(lit.colour, 1.2 * plain.colour, atol=1e-6)
    assert (lit.coverage == plain.coverage).all()
    mask = np.full((1, 4, 4), 0.25, np.float32)
    half = paint(seen, white, opacity=mask[0], layers=mask)
    assert np.allclose(half.colour, 0.25 * plain.colour, atol=1e-6)
    assert np.allclose(half.coverage, 0.25 * plain.coverage, atol=1e-6)
    assert np.allclose(half.layers[0], 0.25 * plain.coverage, atol=1e-6)  # once, not twice


def test_both_kernels_paint_the_same():
    rng = np.random.default_rng(1)
    texture = rng.random((32, 24, 5), dtype=np.float32)
    gain, layers = rng.random((3, 3), np.float32), rng.random((4, 16, 8), np.float32)
    one, other = (seen_of(DEEP, s=3, kernel=kernel) for kernel in KERNELS)
    made = [paint(s, texture, gain=gain, opacity=layers[0], layers=layers) for s in (one, other)]
    for part, its in zip(*made, strict=True):
        assert np.allclose(part, its, atol=1e-5)
    part = np.array([1], np.uint8)
    assert np.allclose(paint_parts(one, part, 3), paint_parts(other, part, 3), atol=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_mask_and_the_colour_of_the_same_texture_lie_on_the_same_pixels(kernel):
    rng = np.random.default_rng(2)
    mask = (rng.random((32, 32)) < 0.5).astype(np.float32)
    seen = seen_of(DEEP, kernel=kernel)
    painted = paint(seen, np.repeat(mask[..., None], 3, 2), layers=mask[None])
    assert np.allclose(painted.layers[0], painted.colour[..., 0], atol=1e-6)


def test_parts_share_each_pixel_out():
    seen = seen_of(FLAT)
    parts = paint_parts(seen, np.array([2], np.uint8), 4)
    assert (parts[..., [0, 1, 3]] == 0).all()
    cover = paint(seen, np.ones((4, 4, 3), np.float32)).coverage
    assert np.allclose(parts[..., 2], cover)
