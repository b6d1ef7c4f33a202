#!/usr/bin/env python
"""Loader images a second, ours against a plain PIL Dataset and torchvision's ImageFolder.

    python scripts/bench/data.py [--quick] [--json FILE] [--path FOLDER_OF_CLASSES]

All read the same JPEGs in shuffled batches of 64 uint8 tensors at 64 and 128 px, in turn, in one
process tree, best of n epochs after one epoch that is not counted. Ours decodes once and then reads
its memory map in a single process; the peers decode every epoch, as they do in training, with
the better of 0 and 2 worker processes. The `decode` rows time what ours does once, so that the
number of epochs from which it pays can be read off. Target: at least 5x from the second epoch on.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from fewskin.data.images import EXTENSIONS, open_table
from fewskin.stages.ingest import ingest

BATCH, SIZES, TARGET, WORKERS = 64, (64, 128), 5.0, (0, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer images and epochs: under 50 s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there")
    parser.add_argument("--path", type=Path, metavar="FOLDER", help="class-per-folder images")
    args = parser.parse_args()
    n_images, epochs = (192, 2) if args.quick else (1000, 4)
    with tempfile.TemporaryDirectory(prefix="fewskin-bench-") as folder:
        os.environ["FEWSKIN_RUNS"] = str(Path(folder, "runs"))
        path = args.path or write_images(Path(folder, "images"), n_images)
        rows = [row for size in SIZES for row in compare(path, size, epochs)]
    show(rows)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


def write_images(root: Path, n: int) -> Path:
    """Write n JPEGs of 600 x 450 pixels, the size of HAM10000, in two classes."""
    rng = np.random.default_rng(0)
    for i in range(n):
        shade = Image.fromarray(rng.integers(60, 220, (9, 12, 3), dtype=np.uint8))
        smooth = np.asarray(shade.resize((600, 450), Image.Resampling.BICUBIC), np.float32)
        noisy = smooth + rng.normal(0, 6, (450, 600, 1)).astype(np.float32)
        file = root / f"class{i % 2}" / f"{i:05d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, quality=90)
    return root


def compare(path: Path, size: int, epochs: int) -> list[dict[str, Any]]:
    """Return the rows of one image size."""
    made = ingest(path)
    started = time.perf_counter()
    table = open_table(made, size)
    once = len(table) / (time.perf_counter() - started)
    rng = np.random.default_rng(0)

    def batches() -> Iterable[torch.Tensor]:
        order = rng.permutation(len(table))
        return (table.images(order[i : i + BATCH]) for i in range(0, len(table), BATCH))

    ours = best_rate(batches, epochs)
    plain = best_loader(PlainImages(path, size), epochs)
    pillow, vision = importlib.metadata.version("pillow"), vision_version()
    rows = [
        row(f"load@{size}", ours, plain, "PIL Dataset + DataLoader", pillow),
        row(f"decode@{size}", once, plain, "PIL Dataset + DataLoader, one epoch", pillow),
    ]
    folder = best_loader(image_folder(path, size), epochs) if vision else None
    rows.insert(
        1, row(f"load@{size}", ours, folder, "torchvision ImageFolder + DataLoader", vision)
    )
    return rows


def vision_version() -> str:
    try:
        return importlib.metadata.version("torchvision")
    except importlib.metadata.PackageNotFoundError:
        return ""


class PlainImages(Dataset[torch.Tensor]):
    """The Dataset everybody writes: open, resize, crop, to tensor."""

    def __init__(self, root: Path, size: int) -> None:
        self.files = sorted(f for f in root.rglob("*") if f.suffix.lower() in EXTENSIONS)
        self.size = size

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> torch.Tensor:
        image = Image.open(self.files[i]).convert("RGB")
        scale = self.size / min(image.size)
        width, height = (max(self.size, round(side * scale)) for side in image.size)
        left, top = (width - self.size) // 2, (height - self.size) // 2
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        image = image.crop((left, top, left + self.size, top + self.size))
        return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def image_folder(path: Path, size: int) -> "Dataset[Any]":
    """Return torchvision's ImageFolder with the transforms of its documentation."""
    from fewskin.compat import import_torchvision

    import_torchvision()
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import CenterCrop, Compose, PILToTensor, Resize

    return ImageFolder(str(path), Compose([Resize(size), CenterCrop(size), PILToTensor()]))


def best_loader(dataset: "Dataset[Any]", epochs: int) -> float:
    """Return the images a second of the better number of worker processes."""
    loaders = [
        DataLoader(dataset, BATCH, shuffle=True, num_workers=n, persistent_workers=n > 0)
        for n in WORKERS
    ]
    return max(best_rate(lambda loader=loader: loader, epochs) for loader in loaders)


def best_rate(batches: Callable[[], Iterable[Any]], epochs: int) -> float:
    """Return the images a second of the fastest epoch after the first."""
    rates = []
    for _ in range(1 + epochs):
        started, n = time.perf_counter(), 0
        for batch in batches():
            n += len(batch if isinstance(batch, torch.Tensor) else batch[0])
        rates.append(n / (time.perf_counter() - started))
    return max(rates[1:])


def row(name: str, ours: float, peer: float | None, peer_name: str, version: str) -> dict[str, Any]:
    return {
        "name": name,
        "ours": round(ours, 1),
        "peer": None if peer is None else round(peer, 1),
        "peer_name": peer_name,
        "peer_version": version,
        "unit": "images/s",
        "ratio": None if peer is None else round(ours / peer, 2),
        "machine": f"{platform.machine()} {os.cpu_count()} cores",
    }


def show(rows: list[dict[str, Any]]) -> None:
    for r in rows:
        against = f"{r['peer_name']} {r['peer_version']}"
        if r["ratio"] is None:
            print(f"{r['name']:<11} {r['ours']:>10.0f} images/s   {against}: not compared")
            continue
        verdict = ""
        if r["name"].startswith("load"):
            verdict = f"target {TARGET:g}x {'met' if r['ratio'] >= TARGET else 'MISSED'}"
        rates = f"{r['ours']:>10.0f} against {r['peer']:>7.0f} images/s"
        print(f"{r['name']:<11} {rates} {r['ratio']:>8.2f}x  {verdict:<15} {against}")


if __name__ == "__main__":
    main()
