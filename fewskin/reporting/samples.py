"""Real and generated photographs side by side: what each arm adds to a class."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fewskin.data.images import decode, square
from fewskin.reporting.blocks import Block, Section, Strips, Text
from fewskin.reporting.study import Study
from fewskin.tables import Manifest, Schema, read_manifest, read_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["sample_section"]

_MOST = 8  # images of a class in a row
_GAP = 4  # pixels between images
_LEAST = 64  # pixels; the pixels of smaller images are repeated, not blurred
_SUPPORT = Schema(name="support", required=("image_id", "label"), sort=("image_id",))


@dataclass(frozen=True)
class _Source:
    """One arm's generated images: the arm, what they were made for, and where they are."""

    arm: str
    order: int
    purpose: tuple[int, int]  # K and draw; -1 when unknown
    manifest: Manifest
    adapted: Path | None


def sample_section(study: Study) -> Section:
    """Return strips of real support images next to generated ones, class by class."""
    return Section("What the images look like", "samples", tuple(_samples(study)))


def _samples(study: Study) -> Iterator[Block]:
    sources = _one_each(study)
    if not sources:
        yield Text("No generated images were given to this report.", "note")
        return
    shots, draw = sources[0].purpose
    which = f" (K = {shots}, draw {draw})" if draw >= 0 else ""
    yield Text(
        f"The real support images of one draw{which} and the first images each arm made from them, "
        f"at most {_MOST} a class, at the size the learners see. They were not picked by hand: "
        "real ones are in the order of their ids, generated ones in the order in which they were "
        "made."
    )
    size = _size(study, sources)
    for label in sorted({label for source in sources for label in source.manifest.rows["label"]}):
        rows = [("real support", _strip(_real(study.bundle.manifest, sources, label), size))]
        rows += [
            (source.arm, _strip(_generated(source.manifest, label), size)) for source in sources
        ]
        yield Strips(study.name("samples", label), label, rows)


def _one_each(study: Study) -> list[_Source]:
    found = sorted(
        (_source(study, folder) for folder in study.bundle.folders["generated"]),
        key=lambda source: (source.order, source.arm, -source.purpose[0], source.purpose[1]),
    )
    first = {source.arm: source for source in reversed(found) if len(source.manifest.rows)}
    return [source for source in found if first.get(source.arm) is source]


def _source(study: Study, folder: Path) -> _Source:
    records = study.bundle.records
    made = records.get(folder, {})
    adapted = (made.get("inputs") or {}).get("adapted")
    params = records.get(Path(adapted), {}).get("params", {}) if adapted else {}
    manifest = read_manifest(folder)
    arm = _arm_name(study.bundle.settings, params.get("generator"), manifest.rows)
    names = [name for name, _ in study.arms.keys]
    order = names.index(arm) if arm in names else len(names)
    ratio = float((made.get("params") or {}).get("ratio", 1.0))
    label = study.arms.label(arm, ratio) if (arm, ratio) in study.arms.keys else arm
    purpose = (int(params.get("shots", -1)), int(params.get("draw", -1)))
    return _Source(label, order, purpose, manifest, Path(adapted) if adapted else None)


def _arm_name(settings: Mapping[str, Any], generator: object, rows: "pd.DataFrame") -> str:
    for name, arm in (settings.get("arms") or {}).items():
        if generator is not None and arm.get("generator") == generator:
            return str(name)
    made_by = str(rows["made_by"].iloc[0]) if len(rows) else ""
    return {"copies": "real_copies"}.get(made_by, made_by or "generated")


def _size(study: Study, sources: Sequence[_Source]) -> int:
    planned = study.bundle.settings.get("image_size")
    if planned:
        return int(planned)
    return min(128, len(decode(sources[0].manifest.path(0))))


def _real(manifest: Manifest, sources: Sequence[_Source], label: str) -> list[Path]:
    position = {image_id: i for i, image_id in enumerate(manifest.rows["image_id"])}
    chosen = [image_id for image_id in _support_ids(sources, label) if image_id in position]
    return [manifest.path(position[image_id]) for image_id in chosen[:_MOST]]


def _support_ids(sources: Sequence[_Source], label: str) -> list[str]:
    for source in sources:
        table = source.adapted / "support.csv" if source.adapted else None
        if table is not None and table.is_file():
            rows = read_table(table, _SUPPORT)
            return rows["image_id"][rows["label"] == label].tolist()
    parents = {
        parent
        for source in sources
        for ids in source.manifest.rows["parent_ids"][source.manifest.rows["label"] == label]
        for parent in ids.split(";")
    }
    return sorted(parents)


def _generated(manifest: Manifest, label: str) -> list[Path]:
    rows = manifest.rows
    chosen = np.flatnonzero(rows["label"] == label).tolist()
    # Ids end in the number of the image: -10 comes after -9.
    chosen.sort(key=lambda i: (len(rows["image_id"].iloc[i]), rows["image_id"].iloc[i]))
    return [manifest.path(i) for i in chosen[:_MOST]]


def _strip(files: Sequence[Path], size: int) -> bytes:
    from PIL import Image

    scale = max(1, _LEAST // size)
    images: list[npt.NDArray[np.uint8]] = [
        square(decode(file), size).repeat(scale, axis=0).repeat(scale, axis=1) for file in files
    ]
    size *= scale
    width = max(1, len(images) * (size + _GAP) - _GAP)
    strip = np.zeros((size, width, 4), dtype=np.uint8)  # clear between the images
    for i, image in enumerate(images):
        left = i * (size + _GAP)
        strip[:, left : left + size, :3] = image
        strip[:, left : left + size, 3] = 255
    buffer = io.BytesIO()
    Image.fromarray(strip).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
