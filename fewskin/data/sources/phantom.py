"""Simulated patients, made from a seed: four common and three rare look-alike conditions.

Facts: 7 classes; patient ids; Apache-2.0; rosacea is a class (simulated).
"""

import itertools
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from fewskin.data.phantom import COMMON, RARE, Patient, make_patient, take_photograph
from fewskin.data.phantom_faces import COMMON_FACES, RARE_FACES
from fewskin.data.source import SourceRead, source_read
from fewskin.errors import ConfigError

__all__ = ["phantom"]


def phantom(
    path: Path | None = None,
    *,
    out: Path,
    n_common: int = 60,
    n_rare: int = 60,
    photographs: int = 2,
    size: int = 96,
    view: Literal["close-up", "face"] = "face",
    seed: int = 0,
    workers: int = 2,
) -> SourceRead:
    """Draw simulated patients and write their photographs.

    Faces have `masks/` of the condition (in column `mask_path`) and of the face, and `landmarks/`,
    which `fewskin face fit landmarks=` reads.

    Args:
        path: not used; the phantom has no input.
        out: folder to write `images/` into.
        n_common: patients in each of acne, healthy, melasma and seborrhoeic_dermatitis; of
            close-ups acne, eczema, healthy and psoriasis.
        n_rare: patients in each of lupus, perioral, rosacea.
        photographs: photographs of each patient, 1 or more.
        size: side of a photograph in pixels, 32 to 1024.
        view: the whole "face", or a "close-up" of 30 mm of skin.
        seed: of everything.
        workers: threads; the images do not depend on it.

    Raises:
        ConfigError: a number is out of range.
    """
    _check(
        n_common=(n_common, 1, 999),
        n_rare=(n_rare, 1, 999),
        photographs=(photographs, 1, 99),
        size=(size, 32, 1024),
        workers=(workers, 1, 64),
    )
    if view not in ("close-up", "face"):
        raise ConfigError(f"source phantom: view={view!r}, expected close-up or face.")
    close = view == "close-up"
    write = _write if close else _write_face
    common, rare = (COMMON, RARE) if close else (COMMON_FACES, RARE_FACES)
    counts = {**dict.fromkeys(common, n_common), **dict.fromkeys(rare, n_rare)}
    patients = [make_patient(label, i, seed=seed) for label, n in counts.items() for i in range(n)]
    (out / "images").mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(workers) as pool:
        made = pool.map(lambda patient: write(patient, out, photographs, size, seed), patients)
        return source_read(list(itertools.chain.from_iterable(made)), out)


def _check(**ranges: tuple[int, int, int]) -> None:
    for name, (value, low, high) in ranges.items():
        if not low <= value <= high:
            raise ConfigError(f"source phantom: {name}={value}, expected {low} to {high}.")


def _write(
    patient: Patient, out: Path, photographs: int, size: int, seed: int
) -> list[Mapping[str, str]]:
    from PIL import Image

    rows = []
    for photo in range(photographs):
        image_id = f"{patient.patient_id}-{photo}"
        pixels = take_photograph(patient, photo, size=size, seed=seed)
        Image.fromarray(pixels).save(out / "images" / f"{image_id}.png", compress_level=1)
        rows.append(_row(patient, image_id, seed))
    return rows


def _write_face(
    patient: Patient, out: Path, photographs: int, size: int, seed: int
) -> list[Mapping[str, str]]:
    from fewskin.data.phantom_faces import take_face
    from fewskin.face.landmark_files import write_landmarks
    from fewskin.face.landmarks import Landmarks
    from fewskin.face.pictures import save_png

    rows: list[Mapping[str, str]] = []
    for photo in range(photographs):
        image_id = f"{patient.patient_id}-{photo}"
        made = take_face(patient, photo, size=size, seed=seed)
        save_png(out / "images" / f"{image_id}.png", made.pixels)
        save_png(out / "masks" / f"{image_id}.png", made.condition)
        save_png(out / "masks" / f"{image_id}_face.png", made.face)
        (out / "landmarks").mkdir(exist_ok=True)
        write_landmarks(Landmarks(made.landmarks), out / "landmarks" / f"{image_id}.npz")
        more = {"view": "face", "mask_path": f"masks/{image_id}.png"}
        rows.append({**_row(patient, image_id, seed), **more})
    return rows


def _row(patient: Patient, image_id: str, seed: int) -> Mapping[str, str]:
    return {
        "image_id": image_id,
        "path": f"images/{image_id}.png",
        "label": patient.label,
        "patient_id": patient.patient_id,
        "source": "simulated",
        "made_by": "phantom",
        "seed": str(seed),
        "dataset": "phantom",
        "view": "close-up",
        "device": patient.device,
        "age": str(patient.age),
        "sex": patient.sex,
        "skin_tone": patient.skin_tone,
        "severity": str(patient.severity),
        "dx_basis": "simulated",
        "licence": "Apache-2.0",
        "ita_deg": f"{patient.ita_deg:.1f}",
    }
