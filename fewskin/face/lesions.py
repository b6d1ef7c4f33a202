"""How lesions look: domes with a halo, pus, vessels, comedones, scale, patches with a border."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.face.canvas import Canvas, Near
from fewskin.face.presentation import Field, Spot
from fewskin.face.skin_layers import erythema_density
from fewskin.face.texture import smooth_step

__all__ = [
    "Dome",
    "browning",
    "clusters",
    "domes",
    "erythema",
    "onsets",
    "patch",
    "plates",
    "ragged",
    "vessels",
]

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.floating]

_BLOOD_IN_BROWN: Final = np.float32(0.9)
_SHARPEST: Final = 1.2  # texels: no edge is narrower than twice this
_POINTS, _WINDING = 16, 0.3  # of a vessel's course; radians that it swings either way
_SCATTER_MM: Final = 0.45  # by which skin blurs a vessel below its surface, width at half height
_FOOT: Final = 1.6  # radii at which a dome has come down to the skin
# Of a ragged border: wavelengths in mm, then how far the border strays at them and over what it
# fades, as shares; finer ones make islands and gaps.
_RAGGED: Final = ((24.0, 1.0, 1.0), (11.0, 0.6, 0.6), (5.0, 0.45, 0.35))


def onsets(counts: Sequence[float]) -> Floats:
    """Return (k,) the severity at which each lesion appears, in order.

    Args:
        counts: lesions at severity 0, 1, 2, 3 and 4, rising from 0; straight between.

    Example:
        >>> onsets((0, 2, 4, 4, 8)).astype(float).round(2).tolist()
        [0.25, 0.75, 1.25, 1.75, 3.12, 3.38, 3.62, 3.88]
    """
    ranks = np.arange(round(counts[-1])) + 0.5
    rising = np.asarray(counts, np.float64) + 1e-9 * np.arange(len(counts))
    return np.interp(ranks, rising, np.arange(len(counts))).astype(np.float32)


@dataclass(frozen=True)
class Dome:
    """What a kind of round lesion is made of, when grown.

    Attributes:
        kind: of instance; "" is not counted.
        radius_mm: least and most.
        blood: haemoglobin in the middle, least and most.
        halo: haemoglobin around it, as a share of the middle's.
        brown: melanin in the middle.
        height: relief, as a share of the radius; negative is a pit.
        gloss: specular change on top.
        pus: opacity of a yellow top.
        top: radius of the pus, as a share of the radius.
        wobble: how far the outline is from a circle.
    """

    kind: str
    radius_mm: tuple[float, float]
    blood: tuple[float, float] = (0.0, 0.0)
    halo: float = 0.0
    brown: float = 0.0
    height: float = 0.0
    gloss: float = 0.0
    pus: float = 0.0
    top: float = 0.5
    wobble: float = 0.1


def domes(
    canvas: Canvas,
    rng: np.random.Generator,
    feature: str,
    places: Floats,
    onset: Floats,
    kinds: Sequence[tuple[float, Dome]],
) -> list[Spot]:
    """Return round lesions.

    Args:
        canvas: to draw on.
        rng: of their looks.
        feature: whose they are.
        places: (k, 3) cm on the mean face.
        onset: (k,) severity at which each appears.
        kinds: share and look of each kind.
    """
    made, shares = [], np.cumsum([share for share, _ in kinds])
    for place, start in zip(places, onset, strict=True):
        drawn = rng.uniform(size=3)
        phase, wave = rng.uniform(0.0, 2.0 * np.pi, 3), rng.normal(size=3)
        which = min(int(np.searchsorted(shares, drawn[0] * shares[-1])), len(kinds) - 1)
        look = kinds[which][1]
        radius = look.radius_mm[0] + drawn[1] * (look.radius_mm[1] - look.radius_mm[0])
        near = canvas.near(place, 2.6 * radius)
        ratio = _ratio(near, radius, look.wobble * wave, phase)
        core = _core(ratio, near.texel_mm / radius)
        maps = _dome(look, ratio, core, radius, near.texel_mm / radius, float(drawn[2]))
        start, radius = float(start), float(radius)
        made.append(Spot(feature, look.kind, place, radius, start, near.at, core, maps))
    return made


def _ratio(near: Near, radius: float, wave: Numbers, phase: Numbers) -> Floats:
    """Return (k,) distance from the middle over the radius, of a wobbly outline."""
    angle = np.arctan2(near.y, near.x)
    turns = zip((2, 3, 5), wave, phase, strict=True)
    outline = sum(
        np.float32(amount / order) * np.cos(order * angle + np.float32(shift))
        for order, amount, shift in turns
    )
    return np.asarray(np.hypot(near.x, near.y) / (radius * np.maximum(1.0 + outline, 0.5)))


def _core(ratio: Floats, texel: float) -> Floats:
    """Return (k,) 1 inside a lesion and 0 outside; half at its radius, and soft."""
    edge = max(0.4, _SHARPEST * texel)
    return 1.0 - smooth_step(ratio, 1.0 - edge, 1.0 + edge)


def _bell(ratio: Floats, texel: float) -> Floats:
    """Return (k,) 1 in the middle of a lesion, half at its radius, 0 at 1.9 radii and beyond."""
    wide = np.maximum(ratio - _SHARPEST * texel, 0.0)
    bell = np.exp(-np.log(2.0) * wide**2) - np.exp(-np.log(2.0) * 1.9**2)
    return np.asarray(np.maximum(bell, 0.0) / (1.0 - np.exp(-np.log(2.0) * 1.9**2)), np.float32)


def _dome(
    look: Dome, ratio: Floats, core: Floats, radius: float, texel: float, draw: float
) -> dict[str, Floats]:
    """Return the layers of a dome at distances given in radii; `texel` is in radii too."""
    maps: dict[str, Floats] = {}
    if look.blood[1] > 0.0:
        blood = np.float32(look.blood[0] + draw * (look.blood[1] - look.blood[0]))
        halo = 1.0 - smooth_step(ratio, 0.7, 2.5)
        # Blood thins out to the sides: half at the radius, like the core, but without its rim.
        round_ = _bell(ratio, texel) if look.height > 0.0 else core
        maps["haemoglobin"] = blood * np.maximum(round_, look.halo * halo)
    if look.brown != 0.0:
        brown = browning(np.float32(look.brown * (0.6 + 0.8 * draw)) * core)
        maps["haemoglobin"] = maps.get("haemoglobin", np.float32(0.0)) + brown["haemoglobin"]
        maps["melanin"] = brown["melanin"]
    if look.height != 0.0:
        dome = np.maximum(1.0 - (ratio / _FOOT) ** 2, 0.0) ** 2 if look.height > 0 else core**2
        maps["bump"] = (look.height * radius * dome).astype(np.float32)
    if look.gloss != 0.0:
        maps["specular"] = np.float32(look.gloss) * core
    if look.pus > 0.0:
        soft = max(0.7, _SHARPEST * texel / look.top)
        maps["pus"] = np.float32(look.pus) * (
            1.0 - smooth_step(ratio / look.top, 1.0 - soft, 1.0 + soft)
        )
    return maps


def vessels(
    canvas: Canvas,
    rng: np.random.Generator,
    feature: str,
    places: Floats,
    onset: Floats,
    *,
    width_mm: tuple[float, float],
    length_mm: tuple[float, float],
    blood: float,
    slant: float = 0.35,
) -> list[Spot]:
    """Return telangiectasia: thin crooked vessels, most of them forked.

    Args:
        canvas: to draw on.
        rng: of their courses.
        feature: whose they are.
        places: (k, 3) where each begins, cm on the mean face.
        onset: (k,) severity at which each appears.
        width_mm: least and most.
        length_mm: least and most of a stem.
        blood: haemoglobin in the middle of a vessel so wide that nothing thins it out.
        slant: 0 is any direction, 1 is along gravity.
    """
    made = []
    for place, start in zip(places, onset, strict=True):
        width, length = rng.uniform(*width_mm), rng.uniform(*length_mm)
        heading = rng.uniform(0.0, 2.0 * np.pi)
        heading = (1.0 - slant) * heading + slant * (-0.5 * np.pi)
        stem = _course(rng, np.zeros(2), heading, length)
        fork = stem[int(rng.integers(4, len(stem) - 3))]
        branch = _course(
            rng, fork, heading + rng.choice([-1, 1]) * rng.uniform(0.5, 1.1), 0.6 * length
        )
        forked = rng.uniform() < 0.7
        near = canvas.near(place, 1.15 * length)
        line = _line(near, stem, width)
        if forked:
            line = np.maximum(line, _line(near, branch, 0.75 * width))
        there = line > 0.004
        at, line = near.at[there], line[there]
        maps = {"haemoglobin": np.float32(blood) * line}
        made.append(Spot(feature, "", place, 0.5 * width, float(start), at, line, maps))
    return made


def _course(rng: np.random.Generator, start: Numbers, heading: float, length: float) -> Floats:
    """Return (16, 2) points of a crooked line, mm."""
    along = np.arange(_POINTS) * (length / _POINTS)
    turn = heading + np.cumsum(rng.normal(0.0, 0.2, _POINTS))
    turn += _WINDING * np.sin(2.0 * np.pi * (along / rng.uniform(3.5, 6.0) + rng.uniform()))
    steps = np.stack([np.cos(turn), np.sin(turn)], axis=1) * (length / _POINTS)
    return np.asarray(start + np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)[:-1]]))


def _line(near: Near, points: Numbers, width: float) -> Floats:
    """Return (k,) in [0, 1], how much of a tapering line covers each texel.

    It is blurred by the skin over it, and drawn as wide as the texture can show it: as much wider,
    as much fainter. It comes up from below at one end and goes down at the other.
    """
    a, b = points[:-1], points[1:]
    step = (b - a).astype(np.float32)
    off = np.stack([near.x, near.y], axis=1)[:, None] - a[None].astype(np.float32)
    along = np.clip((off * step).sum(2) / np.maximum((step**2).sum(1), 1e-9), 0.0, 1.0)
    apart = np.hypot(*np.moveaxis(off - along[..., None] * step, -1, 0))
    at = np.linspace(0.0, 1.0, len(a), dtype=np.float32)
    taper = (1.0 - 0.5 * at) * np.float32(width)
    drawn = np.maximum(np.hypot(taper, _SCATTER_MM), 1.5 * near.texel_mm)
    shallow = 0.3 + 0.7 * np.minimum(1.0, 5.0 * np.minimum(at, 1.0 - at))
    share = shallow * np.minimum(1.0, taper / drawn) * np.exp(-((apart / (0.6 * drawn)) ** 2))
    return np.asarray(share.max(1), np.float32)


def erythema(
    canvas: Canvas,
    rng: np.random.Generator,
    zone: Floats,
    *,
    feature: str = "erythema",
    grade: float = 1.0,
    coarse: float = 0.1,
    fine: float = 0.07,
) -> Field:
    """Return redness whose mean over the zone's core is what its grade says.

    Args:
        canvas: to draw on.
        rng: of its mottling.
        zone: (n,) in [0, 1]; the core is where it is above a half.
        feature: its name.
        grade: of erythema at severity 1; the others are multiples, see `erythema_density`.
        coarse: relative unevenness in centimetres.
        fine: and in millimetres.
    """
    wide, small = canvas.noise(rng, 11.0, 22.0), canvas.noise(rng, 1.6, 3.2)
    uneven = zone * np.maximum(1.0 + coarse * wide + fine * small, 0.0)
    core = zone > 0.5 * zone.max()
    curve = tuple(float(x) for x in erythema_density(grade * np.arange(5.0)))
    maps = {"haemoglobin": np.asarray(uneven / uneven[core].mean(), np.float32)}
    return Field(feature, maps, (curve[0], curve[1], curve[2], curve[3], curve[4]))


def browning(amount: Floats) -> dict[str, Floats]:
    """Return the layers of darker skin, by its melanin.

    Along the melanin vector alone skin turns olive. From light to tan skin, `tone_density` rises by
    about as much along the haemoglobin vector, and looks brown.
    """
    return {"melanin": amount, "haemoglobin": _BLOOD_IN_BROWN * amount}


def clusters(canvas: Canvas, rng: np.random.Generator, wavelength_mm: float = 25.0) -> Floats:
    """Return (n,) in [0, 1], where lesions gather."""
    return smooth_step(canvas.noise(rng, wavelength_mm), -0.5, 1.1)


def patch(
    canvas: Canvas,
    rng: np.random.Generator,
    depth_cm: npt.NDArray[np.floating],
    *,
    width_cm: float,
    wander_cm: float,
    wavelengths_mm: tuple[float, ...] = (14.0, 28.0),
) -> Floats:
    """Return (n,) in [0, 1]: a patch with a border that wanders, 0 well outside.

    Args:
        canvas: to draw on.
        rng: of the border.
        depth_cm: (n,) cm inside the zone, negative outside.
        width_cm: half the width over which the border fades.
        wander_cm: how far the border strays from the zone's.
        wavelengths_mm: of the border's turns.
    """
    stray = wander_cm * np.clip(canvas.noise(rng, *wavelengths_mm), -2.0, 2.0)
    return smooth_step(depth_cm + stray, -width_cm, width_cm)


def ragged(
    canvas: Canvas,
    rng: np.random.Generator,
    depth_cm: npt.NDArray[np.floating],
    *,
    width_cm: float,
    wander_cm: float,
    alike: float = 0.0,
) -> Floats:
    """Return (n,) in [0, 1]: a patch that comes apart at its border, as pigment does.

    The mean of three patches, each within a finer and sharper border than the one before: from far
    it fades, from near it has bays, gaps and small islands.

    Args:
        canvas: to draw on.
        rng: of the border.
        depth_cm: (n,) cm inside the zone, negative outside.
        width_cm: half the width over which the softest border fades.
        wander_cm: how far the border strays from the zone's at the longest wavelength.
        alike: share, in [0, 1], of the straying that both sides of the face have in common.
    """
    level, made = np.asarray(depth_cm), np.zeros(len(canvas.place), np.float32)
    both, own = np.float32(alike**0.5), np.float32((1.0 - alike) ** 0.5)
    for wavelength, stray, fade in _RAGGED:
        pair = canvas.noise(rng, wavelength, mirrored=True), canvas.noise(rng, wavelength)
        turn = np.clip(both * pair[0] + own * pair[1], -2.0, 2.0)
        level = level + stray * wander_cm * turn
        made += smooth_step(level, -fade * width_cm, fade * width_cm)
    return np.asarray(made / len(_RAGGED), np.float32)


def plates(canvas: Canvas, rng: np.random.Generator, size_mm: float, *, cover: float) -> Floats:
    """Return (n,) in [0, 1]: flakes of about a size, over a share `cover` of the skin."""
    cracks = np.abs(canvas.noise(rng, 1.6 * size_mm, 2.6 * size_mm))
    where = canvas.noise(rng, 5.0 * size_mm, 11.0 * size_mm)
    level = float(np.quantile(where, 1.0 - cover))
    flakes = smooth_step(cracks, 0.15, 0.8)
    return np.asarray(flakes * smooth_step(where, level - 0.35, level + 0.45))
