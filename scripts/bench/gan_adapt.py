#!/usr/bin/env python
"""A GAN fitted to the common classes of HAM10000, adapted to K lesions of each rare one.

    python scripts/bench/gan_adapt.py --path DIR --out DIR [--fit-minutes 15] [--minutes 5]
                                      [--shots 5 20] [--moves modulation ...] [--set KEY=VALUE ...]

Needs the `encoder-64.pt` of gan.py in `--out`. For each K and way of adapting (`--moves`), 100
images of each rare class: share of near copies (correlation .95 with a support image at 32 px, over
flips and quarter turns; of other real images of the class beside it), diversity as a share of the
real one, and KID against the rare images outside the support, all classes together; beside it the
KID of the support itself, which is what copying would reach. `--pseudo`
takes mel and bcc for the rare ones, fitted to nv and bkl only: for choosing settings, since the
rare classes are not to be looked at for that. CPU minutes of one thread; sheets go to `--out`.
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
from gan import COMMON, Encoder, encoder_of, settings

from fewskin.data.arrays import table_from_files
from fewskin.data.sources.ham10000 import ham10000
from fewskin.functional.fidelity import diversity, kid_jackknife
from fewskin.functional.resemblance import nearest_correlation
from fewskin.generators.gan import Gan, GanSampler
from fewskin.protocols import ImageTable
from fewskin.seeding import rng_for, seed_for
from fewskin.training.gan_watch import sheet

RARE = ("akiec", "df", "vasc")
NEAR, EACH = 0.95, 100
Row = dict[str, Any]


def main() -> None:
    args = arguments()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    common, rare = (("nv", "bkl"), ("mel", "bcc")) if args.pseudo else (COMMON, RARE)
    base, few = table_of(args.path, common), table_of(args.path, rare)
    net = encoder_of(base, base, args.out / "encoder-64.pt", 300)
    gan = replace(Gan(watch_every=10**9), **settings(args.set))
    fitted = fit(gan, base, args.fit_minutes, args.out / ("fit-pseudo" if args.pseudo else "fit"))
    rows: list[Row] = []
    for shots in args.shots:
        chosen = support_of(few, shots)
        for moves in args.moves:
            mine = replace_keeping(fitted, moves=moves)
            began = time.process_time()
            sampler = timed(mine, chosen, args.minutes)
            seconds = time.process_time() - began
            name = f"{'pseudo-' if args.pseudo else ''}{moves}-{shots}"
            rows.append({"shots": shots, "moves": moves, "cpu_s": round(seconds)})
            rows[-1] |= figures(net, sampler, chosen, few, args.out / f"{name}.png")
            print(json.dumps(rows[-1]), flush=True)
    (args.out / "adapted.json").write_text(json.dumps(rows, indent=1) + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--path", type=Path, required=True, metavar="DIR", help="HAM10000")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="results, kept")
    parser.add_argument("--fit-minutes", type=float, default=15.0, help="CPU time of the fit")
    parser.add_argument("--minutes", type=float, default=5.0, help="CPU time of each adaptation")
    parser.add_argument("--shots", type=int, nargs="+", default=[5, 20])
    parser.add_argument("--moves", nargs="+", default=["modulation"])
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="of our GAN")
    parser.add_argument("--pseudo", action="store_true", help="common classes for the rare ones")
    return parser.parse_args()


def table_of(path: Path, labels: tuple[str, ...]) -> ImageTable:
    with tempfile.TemporaryDirectory() as folder:
        read = ham10000(path, out=Path(folder), labels=labels)
    files = [read.root / name for name in read.rows["path"]]
    return table_from_files(files, read.rows["label"].tolist(), image_size=64)


def support_of(few: ImageTable, shots: int) -> ImageTable:
    labels, rows = np.array(few.labels), list[int]()
    for name in few.classes:
        mine = np.flatnonzero(labels == name)
        rows += mine[rng_for(0, "support", name).permutation(len(mine))[:shots]].tolist()
    return few.take(rows)


def steps_for(make: Any, minutes: float) -> int:
    """Return how many steps take so long; `make(steps)` takes them."""
    seconds = []
    for steps in (2, 12, 32):
        began = time.process_time()
        make(steps)
        seconds.append(time.process_time() - began)
    return max(1, int((60 * minutes - sum(seconds)) / (seconds[2] - seconds[1]) * 20))


def fit(gan: Gan, base: ImageTable, minutes: float, folder: Path) -> Gan:
    if not (folder / "gan.json").is_file():
        with tempfile.TemporaryDirectory() as name:

            def made(steps: int) -> Gan:
                return replace(gan, fit_steps=steps).fit(base, seed=0, out=Path(name))

            made(steps_for(made, minutes)).save(folder)
    return gan.load(folder)


def replace_keeping(gan: Gan, **changed: Any) -> Gan:
    with tempfile.TemporaryDirectory() as name:
        gan.save(Path(name))
        return replace(gan, **changed).load(Path(name))


def timed(gan: Gan, support: ImageTable, minutes: float) -> GanSampler:
    with tempfile.TemporaryDirectory() as name:

        def made(steps: int) -> GanSampler:
            return replace_keeping(gan, adapt_steps=steps).adapt(support, seed=0, out=Path(name))

        return made(steps_for(made, minutes))


def figures(
    net: Encoder, sampler: GanSampler, support: ImageTable, few: ImageTable, file: Path
) -> Row:
    known = set(support.rows["image_id"])
    rest = few.where([one not in known for one in few.rows["image_id"]])
    made = {
        name: sampler.sample(name, [seed_for(0, name, i) for i in range(EACH)]).images
        for name in few.classes
    }
    sheet(torch.cat([images[:10] for images in made.values()]), 10, file)
    row: Row = {}
    for name, images in made.items():
        own = support.where([label == name for label in support.labels]).images()
        others = rest.where([label == name for label in rest.labels]).images()
        near = nearest_correlation(images.numpy(), own.numpy()) >= NEAR
        real = nearest_correlation(others.numpy(), own.numpy()) >= NEAR
        spread = diversity(net.read(images)[0]) / diversity(net.read(others)[0])
        row[name] = {
            "near_copies": round(float(near.mean()), 3),
            "near_copies_of_real": round(float(real.mean()), 3),
            "diversity": round(spread, 3),
        }
    # Every class alike on both sides.
    n = min(rest.labels.count(name) for name in few.classes)
    picked = [np.flatnonzero(np.array(rest.labels) == name)[:n] for name in few.classes]
    real_features, _ = net.read(rest.images(np.concatenate(picked)))
    made_features, _ = net.read(torch.cat([images[:n] for images in made.values()]))
    own_features, _ = net.read(support.images())
    scale = real_features.std()
    for name, features in (("kid", made_features), ("kid_of_support", own_features)):
        value, error = kid_jackknife(real_features / scale, features / scale)
        row |= {name: round(value, 4), f"{name}_se": round(error, 4)}
    return row


if __name__ == "__main__":
    main()
