"""Audit a folder of people made ill: each picture beside the same person in health, and measured.

The twin of a picture is the same person in the same scene, by the same camera, without the
condition. What differs between the two is the condition and nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fewskin.data.images import decode
from fewskin.data.source import finding
from fewskin.errors import DataError, StageError
from fewskin.face.affected_portrait import Sitter, nothing, sitter_of
from fewskin.face.backdrops import read_backgrounds
from fewskin.face.background import Backgrounds
from fewskin.face.condition_folder import AFFECTED
from fewskin.face.extract import extract
from fewskin.face.folder_work import Pixels, Row
from fewskin.face.landmark_files import read_landmarks
from fewskin.face.made_checks import border_energy, correlation, landmark_error, tone
from fewskin.face.model import FaceModel
from fewskin.face.people import FACES, People, Person, read_people
from fewskin.face.pictures import as_linear
from fewskin.face.portrait import portrait_of
from fewskin.face.scene import Scene
from fewskin.face.skin_layers import resized
from fewskin.face.subject import Subject, skin_of
from fewskin.face.zones import zones_of
from fewskin.provenance import stage_record
from fewskin.seeding import rng_for
from fewskin.tables import FINDINGS, Schema, read_table, write_table

__all__ = ["AUDIT", "MadeFolder", "audited", "made_folder", "problems", "write_audit"]

Mask = npt.NDArray[np.bool_]

_MEASURES: Final = (
    *("landmark_error", "confidence", "ita", "ita_shift"),
    *("recovery", "recovery_with_twin", "artefact"),
)
AUDIT: Final = Schema(
    name="face audit",
    required=("image_id", "path", "parent_ids", "condition", *_MEASURES, "dropped"),
    unique=("image_id",),
    sort=("image_id",),
)
_SIDE: Final = 512  # texels at which a condition is looked for
_SURE: Final = 0.5  # confidence of a texel that counts
_HALO_PX: Final = 4  # skin so near to the condition does not count as free of it


@dataclass(frozen=True, eq=False)
class MadeFolder:
    """A result of `fewskin face paint` or `transplant`, and its pictures' faces, found again.

    Attributes:
        folder: of the result.
        people: in health.
        found: the made pictures' own faces; None where none was found.
        why: image_id -> why a made picture has no face.
    """

    folder: Path
    people: People
    found: People | None
    why: Mapping[str, str]

    @cached_property
    def rows(self) -> dict[str, list[dict[str, str]]]:
        """image_id of the healthy photograph -> rows of its pictures."""
        made: dict[str, list[dict[str, str]]] = {}
        for found in read_table(self.folder / "views.csv", AFFECTED).to_dict("records"):
            row = {str(key): str(value) for key, value in found.items()}
            made.setdefault(row["image_id"].rpartition("_")[0], []).append(row)
        return made

    @cached_property
    def record(self) -> Mapping[str, Any]:  # Any: JSON
        """How it was made."""
        found = stage_record(self.folder)
        if found is None or found["stage"] not in ("face_paint", "face_transplant"):
            raise StageError(
                f"{self.folder} is no finished result of `fewskin face paint` or `transplant`."
            )
        return found

    @cached_property
    def behind(self) -> Backgrounds:
        """What is behind the pictures' heads."""
        params, pool = self.record["params"], self.record["inputs"]["pool"]
        return read_backgrounds(params["background"], Path(pool) if pool else None, params["size"])

    @cached_property
    def geometry(self) -> FaceModel | None:
        """The face model."""
        return self.people.geometry()

    def sitter(self, person: Person, subject: Subject) -> Sitter:
        """Return a person as they were before the condition."""
        params = self.record["params"]
        portrait = portrait_of(subject, person.pixels, params["size"], self.behind)
        return sitter_of(portrait, params["side"])


def made_folder(path: Path, landmarks: str, out: Path) -> MadeFolder:
    """Return a folder of made pictures with their faces found again, in `out / "again"`.

    Args:
        path: result of `fewskin face paint` or `transplant`.
        landmarks: as of `fit_folder`.
        out: folder of the result.

    Raises:
        StageError: it is no such folder, or the photographs it was made of are gone.
    """
    from fewskin.face.fit_folder import fit_folder

    record = MadeFolder(path, _NOBODY, None, {}).record
    fit = path / "fit" if (path / "fit").is_dir() else Path(record["inputs"]["path"])
    people, again = read_people(fit), out / "again"
    if not (again / "faces.csv").is_file():
        fit_folder(path / "images", people.model, landmarks, _ANY_SIZE, again)
    table = read_table(again / "faces.csv", FACES)
    why = dict(zip(table["image_id"], table["reason"], strict=True))
    found = read_people(again) if "" in why.values() else None
    return MadeFolder(path, people, found, why)


_ANY_SIZE: Final = 100_000
_NOBODY: Final = People(Path(), Path(), 0, "landmark", ())


def audited(made: MadeFolder, row: Mapping[str, str], sitter: Sitter) -> tuple[Row, list[Pixels]]:
    """Return the measures of one picture; and it, and its twin in health.

    Args:
        made: the folder.
        row: of its table.
        sitter: the person.
    """
    name, scene = row["image_id"], Scene.from_json(row["scene"])
    pixels = decode(made.folder / row["path"])
    rng = rng_for(int(row["seed"]), "camera")
    twin = sitter.picture(scene, nothing(sitter.person.albedo.side), rng).pixels
    masks = {
        one: decode(made.folder / "masks" / f"{name}_{one}.png")[..., 0] >= 128
        for one in ("face", "condition")
    }
    free = masks["face"] & ~_grown(masks["condition"], _HALO_PX)
    measures = {
        "confidence": float(row["confidence"]),
        "ita": tone(pixels, free),
        "ita_shift": tone(pixels, free) - tone(twin, free),
        "artefact": _artefact(pixels, twin, masks),
        "landmark_error": float("nan"),
        "recovery": float("nan"),
        "recovery_with_twin": float("nan"),
    }
    if made.found is not None and made.why.get(name) == "":
        person = made.found.person(name)
        expected = read_landmarks(made.folder / "landmarks" / f"{name}.npz")
        measures["landmark_error"] = landmark_error(expected, person.landmarks)
        measures |= _recovery(made, name, person, twin)
    kept = {key: row[key] for key in ("image_id", "path", "parent_ids", "condition")}
    written = {key: "" if np.isnan(x) else f"{x:.4f}" for key, x in measures.items()}
    return {**kept, **written, "dropped": ""}, [pixels, twin]


def _grown(mask: Mask, px: int) -> Mask:
    from scipy.ndimage import binary_dilation

    return np.asarray(binary_dilation(mask, iterations=px))


def _artefact(pixels: Pixels, twin: Pixels, masks: Mapping[str, Mask]) -> float:
    """Return fine detail along the condition's border, over that of the twin in the same place."""
    ill, well = (border_energy(one, masks["condition"], masks["face"]) for one in (pixels, twin))
    return ill / max(well, 1e-6)


def _recovery(made: MadeFolder, name: str, person: Person, twin: Pixels) -> dict[str, float]:
    """Return the correlation of the blood found in a picture with what was put there.

    The face of both is where it was found in the picture; the twin's skin is the healthy reference.
    """
    with np.load(made.folder / "layers" / f"{name}.npz", allow_pickle=False) as layers:
        put = resized(layers["haemoglobin"].astype(np.float32), _SIDE)
    try:
        (ill, model), (well, _) = (
            skin_of(as_linear(one), person.landmarks, made.geometry, side=_SIDE)
            for one in (person.pixels, twin)
        )
        alone, beside = extract(ill, model), extract(ill, model, healthy=well)
    except DataError:
        return {}
    face, found = zones_of(model, _SIDE).of("face"), {}
    for key, one in (("recovery", alone), ("recovery_with_twin", beside)):
        there = face & (one.confidence > _SURE)
        found[key] = correlation(one.layers.haemoglobin, put, there)
    return found


def problems(row: Mapping[str, str], reason: str, limits: Mapping[str, float | None]) -> str:
    """Return why a picture is not to be used; "" where nothing is wrong.

    Args:
        row: of `AUDIT`.
        reason: why its face was not found again, or "".
        limits: "most_<measure>" or "least_<measure>" -> bound; None for no bound.
    """
    found = [f"no face is found again: {reason}"] if reason else []
    for key, bound in limits.items():
        kind, _, measure = key.partition("_")
        text = row[measure]
        if bound is None or text == "":
            continue
        value = abs(float(text)) if measure == "ita_shift" else float(text)
        if value > bound if kind == "most" else value < bound:
            found.append(f"{measure} {value:.3g}, {kind} {bound:g}")
    return "; ".join(found)


def write_audit(rows: Sequence[Row], made: Path, out: Path) -> None:
    """Write `audit.csv`, `kept.csv` and what was dropped into `findings.csv`.

    Args:
        rows: of `audited`, with their `dropped`.
        made: folder that was audited.
        out: folder of the result; its `findings.csv` is there already.
    """
    import pandas as pd

    table = pd.DataFrame(rows, columns=list(AUDIT.required))
    write_table(table, out / "audit.csv", AUDIT)
    bad = table[table["dropped"] != ""]
    views = read_table(made / "views.csv", AFFECTED)
    good = views[views["image_id"].isin(set(table["image_id"]) - set(bad["image_id"]))]
    write_table(good, out / "kept.csv", AFFECTED)
    dropped = pd.DataFrame(
        [
            finding("dropped", row["dropped"], image_id=row["image_id"], path=row["path"])
            for row in bad.to_dict("records")
        ],
        columns=list(FINDINGS.required),
    )
    found = read_table(out / "findings.csv", FINDINGS)
    write_table(pd.concat([found, dropped]), out / "findings.csv", FINDINGS)
