#!/usr/bin/env python
"""Few-shot episodes a second, ours against easyfsl's documented loop.

    python scripts/bench/episodes.py [--quick] [--json FILE] [--path FOLDER_OF_CLASSES]

`train` rows: ProtoNet, conv4 at 64 px from scratch, 5-way 5-shot with 10 query images a class,
every step a new episode of the same JPEGs. easyfsl reads them as its notebook on episodic training
does: EasySet, TaskSampler, DataLoader with the better of 0 and 2 workers, process_support_set,
forward, SGD. Ours decodes once and reads its memory map. `train plain` has no augmentation on
either side; `train augmented` each side's own: easyfsl's RandomResizedCrop, ColorJitter and flip,
our turn, scale, shift, flip and light. Starting up is not counted on either side.

`adapt+predict` rows: 1000 tasks, given as row numbers of one table of features, 5-way 5-shot with
15 query images a class. easyfsl calls process_support_set and forward for each task, ours takes
them as one tensor. 64 features are conv4's, 640 ResNet12's; the target is for the former.

Ours and the peer each live in an own process and take turns; the fastest of n rounds counts, after
one that is not counted. Memory is the peak of that process while it is measured; easyfsl's worker
processes come on top. Targets: 3x for training, 10x for adapt+predict.

easyfsl 1.5.0 is unmodified, but does not start on torch 2.13: its sampler passes `data_source` to
torch's, which no longer takes it. The peer's process lets torch's sampler ignore it.
"""

import argparse
import contextlib
import importlib.metadata
import importlib.util
import json
import multiprocessing
import os
import platform
import random
import re
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

WAY, SHOT, QUERY, SIZE, ASKED = 5, 5, 10, 64, 15
TARGETS = {"train plain": 3.0, "train augmented": 3.0, "adapt+predict, 64 features": 10.0}
FEATURES = ("protonet", 64), ("simpleshot", 64), ("protonet", 640)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer images and steps: under 50 s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there")
    parser.add_argument("--path", type=Path, metavar="FOLDER", help="class-per-folder images")
    args = parser.parse_args()
    n_images, steps, rounds = (100, 2, 1) if args.quick else (600, 15, 3)
    with tempfile.TemporaryDirectory(prefix="fewskin-bench-") as folder:
        os.environ["FEWSKIN_RUNS"] = str(Path(folder, "runs"))
        path = args.path or write_images(Path(folder, "images"), n_images)
        ours = Side(measure_ours, path, steps)
        peer = Side(measure_easyfsl, path, steps) if importlib.util.find_spec("easyfsl") else None
        rows = [compare(name, ours, peer, rounds) for name in MEASURES]
        for side in filter(None, (ours, peer)):
            side.close()
    show(rows)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


def write_images(root: Path, n: int) -> Path:
    """Write n JPEGs of 600 x 450 pixels, the size of HAM10000, in five classes."""
    rng = np.random.default_rng(0)
    for i in range(n):
        shade = Image.fromarray(rng.integers(60, 220, (9, 12, 3), dtype=np.uint8))
        smooth = np.asarray(shade.resize((600, 450), Image.Resampling.BICUBIC), np.float32)
        noisy = smooth + rng.normal(0, 6, (450, 600, 1)).astype(np.float32)
        file = root / f"class{i % WAY}" / f"{i:05d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, quality=90)
    return root


class Side:
    """A process that measures what it is asked, so that the memory of the two is apart."""

    def __init__(self, target: Callable[..., None], path: Path, steps: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=target, args=(theirs, path, steps))
        self.process.start()
        theirs.close()

    def measure(self, name: str) -> tuple[float, float, str]:
        """Return episodes a second, peak MiB, and how it was done."""
        self.pipe.send(name)
        answer: tuple[float, float, str] = self.pipe.recv()
        return answer

    def close(self) -> None:
        """End the process."""
        self.pipe.send("")
        self.process.join()


def serve(pipe: Connection, measures: dict[str, Callable[[], tuple[float, str]]]) -> None:
    for name in iter(pipe.recv, ""):
        forget_peak()
        rate, how = measures[name]()
        pipe.send((rate, peak_mib(), how))


def forget_peak() -> None:
    # Elsewhere than on Linux the peak is that of the whole process.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_mib() -> float:
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        return int(found.group(1)) / 1024 if found else float("nan")
    except OSError:
        return float("nan")


def measure_ours(pipe: Connection, path: Path, steps: int) -> None:
    """Serve our measurements."""
    import torch

    from fewskin.data.images import open_table
    from fewskin.functional.augment import Policy
    from fewskin.functional.episodes import classify
    from fewskin.stages.ingest import ingest

    table = open_table(ingest(path), SIZE)

    def adapt(metric: Any, n_features: int) -> tuple[float, str]:
        features, support, labels, query = tasks(n_features)
        started = time.perf_counter()
        with torch.inference_mode():
            classify(features, support, labels, query, WAY, metric=metric)
        return len(support) / (time.perf_counter() - started), "one tensor"

    metric = {"protonet": "euclidean", "simpleshot": "cosine"}
    adapts = {adapt_name(*key): lambda key=key: adapt(metric[key[0]], key[1]) for key in FEATURES}
    trains = {
        "train plain": lambda: train(table, steps, None),
        "train augmented": lambda: train(table, steps, Policy()),
    }
    serve(pipe, {**trains, **adapts})


def train(table: Any, steps: int, policy: Any) -> tuple[float, str]:
    """Train on episodes as `ProtoNet.fit` does; what comes before the first one is not counted."""
    import torch

    from fewskin.compat import import_lightning
    from fewskin.data.episodes import EpisodeSampler
    from fewskin.functional.episodes import centres, logits
    from fewskin.nets.backbones import make_backbone
    from fewskin.training.engine import run_steps
    from fewskin.training.episodic import EpisodeBatch, episode_batches, prepared

    class Episodic(import_lightning().LightningModule):  # type: ignore[misc]  # found at run time
        def __init__(self) -> None:
            super().__init__()
            self.net = make_backbone("conv4").train().to(memory_format=torch.channels_last)

        def training_step(self, batch: EpisodeBatch, batch_idx: int) -> Any:
            batch = prepared(batch, policy)
            n_support = batch.support_labels.shape[1]
            known = self.net(torch.cat([batch.support, batch.query], dim=1).flatten(0, 1))[None]
            middle = centres(known[:, :n_support], batch.support_labels, WAY)
            asked = logits(known[:, n_support:], middle)
            return torch.nn.functional.cross_entropy(asked[0], batch.query_labels[0])

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=1e-2, momentum=0.9, weight_decay=5e-4)

    cell = {"way": WAY, "shot": SHOT, "query": QUERY, "seed": 0}
    batches = episode_batches(
        table, EpisodeSampler(table.labels, table.groups, **cell), tasks=1, seed=0
    )
    starts = []

    def batch(step: int) -> EpisodeBatch:
        starts.append(time.perf_counter())
        return batches(step)

    run_steps(Episodic(), batch, steps=steps, out=None)
    return steps / (time.perf_counter() - starts[0]), "run_steps"


def tasks(n_features: int, n: int = 1000) -> tuple[Any, Any, Any, Any]:
    """Return (600, d) features, (n, s) support rows and labels, (n, q) query rows; 20 classes."""
    import torch

    rng = np.random.default_rng(0)
    rows = []
    for _ in range(n):
        classes = rng.permutation(20)[:WAY]
        rows.append([30 * c + rng.permutation(30)[: SHOT + ASKED] for c in classes])
    drawn = torch.from_numpy(np.array(rows))  # (n, way, shot + asked)
    labels = torch.arange(WAY).repeat_interleave(SHOT).expand(n, -1).contiguous()
    features = rng.normal(size=(600, n_features)).astype(np.float32)
    support, query = drawn[..., :SHOT].flatten(1), drawn[..., SHOT:].flatten(1)
    return torch.from_numpy(features), support, labels, query


def measure_easyfsl(pipe: Connection, path: Path, steps: int) -> None:
    """Serve easyfsl's measurements."""
    from fewskin.compat import import_torchvision

    import_torchvision()
    import torch
    from easyfsl.datasets import EasySet
    from easyfsl.methods import PrototypicalNetworks, SimpleShot
    from easyfsl.samplers import TaskSampler
    from torch.utils.data import DataLoader

    torch.utils.data.Sampler.__init__ = lambda self, data_source=None: None  # see above
    folders = sorted(folder for folder in path.iterdir() if folder.is_dir())
    specs = Path(os.environ["FEWSKIN_RUNS"], "easyfsl.json")
    specs.parent.mkdir(parents=True, exist_ok=True)
    about = {"class_names": [f.name for f in folders], "class_roots": [str(f) for f in folders]}
    specs.write_text(json.dumps(about))

    def loader(augmented: bool, workers: int) -> Any:
        data = EasySet(specs, image_size=SIZE, training=augmented)
        sampler = TaskSampler(data, WAY, SHOT, QUERY, steps)
        return DataLoader(
            data,
            batch_sampler=sampler,
            num_workers=workers,
            collate_fn=sampler.episodic_collate_fn,
            persistent_workers=workers > 0,
            # This process was spawned; its workers need not be.
            multiprocessing_context="fork" if workers else None,
        )

    loaders = {(own, n): loader(own, n) for own in (False, True) for n in (0, 2)}

    def fit(augmented: bool) -> tuple[float, str]:
        random.seed(0)
        rates = {n: epoch(loaders[augmented, n]) for n in (0, 2)}
        best = max(rates, key=lambda n: rates[n])
        return rates[best], f"{best} workers"

    def adapt(method: Any, n_features: int) -> tuple[float, str]:
        features, support, labels, query = tasks(n_features)
        model = method().eval()
        started = time.perf_counter()
        with torch.no_grad():
            for known, own, asked in zip(support, labels, query, strict=True):
                model.process_support_set(features[known], own)
                model(features[asked])
        return len(support) / (time.perf_counter() - started), "a loop"

    method = {"protonet": PrototypicalNetworks, "simpleshot": SimpleShot}
    adapts = {adapt_name(*key): lambda key=key: adapt(method[key[0]], key[1]) for key in FEATURES}
    plain = {"train plain": lambda: fit(False), "train augmented": lambda: fit(True)}
    serve(pipe, {**plain, **adapts})


def epoch(loader: Any) -> float:
    """Train easyfsl's ProtoNet for one epoch, as its documentation does; episodes a second."""
    import torch
    from easyfsl.methods import PrototypicalNetworks

    from fewskin.nets.backbones import make_backbone

    model = PrototypicalNetworks(make_backbone("conv4")).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9, weight_decay=5e-4)
    loss_of, losses = torch.nn.CrossEntropyLoss(), []
    batches = iter(loader)
    started = time.perf_counter()
    for support, support_labels, query, query_labels, _ in batches:
        optimizer.zero_grad()
        model.process_support_set(support, support_labels)
        loss = loss_of(model(query), query_labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return len(losses) / (time.perf_counter() - started)


def adapt_name(method: str, n_features: int) -> str:
    first = "" if method == "protonet" else f" {method}"
    return f"adapt+predict{first}, {n_features} features"


MEASURES = ("train plain", "train augmented", *(adapt_name(*key) for key in FEATURES))


def compare(name: str, ours: Side, peer: Side | None, rounds: int) -> dict[str, Any]:
    """Return the row of one measurement."""
    sides = [side for side in (ours, peer) if side]
    best: list[tuple[float, float, str]] = []
    for turn in range(1 + rounds):
        made = [side.measure(name) for side in sides]
        if turn:
            best = [max(pair) for pair in zip(best or made, made, strict=True)]
    own, other = best[0], best[1] if peer else None
    return {
        "name": name,
        "ours": round(own[0], 2),
        "peer": other and round(other[0], 2),
        "peer_name": "easyfsl" if other is None else f"easyfsl, {other[2]}",
        "peer_version": importlib.metadata.version("easyfsl") if peer else "",
        "unit": "episodes/s",
        "ratio": other and round(own[0] / other[0], 2),
        "ours_mib": round(own[1]),
        "peer_mib": other and round(other[1]),
        "machine": f"{platform.machine()} {os.cpu_count()} cores",
    }


def show(rows: list[dict[str, Any]]) -> None:
    for r in rows:
        against = f"{r['peer_name']} {r['peer_version']}"
        if r["ratio"] is None:
            print(f"{r['name']:<37} {r['ours']:>9.1f} episodes/s   {against}: not compared")
            continue
        target = TARGETS.get(r["name"])
        verdict = (
            f"target {target:g}x {'met' if r['ratio'] >= target else 'MISSED'}" if target else ""
        )
        rates = f"{r['ours']:>9.1f} against {r['peer']:>8.1f} episodes/s"
        memory = f"{r['ours_mib']} against {r['peer_mib']} MiB"
        print(f"{r['name']:<37} {rates} {r['ratio']:>6.2f}x  {verdict:<17} {memory:<22} {against}")


if __name__ == "__main__":
    main()
