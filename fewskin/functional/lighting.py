"""Light on a matt surface as spherical harmonics of order 2: nine numbers a colour.

Ramamoorthi and Hanrahan, An efficient representation for irradiance environment maps, SIGGRAPH
2001, https://doi.org/10.1145/383259.383317. Axes of the scene, not of the head: x to the right of
the picture, y up, z towards the viewer.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["Light", "ambient", "basis", "directional"]

Array = npt.NDArray[np.floating]
Floats = npt.NDArray[np.float32]

_Y00, _Y1, _Y2, _Y20, _Y22 = 0.282095, 0.488603, 1.092548, 0.315392, 0.546274
# What a matt surface keeps of each band, over pi: a lamp of radiance 1 from the front shades 1.
_KEPT: Final = np.array([1.0, *[2.0 / 3.0] * 3, *[0.25] * 5])


def basis(normals: Array) -> Floats:
    """Return (..., 9) real spherical harmonics of (..., 3) unit normals.

    Example:
        >>> basis(np.array([0.0, 0.0, 1.0])).astype(float).round(3).tolist()
        [0.282, 0.0, 0.489, 0.0, 0.0, 0.0, 0.631, 0.0, 0.0]
    """
    n = np.asarray(normals, dtype=np.float32)
    x, y, z = n[..., 0], n[..., 1], n[..., 2]
    made = np.empty((*x.shape, 9), dtype=np.float32)
    made[..., 0] = _Y00
    made[..., 1], made[..., 2], made[..., 3] = _Y1 * y, _Y1 * z, _Y1 * x
    made[..., 4], made[..., 5], made[..., 7] = _Y2 * x * y, _Y2 * y * z, _Y2 * x * z
    made[..., 6] = _Y20 * (3.0 * z * z - 1.0)
    made[..., 8] = _Y22 * (x * x - y * y)
    return made


@dataclass(frozen=True, eq=False)
class Light:
    """Light from all sides.

    Attributes:
        coefficients: (9, 3) by which `basis` is multiplied, linear RGB; the surface's response is
            in them, so that `shade` of a white surface is its picture.
    """

    coefficients: Floats

    def shade(self, normals: Array) -> Floats:
        """Return (..., 3) shading, 0 or more, of (..., 3) unit normals in the scene's axes."""
        made = basis(normals) @ self.coefficients.astype(np.float32)
        return np.maximum(made, np.float32(0.0))

    def scaled(self, factor: float) -> "Light":
        """Return the light, `factor` times as strong."""
        return Light((self.coefficients * factor).astype(np.float32))

    def plus(self, other: "Light") -> "Light":
        """Return both lights together."""
        return Light(self.coefficients + other.coefficients)

    def mixed(self, other: "Light", share: float) -> "Light":
        """Return the light, `share` of the way to another."""
        both = (1.0 - share) * self.coefficients + share * other.coefficients
        return Light(both.astype(np.float32))


def ambient(level: float = 1.0) -> Light:
    """Return white light that is the same from all sides.

    Example:
        >>> ambient(0.5).shade(np.array([0.0, 1.0, 0.0])).round(3).tolist()
        [0.5, 0.5, 0.5]
    """
    made = np.zeros((9, 3), dtype=np.float32)
    made[0] = level / _Y00
    return Light(made)


def directional(
    direction: tuple[float, float, float],
    level: float = 1.0,
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Light:
    """Return a distant lamp.

    Args:
        direction: towards the lamp, in the scene's axes; any length.
        level: of a surface that faces it, about; order 2 gives 1.06 for 1.
        colour: linear RGB.

    Example:
        >>> lamp = directional((0.0, 0.0, 1.0))
        >>> lamp.shade(np.array([[0.0, 0, 1], [0, 0, -1]]))[:, 0].astype(float).round(2).tolist()
        [1.06, 0.06]
    """
    unit = np.asarray(direction, dtype=np.float64)
    unit = unit / np.linalg.norm(unit)
    kept = np.pi * _KEPT * basis(unit)
    return Light((level * kept[:, None] * np.asarray(colour)).astype(np.float32))
