"""Colour spaces of skin photographs: sRGB, linear light, XYZ, CIELAB (D65) and the ITA.

Everything works on the last axis (length 3) and keeps the dtype float32 or float64.
Source: IEC 61966-2-1 (sRGB), CIE 15 (CIELAB), Chardon et al. 1991 (individual typology angle).
"""

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = [
    "D65",
    "ITA_CATEGORIES",
    "ita",
    "ita_category",
    "lab_to_linear",
    "linear_to_lab",
    "linear_to_srgb",
    "linear_to_xyz",
    "luminance",
    "srgb_to_linear",
    "xyz_to_lab",
    "xyz_to_linear",
]

Array = npt.NDArray[np.floating]

_RGB_TO_XYZ: Final = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_XYZ_TO_RGB: Final = np.linalg.inv(_RGB_TO_XYZ)
D65: Final = _RGB_TO_XYZ.sum(axis=1)  # the white of linear RGB (1, 1, 1), so white has a* = b* = 0
ITA_CATEGORIES: Final = ("dark", "brown", "tan", "intermediate", "light", "very light")
_ITA_EDGES: Final = (-30.0, 10.0, 28.0, 41.0, 55.0)
_CUT: Final = 6.0 / 29.0  # CIELAB: below this the cube root continues as a straight line


def srgb_to_linear(srgb: Array) -> Array:
    """Return linear light of sRGB values.

    Args:
        srgb: (...) gamma-encoded values in [0, 1].

    Returns:
        (...) linear values in [0, 1].

    Example:
        >>> srgb_to_linear(np.array([0.0, 0.5, 1.0])).round(4).tolist()
        [0.0, 0.214, 1.0]
    """
    high = ((np.maximum(srgb, 0.0) + 0.055) / 1.055) ** 2.4
    return np.where(srgb <= 0.04045, srgb / 12.92, high).astype(srgb.dtype)


def linear_to_srgb(linear: Array) -> Array:
    """Return gamma-encoded sRGB of linear light, clipped to [0, 1].

    Args:
        linear: (...) linear values; outside [0, 1] is clipped, as a sensor would.

    Example:
        >>> linear_to_srgb(np.array([0.0, 0.214, 1.5])).round(3).tolist()
        [0.0, 0.5, 1.0]
    """
    clipped = np.clip(linear, 0.0, 1.0)
    high = 1.055 * np.maximum(clipped, 1e-9) ** (1.0 / 2.4) - 0.055
    return np.where(clipped <= 0.0031308, clipped * 12.92, high).astype(linear.dtype)


def linear_to_xyz(linear: Array) -> Array:
    """Return CIE XYZ (Y of white = 1) of linear sRGB.

    Args:
        linear: (..., 3) linear RGB.

    Example:
        >>> linear_to_xyz(np.array([1.0, 1.0, 1.0])).round(3).tolist()
        [0.95, 1.0, 1.089]
    """
    return (linear @ _RGB_TO_XYZ.T).astype(linear.dtype)


def xyz_to_linear(xyz: Array) -> Array:
    """Return linear sRGB of CIE XYZ; values outside [0, 1] lie outside the sRGB gamut.

    Args:
        xyz: (..., 3) XYZ, Y of white = 1.

    Example:
        >>> xyz_to_linear(linear_to_xyz(np.array([0.2, 0.4, 0.6]))).round(6).tolist()
        [0.2, 0.4, 0.6]
    """
    return (xyz @ _XYZ_TO_RGB.T).astype(xyz.dtype)


def xyz_to_lab(xyz: Array) -> Array:
    """Return CIELAB (D65) of CIE XYZ.

    Args:
        xyz: (..., 3) XYZ, Y of white = 1.

    Returns:
        (..., 3) L* in [0, 100], a*, b*.

    Example:
        >>> xyz_to_lab(D65).round(6).tolist()
        [100.0, 0.0, 0.0]
    """
    ratio = xyz / D65
    f = np.where(
        ratio > _CUT**3, np.cbrt(np.maximum(ratio, 0.0)), ratio / (3 * _CUT**2) + 4.0 / 29.0
    )
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], axis=-1).astype(xyz.dtype)


def linear_to_lab(linear: Array) -> Array:
    """Return CIELAB (D65) of linear sRGB.

    Args:
        linear: (..., 3) linear RGB in [0, 1].

    Example:
        >>> linear_to_lab(np.array([0.184187, 0.184187, 0.184187])).round(2).tolist()
        [50.0, 0.0, 0.0]
    """
    return xyz_to_lab(linear_to_xyz(linear))


def lab_to_linear(lab: Array) -> Array:
    """Return linear sRGB of CIELAB (D65), the inverse of `linear_to_lab`.

    Args:
        lab: (..., 3) L* in [0, 100], a*, b*.

    Example:
        >>> lab_to_linear(linear_to_lab(np.array([0.5, 0.3, 0.2]))).round(6).tolist()
        [0.5, 0.3, 0.2]
    """
    y = (lab[..., 0] + 16.0) / 116.0
    f = np.stack([y + lab[..., 1] / 500.0, y, y - lab[..., 2] / 200.0], axis=-1)
    ratio = np.where(f > _CUT, f**3, 3 * _CUT**2 * (f - 4.0 / 29.0))
    return xyz_to_linear((ratio * D65).astype(lab.dtype))


def luminance(linear: Array) -> Array:
    """Return relative luminance Y in [0, 1] of linear sRGB.

    Args:
        linear: (..., 3) linear RGB.

    Example:
        >>> float(luminance(np.array([1.0, 1.0, 1.0])).round(6))
        1.0
    """
    return (linear @ _RGB_TO_XYZ[1]).astype(linear.dtype)


def ita(lab: Array) -> Array:
    """Return the individual typology angle, in degrees; higher is lighter skin.

    Args:
        lab: (..., 3) CIELAB, D65, L* in [0, 100].

    Example:
        >>> float(ita(np.array([70.0, 8.0, 20.0])))
        45.0
    """
    return np.degrees(np.arctan2(lab[..., 0] - 50.0, lab[..., 2]))


def ita_category(angle_deg: float) -> str:
    """Return the skin-tone category of an ITA, one of `ITA_CATEGORIES`.

    Edges at 55, 41, 28, 10 and -30 degrees; a value on an edge belongs to the darker category.

    Args:
        angle_deg: individual typology angle in degrees.

    Example:
        >>> [ita_category(angle) for angle in (60.0, 55.0, 0.0, -40.0)]
        ['very light', 'light', 'brown', 'dark']
    """
    return ITA_CATEGORIES[int(np.searchsorted(_ITA_EDGES, angle_deg, side="left"))]
