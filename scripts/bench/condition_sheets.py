#!/usr/bin/env python
"""What the conditions look like, and whether they lie where they should: sheets and numbers.

    python scripts/bench/condition_sheets.py --out DIR [--path DIR] [--model FILE]

A sheet a condition and size: light, medium and dark skin, each healthy and at three severities; and
`all.jpg`, all conditions small. The people are photographs of --path, chosen by the typology angle
(ITA) of their cheeks, or painted (simulated) ones without it. `numbers.json`, and on the screen:

dial: mean rise of a*, fall of L* over the core of the condition in the pictures, by severity.
edges: width of the sharpest edges, px: the step of brightness over the slope, of what the condition
changes and of the healthy picture itself (eyes, lips, brows). The first should not be narrower for
patches; a thin line or dot measures .66 of an edge through the same lens (1.65 to 2.51 sigma).
vessels: Michelson contrast of the middles of telangiectasia against skin 3 to 6 px from any vessel.
gloss: light on papules over that of the same skin in health, 99th centile.
anatomy: share of a condition's blood or pigment in a zone over the zone's share of the skin, on the
mean face, mean of six people: 0 is spared, 1 is like elsewhere.
"""

import argparse
import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import binary_dilation, gaussian_filter, maximum_filter, minimum_filter

from fewskin.data.images import decode
from fewskin.data.source import list_images
from fewskin.errors import DataError
from fewskin.face.affected import affected
from fewskin.face.affected_portrait import sitter_of
from fewskin.face.analytic import analytic_head
from fewskin.face.anatomy import Anatomy
from fewskin.face.canvas import canvas_of
from fewskin.face.condition import present
from fewskin.face.finder_error import corrected
from fewskin.face.geometry import load_geometry
from fewskin.face.landmark_model import landmark_model
from fewskin.face.landmarks import Landmarks
from fewskin.face.mediapipe_provider import MediapipeProvider
from fewskin.face.painted import paint_person
from fewskin.face.people import shrunk
from fewskin.face.pictures import as_linear, as_pixels
from fewskin.face.portrait import portrait_of
from fewskin.face.presentation import Presentation, Severity
from fewskin.face.scene import still
from fewskin.face.subject import Subject, subject_of
from fewskin.functional.colour import ita, linear_to_lab
from fewskin.functional.pose import frontal_view
from fewskin.seeding import rng_for

SIDE, ANATOMY_SIDE, N_PEOPLE = 1024, 512, 6
SEVERITIES: Final = (1.0, 2.5, 4.0)
TONES: Final = {"light": (60.0, 0.12), "medium": (36.0, 0.5), "dark": (-20.0, 0.92)}  # ITA, tone
MOST_UNEVEN_DEG, FRAME = 20.0, 1.35  # of cheeks in even light; side of a picture over the face's
SHEETS: Final = {
    "rosacea": ("rosacea", ""),
    "rosacea_erythema": ("rosacea", "erythema"),
    "rosacea_papules": ("rosacea", "papules"),
    "rosacea_telangiectasia": ("rosacea", "telangiectasia"),
    "rosacea_phyma": ("rosacea", "phyma"),
    **{
        name: (name, "")
        for name in ("acne", "seborrhoeic_dermatitis", "lupus", "perioral", "sunburn", "flush")
    },
    "melasma": ("melasma", ""),
    "make_up": ("make_up", ""),
}
# Condition, what is said, map, zone on the mean face.
Zone = Callable[[Anatomy], Any]
ANATOMY: Final[tuple[tuple[str, str, str, Zone], ...]] = (
    ("rosacea", "spares 5 mm about the eyes", "blood", lambda f: (f.eyes < 0) & (f.eyes > -0.5)),
    ("rosacea", "spares 5 mm about the mouth", "blood", lambda f: (f.mouth < 0) & (f.mouth > -0.5)),
    ("rosacea", "spares the jaw", "blood", lambda f: f.jaws > 0.8),
    ("rosacea", "prefers the cheeks", "blood", lambda f: f.cheeks > 0.6),
    ("rosacea", "prefers the nose", "blood", lambda f: f.nose > 0.3),
    ("lupus", "spares the nasolabial folds", "blood",
     lambda f: (f.folds < 0.3) & (f.canvas.place[:, 1] > -2.5)),
    ("lupus", "spares the lids", "blood", lambda f: (f.eyes < 0) & (f.eyes > -0.5)),
    ("lupus", "prefers the cheekbones", "blood", lambda f: f.malar > 0.6),
    ("lupus", "prefers the back of the nose", "blood", lambda f: f.bridge > 0.2),
    ("perioral", "spares 2.5 mm along the lips", "blood",
     lambda f: (f.mouth < 0) & (f.mouth > -0.25)),
    ("perioral", "spares the cheekbones", "blood", lambda f: f.malar > 0.8),
    ("perioral", "prefers the skin about the mouth", "blood",
     lambda f: (f.mouth < -0.6) & (f.mouth > -1.4) & ~f.canvas.lips),
    ("seborrhoeic_dermatitis", "spares the cheekbones", "blood", lambda f: f.malar > 0.9),
    ("seborrhoeic_dermatitis", "prefers the nasolabial folds", "blood",
     lambda f: (f.folds < 0.3) & (f.canvas.place[:, 1] > -2.0)),
    ("seborrhoeic_dermatitis", "prefers the brows", "blood", lambda f: f.brows > 0.0),
    ("seborrhoeic_dermatitis", "prefers the glabella", "blood", lambda f: f.glabella > 0.1),
    ("acne", "spares the lids", "blood", lambda f: (f.eyes < 0) & (f.eyes > -0.5)),
    ("acne", "spares the lips", "blood", lambda f: f.canvas.lips),
    ("flush", "spares the lids", "blood", lambda f: (f.eyes < 0) & (f.eyes > -0.4)),
    ("flush", "spares the lips", "blood", lambda f: f.canvas.lips),
    ("sunburn", "spares the lids", "blood", lambda f: (f.eyes < 0) & (f.eyes > -0.15)),
    ("sunburn", "spares under the nose and chin", "blood",
     lambda f: f.canvas.normal[:, 1] < -0.5),
    ("sunburn", "prefers the forehead", "blood", lambda f: f.mid_forehead > 0.5),
    ("melasma", "spares the lids", "pigment", lambda f: (f.eyes < 0) & (f.eyes > -0.4)),
    ("melasma", "spares the philtrum", "pigment",
     lambda f: (abs(f.canvas.place[:, 0]) < 0.2) & (f.upper_lip > 0.1)),
    ("melasma", "prefers the cheekbones", "pigment", lambda f: f.malar > 0.6),
    ("melasma", "prefers the upper lip's sides", "pigment",
     lambda f: (abs(f.canvas.place[:, 0]) > 0.7) & (f.upper_lip > 0.2)),
    ("make_up", "spares the nasolabial folds", "blood",
     lambda f: (f.folds < 0.3) & ~f.canvas.lips),
    ("make_up", "prefers the lips", "blood", lambda f: f.canvas.lips),
)  # fmt: skip


@dataclass(frozen=True)
class Sitting:
    """A person to look at: `take` returns linear RGB and the masks of features."""

    name: str
    tone: str
    ita_deg: float
    model: Any
    take: Callable[[Presentation, Severity, int], tuple[Any, dict[str, Any]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--path", type=Path, metavar="DIR", help="photographs; else painted people")
    parser.add_argument("--names", nargs=3, help="files of light, medium and dark skin instead")
    parser.add_argument("--model", default="landmark", help="landmark, analytic or an .npz file")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--size", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--only", nargs="+", choices=SHEETS, default=list(SHEETS))
    parser.add_argument("--skip-numbers", action="store_true")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    people = photographed(args.path, args.names, args.model) if args.path else painted()
    for one in people:
        print(f"{one.tone}: {one.name}, ITA {one.ita_deg:.0f}", flush=True)
    numbers: dict[str, Any] = {"people": [[p.tone, p.name, p.ita_deg] for p in people]}
    for name in args.only:
        numbers[name] = sheets(name, people, args.size, args.out)
        print(name, json.dumps(numbers[name]), flush=True)
    overview(args.out, args.only, max(args.size))
    if not args.skip_numbers:
        numbers["anatomy"] = anatomy()
        for row in numbers["anatomy"]:
            print("| {condition} | {statement} | {share:.2f} |".format(**row))
    (args.out / "numbers.json").write_text(json.dumps(numbers, indent=1) + "\n")


def painted() -> list[Sitting]:
    """Return a simulated person of each tone."""
    return [_painted(name, tone) for name, (_, tone) in TONES.items()]


def _painted(name: str, tone: float) -> Sitting:
    person = paint_person(rng_for(0, "condition sheets", name), tone, SIDE)

    def take(condition: Presentation, severity: Severity, size: int) -> Any:
        view = frontal_view((size, size), distance_cm=60.0, span_cm=19.0)
        made = affected(person, condition, severity, view).render
        return made.image, dict(made.masks)

    angle = float(ita(linear_to_lab(10.0 ** -np.median(person.density[person.skin > 0.9], axis=0))))
    return Sitting("simulated", name, angle, person.model, take)


def photographed(path: Path, names: list[str] | None, model: str) -> list[Sitting]:
    """Return three people of a folder: those named, or in even light the nearest to each tone.

    Raises:
        DataError: a folder with fewer faces than tones.
    """
    files, found = list_images(path), []
    with MediapipeProvider() as provider:
        for name in names or files.paths:
            image = shrunk(decode(files.root / name), 1024)
            (face,) = provider.detect([image])
            if isinstance(face, Landmarks):
                angles = cheek_ita(image, face)
                if names or np.ptp(angles) <= MOST_UNEVEN_DEG:
                    found.append((str(name), *framed(image, corrected(face)), float(max(angles))))
    if len(found) < len(TONES):
        raise DataError(f"{path}: {len(found)} faces in even light, expected {len(TONES)}.")
    made = []
    for tone, (angle, _) in TONES.items():
        best = found[0] if names else min(found, key=lambda one: abs(one[3] - angle))
        found = [one for one in found if one is not best]
        made.append(_photographed(tone, best, model))
    return made


def cheek_ita(image: Any, face: Landmarks) -> Any:
    """Return (4,) typology angle at places of a photograph's cheeks, degrees, in its light."""
    at = np.round(face.points[[50, 280, 205, 425], :2]).astype(int)
    patches = [image[max(y - 6, 0) : y + 7, max(x - 6, 0) : x + 7] for x, y in at]
    labs = [np.median(linear_to_lab(as_linear(one)).reshape(-1, 3), axis=0) for one in patches]
    return ita(np.stack(labs))


def framed(image: Any, face: Landmarks) -> tuple[Any, Landmarks]:
    """Return the square of a photograph that its face fills, with its landmarks."""
    low, high = (np.nanquantile(face.points[:468, :2], q, axis=0) for q in (0.0, 1.0))
    side = int(min(FRAME * (high - low).max(), *image.shape[:2]))
    corner = np.clip((low + high - side) / 2, 0, np.array(image.shape[1::-1]) - side).astype(int)
    points = face.points.copy()
    points[:, :2] -= corner
    x, y = corner
    return np.ascontiguousarray(image[y : y + side, x : x + side]), Landmarks(points)


def _photographed(tone: str, found: Any, model: str) -> Sitting:
    name, image, face, angle = found
    person: Subject = subject_of(as_linear(image), face, load_geometry(model), side=SIDE)
    sitters: dict[int, Any] = {}

    def take(condition: Presentation, severity: Severity, size: int) -> Any:
        if size not in sitters:
            sitters[size] = sitter_of(portrait_of(person, image, size), SIDE)
        drawn, rng = condition.at(severity), rng_for(0, "condition sheets", name, size)
        made = sitters[size].picture(still(), drawn, rng)
        return as_linear(made.pixels), {"": made.condition, **made.render.masks}

    return Sitting(name, tone, angle, person.model, take)


def sheets(name: str, people: list[Sitting], sizes: list[int], out: Path) -> dict[str, Any]:
    """Write a sheet of a condition at each size; return its numbers at the largest."""
    condition, feature = SHEETS[name]
    numbers: dict[str, Any] = {}
    rows: dict[int, list[list[Any]]] = {size: [] for size in sizes}
    for person in people:
        rng = rng_for(0, "condition sheets", condition, person.tone)
        drawn = present(condition, person.model, rng=rng, side=SIDE)
        for size in sizes:
            dials = [{feature: s} if feature else s for s in (0.0, *SEVERITIES)]
            taken = [person.take(drawn, dial, size) for dial in dials]
            rows[size].append([as_pixels(image) for image, _ in taken])
            numbers[f"{person.tone} {size}"] = looked_at(taken)
    for size in sizes:
        captions = [["healthy", *(f"{name} {s:g}" for s in SEVERITIES)] for _ in people]
        captions = [
            [f"{p.tone}, {c}" for c in row] for p, row in zip(people, captions, strict=True)
        ]
        image = captioned(rows[size], captions)
        image.save(out / f"{name}_{size}.jpg", quality=92)
    return numbers


def captioned(rows: list[list[Any]], captions: list[list[str]]) -> Image.Image:
    """Return pictures in a grid, each with its caption."""
    high, wide = (max(one.shape[k] for row in rows for one in row) for k in (0, 1))
    sheet = Image.new("RGB", (len(rows[0]) * (wide + 2), len(rows) * (high + 14)), (30, 30, 30))
    draw = ImageDraw.Draw(sheet)
    for i, (row, names) in enumerate(zip(rows, captions, strict=True)):
        for k, (one, text) in enumerate(zip(row, names, strict=True)):
            place = (k * (wide + 2), i * (high + 14))
            draw.text((place[0] + 3, place[1] + 1), text, (230, 230, 230))
            sheet.paste(Image.fromarray(one), (place[0], place[1] + 13))
    return sheet


def overview(out: Path, names: list[str], size: int, cell: int = 80) -> None:
    """Write all sheets small: a condition a row, each tone at the three severities beside it."""
    rows, captions = [], []
    for name in names:
        sheet, row = Image.open(out / f"{name}_{size}.jpg"), []
        high, wide = sheet.height // len(TONES), sheet.width // (1 + len(SEVERITIES))
        for tone, k in ((i, k + 1) for i in range(len(TONES)) for k in range(len(SEVERITIES))):
            one = sheet.crop((k * wide, tone * high + 13, k * wide + size, tone * high + 13 + size))
            row.append(np.asarray(one.resize((cell, cell), Image.Resampling.LANCZOS)))
        rows.append(row)
        captions.append([name[:13], *[""] * (len(row) - 1)])
    captioned(rows, captions).save(out / "all.jpg", quality=38)


def looked_at(taken: list[tuple[Any, dict[str, Any]]]) -> dict[str, Any]:
    """Return the numbers of one person: healthy first, then three severities."""
    well, (ill, masks) = taken[0][0], taken[-1]
    seen = np.maximum.reduce(list(masks.values()))
    core = seen > 0.9 if (seen > 0.9).sum() > 50 else seen > 0.5 * seen.max()
    labs = [linear_to_lab(image)[core].mean(0) for image, _ in taken]
    numbers: dict[str, Any] = {
        "rise of a*": [round(float(lab[1] - labs[0][1]), 2) for lab in labs[1:]],
        "rise of L*": [round(float(lab[0] - labs[0][0]), 2) for lab in labs[1:]],
        "edge": edge_width(change(well, ill), seen > 0.02),
        "edge of the picture": edge_width(brightness(well), np.ones(seen.shape, bool)),
    }
    if "telangiectasia" in masks and masks["telangiectasia"].any():
        numbers["vessels"] = vessel_contrast(ill, masks["telangiectasia"])
        numbers["vessels, healthy"] = vessel_contrast(well, masks["telangiectasia"])
    if "papules" in masks and masks["papules"].any():
        papules = masks["papules"] > 0.5
        gain = ill[papules].mean(1) / np.maximum(well[papules].mean(1), 1e-3)
        numbers["gloss"] = round(float(np.quantile(gain, 0.99)), 2)
    return numbers


def brightness(image: Any) -> Any:
    """Return (H, W) log of green light: what blood and pigment absorb most evenly."""
    return np.log10(np.maximum(image[..., 1], 1e-3))


def change(well: Any, ill: Any) -> Any:
    """Return (H, W) what a condition changes, log of green light."""
    return brightness(ill) - brightness(well)


def edge_width(values: Any, where: Any) -> float | None:
    """Return px: the step over 9 px by the steepest slope in it, 5th centile of plain edges.

    The noise of the camera is evened out over .6 px in both.
    """
    even = gaussian_filter(values, 0.6)
    slope = np.hypot(*np.gradient(even))
    step = maximum_filter(even, 9) - minimum_filter(even, 9)
    steepest = maximum_filter(slope, 9)
    plain = where & (step > max(0.03, 0.5 * float(np.quantile(step[where], 0.99))))
    if plain.sum() < 30:
        return None
    return round(float(np.quantile(step[plain] / np.maximum(steepest[plain], 1e-6), 0.05)), 2)


def vessel_contrast(image: Any, mask: Any) -> float:
    """Return the median Michelson contrast of vessels' middles with skin beside them, green."""
    green = np.maximum(image[..., 1], 1e-4)
    ridge = (mask == maximum_filter(mask, 3)) & (mask > 0.5 * mask.max())
    beside = ~binary_dilation(mask > 0.1, iterations=3)
    weight = beside.astype(np.float32)
    near = gaussian_filter(weight * green, 4.0) / np.maximum(gaussian_filter(weight, 4.0), 1e-6)
    ridge &= gaussian_filter(weight, 4.0) > 0.05
    if not ridge.any():
        return float("nan")
    own = green[ridge]
    return round(float(np.median((near[ridge] - own) / (near[ridge] + own))), 4)


def anatomy() -> list[dict[str, Any]]:
    """Return a row for each statement."""
    return [
        {
            "condition": name,
            "statement": text,
            "share": float(np.mean(list(shares(name, kind, at)))),
        }
        for name, text, kind, at in ANATOMY
    ]


@functools.cache
def drawn_layers(name: str, model: Any, k: int) -> Any:
    rng = np.random.default_rng(k)
    return present(name, model, rng=rng, side=ANATOMY_SIDE).at(3.0).layers


def shares(name: str, kind: str, zone: Zone) -> Iterator[float]:
    """Yield, for each model and person, how dense a condition is in a zone relative to the face."""
    for model in (landmark_model(), analytic_head()):
        face = Anatomy(canvas_of(model, ANATOMY_SIDE))
        area = face.canvas.texel_mm**2
        where = zone(face)
        for k in range(N_PEOPLE // 2):
            layers = drawn_layers(name, model, k)
            layer = layers.haemoglobin if kind == "blood" else layers.melanin
            mass = area * np.maximum(layer.ravel()[face.canvas.texel], 0.0)
            yield float(mass[where].sum() / mass.sum() / (area[where].sum() / area.sum()))


if __name__ == "__main__":
    main()
