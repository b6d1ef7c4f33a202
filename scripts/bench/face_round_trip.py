#!/usr/bin/env python
"""Does a painted condition come back? Paint, draw another head, find it, fit it, unwrap, extract.

    python scripts/bench/face_round_trip.py --path DIR --model FILE [--every 3] [--json FILE]

On each healthy photograph a condition is painted; it is drawn at yaw 12 on a head of another shape;
landmarks are found anew in that picture and all that follows uses the picture alone. What
`face.extract` takes off is compared with the blood that was painted, over texels of the face that
both show: correlation, and overlap of the masks of more than .06 density. Against three references:
the same head drawn without the condition ("twin"), the healthy photograph itself ("photograph"),
and none ("prior"). The shipped prior was learned on SFHQ without its every third face: with
`--every 3` exactly those are measured. What the prior finds on the twin, where nothing was painted,
is printed too. Medians and quartiles over people.
"""

import argparse
import json
import os
import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fewskin.data.images import decode
from fewskin.data.source import list_images
from fewskin.errors import DataError
from fewskin.face.condition import draw_condition
from fewskin.face.extract import extract
from fewskin.face.finder_error import corrected
from fewskin.face.geometry import load_geometry
from fewskin.face.healthy import healthy_model, read_healthy_model
from fewskin.face.landmarks import Landmarks
from fewskin.face.mediapipe_provider import MediapipeProvider
from fewskin.face.people import shrunk
from fewskin.face.pictures import as_linear, as_pixels
from fewskin.face.scene import picture_of, still
from fewskin.face.skin_layers import apply
from fewskin.face.subject import Subject, subject_of
from fewskin.face.zones import zones_of
from fewskin.seeding import rng_for

SIZE, SIDE, YAW, SHAPE, BLOOD = 768, 512, 12.0, 0.5, 0.06
REFERENCES = ("twin", "photograph", "prior")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--path", type=Path, required=True, metavar="DIR")
    parser.add_argument("--model", default="analytic", help="landmark, analytic or an .npz file")
    parser.add_argument("--condition", default="rosacea")
    parser.add_argument("--severity", type=float, default=3.0)
    parser.add_argument("--every", type=int, default=1, help="take every n-th photograph")
    parser.add_argument("--prior", type=Path, help="another .npz of learn_healthy_skin.py")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there")
    args = parser.parse_args()
    geometry, files, rows = load_geometry(args.model), list_images(args.path), []
    with MediapipeProvider() as provider:
        for i, name in list(enumerate(files.paths))[:: args.every]:
            try:
                image = shrunk(decode(files.root / name), 1024)
                rows.append(came_back(image, i, args, geometry, provider))
            except DataError as error:
                print(f"{name}: {error}", flush=True)
    table, blood = summary(rows, args), np.array([row["blood"] for row in rows])
    print(f"\n{len(rows)} people, {args.condition} {args.severity:g}, model {args.model}\n")
    print("| reference | correlation: median [quartiles] | overlap |\n|---|---|---|")
    for row in table:
        print(
            "| {name} | {correlation:.2f} [{low:.2f}, {high:.2f}] | {overlap:.2f} |".format(**row)
        )
    painted, ill, well = np.median(blood, axis=0)
    print(
        f"\nmean blood: painted {painted:.3f}; the prior finds {ill:.3f}, and {well:.3f} on twins"
    )
    if args.json:
        args.json.write_text(json.dumps(table, indent=1) + "\n")


def found(image: Any, geometry: Any, provider: MediapipeProvider) -> Subject:
    """Return the person of a picture by its pixels alone.

    Raises:
        DataError: no face is found.
    """
    (face,) = provider.detect([image])
    if not isinstance(face, Landmarks):
        raise DataError(f"{face.code}, {face.text}")
    return subject_of(as_linear(image), corrected(face), geometry, side=SIDE)


def came_back(image: Any, i: int, args: Any, geometry: Any, provider: MediapipeProvider) -> Any:
    """Return correlation and overlap for each reference."""
    healthy = found(image, geometry, provider)
    rng = rng_for(0, "round trip", i)
    drawn = draw_condition(
        args.condition, healthy.model, severity=args.severity, rng=rng, side=SIDE
    )
    layers = drawn.layers.on(healthy.albedo.skin)
    shape = (SHAPE * rng.standard_normal(min(40, len(healthy.model.identity)))).astype(np.float32)
    scene = replace(still(yaw_deg=YAW), identity=shape)
    size = min(SIZE, max(image.shape[:2]))

    def seen(colour: Any) -> Subject:
        person = replace(healthy, albedo=replace(healthy.albedo, colour=colour))
        return found(as_pixels(picture_of(person, scene, size).image), geometry, provider)

    ill = seen(apply(healthy.albedo.colour, layers))
    twin = seen(healthy.albedo.colour)
    zones = zones_of(healthy.model, SIDE)
    inside = zones.of("face") & (zones.feature < 0.5) & (zones.nostril < 0.5)
    inside &= (ill.albedo.confidence > 0.2) & (ill.albedo.skin > 0.3)
    inside &= (healthy.albedo.skin > 0.5) & (healthy.opacity > 0.9)
    if inside.sum() < 2000:
        raise DataError("too little of the face is seen in both pictures")
    row, truth = {}, layers.haemoglobin[inside]
    prior = read_healthy_model(args.prior) if args.prior else healthy_model()
    for name, reference in zip(REFERENCES, (twin.albedo, healthy.albedo, None), strict=True):
        back = extract(ill.albedo, ill.model, healthy=reference, prior=prior)
        blood = back.layers.haemoglobin[inside]
        both, either = (blood > BLOOD) & (truth > BLOOD), (blood > BLOOD) | (truth > BLOOD)
        row[name] = (float(np.corrcoef(blood, truth)[0, 1]), both.sum() / max(either.sum(), 1))
    well = extract(twin.albedo, twin.model, prior=prior).layers.haemoglobin[inside]
    row["blood"] = (truth.mean(), blood.mean(), well.mean())
    return row


def summary(rows: list[Any], args: Any) -> list[dict[str, Any]]:
    """Return a row for each reference."""
    made = []
    for name in REFERENCES:
        values = np.array([row[name] for row in rows])
        low, middle, high = np.nanquantile(values[:, 0], [0.25, 0.5, 0.75])
        made.append(
            {
                "name": name,
                "condition": args.condition,
                "severity": args.severity,
                "correlation": float(middle),
                "low": float(low),
                "high": float(high),
                "overlap": float(np.median(values[:, 1])),
                "n": len(rows),
                "machine": f"{platform.machine()} {os.cpu_count()} cores",
            }
        )
    return made


if __name__ == "__main__":
    main()
