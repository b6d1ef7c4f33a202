"""What a camera does to light: exposure, blur, sensor noise in linear light, compression.

Pure functions of an image and, where chance plays a part, of a generator: seed it once an image and
no image depends on another.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.functional.colour import linear_to_srgb, luminance

__all__ = [
    "Camera",
    "auto_exposure",
    "blur",
    "compress",
    "jpeg_steps",
    "photograph",
    "sensor_noise",
    "white_balance",
]

Array = npt.NDArray[np.floating]

# Quantisation tables of JPEG, ITU-T T.81 Annex K, for luma and chroma at quality 50.
_LUMA: Final = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
_CHROMA: Final = np.full((8, 8), 99)
_CHROMA[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
_YCC: Final = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
)


@dataclass(frozen=True)
class Camera:
    """A camera and its settings for one photograph.

    Attributes:
        exposure: luminance the mean of the picture is brought towards, in (0, 1).
        metering: how far, 0 (manual exposure) to 1 (every picture equally bright).
        gains: (red, green, blue) gain of linear light; not neutral = a colour cast.
        blur_px: sigma of the Gaussian point spread, in pixels; MTF50 = .187 / blur_px cycles/pixel.
        full_well: electrons of white; fewer = more shot noise.
        read_noise: electrons, sigma.
        quality: JPEG quality 1 to 100; 0 = not compressed.
    """

    exposure: float = 0.3
    metering: float = 0.5
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    blur_px: float = 0.6
    full_well: float = 8000.0
    read_noise: float = 8.0
    quality: int = 0


def auto_exposure(linear: Array, target: float, metering: float = 1.0) -> Array:
    """Scale light so that its mean luminance comes to `target`, or part of the way.

    Args:
        linear: (H, W, 3) linear RGB.
        target: mean luminance wanted, in (0, 1).
        metering: 0 keeps the picture, 1 reaches the target; a geometric mean in between.

    Example:
        >>> picture = np.full((2, 2, 3), 0.1)
        >>> float(auto_exposure(picture, 0.4, metering=0.5).mean().round(6))
        0.2
    """
    mean = max(float(luminance(linear).mean()), 1e-6)
    return (linear * (target / mean) ** metering).astype(linear.dtype)


def white_balance(linear: Array, gains: tuple[float, float, float]) -> Array:
    """Multiply the channels of linear light, keeping the luminance of grey.

    Args:
        linear: (..., 3) linear RGB.
        gains: red, green, blue; (1, 1, 1) changes nothing.

    Example:
        >>> white_balance(np.ones(3), (2.0, 2.0, 2.0)).round(6).tolist()
        [1.0, 1.0, 1.0]
    """
    wanted = np.asarray(gains, dtype=np.float64)
    return (linear * (wanted / luminance(wanted))).astype(linear.dtype)


def blur(linear: Array, sigma_px: float) -> Array:
    """Blur with the Gaussian point spread of a lens; borders are mirrored.

    Args:
        linear: (H, W, C) linear light.
        sigma_px: sigma in pixels; 0 changes nothing.

    Example:
        >>> spot = np.zeros((9, 9, 1)); spot[4, 4] = 1.0
        >>> bool(blur(spot, 1.0)[4, 4, 0] < 0.2)
        True
    """
    from scipy.ndimage import gaussian_filter

    if sigma_px <= 0:
        return linear.copy()
    blurred: Array = gaussian_filter(linear, (sigma_px, sigma_px, 0), mode="reflect", truncate=3.0)
    return blurred


def sensor_noise(
    linear: Array, rng: np.random.Generator, full_well: float, read_noise: float
) -> Array:
    """Add shot and read noise in linear light (the Gaussian limit of Poisson counts).

    Args:
        linear: (H, W, 3) linear light, 1 = a full well.
        rng: generator of this one photograph.
        full_well: electrons of white.
        read_noise: electrons, sigma.

    Returns:
        (H, W, 3) light with variance ``linear / full_well + (read_noise / full_well)**2``.

    Example:
        >>> grey = np.full((64, 64, 3), 0.25)
        >>> noisy = sensor_noise(grey, np.random.default_rng(0), 1000.0, 0.0)
        >>> float((noisy - grey).std().round(3))  # sqrt(.25 / 1000) = .0158
        0.016
    """
    sigma = np.sqrt(np.maximum(linear, 0.0) / full_well + (read_noise / full_well) ** 2)
    noise = rng.standard_normal(linear.shape, dtype=np.float32)
    return (linear + sigma * noise).astype(linear.dtype)


def jpeg_steps(quality: int) -> npt.NDArray[np.float32]:
    """Return (3, 8, 8) steps that JPEG of a quality rounds frequencies of Y, Cb and Cr to.

    Args:
        quality: 1 to 100.

    Example:
        >>> jpeg_steps(50)[0, 0, :4].tolist()
        [16.0, 11.0, 10.0, 16.0]
    """
    scale = 5000.0 / quality if quality < 50 else 200.0 - 2.0 * quality
    base = np.stack([_LUMA, _CHROMA, _CHROMA])
    return np.clip(np.floor((base * scale + 50.0) / 100.0), 1.0, 255.0).astype(np.float32)


def compress(srgb: Array, quality: int) -> Array:
    """Lose what JPEG of this quality loses (8x8 DCT, Annex K tables, no chroma subsampling).

    Our own arithmetic rather than a codec, so that the result is the same with every library.

    Args:
        srgb: (H, W, 3) gamma-encoded, in [0, 1].
        quality: 1 to 100.

    Returns:
        (H, W, 3) in [0, 1].

    Example:
        >>> flat = np.full((8, 8, 3), 0.5)
        >>> bool(np.abs(compress(flat, 90) - flat).max() < 0.01)
        True
    """
    from scipy.fft import dctn, idctn

    height, width, _ = srgb.shape
    padded = np.pad(srgb, ((0, -height % 8), (0, -width % 8), (0, 0)), mode="edge")
    ycc = padded.astype(np.float32) * 255.0 @ _YCC.T.astype(np.float32)
    ycc[..., 0] -= 128.0
    rows, columns = padded.shape[0] // 8, padded.shape[1] // 8
    # (8 rows, 8 columns, 3) -> (rows, columns, 3, 8, 8)
    blocks = ycc.reshape(rows, 8, columns, 8, 3).transpose(0, 2, 4, 1, 3)
    steps = jpeg_steps(quality)
    coefficients = np.round(dctn(blocks, axes=(3, 4), norm="ortho") / steps) * steps
    blocks = idctn(coefficients, axes=(3, 4), norm="ortho")
    ycc = blocks.transpose(0, 3, 1, 4, 2).reshape(padded.shape)
    ycc[..., 0] += 128.0
    rgb = ycc @ np.linalg.inv(_YCC).T.astype(np.float32) / 255.0
    return np.clip(rgb[:height, :width], 0.0, 1.0).astype(srgb.dtype)


def photograph(linear: Array, camera: Camera, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Take a photograph of the light that falls on the sensor.

    Args:
        linear: (H, W, 3) linear RGB radiance, about 1 for white; not changed.
        camera: camera and settings.
        rng: generator of this one photograph.

    Returns:
        (H, W, 3) uint8 sRGB.

    Example:
        >>> grey = np.full((8, 8, 3), 0.3)
        >>> photograph(grey, Camera(), np.random.default_rng(0)).shape
        (8, 8, 3)
    """
    exposed = white_balance(auto_exposure(linear, camera.exposure, camera.metering), camera.gains)
    sensed = sensor_noise(blur(exposed, camera.blur_px), rng, camera.full_well, camera.read_noise)
    srgb = linear_to_srgb(sensed)
    if camera.quality:
        srgb = compress(srgb, camera.quality)
    return np.round(srgb * 255.0).astype(np.uint8)
