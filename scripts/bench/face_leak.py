#!/usr/bin/env python
"""Does anything but the condition tell painted faces from healthy ones? A table of AUCs.

    python scripts/bench/face_leak.py --path DIR [--model FILE] [--condition NAME] [--json FILE]

Every healthy photograph of DIR is taken again, several times in new scenes, without a condition and
with it at full severity, by the same path. Then the condition's mask, 8 pixels wider at 256, is
blanked in both; a healthy picture has the mask that the condition would have had in its scene. What
is left should look the same: "blanked" is the AUC of telling the two apart on people that were not
trained on, .5 if nothing leaks. The two have scenes of their own, as two classes have; "paired" is
the same scene without and with. "shown" is without blanking, and says what the classifiers can see
at all. "rendered or real" tells healthy pictures from the photographs
they were made from. Two classifiers: a logistic regression on colour and texture descriptors, and
conv6 trained from scratch. Intervals: 95 %, bootstrap over people.
"""

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import binary_dilation
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fewskin.data.arrays import table_from_arrays
from fewskin.data.images import decode
from fewskin.data.source import list_images
from fewskin.errors import DataError
from fewskin.face.affected_portrait import Sitter, nothing, sitter_of
from fewskin.face.condition import draw_condition
from fewskin.face.finder_error import corrected
from fewskin.face.geometry import load_geometry
from fewskin.face.landmarks import Landmarks
from fewskin.face.mediapipe_provider import MediapipeProvider
from fewskin.face.people import shrunk
from fewskin.face.pictures import as_linear
from fewskin.face.portrait import portrait_of
from fewskin.face.scene import KNOBS, draw_scene
from fewskin.face.subject import subject_of
from fewskin.functional.descriptors import colour, texture
from fewskin.learners.finetune import Finetune
from fewskin.seeding import rng_for

SIZE, SIDE, WIDER_PX, SEEN_PX, GREY = 256, 512, 8, 96, 128
Pixels = Any  # (n, H, W, 3) uint8
Scores = Callable[[Pixels, Any, Pixels], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--path", type=Path, required=True, metavar="DIR")
    parser.add_argument("--model", default="landmark", help="landmark, analytic or an .npz file")
    parser.add_argument("--condition", default="rosacea")
    parser.add_argument("--per", type=int, default=4, help="pictures a person and side")
    parser.add_argument("--most", type=int, default=1000, help="people")
    parser.add_argument("--steps", type=int, default=300, help="of conv6, each fold")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there")
    args = parser.parse_args()
    pairs = pictures(args)
    here, there = (slice(first, None, 2) for first in (0, 1))  # of a person's scenes, in turns
    ask: dict[str, tuple[Pixels, Pixels]] = {
        "blanked": (pairs["well blanked"][here], pairs["ill blanked"][there]),
        "blanked, paired": (pairs["well blanked"][here], pairs["ill blanked"][here]),
        "shown": (pairs["well"][here], pairs["ill"][there]),
        "rendered or real": (pairs["photograph"][here], pairs["well"][here]),
    }
    people = pairs["people"][here]
    rows = []
    for name, (first, second) in ask.items():
        learners = {"descriptors": described, "conv6": trained(args.steps)}
        for learner, scores in learners.items():
            rows.append({"name": f"{name}, {learner}", **told_apart(first, second, people, scores)})
            print("| {name} | {auc:.3f} | {low:.3f} | {high:.3f} | {people} |".format(**rows[-1]))
    if args.json:
        machine = f"{platform.machine()} {os.cpu_count()} cores"
        args.json.write_text(json.dumps([{**row, "machine": machine} for row in rows], indent=1))


def pictures(args: argparse.Namespace) -> dict[str, Any]:
    """Return stacks (n, 256, 256, 3) by kind, and `people` (n,), who each is."""
    geometry, made = load_geometry(args.model), dict[str, list[Any]]()
    files = list_images(args.path)
    with MediapipeProvider() as provider:
        for i, name in enumerate(files.paths[: args.most]):
            image = shrunk(decode(files.root / name), 1024)
            (face,) = provider.detect([image])
            if not isinstance(face, Landmarks):
                continue
            try:
                subject = subject_of(as_linear(image), corrected(face), geometry)
            except DataError as error:
                print(f"{name}: {error}")
                continue
            sitter = sitter_of(portrait_of(subject, image, SIZE), SIDE)
            for k in range(2 * args.per):
                for kind, picture in pair(sitter, args.condition, i, k).items():
                    made.setdefault(kind, []).append(square(picture))
                made.setdefault("people", []).append(i)
    print(f"{len(set(made['people']))} people, {len(made['people']) // 2} pictures a side")
    return {kind: np.stack(values) for kind, values in made.items()}


def pair(sitter: Sitter, condition: str, person: int, k: int) -> dict[str, Any]:
    """Return one scene without and with the condition, both blanked too, and the photograph."""
    rng = rng_for(0, "leak", person, k)
    model = sitter.person.model
    scene = draw_scene(rng, {name: knob.default for name, knob in KNOBS.items()}, model)
    drawn = draw_condition(condition, model, severity=4.0, rng=rng, side=SIDE)
    ill = sitter.picture(scene, drawn, rng_for(0, "ill", person, k))
    well = sitter.picture(scene, nothing(SIDE), rng_for(0, "well", person, k))
    mask = binary_dilation(ill.condition > 0.02, iterations=WIDER_PX)
    made = {"well": well.pixels, "ill": ill.pixels, "photograph": sitter.portrait.photograph}
    for name in ("well", "ill"):
        blank = made[name].copy()
        blank[mask] = GREY
        made[f"{name} blanked"] = blank
    return made


def square(pixels: Any) -> Any:
    """Return the middle square of a picture at the classifiers' size."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    cut = Image.fromarray(pixels[top : top + side, left : left + side])
    return np.asarray(cut.resize((SEEN_PX, SEEN_PX), Image.Resampling.BOX))


def told_apart(first: Pixels, second: Pixels, who: Any, scores: Scores) -> Any:
    """Return the AUC of `second` against `first` on people apart, with its interval."""
    images = np.concatenate([first, second])
    truth = np.repeat([0, 1], len(first))
    people = np.tile(who, 2)
    found = np.zeros(len(images))
    for train, test in GroupKFold(5).split(images, truth, people):
        found[test] = scores(images[train], truth[train], images[test])
    rng, names = np.random.default_rng(0), np.unique(people)
    own = {name: np.flatnonzero(people == name) for name in names}
    draws = []
    for _ in range(500):
        rows = np.concatenate([own[name] for name in rng.choice(names, len(names))])
        draws.append(roc_auc_score(truth[rows], found[rows]))
    low, high = np.quantile(draws, [0.025, 0.975])
    auc = roc_auc_score(truth, found)
    return {"auc": float(auc), "low": float(low), "high": float(high), "people": len(names)}


def described(train: Pixels, truth: Any, test: Pixels) -> Any:
    """Return scores of a logistic regression on descriptors."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    seen, asked = (
        torch.cat([make(as_float(images)) for make in (colour, texture)], 1).numpy()
        for images in (train, test)
    )
    return model.fit(seen, truth).predict_proba(asked)[:, 1]


def as_float(images: Pixels) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255.0


def trained(steps: int) -> Scores:
    """Return scores of conv6 trained on the images themselves."""

    def scores(train: Pixels, truth: Any, test: Pixels) -> Any:
        table = table_from_arrays(train, [("first", "second")[one] for one in truth])
        table = replace(table, rows=table.rows.assign(view="face"))
        learner = Finetune(backbone="conv6", fit_steps=0, steps=steps, batch_size=32, lr=1e-3)
        with tempfile.TemporaryDirectory() as folder:
            made = learner.adapt(table, extra=None, base=None, seed=0, out=Path(folder))
        asked = torch.from_numpy(test).permute(0, 3, 1, 2).contiguous()
        return made.predict(asked)[:, made.classes.index("second")].numpy()

    return scores


if __name__ == "__main__":
    main()
