"""A folder of people made ill: pictures, masks of each feature, annotations, and their table."""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from fewskin.face.affected_portrait import Sitter, Taken, sitter_of
from fewskin.face.annotations import ANNOTATIONS, AnnotatedImage, append_annotations
from fewskin.face.annotations import read_annotations as read_one
from fewskin.face.background import Backgrounds
from fewskin.face.folder_work import Parents, Pixels, Row, each_person
from fewskin.face.landmark_files import write_landmarks
from fewskin.face.people import People, Person
from fewskin.face.pictures import save_png
from fewskin.face.portrait import portrait_of
from fewskin.face.recipes import Recipe
from fewskin.face.scene import VIEWS, draw_scene
from fewskin.face.skin_layers import Layers
from fewskin.face.subject import Subject
from fewskin.paths import atomic_write
from fewskin.seeding import rng_for, seed_for
from fewskin.tables import Schema, write_table

__all__ = ["AFFECTED", "LAYER_SIDE", "Order", "write_affected"]

AFFECTED: Final = Schema(
    name="views",
    required=(*VIEWS.required[:3], "condition", "amounts", "confidence", *VIEWS.required[3:]),
    unique=("image_id",),
    sort=("image_id",),
)
LAYER_SIDE: Final = 256  # texels of the layers that are written
_PART: Final = "parts"

Cook = Callable[[Sitter, np.random.Generator], tuple[Recipe, Sequence[str]]]


@dataclass(frozen=True, eq=False)
class Order:
    """What is to be made of each healthy face.

    Attributes:
        verb: names the stream of seeds.
        condition: for the table.
        cook: sitter and the picture's generator -> condition, and donors by position.
        knobs: of the scene.
        n: pictures of each face.
        size: longer side, pixels.
        side: texels of the condition's layers.
        behind: backgrounds.
        seed: of everything.
    """

    verb: str
    condition: str
    cook: Cook
    knobs: "dict[str, float]"
    n: int
    size: int
    side: int
    behind: Backgrounds
    seed: int


def write_affected(people: People, order: Order, out: Path, *, patients: Path | None) -> None:
    """Write pictures of every healthy face with a condition.

    `images/`, `masks/` (`_condition`, `_face` and one of each feature), `landmarks/` and `layers/`
    (blood and pigment on the texture) of the same names, `annotations.json`, `views.csv`,
    `findings.csv` and `contact.png`. A killed run continues with the next face.

    Args:
        people: healthy, of `read_people`.
        order: what is to be made.
        out: folder of the result.
        patients: see `each_person`.
    """
    import pandas as pd

    def make(person: Person, subject: Subject, parents: Parents) -> tuple[list[Row], list[Pixels]]:
        portrait = portrait_of(subject, person.pixels, order.size, order.behind)
        sitter, rows, pictures, labels = sitter_of(portrait, order.side), [], [], []
        for k in range(order.n):
            row, taken = _one(sitter, person.image_id, k, order, parents)
            rows.append(row)
            pictures.append(taken.pixels)
            labels.append(_written(row, taken, out))
        part = out / _PART / f"{person.image_id}.json"
        part.unlink(missing_ok=True)  # of a run that was killed before it said that it was done
        part.parent.mkdir(parents=True, exist_ok=True)
        append_annotations(part, labels)
        return rows, pictures

    rows = each_person(people, out, make, patients=patients)
    write_table(pd.DataFrame(rows, columns=list(AFFECTED.required)), out / "views.csv", AFFECTED)
    _join(out)


def _one(
    sitter: Sitter, image_id: str, k: int, order: Order, parents: Parents
) -> tuple[Row, Taken]:
    own_seed = seed_for(order.seed, order.verb, image_id, k)
    scene = draw_scene(np.random.default_rng(own_seed), order.knobs, sitter.person.model)
    recipe, donors = order.cook(sitter, rng_for(own_seed, "condition"))
    taken = sitter.picture(scene, recipe.drawn, rng_for(own_seed, "camera"), instances=True)
    used = [donors[at] for at in recipe.used]
    name = f"{image_id}_{k}"
    row = {
        "image_id": name,
        "path": f"images/{name}.png",
        "parent_ids": ";".join(dict.fromkeys([*used, *parents])),
        "condition": order.condition,
        "confidence": f"{taken.confidence:.4f}",
        "amounts": json.dumps({key: round(x, 4) for key, x in recipe.params.items()}),
        "seed": own_seed,
        "background": order.behind.mode,
        "scene": scene.to_json(),
        **scene.params,
    }
    return row, taken


def _written(row: Row, taken: Taken, out: Path) -> AnnotatedImage:
    """Write a picture and its masks; return its annotations."""
    save_png(out / row["path"], taken.pixels)
    for name, mask in taken.masks.items():
        save_png(out / "masks" / f"{row['image_id']}_{name}.png", mask)
    write_landmarks(taken.landmarks, out / "landmarks" / f"{row['image_id']}.npz")
    _write_layers(taken.drawn.layers, out / "layers" / f"{row['image_id']}.npz")
    features = dict(taken.render.masks) or {"condition": taken.condition}
    return AnnotatedImage(
        image_id=row["image_id"],
        file_name=row["path"],
        condition=row["condition"],
        severity=taken.drawn.severity,
        masks=features,
        instances=taken.instances,
    )


def _write_layers(layers: Layers, file: Path) -> None:
    """Write blood and pigment small: what `fewskin face audit` looks for in the picture."""
    step = max(1, layers.side // LAYER_SIDE)
    small = layers.side // step
    maps = {
        name: getattr(layers, name)
        .reshape(small, step, small, step)
        .mean((1, 3))
        .astype(np.float16)
        for name in ("haemoglobin", "melanin")
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **maps)
    atomic_write(file, buffer.getvalue())


def _join(out: Path) -> None:
    """Make one file of the annotations of all people, with numbers that do not depend on a kill."""
    import shutil

    whole: dict[str, Any] = {"info": {}, "images": [], "annotations": [], "categories": []}
    kinds: dict[tuple[str, str], int] = {}
    for file in sorted((out / _PART).glob("*.json")):
        part = read_one(file)
        whole["info"] = part["info"]
        new = {}
        for one in part["categories"]:
            key = (one["supercategory"], one["name"])
            if key not in kinds:
                kinds[key] = len(kinds) + 1
                whole["categories"].append({**one, "id": kinds[key]})
            new[one["id"]] = kinds[key]
        first, start = len(whole["images"]), len(whole["annotations"])
        whole["images"] += [{**one, "id": one["id"] + first} for one in part["images"]]
        for one in part["annotations"]:
            moved = {"id": one["id"] + start, "image_id": one["image_id"] + first}
            whole["annotations"].append({**one, **moved, "category_id": new[one["category_id"]]})
    atomic_write(out / ANNOTATIONS, json.dumps(whole, separators=(",", ":"), sort_keys=True) + "\n")
    shutil.rmtree(out / _PART, ignore_errors=True)
