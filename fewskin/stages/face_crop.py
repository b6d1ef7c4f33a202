"""Crop each photograph to its face: patches of skin round the whole face, the face, or masked."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fewskin.provenance import DEFAULT_OUT, stage
from fewskin.tables import Schema

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from fewskin.face.crops import Layout, Sheet
    from fewskin.face.landmarks import Landmarks, Reason
    from fewskin.tables import Manifest

    Pixels = npt.NDArray[np.uint8]
    Find = Callable[[Path, Pixels], Landmarks | Reason]

__all__ = ["face_crop"]

log = logging.getLogger(__name__)

_ENOUGH = (
    384  # pixels of the shorter side of what mediapipe looks at; smaller pictures are enlarged
)
_MOST_SHOWN = 60
_CENTRE = "The centre square takes its place."
_INSTEAD = {"patches": _CENTRE, "face": _CENTRE, "masked": "The crop is grey."}
_CROPS = Schema(
    name="crops", required=("image_id", "no_face"), unique=("image_id",), sort=("image_id",)
)


@stage(version=1, inputs=("path",))
def face_crop(
    path: Path,
    *,
    layout: Literal["patches", "face", "masked"] = "patches",
    side: int = 192,
    landmarks: str = "mediapipe",
    out: Path = DEFAULT_OUT,
) -> None:
    """Crop each photograph to its face, for learners that read patches of skin.

    Writes `images/`, a manifest of the same rows (image_id, label, groups, parents and so on),
    `crops.csv` (pose, and the share of each patch that is seen), `findings.csv` and `contact.png`.
    A photograph without a face keeps its row, with a reason in the column `no_face`: its centre
    square takes the place of the face and of every patch, or, masked, all of it is grey.

    Args:
        path: folder of `fewskin ingest`, `check` or `generate`, or a folder a class.
        layout: "patches" (3 x 3 tiles: the whole face in the middle, eight patches of skin round
            it), "face" (set upright, nothing else), or "masked" (patches without brows, eyes, lips,
            hair and background, and without the whole face: what tells who it is).
        side: of a crop, pixels; a multiple of 3 for tiles.
        landmarks: "mediapipe", a .task file of yours, or a folder of landmark files (.npz, .csv or
            .pts) named like the photographs.
    """
    import pandas as pd

    from fewskin.data.images import decode, pixel_sha
    from fewskin.data.source import finding
    from fewskin.face.contact import contact_sheet, strip
    from fewskin.face.fit_folder import finder
    from fewskin.face.pictures import save_png
    from fewskin.paths import atomic_write, runs_dir
    from fewskin.tables import FINDINGS, write_manifest, write_table

    given, findings = _read(path, out)
    columns: list[Mapping[str, str]] = []
    crops: list[Mapping[str, str]] = []
    shown: list[tuple[str, Pixels]] = []
    with finder(landmarks, runs_dir() / "landmarks") as find:
        for i, image_id in enumerate(given.rows["image_id"]):
            pixels, name = decode(given.path(i)), f"images/{i:06d}.png"
            face = _found(find, given.path(i), pixels, enlarge=not Path(landmarks).is_dir())
            sheet, reason = _sheet(pixels, face, side, layout)
            if reason:
                detail = f"{reason.code}: {reason.text} {_INSTEAD[layout]}"
                findings.append(finding("no_face", detail, image_id=image_id, path=name))
            code = reason.code if reason else ""
            save_png(out / name, sheet.pixels)
            sha = pixel_sha(sheet.pixels)
            columns.append({"path": name, "pixel_sha": sha, "layout": layout, "no_face": code})
            crops.append({"image_id": image_id, "no_face": code, **_about(sheet, face)})
            if len(shown) < _MOST_SHOWN:
                shown.append((f"{image_id} {code}", strip([pixels, sheet.pixels])))
            if i % 100 == 99:
                log.info("face_crop: %d of %d photographs", i + 1, len(given.rows))
    atomic_write(out / "contact.png", contact_sheet(shown))
    write_table(
        pd.DataFrame(findings, columns=list(FINDINGS.required)), out / "findings.csv", FINDINGS
    )
    write_table(pd.DataFrame(crops), out / "crops.csv", _CROPS)
    # A mask of the photograph does not lie on its crop.
    made = pd.DataFrame(columns, index=given.rows.index).assign(mask_path="")
    write_manifest(given.rows.assign(**made), out)


def _read(path: Path, out: Path) -> "tuple[Manifest, list[Mapping[str, str]]]":
    """Return the rows of a manifest or of a folder a class, and what is known of them."""
    from fewskin.data.images import decode
    from fewskin.data.source import finding
    from fewskin.data.sources.folder import folder
    from fewskin.errors import DataError, ImageError
    from fewskin.tables import FINDINGS, MANIFEST, Manifest, read_manifest, read_table, validate

    if path.is_file() or (path / "manifest.csv").is_file():
        given = read_manifest(path)
        earlier = given.folder / "findings.csv"
        known = read_table(earlier, FINDINGS) if earlier.is_file() else None
        return given, [] if known is None else _dictionaries(known)
    found = folder(path, out=out)
    findings = _dictionaries(found.findings)
    sound = []
    for image_id, name in zip(found.rows["image_id"], found.rows["path"], strict=True):
        try:
            decode(found.root / name)
            sound.append(True)
        except ImageError as error:
            findings.append(finding("corrupt", str(error), image_id=image_id, path=name))
            sound.append(False)
    if not any(sound):
        raise DataError(f"{path}: no image can be read; the last: {findings[-1]['detail']}")
    return Manifest(validate(found.rows[sound], MANIFEST), found.root, out), findings


def _dictionaries(rows: "pd.DataFrame") -> list[Mapping[str, str]]:
    return [{str(key): str(value) for key, value in row.items()} for row in rows.to_dict("records")]


def _found(find: "Find", file: Path, pixels: "Pixels", *, enlarge: bool) -> "Landmarks | Reason":
    """Return the face of a photograph, looked for at a size at which it can be found."""
    from dataclasses import replace

    import numpy as np
    from PIL import Image

    from fewskin.face.fit_folder import MAX_SIDE
    from fewskin.face.landmarks import Reason

    height, width = pixels.shape[:2]
    times = min(MAX_SIDE / max(height, width), max(1.0, _ENOUGH / min(height, width)))
    if times == 1.0 or not enlarge:
        return find(file, pixels)
    size = (max(1, round(width * times)), max(1, round(height * times)))
    found = find(file, np.array(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)))
    if isinstance(found, Reason):
        return found
    back = np.array([width / size[0], height / size[1], width / size[0]], np.float32)
    irises = None if found.irises is None else found.irises * back
    return replace(found, points=found.points * back, irises=irises)


def _sheet(
    pixels: "Pixels", face: "Landmarks | Reason", side: int, layout: "Layout"
) -> "tuple[Sheet, Reason | None]":
    from fewskin.errors import DataError
    from fewskin.face.crops import faceless_sheet, tile_sheet
    from fewskin.face.landmarks import Reason

    if not isinstance(face, Reason):
        try:
            return tile_sheet(pixels, face, side=side, layout=layout), None
        except DataError as error:
            face = Reason("unreadable", str(error))
    return faceless_sheet(pixels, side=side, layout=layout), face


def _about(sheet: "Sheet", face: "Landmarks | Reason") -> dict[str, str]:
    """Return a row's pose and the share of each place that is seen."""
    from fewskin.face.crops import PLACES
    from fewskin.face.landmarks import Reason, pose_of

    named = ("yaw_deg", "pitch_deg", "roll_deg")
    angles = ("",) * 3
    if not isinstance(face, Reason):
        yaw, pitch, roll = (f"{angle:.1f}" for angle in pose_of(face.points))
        angles = (yaw, pitch, roll)
    seen = {
        f"seen: {name}": f"{sheet.visible[name]:.2f}" if sheet.visible else "" for name in PLACES
    }
    return {**dict(zip(named, angles, strict=True)), **seen}
