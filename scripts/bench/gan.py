#!/usr/bin/env python
"""Our GAN against lightweight-gan and against itself without labels: same images, same time.

    python scripts/bench/gan.py --path DIR --out DIR [--minutes 15] [--seeds 0 1 2] [--arms ...]
                                [--set KEY=VALUE ...] [--quick] [--json FILE]

DIR is HAM10000. A fifth of the images of the four common classes is held back; the rest trains
every arm for the same CPU time of one thread, so a busy machine favours nobody. Then as many images
as were held back, in their class shares (arms without labels: any), are compared with them in the
features of a classifier that saw the training rows only: KID with the jackknife's standard error,
precision, recall, density, coverage; diversity, a share of that of the real ones (mean distance
of two images, of one class where there are labels); and how many the classifier reads as the label
that was asked for.

An arm and seed that `--out` holds already is not run again: run arms in processes of their own,
then all together for the table. Set OMP_NUM_THREADS=1. The peer needs
`pip install lightweight-gan==1.2.1`; where it is absent it is "not compared".
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gan_peer import peer_images, peer_version
from torch import Tensor, nn

from fewskin.data.arrays import table_from_arrays, table_from_files
from fewskin.data.sources.ham10000 import ham10000
from fewskin.functional.fidelity import diversity, fidelity, kid_jackknife
from fewskin.generators.gan import Gan, GanSampler
from fewskin.nets.backbones import make_backbone, normalise
from fewskin.protocols import ImageTable
from fewskin.seeding import rng_for, seed_for
from fewskin.training.batches import mixed
from fewskin.training.engine import run_steps
from fewskin.training.gan_watch import sheet
from fewskin.training.inputs import image_batches
from fewskin.training.modules import Classifier, Recipe

COMMON = ("bcc", "bkl", "mel", "nv")
ARMS = ("ours", "unconditional", "lightweight-gan", "lightweight-gan-small")
Row = dict[str, Any]


def main() -> None:
    args = arguments()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    train, held = tables(args.path, args.size, 240 if args.quick else None)
    encoder = encoder_of(
        train, held, args.out / f"encoder-{args.size}.pt", 2 if args.quick else 300
    )
    rows: list[Row] = []
    for seed in args.seeds:
        for arm in args.arms:
            file = args.out / f"{arm}-{seed}.json"
            if not file.is_file():
                made = run_arm(arm, seed, train, held, encoder, args)
                file.write_text(json.dumps(made, indent=1) + "\n")
            rows.append(json.loads(file.read_text()))
            print(json.dumps(rows[-1]), flush=True)
    table = summary(rows)
    show(table)
    if args.json:
        args.json.write_text(json.dumps(table, indent=1) + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--path", type=Path, required=True, metavar="DIR", help="HAM10000")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="results, kept")
    parser.add_argument("--minutes", type=float, default=15.0, help="CPU time of each arm")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--size", type=int, default=64, help="side of the images, px")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="of our GAN")
    parser.add_argument("--quick", action="store_true", help="a few seconds each: does it run?")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table there")
    args = parser.parse_args()
    if args.quick:
        args.minutes, args.seeds = 0.05, args.seeds[:1]
        args.arms = [arm for arm in args.arms if arm != "lightweight-gan"]  # minutes a step
    return args


def tables(path: Path, size: int, at_most: int | None) -> tuple[ImageTable, ImageTable]:
    """Return training and held-back images of the common classes."""
    with tempfile.TemporaryDirectory() as folder:
        read = ham10000(path, out=Path(folder), labels=COMMON)
    rows = read.rows.iloc[:: max(1, len(read.rows) // at_most)] if at_most else read.rows
    table = table_from_files(
        [read.root / name for name in rows["path"]], rows["label"].tolist(), image_size=size
    )
    held = rng_for(0, "held back").random(len(table)) < 0.2
    return table.where(~held), table.where(held)


class Encoder(nn.Module):
    """A classifier, and the features it classifies by."""

    def __init__(self, size: int, n_classes: int) -> None:
        super().__init__()
        self.backbone = make_backbone("resnet18", image_size=size, seed=0)
        self.head = nn.Linear(self.backbone.feature_dim, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, 3, S, S) of `normalise` to logits (n, C)."""
        return self.head(self.backbone(x))

    @torch.inference_mode()
    def read(self, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Return features (n, d) and class positions (n,) of uint8 images."""
        parts = [self.backbone(normalise(images[i : i + 64])) for i in range(0, len(images), 64)]
        features = torch.cat(parts)
        return features.double().numpy(), self.head(features).argmax(1).numpy()


def encoder_of(train: ImageTable, held: ImageTable, file: Path, steps: int) -> Encoder:
    """Return the classifier of the training rows, trained once."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Encoder(train.image_size, len(COMMON))
    if file.is_file():
        net.load_state_dict(torch.load(file, weights_only=True))
        return net.eval()
    batches = image_batches([train], COMMON, batch_size=64, mixer=mixed("none", 1.0, 0), seed=0)
    run_steps(
        Classifier(net, Recipe(steps, 1e-3, label_smoothing=0.1)), batches, steps=steps, out=None
    )
    net.eval()
    _, read = net.read(held.images())
    truth = np.array([COMMON.index(label) for label in held.labels])
    right = [f"{name} {(read[truth == i] == i).mean():.2f}" for i, name in enumerate(COMMON)]
    print(f"classifier on {len(held)} held-back images, recall: {', '.join(right)}", flush=True)
    torch.save(net.state_dict(), file)
    return net


def run_arm(
    arm: str, seed: int, train: ImageTable, held: ImageTable, net: Encoder, args: Any
) -> Row:
    """Return the figures of one arm and seed."""
    started, wall = time.process_time(), time.time()
    labels = held.labels
    if arm.startswith("lightweight-gan"):
        version = peer_version()
        if not version:
            return {"arm": arm, "seed": seed, "kid": None, "note": "not compared: not installed"}
        images, steps = peer_images(arm, train, len(labels), minutes=args.minutes, seed=seed)
        about = {"version": version, "steps": steps}
    else:
        images, about = ours(arm, seed, train, labels, args)
    about |= {"cpu_s": round(time.process_time() - started), "wall_s": round(time.time() - wall)}
    order = np.argsort(labels, kind="stable")
    shown = np.concatenate([order[np.array(labels)[order] == name][:10] for name in COMMON])
    if len(shown) % 10 == 0:
        sheet(images[shown], 10, args.out / f"{arm}-{seed}.png")
    made = {"arm": arm, "seed": seed, **about}
    return made | figures(net, held, images, labels if arm == "ours" else None)


def figures(net: Encoder, held: ImageTable, images: Tensor, labels: Sequence[str] | None) -> Row:
    real, _ = net.read(held.images())
    made, read = net.read(images)
    scale = real.std()
    value, error = kid_jackknife(real / scale, made / scale)
    row: Row = {"kid": round(value, 5), "kid_se": round(error, 5)}
    row |= {name: round(x, 3) for name, x in fidelity(real, made)._asdict().items()}
    groups = [np.ones(len(made), dtype=bool)]
    if labels is not None:
        own = np.array(labels)
        groups = [own == name for name in COMMON]
        hits = [(read[own == name] == i).mean() for i, name in enumerate(COMMON)]
        row["read_as_asked"] = round(float(np.mean(hits)), 3)
        row["read_as_asked_by_class"] = dict(zip(COMMON, np.round(hits, 2).tolist(), strict=True))
    spread = [diversity(made[group]) / diversity(real[group]) for group in groups]
    return row | {"diversity": round(float(np.mean(spread)), 3)}


def ours(
    arm: str, seed: int, train: ImageTable, labels: Sequence[str], args: Any
) -> tuple[Tensor, Row]:
    """Return images of the labels, and what made them."""
    if arm == "unconditional":
        train = table_from_arrays(train.images().numpy(), ["any"] * len(train))
        labels = ["any"] * len(labels)
    gan = replace(Gan(watch_every=10**9), **settings(args.set))
    with tempfile.TemporaryDirectory() as folder:
        seconds = []
        for steps in (2, 12, 32):  # the first call also warms up
            began = time.process_time()
            replace(gan, fit_steps=steps).fit(train, seed=seed, out=Path(folder))
            seconds.append(time.process_time() - began)
        each = (seconds[2] - seconds[1]) / 20
        spent = sum(seconds) + 40 * each / gan.batch_size  # sampling too
        steps = max(1, int((args.minutes * 60 - spent) / each))
        fitted = replace(gan, fit_steps=steps).fit(train, seed=seed, out=Path(folder))
        sampler = fitted.adapt(train, seed=seed, out=Path(folder))
    made = sampled(sampler, labels, seed)
    n = sum(one.numel() for one in sampler.net.parameters())
    return made, {"steps": steps, "images": steps * gan.batch_size, "parameters": n}


def settings(words: Sequence[str]) -> Row:
    made: Row = {}
    for word in words:
        key, _, value = word.partition("=")
        try:
            made[key] = json.loads(value)
        except ValueError:
            made[key] = value
    return made


def sampled(sampler: GanSampler, labels: Sequence[str], seed: int) -> Tensor:
    made = torch.empty(len(labels), 3, *[sampler.net.shape.image_size] * 2, dtype=torch.uint8)
    for name in sorted(set(labels)):
        rows = [i for i, own in enumerate(labels) if own == name]
        seeds = [seed_for(seed, name, i) for i in range(len(rows))]
        made[rows] = sampler.sample(name, seeds, knobs={"truncation": 1.0}).images
    return made


def summary(rows: list[Row]) -> list[Row]:
    """Return one row an arm: mean over seeds, their spread, and the mean jackknife error."""
    table = []
    for arm in ARMS:
        mine = [row for row in rows if row["arm"] == arm and row["kid"] is not None]
        if not mine:
            table.append({"name": "kid", "arm": arm, "ours": None, "note": "not compared"})
            continue
        names = ("kid", "kid_se", "precision", "recall", "density", "coverage", "diversity")
        means = {name: round(float(np.mean([row[name] for row in mine])), 4) for name in names}
        spread = float(np.std([row["kid"] for row in mine], ddof=1)) if len(mine) > 1 else None
        asked = [row["read_as_asked"] for row in mine if "read_as_asked" in row]
        row = {"name": "kid", "arm": arm, "seeds": len(mine), **means, "kid_sd_seeds": spread}
        row["read_as_asked"] = round(float(np.mean(asked)), 3) if asked else None
        row["machine"] = f"{platform.machine()} {os.cpu_count()} cores"
        table.append(row)
    return table


def show(table: list[Row]) -> None:
    names = ("seeds", "kid", "kid_se", "kid_sd_seeds", "coverage", "density", "diversity")
    names += ("read_as_asked",)
    print(f"\n| arm | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for row in table:
        print(f"| {row['arm']} | {' | '.join(str(row.get(name, '-')) for name in names)} |")


if __name__ == "__main__":
    main()
