"""The conditions of the phantom: where each puts blood, pigment, relief and scale.

Simulated. The rules are those a dermatologist reads from a close-up. Rosacea is diffuse redness
with telangiectasia and domes but no comedones; acne has comedones; lupus has a sharp border and
spares the fold; perioral dermatitis is clusters of small papules that spare a rim along the fold;
psoriasis is sharp plaques under thick scale; eczema is ill-defined, scratched and finely scaly.
Healthy skin may flush or burn. Only these maps know the label: all that follows is the same for
every class.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.functional.skin import Grid, blob, domes, fold, furrows, noise, smooth_step, vessels

__all__ = ["COMMON", "CONDITIONS", "RARE", "Layers", "Scene", "blank"]

Map = npt.NDArray[np.float32]
Field = npt.NDArray[np.floating]
Points = npt.NDArray[np.float64]

_MOST_BLOOD: Final = 0.42  # haemoglobin of the reddest papule, density units


@dataclass(frozen=True)
class Layers:
    """Maps of one patch of skin, each (size, size) float32.

    Attributes:
        haemoglobin: extra amount along the haemoglobin vector, density units.
        melanin: extra amount along the melanin vector, density units.
        height: relief in mm.
        scale: opacity of white flakes, 0 to 1.
        pus: opacity of yellow content (pustules, crust), 0 to 1.
    """

    haemoglobin: Map
    melanin: Map
    height: Map
    scale: Map
    pus: Map

    def plus(self, **maps: Field) -> "Layers":
        """Return the layers with `maps` added."""
        return replace(
            self, **{name: _float32(getattr(self, name) + more) for name, more in maps.items()}
        )

    def times(self, **maps: Field) -> "Layers":
        """Return the layers with the named ones multiplied."""
        return replace(
            self, **{name: _float32(getattr(self, name) * by) for name, by in maps.items()}
        )


def _float32(field: Field) -> Map:
    return field.astype(np.float32, copy=False)


def blank(grid: Grid) -> Layers:
    """Return layers that are 0 everywhere."""
    return Layers(*[np.zeros((grid.size, grid.size), dtype=np.float32) for _ in range(5)])


@dataclass(frozen=True)
class Scene:
    """What a condition is drawn on.

    Attributes:
        rng: generator of this patient's lesions.
        grid: the patch.
        strength: 0 (barely there) to 1 (very severe).
        crease: (size, size) signed distance in mm to a skin fold, far away where there is none.
    """

    rng: np.random.Generator
    grid: Grid
    strength: float
    crease: Map

    def scatter(self, n: float) -> Points:
        """Return about `n` places (k, 2) in mm, all over the patch."""
        count = int(self.rng.poisson(n))
        return self.rng.uniform(-0.5, 0.5, (count, 2)) * self.grid.extent_mm

    def plaque(self, low: float, high: float, wobble: float) -> Map:
        """Return the depth in mm inside one large lesion; its border crosses the field."""
        radius, angle = self.rng.uniform(low, high), self.rng.uniform(0, 2 * np.pi)
        distance = radius + self.rng.uniform(-8.0, 8.0)
        centre = distance * np.array([np.cos(angle), np.sin(angle)])
        return blob(self.rng, self.grid, centre, radius, wobble)

    def dial(self, low: float, high: float) -> float:
        """Return a value between `low` (strength 0) and `high` (strength 1)."""
        return low + (high - low) * self.strength


def _papules(
    scene: Scene, layers: Layers, places: Points, radius: tuple[float, float], pus: float
) -> Layers:
    """Add red domes of `radius` mm with a halo; a share `pus` of them has a yellow top."""
    rng, n = scene.rng, len(places)
    radii = rng.uniform(*radius, n)
    red = scene.dial(0.25, 0.5) * rng.uniform(0.7, 1.3, n)
    topped = rng.uniform(size=n) < pus
    core = domes(scene.grid, places, radii, red, power=2.6)
    halo = domes(scene.grid, places, 2.2 * radii, 0.3 * red)
    raised = domes(scene.grid, places, radii, 0.32 * radii * rng.uniform(0.7, 1.3, n), power=3.0)
    yellow = domes(
        scene.grid, places[topped], 0.5 * radii[topped], rng.uniform(0.35, 0.7, topped.sum()), 3.0
    )
    blood = _MOST_BLOOD * np.tanh((core + halo) / _MOST_BLOOD)  # papules that touch do not add up
    return layers.plus(haemoglobin=blood.astype(np.float32), height=raised, pus=yellow)


def _marks(scene: Scene, layers: Layers, n: float) -> Layers:
    """Add flat brown-red marks left by healed papules."""
    places = scene.scatter(n)
    radii = scene.rng.uniform(0.9, 2.2, len(places))
    brown = domes(scene.grid, places, radii, scene.rng.uniform(0.04, 0.16, len(places)))
    return layers.plus(melanin=brown, haemoglobin=0.5 * brown)


def _flakes(scene: Scene, where: Map, size_mm: float, opacity: float) -> Layers:
    """Return a layer of scale in `where` (0 to 1): plates of about `size_mm` with lifted edges."""
    plates = 0.35 + 0.65 * furrows(
        noise(scene.rng, scene.grid, (1.5 * size_mm, 2.5 * size_mm)), 1.5
    )
    patchy = smooth_step(noise(scene.rng, scene.grid, (3.0 * size_mm, 9.0 * size_mm)) + 0.3, 0.5)
    cover = where * plates * patchy
    return replace(blank(scene.grid), scale=opacity * cover, height=0.12 * size_mm * cover)


def _add(first: Layers, second: Layers) -> Layers:
    names = ("haemoglobin", "melanin", "height", "scale", "pus")
    return Layers(*[getattr(first, name) + getattr(second, name) for name in names])


def _healthy(scene: Scene) -> Layers:
    """Rest, a blotchy flush, or sunburn with the edge of a strap."""
    layers, draw = blank(scene.grid), scene.rng.uniform()
    if draw < 0.3:
        return layers
    if draw < 0.7:
        field = noise(scene.rng, scene.grid, (14.0, 34.0))
        return layers.plus(haemoglobin=scene.dial(0.08, 0.24) * smooth_step(field, 0.4))
    edge = smooth_step(fold(scene.rng, scene.grid) + 4.0, scene.rng.uniform(0.4, 1.2))
    burnt = layers.plus(haemoglobin=scene.dial(0.1, 0.24) * edge, melanin=0.05 * edge)
    if scene.rng.uniform() < 0.45:
        burnt = _add(
            burnt, _flakes(scene, edge, scene.rng.uniform(0.8, 1.8), scene.dial(0.1, 0.25))
        )
    return burnt


def _acne(scene: Scene) -> Layers:
    """Comedones, open and closed, with scattered papules, pustules and marks."""
    rng, grid = scene.rng, scene.grid
    closed, opened = scene.scatter(scene.dial(30, 80)), scene.scatter(scene.dial(25, 60))
    bumps = domes(
        grid, closed, rng.uniform(0.4, 0.7, len(closed)), rng.uniform(0.12, 0.3, len(closed))
    )
    plugs = domes(
        grid, opened, rng.uniform(0.3, 0.55, len(opened)), rng.uniform(0.25, 0.6, len(opened)), 4.0
    )
    layers = blank(grid).plus(height=bumps - 0.1 * plugs, melanin=plugs, haemoglobin=-0.12 * bumps)
    layers = _papules(scene, layers, scene.scatter(scene.dial(16, 34)), (1.0, 2.0), pus=0.5)
    return _marks(scene, layers, scene.dial(4, 12))


def _eczema(scene: Scene) -> Layers:
    """Ill-defined patches with fine scale, thickened lines, scratches and crust."""
    rng, grid = scene.rng, scene.grid
    patch = smooth_step(noise(rng, grid, (16.0, 30.0)) - rng.uniform(-0.3, 0.3), 0.35)
    thick = patch * (furrows(noise(rng, grid, (1.8, 2.6)), 1.6) - 0.5)
    layers = blank(grid).plus(
        haemoglobin=scene.dial(0.2, 0.35) * patch, height=scene.dial(0.08, 0.2) * thick
    )
    layers = _add(layers, _flakes(scene, patch, rng.uniform(0.8, 1.3), scene.dial(0.12, 0.26)))
    scratches = vessels(rng, grid, int(rng.poisson(scene.dial(4, 16))), 0.5) * patch
    places = scene.scatter(scene.dial(20, 70))
    crust = (
        domes(grid, places, rng.uniform(0.3, 0.7, len(places)), rng.uniform(0.2, 0.5, len(places)))
        * patch
    )
    return layers.plus(haemoglobin=0.3 * scratches, pus=0.8 * crust, height=-0.1 * scratches)


def _psoriasis(scene: Scene) -> Layers:
    """Sharp raised plaques under thick white scale."""
    rng, grid = scene.rng, scene.grid
    plaque = np.zeros((grid.size, grid.size), dtype=np.float32)
    for centre in rng.uniform(-0.5, 0.5, (int(rng.integers(5, 9)), 2)) * grid.extent_mm:
        depth = blob(rng, grid, centre, rng.uniform(3.5, 9.0), 0.16)
        plaque = np.maximum(plaque, smooth_step(depth, rng.uniform(0.25, 0.6)))
    layers = blank(grid).plus(
        haemoglobin=scene.dial(0.25, 0.4) * plaque, height=scene.dial(0.2, 0.5) * plaque
    )
    return _add(layers, _flakes(scene, plaque, rng.uniform(1.2, 2.2), scene.dial(0.25, 0.5)))


def _rosacea(scene: Scene) -> Layers:
    """Diffuse redness with a soft border, thin vessels, some domes; no comedones, no scale."""
    rng, grid = scene.rng, scene.grid
    depth = scene.plaque(14, 26, 0.25)
    zone = smooth_step(depth, rng.uniform(3.0, 6.0))
    lines = vessels(rng, grid, int(rng.poisson(scene.dial(25, 70))), 0.25) * zone
    layers = blank(grid).plus(haemoglobin=scene.dial(0.12, 0.22) * zone + 0.22 * lines)
    if rng.uniform() < 0.15:  # the erythemato-telangiectatic kind has no papules
        return layers
    places = scene.scatter(scene.dial(18, 36))
    return _papules(scene, layers, places, (1.1, 2.0), pus=0.2).times(
        haemoglobin=0.25 + 0.75 * zone, height=0.2 + 0.8 * zone
    )


def _lupus(scene: Scene) -> Layers:
    """A confluent plaque with a sharp border that stops at the fold; pale centre, brown rim."""
    rng, grid = scene.rng, scene.grid
    depth = scene.plaque(10, 20, 0.2)
    spared = smooth_step(np.abs(scene.crease) - rng.uniform(2.5, 4.0), 0.5)
    plaque = smooth_step(depth, rng.uniform(0.35, 0.8)) * spared
    rim = np.exp(-((depth / 1.8) ** 2)).astype(np.float32) * spared
    centre = smooth_step(depth - rng.uniform(5, 9), 2.0) * spared
    red = scene.dial(0.28, 0.42) * (plaque + 0.25 * rim - 0.2 * centre)
    layers = blank(grid).plus(haemoglobin=red, melanin=0.14 * rim - 0.06 * centre)
    layers = layers.plus(height=scene.dial(0.3, 0.5) * (plaque - 0.5 * centre))
    return _add(layers, _flakes(scene, plaque, rng.uniform(0.7, 1.3), scene.dial(0.06, 0.22)))


def _perioral(scene: Scene) -> Layers:
    """Clusters of small uniform papules on faint redness, with a spared rim along the fold."""
    rng, grid = scene.rng, scene.grid
    hearts = rng.uniform(-0.36, 0.36, (int(rng.integers(4, 7)), 2)) * grid.extent_mm
    spread = rng.uniform(2.5, 4.5, len(hearts))
    n = rng.poisson(scene.dial(13, 26), len(hearts))
    places = (
        np.repeat(hearts, n, axis=0)
        + rng.normal(0, 1, (n.sum(), 2)) * np.repeat(spread, n)[:, None]
    )
    zone = np.minimum(domes(grid, hearts, 2.0 * spread, np.ones(len(hearts))), 1.0)
    spared = smooth_step(np.abs(scene.crease) - rng.uniform(2.0, 3.5), 0.5)
    layers = blank(grid).plus(haemoglobin=scene.dial(0.1, 0.2) * zone)
    layers = _papules(scene, layers, places, (0.6, 0.9), pus=0.15)
    layers = layers.times(haemoglobin=spared, height=spared, pus=spared)
    return _add(
        layers, _flakes(scene, zone * spared, rng.uniform(0.6, 1.0), scene.dial(0.05, 0.18))
    )


COMMON: Final = ("acne", "eczema", "healthy", "psoriasis")
RARE: Final = ("lupus", "perioral", "rosacea")
CONDITIONS: Final[Mapping[str, Callable[[Scene], Layers]]] = {
    "acne": _acne,
    "eczema": _eczema,
    "healthy": _healthy,
    "lupus": _lupus,
    "perioral": _perioral,
    "psoriasis": _psoriasis,
    "rosacea": _rosacea,
}
