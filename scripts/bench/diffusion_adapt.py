#!/usr/bin/env python
"""Diffusion fitted to the common classes of HAM10000 and adapted to K lesions: copying over time.

    python scripts/bench/diffusion_adapt.py --path DIR --out DIR [--fit-minutes 20] [--size 32]
        [--steps 0 50 100 200 400 800] [--shots 5 20] [--moves lora ...] [--set KEY=VALUE ...]
        [--pseudo]

As gan_adapt.py, whose figures these are: for each K, way of adapting and number of steps, 100
images of each rare class: share of near copies (correlation .95 with a support image at 32 px, over
flips and quarter turns; that of other real images of the class beside it) and share that the
sampler itself rejects as copies, diversity as a share of the real one, and KID against the rare
images outside the support. `--pseudo` takes mel and bcc for the rare ones, fitted to nv and bkl
only: steps are chosen there. CPU time of one thread; sheets go to `--out`.
"""

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusion import settings
from gan import COMMON, encoder_of
from gan_adapt import EACH, RARE, figures, support_of

from fewskin.data.arrays import table_from_files
from fewskin.data.sources.ham10000 import ham10000
from fewskin.generators.diffusion import Diffusion
from fewskin.protocols import ImageTable
from fewskin.seeding import seed_for

Row = dict[str, Any]


def main() -> None:
    args = arguments()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    common, rare = (("nv", "bkl"), ("mel", "bcc")) if args.pseudo else (COMMON, RARE)
    base, few = (table_of(args.path, labels, args.size) for labels in (common, rare))
    net = encoder_of(base, base, args.out / f"encoder-{args.size}.pt", 300)
    model = replace(Diffusion(watch_every=10**9), **settings(args.set))
    folder = args.out / ("fit-pseudo" if args.pseudo else "fit")
    if not (folder / "fit.json").is_file():
        fitted(model, base, args.fit_minutes).save(folder)
    rows: list[Row] = []
    for shots in args.shots:
        support = support_of(few, shots)
        for moves in args.moves:
            for steps in args.steps:
                mine = replace(model, moves=moves, adapt_steps=steps).load(folder)
                name = f"{'pseudo-' if args.pseudo else ''}{moves}-{shots}-{steps}"
                rows.append({"shots": shots, "moves": moves, "steps": steps})
                rows[-1] |= measured(mine, support, few, net, args.out / f"{name}.png")
                print(json.dumps(rows[-1]), flush=True)
    (args.out / "adapted.json").write_text(json.dumps(rows, indent=1) + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--path", type=Path, required=True, metavar="DIR", help="HAM10000")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="results, kept")
    parser.add_argument("--fit-minutes", type=float, default=20.0, help="CPU time of the fit")
    parser.add_argument("--size", type=int, default=32, help="side of the images, px")
    parser.add_argument("--steps", type=int, nargs="+", default=[0, 50, 100, 200, 400, 800])
    parser.add_argument("--shots", type=int, nargs="+", default=[5, 20])
    parser.add_argument("--moves", nargs="+", default=["lora"])
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="of ours")
    parser.add_argument("--pseudo", action="store_true", help="common classes for the rare ones")
    return parser.parse_args()


def table_of(path: Path, labels: tuple[str, ...], size: int) -> ImageTable:
    with tempfile.TemporaryDirectory() as folder:
        read = ham10000(path, out=Path(folder), labels=labels)
    files = [read.root / name for name in read.rows["path"]]
    return table_from_files(files, read.rows["label"].tolist(), image_size=size)


def fitted(model: Diffusion, base: ImageTable, minutes: float) -> Diffusion:
    with tempfile.TemporaryDirectory() as folder:

        def spent(steps: int) -> float:
            began = time.process_time()
            replace(model, fit_steps=steps).fit(base, seed=0, out=Path(folder))
            return time.process_time() - began

        spent(1)  # warms up
        steps = max(1, int(60 * minutes / (spent(11) - spent(1)) * 10))
        return replace(model, fit_steps=steps).fit(base, seed=0, out=Path(folder))


def measured(model: Diffusion, support: ImageTable, few: ImageTable, net: Any, file: Path) -> Row:
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        sampler = model.adapt(support, seed=0, out=Path(folder))
    row: Row = {"cpu_s": round(time.process_time() - began)}
    row |= figures(net, sampler, support, few, file)
    for name in support.classes:
        drawn = sampler.sample(name, [seed_for(0, name, i) for i in range(EACH)])
        row[name]["rejected"] = len(drawn.rejected) / EACH
        row[name]["nearest"] = round(float(np.mean([one["nearest"] for one in drawn.params])), 3)
    return row


if __name__ == "__main__":
    main()
