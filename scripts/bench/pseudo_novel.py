#!/usr/bin/env python
"""What each part of `whitened` gives, on pairs of base classes held out as if they were rare.

    python scripts/bench/pseudo_novel.py --path HAM10000 [--pairs N] [--draws N]
                                         [--net] [--steps N]

Of nv, mel, bkl and bcc two are held out in turn (six pairs); everything is fitted on the other two,
then adapted to 5 images of each held-out class and tested on the rest of them. No image of another
class is read for fitting or testing. Each row is the mean over pairs of the AUC and the balanced
accuracy, and its paired difference from the first row with a standard error over draws (it holds
for these fits and images; it is no interval for new ones). Without --net, parts without a net are
compared, in about 25 minutes on one core; with it, parts of the net on its own, which is trained
twice for every pair.
"""

import argparse
import json
import os
import tempfile
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from fewskin.data.images import open_table
from fewskin.plugins import fit_spec, make
from fewskin.protocols import ImageTable
from fewskin.seeding import rng_for
from fewskin.stages.check import check
from fewskin.stages.ingest import ingest

BASE, SHOTS, SIZE = ("bcc", "bkl", "mel", "nv"), 5, 96
ALL = ["colour", "texture", "patches"]
PLAIN = {"name": "whitened", "backbone": "conv4", "fit_steps": 0, "fit_levels": "none"}
NET = {"name": "whitened", "fit_batch_size": 64, "fit_lr": 2e-3, "fit_contrast": 0.5}
NET |= {"fit_strength": 1.5, "fit_also": [], "backbone": "resnet10"}
WITHOUT_NET: dict[str, dict[str, Any]] = {
    "colour, texture, patches": {**PLAIN, "fit_also": ALL},
    "no colour": {**PLAIN, "fit_also": ["texture", "patches"]},
    "no texture": {**PLAIN, "fit_also": ["colour", "patches"]},
    "no patches": {**PLAIN, "fit_also": ["colour", "texture"]},
    "patches in one view": {**PLAIN, "fit_also": ALL, "fit_views": 1},
    "shrinkage 0.4": {**PLAIN, "fit_also": ALL, "shrinkage": 0.4},
    "shrinkage 1 (no whitening)": {**PLAIN, "fit_also": ALL, "shrinkage": 1.0},
    "centred, unit length (simpleshot)": {**PLAIN, "name": "simpleshot", "fit_also": ALL},
    "logistic regression (probe)": {**PLAIN, "name": "probe", "fit_also": ALL},
}
WITH_NET: dict[str, dict[str, Any]] = {
    "resnet10, all levels": NET,
    "with colour, texture, patches": {**NET, "fit_also": ALL},
    "last level": {**NET, "fit_levels": "last"},
    "one view": {**NET, "fit_views": 1},
    "no contrast": {**NET, "fit_contrast": 0.0},
    "shrinkage 1 (no whitening)": {**NET, "shrinkage": 1.0},
    "first weights": {**NET, "fit_steps": 0},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--path", type=Path, required=True, metavar="HAM10000")
    parser.add_argument("--pairs", type=int, default=6, help="how many of the six pairs")
    parser.add_argument("--draws", type=int, default=100, help="support sets a pair")
    parser.add_argument("--net", action="store_true", help="compare parts of the net instead")
    parser.add_argument("--steps", type=int, default=900, help="of training a net")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fewskin-bench-") as folder:
        os.environ.setdefault("FEWSKIN_RUNS", str(Path(folder, "runs")))
        manifest = check(ingest(args.path, source={"name": "ham10000"}))
        table = open_table(manifest, SIZE)
        base = table.where([label in BASE for label in table.labels])
        rows = compare(base, WITH_NET if args.net else WITHOUT_NET, args, Path(folder))
    show(rows)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


def compare(
    base: ImageTable, variants: dict[str, dict[str, Any]], args: argparse.Namespace, out: Path
) -> list[dict[str, Any]]:
    """Return one row a variant; differences are from the first of them."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in variants}
    started = time.process_time()
    for pair in list(combinations(BASE, 2))[: args.pairs]:
        fits: dict[str, Path] = {}
        own = out / "-".join(pair)
        for name, spec in variants.items():
            values = results(base, pair, {"fit_steps": args.steps} | spec, fits, args.draws, own)
            found[name].append(values)
            auc, balanced = 100 * values.mean(0)
            print(f"{'-'.join(pair):<8} {name:<38} {auc:5.1f} {balanced:5.1f}", flush=True)
    first = found[next(iter(variants))]
    rows = []
    for name, values in found.items():
        mean = 100 * np.mean([each.mean(0) for each in values], axis=0)
        apart = [100 * (each - own) for each, own in zip(values, first, strict=True)]
        change = np.mean([each.mean(0) for each in apart], axis=0)
        spread = np.sqrt(sum(each.var(0, ddof=1) / len(each) for each in apart)) / len(apart)
        row = {"name": name, "auc": mean[0], "balanced_accuracy": mean[1]}
        row |= {"auc_change": change[0], "auc_se": spread[0]}
        row |= {"balanced_accuracy_change": change[1], "balanced_accuracy_se": spread[1]}
        row |= {"pairs": len(values), "draws": args.draws}
        rows.append({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()})
    print(f"{time.process_time() - started:.0f} s of CPU time")
    return rows


def results(
    base: ImageTable,
    pair: tuple[str, str],
    spec: dict[str, Any],
    fits: dict[str, Path],
    draws: int,
    out: Path,
) -> np.ndarray:
    """Return (draws, 2): AUC and balanced accuracy of each support set."""
    labels = np.array(base.labels)
    kept = base.where(~np.isin(labels, pair))
    if spec["fit_steps"]:
        # Trained once, whatever is read of it afterwards.
        own = {"fit_levels": "last", "fit_views": 1, "fit_also": []}
        folder = fitted(spec | own, kept, fits, out)
        spec = spec | {"weights": str(folder / "backbone.safetensors"), "fit_steps": 0}
    folder = fitted(spec, kept, fits, out)
    learner = make("learners", spec).load(folder)
    novel = base.where(np.isin(labels, pair))
    own = np.array(novel.labels)
    made = []
    for draw in range(draws):
        rng = rng_for(0, "pseudo-novel", *pair, draw)
        support = [rng.choice(np.flatnonzero(own == x), SHOTS, replace=False) for x in pair]
        test = np.setdiff1d(np.arange(len(own)), np.concatenate(support))
        chosen = novel.take(np.concatenate(support))
        model = learner.adapt(chosen, extra=None, base=None, seed=draw, out=out / "adapt")
        prob = model.predict_table(novel.take(test)).numpy()[:, 1]
        second = own[test] == pair[1]
        recall = (prob[second] > 0.5).mean(), (prob[~second] <= 0.5).mean()
        made.append((roc_auc_score(second, prob), np.mean(recall)))
    return np.array(made)


def fitted(spec: dict[str, Any], kept: ImageTable, fits: dict[str, Path], out: Path) -> Path:
    """Return the folder of a base fit, made where there is none."""
    key = json.dumps({**fit_spec(spec), "name": ""}, sort_keys=True)
    if key not in fits:
        started, fits[key] = time.process_time(), out / f"state-{len(fits)}"
        make("learners", spec).fit(kept, seed=0, out=out / f"fit-{len(fits)}").save(fits[key])
        if spec["fit_steps"]:
            print(f"trained {spec['backbone']}: {time.process_time() - started:.0f} s", flush=True)
    return fits[key]


def show(rows: list[dict[str, Any]]) -> None:
    """Print the rows as a Markdown table."""
    print("\n| parts | AUC x 100 | balanced accuracy, % | change in AUC | in balanced accuracy |")
    print("|---|---|---|---|---|")
    for row in rows:
        auc, balanced = f"{row['auc']:.1f}", f"{row['balanced_accuracy']:.1f}"
        change = f"{row['auc_change']:+.2f} ± {row['auc_se']:.2f}"
        other = f"{row['balanced_accuracy_change']:+.2f} ± {row['balanced_accuracy_se']:.2f}"
        print(f"| {row['name']} | {auc} | {balanced} | {change} | {other} |")


if __name__ == "__main__":
    main()
