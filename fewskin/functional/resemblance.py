"""Do generated images look generated, and are they copies? Simple features and correlations."""

import numpy as np
import numpy.typing as npt

__all__ = ["image_features", "nearest_correlation", "radial_spectrum", "shrink"]

Array = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]


def image_features(images: Pixels) -> Array:
    """Return simple features in which artefacts of generation show.

    Args:
        images: (n, 3, h, w) uint8 sRGB.

    Returns:
        (n, 17): mean and standard deviation of each channel, log energy of the horizontal and
        vertical gradient and of the Laplacian, log power in 8 bands of spatial frequency.

    Example:
        >>> image_features(np.zeros((2, 3, 8, 8), np.uint8)).shape
        (2, 17)
    """
    scaled = images.astype(np.float64) / 255.0
    grey = scaled.mean(axis=1)  # (n, 3, h, w) -> (n, h, w)
    centre = grey[:, 1:-1, 1:-1]
    around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    edges = [np.diff(grey, axis=2), np.diff(grey, axis=1), 4 * centre - around]
    energy = [_log_energy(edge) for edge in edges]
    colour = [scaled.mean(axis=(2, 3)), scaled.std(axis=(2, 3))]
    return np.column_stack([*colour, *energy, radial_spectrum(grey, 8)])


def _log_energy(values: Array) -> Array:
    # 1e-8 is 0.03 of a grey level squared: below what 8 bits can hold.
    return np.asarray(np.log((values**2).mean(axis=(1, 2)) + 1e-8))


def radial_spectrum(grey: Array, n_bands: int) -> Array:
    """Return the log power in rings of spatial frequency, from coarse to fine.

    Args:
        grey: (n, h, w) in [0, 1].
        n_bands: rings of equal width between 0 and half a cycle per pixel; the mean is left out.

    Returns:
        (n, n_bands).

    Example:
        >>> stripes = np.tile([0.0, 1.0], (1, 8, 4))  # half a cycle per pixel: the last band
        >>> int(radial_spectrum(stripes, 4).argmax())
        3
    """
    n, height, width = grey.shape
    centred = grey - grey.mean(axis=(1, 2), keepdims=True)
    power = np.abs(np.fft.rfft2(centred)) ** 2 / (height * width) ** 2
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    band = np.minimum((radius * 2 * n_bands).astype(int), n_bands - 1).ravel()
    member = band[:, None] == np.arange(n_bands)  # (h * w', bands)
    member = member / np.maximum(member.sum(axis=0), 1)
    return np.asarray(np.log(power.reshape(n, -1) @ member + 1e-12))


def shrink(images: Pixels, side: int) -> Array:
    """Return (n, 3, side, side) area means of square images; smaller ones are repeated pixels.

    Example:
        >>> shrink(np.arange(48, dtype=np.uint8).reshape(1, 3, 4, 4), 1).flatten().tolist()
        [7.5, 23.5, 39.5]
    """
    size = images.shape[-1]
    edges = np.linspace(0, size, side + 1)
    # Row k of `share` holds how much of each pixel lies in cell k: area resampling as a product.
    low, high = edges[:-1, None], edges[1:, None]
    pixel = np.arange(size)[None]
    share = np.clip(np.minimum(high, pixel + 1) - np.maximum(low, pixel), 0, None)
    share /= share.sum(axis=1, keepdims=True)
    return np.asarray(share @ images.astype(np.float64) @ share.T)


def nearest_correlation(images: Pixels, references: Pixels, side: int = 32) -> Array:
    """Return each image's largest correlation with any reference, over 8 flips and quarter turns.

    Args:
        images: (n, 3, s, s) uint8.
        references: (m, 3, t, t) uint8, m >= 1.
        side: pixels at which they are compared.

    Returns:
        (n,) in [-1, 1]; channels are centred one by one, a flat image correlates 0.

    Example:
        >>> photos = np.random.default_rng(0).integers(0, 255, (3, 3, 8, 8)).astype(np.uint8)
        >>> nearest_correlation(photos[:1, :, :, ::-1], photos, 8).round(6).tolist()
        [1.0]
    """
    unit = _unit(shrink(images, side))
    best = np.full(len(images), -1.0)
    small = shrink(references, side)
    for view in (small, small[..., ::-1]):
        for quarter in range(4):
            turned = _unit(np.rot90(view, quarter, axes=(2, 3)))
            best = np.maximum(best, (unit @ turned.T).max(axis=1))
    return best


def _unit(images: Array) -> Array:
    # Each channel is centred by itself: all skin is redder than blue, which is no resemblance.
    flat = (images - images.mean(axis=(2, 3), keepdims=True)).reshape(len(images), -1)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9))
