#!/usr/bin/env python
"""Our diffusion beside lucidrains' and diffusers' example: same images, same CPU time, same size.

    python scripts/bench/diffusion.py --path DIR --out DIR [--minutes 20] [--seeds 0 1 2]
                                      [--arms ...] [--set KEY=VALUE ...] [--quick] [--json FILE]

DIR is HAM10000. As gan.py: a fifth of the images of the four common classes is held back, the rest
trains every arm for the same CPU time of one thread, and as many images as are compared are made in
the class shares of the held-back ones (arms without labels: any). KID with the jackknife's standard
error, precision, recall, density, coverage and diversity in the features of a classifier that saw
the training rows only, and how many it reads as the label that was asked for; training and
sampling images/s.

An arm and seed that `--out` holds already is not run again. Set OMP_NUM_THREADS=1. A peer needs
`pip install denoising-diffusion-pytorch==2.3.4`; where it is absent it is "not compared".
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
from diffusion_peers import PEERS, peer, version_of
from gan import COMMON, Encoder, encoder_of, figures, settings, tables
from torch import Tensor

from fewskin.data.arrays import table_from_arrays
from fewskin.generators.diffusion import Diffusion
from fewskin.protocols import ImageTable
from fewskin.seeding import rng_for, seed_for
from fewskin.training.diffusion_sampler import DiffusionSampler
from fewskin.training.gan_watch import sheet

ARMS = ("ours", "ours-unconditional", *PEERS)
_PEER_STEPS = 50  # of their DDIM samplers
Row = dict[str, Any]


def main() -> None:
    args = arguments()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    train, held = tables(args.path, args.size, 320 if args.quick else None)
    encoder = encoder_of(
        train, held, args.out / f"encoder-{args.size}.pt", 2 if args.quick else 300
    )
    keep = np.sort(rng_for(0, "compared").permutation(len(held))[: args.images])
    held = held.take(keep)
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
    parser.add_argument("--minutes", type=float, default=20.0, help="CPU time of each training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--size", type=int, default=32, help="side of the images, px")
    parser.add_argument("--images", type=int, default=500, help="that are compared")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="of ours")
    parser.add_argument("--quick", action="store_true", help="a few seconds each: does it run?")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table there")
    args = parser.parse_args()
    if args.quick:
        args.minutes, args.seeds, args.images = 0.02, args.seeds[:1], 16
        args.arms = [arm for arm in args.arms if "-" not in arm]
    return args


def run_arm(
    arm: str, seed: int, train: ImageTable, held: ImageTable, net: Encoder, args: Any
) -> Row:
    """Return the figures of one arm and seed."""
    wall, labels = time.time(), held.labels
    if arm in PEERS:
        version = version_of(arm)
        if not version:
            return {"arm": arm, "seed": seed, "kid": None, "note": "not compared: not installed"}
        torch.manual_seed(seed)
        images, about = peer(
            arm,
            train,
            len(labels),
            seconds=60 * args.minutes,
            steps=5 if args.quick else _PEER_STEPS,
            parameters=n_parameters(args),
            lr=made_by(args).lr,
        )
        about |= {"version": version}
    else:
        images, about = ours(arm, seed, train, labels, args)
    about |= {"wall_s": round(time.time() - wall)}
    order = np.argsort(labels, kind="stable")
    shown = np.concatenate([order[np.array(labels)[order] == name][:10] for name in COMMON])
    if len(shown) % 10 == 0:
        sheet(images[shown], 10, args.out / f"{arm}-{seed}.png")
    made = {"arm": arm, "seed": seed, **about}
    return made | figures(net, held, images, labels if arm == "ours" else None)


def made_by(args: Any) -> Diffusion:
    return replace(Diffusion(watch_every=10**9), **settings(args.set))


def n_parameters(args: Any) -> int:
    """Return the parameters of our net."""
    made = replace(made_by(args), fit_steps=0, batch_size=4)
    blank = table_from_arrays(np.zeros((4, 3, args.size, args.size), np.uint8), list(COMMON))
    with tempfile.TemporaryDirectory() as folder:
        sampler = made.adapt(blank, seed=0, out=Path(folder))
    return sum(one.numel() for one in sampler.net.parameters())


def ours(
    arm: str, seed: int, train: ImageTable, labels: Sequence[str], args: Any
) -> tuple[Tensor, Row]:
    """Return images of the labels, and what made them."""
    if arm == "ours-unconditional":
        train = table_from_arrays(train.images().numpy(), ["any"] * len(train))
        labels = ["any"] * len(labels)
    model = replace(made_by(args), reject_copies=False)
    with tempfile.TemporaryDirectory() as folder:

        def spent(steps: int) -> float:
            began = time.process_time()
            replace(model, fit_steps=steps).fit(train, seed=seed, out=Path(folder))
            return time.process_time() - began

        spent(1)  # warms up
        each = (spent(11) - spent(1)) / 10
        steps = max(1, int(args.minutes * 60 / each))
        began = time.process_time()
        fitted = replace(model, fit_steps=steps).fit(train, seed=seed, out=Path(folder))
        trained = time.process_time() - began
        few = [train.labels.index(name) for name in train.classes]
        sampler = fitted.adapt(train.take(few), seed=seed, out=Path(folder))
    began = time.process_time()
    made = sampled(sampler, labels, seed)
    sampling = time.process_time() - began
    batch = model.batch_size or 16
    about = {
        "steps": steps,
        "images": steps * batch,
        "train_images_s": round(steps * batch / trained, 1),
        "sample_images_s": round(len(made) / sampling, 3),
        "parameters": sum(one.numel() for one in sampler.net.parameters()),
        "cpu_s": round(trained),
    }
    return made, about | {"sample_images_s_documented": about["sample_images_s"]}


def sampled(sampler: DiffusionSampler, labels: Sequence[str], seed: int) -> Tensor:
    side = sampler.net.shape.image_size
    made = torch.empty(len(labels), 3, side, side, dtype=torch.uint8)
    for name in sorted(set(labels)):
        rows = [i for i, own in enumerate(labels) if own == name]
        made[rows] = sampler.sample(
            name, [seed_for(seed, name, i) for i in range(len(rows))]
        ).images
    return made


NAMES = ("kid", "kid_se", "precision", "recall", "density", "coverage", "diversity")
NAMES += ("train_images_s", "sample_images_s", "sample_images_s_documented")


def summary(rows: list[Row]) -> list[Row]:
    """Return one row an arm: means over seeds, and the spread of KID over them."""
    table = []
    for arm in dict.fromkeys(row["arm"] for row in rows):
        mine = [row for row in rows if row["arm"] == arm and row["kid"] is not None]
        if not mine:
            table.append({"name": "kid", "arm": arm, "ours": None, "note": "not compared"})
            continue
        means = {name: round(float(np.mean([row[name] for row in mine])), 4) for name in NAMES}
        spread = float(np.std([row["kid"] for row in mine], ddof=1)) if len(mine) > 1 else None
        asked = [row["read_as_asked"] for row in mine if "read_as_asked" in row]
        row = {"name": "kid", "arm": arm, "seeds": len(mine), **means, "kid_sd_seeds": spread}
        row["read_as_asked"] = round(float(np.mean(asked)), 3) if asked else None
        row["parameters"] = mine[0]["parameters"]
        row["machine"] = f"{platform.machine()} {os.cpu_count()} cores"
        table.append(row)
    return table


def show(table: list[Row]) -> None:
    names = ("seeds", "parameters", *NAMES, "kid_sd_seeds", "read_as_asked")
    print(f"\n| arm | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for row in table:
        print(f"| {row['arm']} | {' | '.join(str(row.get(name, '-')) for name in names)} |")


if __name__ == "__main__":
    main()
