"""Simulated patients: patches of skin with a condition, and photographs of them.

A patient is a tone, layers of pigment and relief on 50 mm of skin, and a camera; a photograph is a
new pose, light, crop and exposure of the same skin. Amounts of blood, pigment and fine detail are
drawn from one distribution for every class, healthy skin included, so that colour, contrast and
sharpness hardly give the class away; what differs is where blood, pigment and relief lie.
Photograph k of a patient depends only on the seed, the patient and k.
"""

import functools
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.data.phantom_conditions import COMMON, CONDITIONS, RARE, Layers, Scene, blank
from fewskin.functional.camera import Camera, photograph
from fewskin.functional.colour import ita, ita_category
from fewskin.functional.pigment import compose, light, tone_density, tone_lab
from fewskin.functional.skin import Grid, domes, fold, noise, smooth_step
from fewskin.seeding import rng_for

__all__ = ["COMMON", "RARE", "Patient", "camera_of", "make_patient", "take_photograph"]

Map = npt.NDArray[np.float32]

_FIELD_MM: Final = 30.0  # side of a photograph
_CANVAS_MM: Final = 50.0  # side of the simulated skin: a turned and shifted photograph fits
_BLUR_MM: Final = 0.55  # sigma of camera and resizing at 64 px together
_SCALE_LIGHT: Final = np.array([0.70, 0.63, 0.56], dtype=np.float32)  # linear RGB of dry flakes
_PUS_LIGHT: Final = np.array([0.68, 0.55, 0.26], dtype=np.float32)  # linear RGB of pus and crust
_PALEST: Final = np.float32(-0.03)  # haemoglobin below that of resting skin, density units
_PHI: Final = 0.6180339887498949  # golden ratio: tones of patients 0, 1, 2, ... fill [0, 1) evenly


@dataclass(frozen=True)
class Patient:
    """A simulated patient.

    Attributes:
        label: one of `COMMON` or `RARE`.
        number: 0, 1, ... within the class.
        tone: 0 very light to 1 dark.
        strength: 0 barely there to 1 very severe; for healthy skin, how red it is for now.
        severity: what a rater wrote, 0 (clear, only healthy skin) to 4.
        age: years.
        sex: "female" or "male".
        device: "camera_a", or "camera_b" for every third patient of a class.
    """

    label: str
    number: int
    tone: float
    strength: float
    severity: int
    age: int
    sex: str
    device: str

    @property
    def patient_id(self) -> str:
        """Name of the patient, unique over classes."""
        return f"{self.label}-{self.number:03d}"

    @property
    def ita_deg(self) -> float:
        """Individual typology angle of the unblemished skin, in degrees."""
        return float(ita(tone_lab(self.tone)))

    @property
    def skin_tone(self) -> str:
        """Category of `ita_deg`."""
        return ita_category(self.ita_deg)


def make_patient(label: str, number: int, *, seed: int) -> Patient:
    """Return simulated patient `number` of a class.

    Tone and strength follow low-discrepancy sequences, so that any run of patients covers both.

    Args:
        label: one of `COMMON` or `RARE`.
        number: 0 or more.
        seed: of the data set.
    """
    rng = rng_for(seed, "phantom patient", label, number)
    start = rng_for(seed, "phantom class", label).uniform(size=2)
    tone, strength = (start + number * np.array([_PHI, np.sqrt(2.0)])) % 1.0
    # Raters agree with an ICC of .6 (CEA): the written grade is the true one plus noise.
    grade = int(np.clip(np.round(0.5 + 4.0 * strength + rng.normal(0, 0.5)), 1, 4))
    return Patient(
        label=label,
        number=number,
        tone=float(tone),
        strength=float(0.15 + 0.85 * strength),
        severity=0 if label == "healthy" else grade,
        age=int(rng.integers(16, 80)),
        sex=str(rng.choice(["female", "male"])),
        device="camera_b" if number % 3 == 2 else "camera_a",
    )


@dataclass(frozen=True)
class _Skin:
    """A patient's skin: layers on a grid, density without them, and how oily it is."""

    grid: Grid
    layers: Layers
    base: Map
    oil: float


def _level(layer: Map, filler: Map, mean: float, spread: float, grid: Grid, field: slice) -> Map:
    """Return `layer` with `filler` added until it has a given mean and spread in the field of view.

    Args:
        layer: amount of a pigment.
        filler: unstructured noise of variance 1, as every skin has.
        mean: wanted mean.
        spread: wanted standard deviation after the blur of a camera; finer detail does not count.
        grid: of the layer.
        field: rows and columns that a photograph shows.
    """
    from scipy.ndimage import gaussian_filter

    blurred = gaussian_filter(layer, _BLUR_MM * grid.px_per_mm, truncate=2.5)
    seen, extra = blurred[field, field], filler[field, field]
    excess = float(seen.std()) / spread
    if excess > 1.0:
        layer, seen = layer / np.float32(excess), seen / np.float32(excess)
    shared = float(((seen - seen.mean()) * (extra - extra.mean())).mean())
    lack, power = spread**2 - float(seen.var()), float(extra.var())
    amount = (-shared + np.sqrt(max(shared**2 + power * lack, 0.0))) / power
    full = layer + np.float32(max(amount, 0.0)) * filler
    return (full + np.float32(mean - float(full[field, field].mean()))).astype(np.float32)


def _detail(layers: Layers, grid: Grid, field: slice) -> tuple[float, float]:
    """Return the energy of detail of about 1 mm and of about 3 mm, in density units squared."""
    from scipy.ndimage import gaussian_filter

    # Under a slanting lamp a slope of 1 shades by about .2 density.
    slope = np.gradient(layers.height, axis=1) * grid.px_per_mm
    seen = 0.6 * layers.haemoglobin + 0.5 * layers.melanin - 0.4 * layers.scale - 0.2 * slope
    middle, coarse = (
        gaussian_filter(seen, width * grid.px_per_mm, truncate=2.5) for width in (0.7, 2.2)
    )
    fine, broad = (seen - middle)[field, field], (middle - coarse)[field, field]
    return float((fine**2).mean()), float((broad**2).mean())


def _levelled(rng: np.random.Generator, grid: Grid, layers: Layers, strength: float) -> Layers:
    """Bring blood, pigment and detail to amounts that do not depend on the class."""
    margin = int((grid.size - _FIELD_MM * grid.px_per_mm) / 2)
    field = slice(margin, grid.size - margin)
    mean, spread = 0.2 + 0.12 * strength, 0.11 + 0.045 * strength
    # Flakes pale the picture, so the skin under them must be redder for the same colour.
    white = float(layers.scale[field, field].mean())
    red = mean * rng.uniform(0.7, 1.3) + 0.8 * white, spread * rng.uniform(0.65, 1.35)
    brown = rng.normal(0, 0.03) + 0.4 * white, rng.uniform(0.05, 0.09)
    fine, broad = _detail(layers, grid, field)
    mottle = _lack(broad, 0.035 * 2 ** rng.uniform(-0.5, 0.5)) * 1.3 * noise(rng, grid, (3.0, 6.0))
    grain = _lack(fine, 0.038 * 2 ** rng.uniform(-0.5, 0.5)) * 1.2 * noise(rng, grid, (0.9, 1.6))
    blend = np.float32(rng.uniform(0.2, 0.8))
    blood = layers.haemoglobin + 2 * blend * mottle + grain
    pigment = layers.melanin + 2 * (1 - blend) * mottle + np.float32(0.8) * grain
    blood = _level(blood, noise(rng, grid, (24.0, 45.0)), *red, grid, field)
    pigment = _level(pigment, noise(rng, grid, (12.0, 30.0)), *brown, grid, field)
    return replace(layers, haemoglobin=np.maximum(blood, _PALEST), melanin=pigment)


def _lack(energy: float, wanted: float) -> np.float32:
    return np.float32(np.sqrt(max(wanted**2 - energy, 0.0)))


def _everyday(scene: Scene, tone: float) -> Layers:
    """Return what any skin has: freckles, a pimple or two, a fold, some dryness."""
    rng, grid = scene.rng, scene.grid
    freckles = scene.scatter(rng.gamma(1.0, 25.0))
    spots = domes(
        grid, freckles, rng.uniform(0.3, 0.9, len(freckles)), rng.uniform(0.08, 0.4, len(freckles))
    )
    pimples = scene.scatter(2.0)
    sizes = rng.uniform(0.6, 1.8, len(pimples))
    red = domes(grid, pimples, sizes, rng.uniform(0.1, 0.3, len(pimples)))
    groove = -0.55 * np.exp(-((scene.crease / 1.8) ** 2)).astype(np.float32)
    dry = noise(rng, grid, (1.0, 1.8)) * smooth_step(noise(rng, grid, (6.0, 16.0)), 0.3)
    flakes = np.float32(rng.choice([0.0, 0.05, 0.1, 0.15])) * np.maximum(dry, 0.0)
    height = groove + 0.8 * red
    fade = np.float32(1.0 - 0.5 * tone)  # a freckle adds less where the skin is dark already
    return blank(grid).plus(haemoglobin=red, melanin=fade * spots, height=height, scale=flakes)


@functools.lru_cache(maxsize=8)
def _skin(patient: Patient, size: int, seed: int) -> _Skin:
    from scipy.fft import next_fast_len

    rng = rng_for(seed, "phantom skin", patient.patient_id)
    grid = Grid(next_fast_len(round(size * _CANVAS_MM / _FIELD_MM), real=True), size / _FIELD_MM)
    far = np.full((grid.size, grid.size), 1e3, dtype=np.float32)
    crease = fold(rng, grid) if rng.uniform() < 0.6 else far
    scene = Scene(rng, grid, patient.strength, crease)
    layers = _everyday(scene, patient.tone)
    lesions = CONDITIONS[patient.label](scene)
    layers = layers.plus(**{name: getattr(lesions, name) for name in vars(lesions)})
    layers = _levelled(rng, grid, layers, patient.strength)
    layers = replace(layers, scale=np.clip(layers.scale, 0, 0.8), pus=np.clip(layers.pus, 0, 0.8))
    base = tone_density(patient.tone).astype(np.float32)
    return _Skin(grid, layers, base, float(rng.uniform(0.2, 1.0)))


def _pose(rng: np.random.Generator, skin: _Skin, size: int) -> dict[str, Map]:
    """Return the layers as seen in a new pose: turned, shifted, nearer or farther, tilted."""
    from scipy.ndimage import map_coordinates

    line = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    x, y = line[None, :], line[:, None]
    angle, zoom = rng.normal(0, 0.22), _FIELD_MM * rng.uniform(0.9, 1.1)
    near = zoom / (1.0 + rng.uniform(-0.15, 0.15) * x + rng.uniform(-0.15, 0.15) * y)
    shift = rng.uniform(-3.0, 3.0, 2)
    columns = near * (x * np.cos(angle) - y * np.sin(angle)) + shift[0]
    rows = near * (x * np.sin(angle) + y * np.cos(angle)) + shift[1]
    to_samples = lambda mm: mm * skin.grid.px_per_mm + skin.grid.size / 2 - 0.5  # noqa: E731
    places = np.stack([to_samples(rows), to_samples(columns)]).astype(np.float32)
    return {
        name: map_coordinates(layer, places, order=1, mode="mirror", output=np.float32)
        for name, layer in vars(skin.layers).items()
    }


def _shine(rng: np.random.Generator, height: Map, px_per_mm: float, oil: float) -> tuple[Map, Map]:
    """Return diffuse light (about 1) and specular light of a relief under one soft lamp."""
    size = height.shape[0]
    line = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    x, y = line[None, :], line[:, None]
    slope_y, slope_x = (slope * px_per_mm for slope in np.gradient(height))
    curve = rng.uniform(0.1, 0.8, 2)  # the cheek bends away from the camera
    slope_x, slope_y = slope_x + curve[0] * x, slope_y + curve[1] * y
    azimuth, elevation = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(35, 75))
    lamp = np.array(
        [
            np.cos(azimuth) * np.cos(elevation),
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
        ]
    )
    half = lamp + np.array([0.0, 0.0, 1.0])
    half /= np.linalg.norm(half)
    length = np.sqrt(slope_x**2 + slope_y**2 + 1.0)
    towards_lamp = (lamp[2] - lamp[0] * slope_x - lamp[1] * slope_y) / length
    towards_half = (half[2] - half[0] * slope_x - half[1] * slope_y) / length
    ambient = rng.uniform(0.3, 0.6)
    falloff = 1.0 + rng.uniform(0.0, 0.35) * (lamp[0] * x + lamp[1] * y)
    diffuse = falloff * (ambient + (1 - ambient) * np.maximum(towards_lamp, 0.0) / lamp[2])
    gloss = (
        oil
        * rng.uniform(0.03, 0.12)
        * falloff
        * np.maximum(towards_half, 0.0) ** rng.uniform(12, 40)
    )
    return diffuse.astype(np.float32), gloss.astype(np.float32)


def camera_of(rng: np.random.Generator, device: str, size: int) -> Camera:
    """Return the settings of one photograph; camera_b is softer, noisier and warmer.

    Args:
        rng: of the photograph.
        device: "camera_a" or "camera_b".
        size: side in pixels.
    """
    warm = rng.normal(0.0, 0.02)
    scale = size / 96  # blur is a property of the lens, in mm
    exposure = 0.24 * 2 ** rng.normal(0, 0.2)
    if device == "camera_a":
        gains = (1 + warm, 1.0, 1 - warm)
        return Camera(
            exposure,
            0.3,
            gains,
            rng.uniform(0.4, 1.1) * scale,
            9000.0,
            12.0,
            int(rng.integers(86, 97)),
        )
    gains = (1.05 + warm, 1.0, 0.94 - warm)
    return Camera(
        exposure, 0.4, gains, rng.uniform(0.6, 1.3) * scale, 3000.0, 14.0, int(rng.integers(72, 88))
    )


def take_photograph(patient: Patient, photo: int, *, size: int, seed: int) -> npt.NDArray[np.uint8]:
    """Return photograph `photo` of a simulated patient.

    Args:
        patient: from `make_patient` with the same seed.
        photo: 0, 1, ...; pose, light, exposure and the passing part of redness change with it.
        size: side in pixels; 30 mm of skin.
        seed: of the data set.

    Returns:
        (size, size, 3) uint8 sRGB.
    """
    skin = _skin(patient, size, seed)
    rng = rng_for(seed, "phantom photograph", patient.patient_id, photo)
    seen = _pose(rng, skin, size)
    diffuse, gloss = _shine(rng, seen["height"], size / _FIELD_MM, skin.oil)
    blood = seen["haemoglobin"] * np.float32(rng.uniform(0.85, 1.15))
    colour = light(compose(skin.base, seen["melanin"], blood))
    tone = float(light(skin.base).mean()) / 0.4
    for opacity, tint in ((seen["pus"], _PUS_LIGHT), (seen["scale"], _SCALE_LIGHT)):
        # Flakes and crust lie thin on the skin and take on part of its tone.
        colour += opacity[..., None] * (0.8 * (tint * (0.4 + 0.6 * tone) - colour))
    radiance = colour * diffuse[..., None] + gloss[..., None]
    return photograph(radiance.astype(np.float32), camera_of(rng, patient.device, size), rng)
