#!/usr/bin/env python
"""How well faces are fitted and re-rendered: a table over a folder of photographs.

    python scripts/bench/faces.py --path DIR [--model FILE] [--every N] [--json FILE]

For each photograph in which a face is found: the fit's error, % of inter-ocular distance (rms); the
picture in the photograph's own pose against the photograph, PSNR in dB over the pixels that the
face's mesh covers; and at yaw -45 to 45 how far the landmarks found anew in the picture are from
those that were drawn, mean, % of the eyes' distance in space: as the finder gives them, and without
the error that it makes on every turned head (`fewskin.face.finder_error`, learned on the other two
thirds of these faces when every third is taken), of all and of those that the picture shows. The
fit takes corrected landmarks. Heads found at more than 50 degrees count as found here, while
a photograph of one is refused as a profile. Masks: how far the middle of the drawn mask of the lips
is from that of the lips found anew at yaw 0, pixels at 256. Medians and worst cases; CPU time of
fit, texture and picture.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fewskin.data.images import decode
from fewskin.data.source import list_images
from fewskin.errors import DataError
from fewskin.face.finder_error import corrected
from fewskin.face.geometry import fitted, load_geometry
from fewskin.face.landmark_checks import Limits
from fewskin.face.landmarks import Landmarks, inter_ocular
from fewskin.face.mediapipe_provider import MediapipeProvider
from fewskin.face.people import shrunk
from fewskin.face.pictures import as_linear, as_pixels
from fewskin.face.render import Render
from fewskin.face.subject import Subject, subject_of
from fewskin.face.topology import LIPS_OUTER
from fewskin.functional.pose import angles_of

SIZE, YAWS = 512, (0, -15, 15, -30, 30, -45, 45)
Row = dict[str, float]
_TURNED = Limits(max_yaw_deg=90.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--path", type=Path, required=True, metavar="DIR")
    parser.add_argument("--model", default="landmark", help="landmark, analytic or an .npz file")
    parser.add_argument("--every", type=int, default=1, help="take every n-th photograph")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there")
    args = parser.parse_args()
    geometry, rows = load_geometry(args.model), list[Row]()
    files = list_images(args.path)
    with MediapipeProvider() as provider, MediapipeProvider(limits=_TURNED) as turned:
        for name in files.paths[:: args.every]:
            image = shrunk(decode(files.root / name), 1024)
            found = provider.detect([image])[0]
            if not isinstance(found, Landmarks):
                print(f"{name}: {found.code}, {found.text}", flush=True)
                continue
            try:
                rows.append(measured(image, corrected(found), geometry, turned))
            except DataError as error:
                print(f"{name}: {error}", flush=True)
    table = summary(rows, args.model)
    show(table, len(rows))
    if args.json:
        args.json.write_text(json.dumps(table, indent=1) + "\n")


def timed(make: Callable[[], Any]) -> tuple[Any, float]:
    started = time.process_time()
    made = make()
    return made, 1000.0 * (time.process_time() - started)


def measured(image: Any, face: Landmarks, geometry: Any, provider: MediapipeProvider) -> Row:
    """Return the figures of one photograph."""
    size = image.shape[:2]
    _, fit_ms = timed(lambda: fitted(geometry, face, size))
    subject, subject_ms = timed(lambda: subject_of(as_linear(image), face, geometry))
    row: Row = {"fit rms, %": 100.0 * subject.fit.rms_iod}
    own, _ = timed(lambda: subject.picture(subject.fit.view))
    inside = own.region("face", "lips", "eyes", "mouth") > 0.99
    error = (as_pixels(own.image)[inside] / 255.0 - image[inside] / 255.0) ** 2
    row["own pose, PSNR dB"] = float(-10.0 * np.log10(error.mean()))
    for yaw in YAWS:
        row |= again(subject, yaw, provider)
    view = subject.fit.view.scaled(256 / max(size))
    _, picture_ms = timed(lambda: subject.picture(view))
    return row | {
        "fit, ms": fit_ms,
        "fit and texture, ms": subject_ms,
        "picture 256, ms": picture_ms,
    }


def again(subject: Subject, yaw: float, provider: MediapipeProvider) -> Row:
    """Return how far landmarks found in a new picture are from those that were drawn."""
    _, pitch, roll = angles_of(subject.fit.view.rotation)
    view = subject.fit.view.scaled(SIZE / max(subject.fit.view.size)).posed(yaw, pitch, roll)
    made = subject.picture(view)
    found = provider.detect([as_pixels(made.image)])[0]
    drawn = view.project(subject.model.landmarks(subject.fit.vertices))
    space = Landmarks(subject.model.landmarks(subject.fit.vertices))
    unit = inter_ocular(space) * view.focal_px / np.median(drawn[:, 2])
    names = [f"yaw {yaw}, {kind}, %" for kind in ("as found", "corrected", "corrected and shown")]
    if not isinstance(found, Landmarks):
        return dict.fromkeys(names, float("nan"))
    as_found, off = (
        100.0 / unit * np.linalg.norm(one.points[:, :2] - drawn[:, :2], axis=1)
        for one in (found, corrected(found))
    )
    means = np.nanmean(as_found), np.nanmean(off), off[shown(made, drawn)].mean()
    row = dict(zip(names, map(float, means), strict=True))
    if yaw == 0:
        mask = made.region("lips", "mouth")
        rows, columns = np.indices(mask.shape) + 0.5
        middle = np.array([(mask * columns).sum(), (mask * rows).sum()]) / mask.sum()
        ring = found.points[list(LIPS_OUTER), :2]
        apart = np.linalg.norm(middle - centroid(ring)) * 256 / SIZE
        row["lips mask, px at 256"] = float(apart)
    return row


def shown(made: Render, drawn: Any) -> Any:
    """Return (468,) whether a landmark is in front, to half a centimetre, in the picture."""
    height, width = made.depth.shape
    column, row = (np.clip(drawn[:, i].astype(int), 0, n - 1) for i, n in ((0, width), (1, height)))
    return drawn[:, 2] < made.depth[row, column] + 0.5


def centroid(ring: Any) -> Any:
    """Return the centroid of a closed polygon, (n, 2)."""
    after = np.roll(ring, -1, axis=0)
    cross = ring[:, 0] * after[:, 1] - after[:, 0] * ring[:, 1]
    return ((ring + after) * cross[:, None]).sum(0) / (3.0 * cross.sum())


def summary(rows: list[Row], model: str) -> list[dict[str, Any]]:
    """Return one row a figure; the worst is the largest, of PSNR the least."""
    made = []
    for name in rows[0]:
        values = np.array([row.get(name, np.nan) for row in rows], dtype=float)
        worst = np.nanmin(values) if "PSNR" in name else np.nanmax(values)
        made.append(
            {
                "name": name,
                "model": Path(model).stem,
                "median": round(float(np.nanmedian(values)), 2),
                "worst": round(float(worst), 2),
                "n": int(np.isfinite(values).sum()),
                "not_found": int(np.isnan(values).sum()),
                "machine": f"{platform.machine()} {os.cpu_count()} cores",
            }
        )
    return made


def show(table: list[dict[str, Any]], n: int) -> None:
    print(f"\n{n} faces, model {table[0]['model']}\n\n| figure | median | worst | not found |")
    print("|---|---|---|---|")
    for row in table:
        print(f"| {row['name']} | {row['median']} | {row['worst']} | {row['not_found']} |")


if __name__ == "__main__":
    main()
