import numpy as np
import pytest

from fewskin.functional.lighting import Light, ambient, basis, directional


def sphere_points(n: int = 40000) -> np.ndarray:
    """Evenly spread unit vectors: a Fibonacci sphere."""
    z = 1 - (2 * np.arange(n) + 1) / n
    around = np.pi * (1 + 5**0.5) * np.arange(n)
    flat = np.sqrt(1 - z * z)
    return np.stack([flat * np.cos(around), flat * np.sin(around), z], 1)


def test_the_harmonics_are_orthonormal():
    rows = basis(sphere_points()).astype(np.float64)
    gram = 4 * np.pi * rows.T @ rows / len(rows)
    assert np.allclose(gram, np.eye(9), atol=2e-3)


def test_a_lamp_shades_as_lamberts_cosine_within_what_order_two_can():
    # Ramamoorthi and Hanrahan 2001: nine coefficients hold 99.2 % of the energy of the cosine lobe.
    normals = sphere_points()
    toward = np.array([0.6, 0.0, 0.8])
    cosine = np.maximum(normals @ toward, 0)
    raw = basis(normals) @ directional(tuple(toward)).coefficients
    error = ((raw[:, 0] - cosine) ** 2).mean() / (cosine**2).mean()
    assert error == pytest.approx(0.008, abs=0.003)


def test_directions_are_the_scenes():
    for axis in range(3):
        toward = np.eye(3)[axis]
        lamp = directional(tuple(toward))
        assert lamp.shade(toward)[0] > 1.0
        assert lamp.shade(-toward)[0] < 0.1


def test_the_length_of_a_direction_does_not_matter_and_its_colour_does():
    red = directional((0.0, 0.0, 9.0), 0.5, (1.0, 0.5, 0.0))
    front = red.shade(np.array([0.0, 0.0, 1.0]))
    assert front[1] == pytest.approx(front[0] / 2)
    assert front[2] == 0.0


def test_lights_add_scale_and_mix():
    one, other = ambient(0.4), directional((1.0, 0.0, 0.0))
    normal = np.array([0.8, 0.0, 0.6])
    total = one.plus(other).shade(normal)
    assert np.allclose(total, one.shade(normal) + other.shade(normal), atol=1e-6)
    assert np.allclose(one.scaled(3.0).shade(normal), 1.2, atol=1e-5)
    half = one.mixed(other, 0.5).shade(normal)
    assert np.allclose(half, total / 2, atol=1e-6)


def test_shading_is_never_negative():
    lamp = Light(-ambient(1.0).coefficients)
    assert (lamp.shade(sphere_points(50)) == 0).all()
