#!/usr/bin/env python
"""MAML meta-iterations a second and their memory, ours against learn2learn.

    python scripts/bench/maml.py [--quick] [--json FILE]

Both meta-train the same net, four blocks of 64 filters and a linear head, on the same tasks: 5-way
1-shot, 15 query images a class, 5 inner steps, at 28 and 84 px, 4 tasks a batch (16 and 32 too
where there is a GPU). Each side has a process of its own; they work in turn, and the fastest of n
iterations counts, after one that does not. learn2learn runs the loop of its documentation (clone,
adapt, query loss, backward, task by task) with BatchNorm in train mode, as in its examples, so
that query images see each other. Ours is a step of the `maml` learner: the same inner loop, and
BatchNorm with the statistics of the support, for which the support passes once more.
Memory is the peak above what the process holds before the iteration.
Target: at least 1.0x learn2learn on a CPU; with a GPU at least 3x at 16 and 32 tasks.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

WAY, SHOT, QUERY, STEPS, LR = 5, 1, 15, 5, 0.1
SIZES, ORDERS, TARGET_CPU, TARGET_GPU = (28, 84), ("second", "first"), 1.0, 3.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="28 px only, fewer iterations: under 50 s"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there")
    parser.add_argument("--side", choices=list(SIDES), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        serve(args.side)
        return
    rows = compare(args.quick)
    show(rows)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


def compare(quick: bool) -> list[dict[str, Any]]:
    """Return the rows of all sizes, orders and batches."""
    sides = {name: Side(name) for name in SIDES}
    about = {name: side.hear() for name, side in sides.items()}
    gpu, version = about["ours"]["gpu"], about["learn2learn"]["version"]
    batches = (4, 16, 32) if gpu else (4,)
    rows = []
    for size in SIZES[:1] if quick else SIZES:
        n = (3 if size < 50 else 1) if quick else 8
        for order in ORDERS:
            for tasks in batches:
                case = {"size": size, "order": order, "tasks": tasks}
                found: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
                for turn in range(n + 1):
                    for name, side in sides.items():
                        made = side.ask(case)
                        if turn:
                            found[name].append(made)
                rows.append(row_of(case, found, version, gpu))
    for side in sides.values():
        side.close()
    return rows


def row_of(
    case: dict[str, Any], found: dict[str, list[dict[str, float]]], version: str, gpu: str
) -> dict[str, Any]:
    best = {name: min(m["seconds"] for m in made) for name, made in found.items()}
    memory = {name: max(m["mib"] for m in made) for name, made in found.items()}
    peer = best["learn2learn"] if version else None
    return {
        "name": f"{case['order']}@{case['size']}x{case['tasks']}",
        "ours": round(1.0 / best["ours"], 3),
        "peer": None if peer is None else round(1.0 / peer, 3),
        "peer_name": "learn2learn",
        "peer_version": version,
        "unit": "meta-iterations/s",
        "ratio": None if peer is None else round(peer / best["ours"], 2),
        "ours_mib": round(memory["ours"]),
        "peer_mib": None if peer is None else round(memory["learn2learn"]),
        "machine": gpu or f"{platform.machine()} {os.cpu_count()} cores",
    }


class Side:
    """A process that runs one side's iterations when asked."""

    def __init__(self, name: str) -> None:
        command = [sys.executable, __file__, "--side", name]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def hear(self) -> dict[str, Any]:
        """Return what it says next."""
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def ask(self, case: dict[str, Any]) -> dict[str, float]:
        """Return the seconds and MiB of one iteration; nothing comes from an absent package."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(case) + "\n")
        self.process.stdin.flush()
        return self.hear()

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def serve(side: str) -> None:
    """Run the iterations asked for on standard input."""
    import torch

    from fewskin import compat
    from fewskin.errors import MissingExtra

    version = ""
    try:
        version = compat.import_learn2learn().__version__
    except MissingExtra:
        if side == "learn2learn":
            say(seconds=0.0, mib=0.0, gpu="", version="")
            for _ in sys.stdin:
                say(seconds=float("inf"), mib=0.0)
            return
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    say(gpu=gpu, version=version)
    steps: dict[str, Any] = {}
    for line in sys.stdin:
        if line not in steps:
            steps = {line: SIDES[side](**json.loads(line))}
        before = settle()
        started = time.perf_counter()
        steps[line]()
        seconds = time.perf_counter() - started
        say(seconds=seconds, mib=peak() - before)


def say(**values: Any) -> None:
    print(json.dumps(values), flush=True)


def settle() -> float:
    """Forget the peak of memory and return what is held now, in MiB."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / 2**20
    Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS")


def peak() -> float:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() / 2**20
    return status("VmHWM")


def status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def batch_of(size: int, tasks: int) -> Any:
    """Return normalised tasks, the same for both sides."""
    import torch

    from fewskin.training.episodic import EpisodeBatch

    rng = torch.Generator().manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"

    def images(n: int) -> Any:
        made = torch.randn(tasks * WAY * n, 3, size, size, generator=rng).to(device)
        return made.unflatten(0, (tasks, WAY * n))

    def labels(n: int) -> Any:
        return torch.arange(WAY, device=device).repeat_interleave(n).expand(tasks, -1)

    seeds = [torch.zeros(tasks, WAY * n, dtype=torch.int64) for n in (SHOT, QUERY)]
    weights = torch.ones(tasks, WAY * SHOT, device=device)
    parts = (images(SHOT), labels(SHOT), weights, images(QUERY), labels(QUERY))
    return EpisodeBatch(*parts, *seeds, way=torch.full((tasks,), WAY))


def ours(size: int, order: Any, tasks: int) -> Any:
    """Return one meta-iteration of the `maml` learner."""
    import torch

    from fewskin.nets.backbones import make_backbone
    from fewskin.training.meta import Inner, TaskNet
    from fewskin.training.meta_steps import MetaTraining, Outer

    batch = batch_of(size, tasks)
    inner = Inner(steps=STEPS, lr=LR, order=order)
    net = TaskNet(make_backbone("conv4", image_size=size), inner).to(batch.support.device)
    module = MetaTraining(net, Outer(tasks=tasks, lr=1e-3))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    module.manual_backward = lambda loss: loss.backward()  # type: ignore[method-assign]

    def step() -> None:
        optimizer.zero_grad()
        module.backward_tasks(batch)
        optimizer.step()

    return step


def learn2learn(size: int, order: str, tasks: int) -> Any:
    """Return one meta-iteration of learn2learn's documented loop."""
    import torch
    from torch.nn.functional import cross_entropy

    from fewskin import compat
    from fewskin.nets.backbones import make_backbone

    l2l = compat.import_learn2learn()
    batch = batch_of(size, tasks)
    backbone = make_backbone("conv4", image_size=size)
    net = torch.nn.Sequential(backbone, torch.nn.Linear(backbone.feature_dim, WAY))
    net.to(batch.support.device).train()
    maml = l2l.algorithms.MAML(net, lr=LR, first_order=order == "first")
    optimizer = torch.optim.Adam(maml.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        for i in range(tasks):
            learner = maml.clone()
            for _ in range(STEPS):
                learner.adapt(cross_entropy(learner(batch.support[i]), batch.support_labels[i]))
            cross_entropy(learner(batch.query[i]), batch.query_labels[i]).backward()
        for p in maml.parameters():
            p.grad.mul_(1.0 / tasks)
        optimizer.step()

    return step


SIDES = {"ours": ours, "learn2learn": learn2learn}


def show(rows: list[dict[str, Any]]) -> None:
    for r in rows:
        name, own = f"{r['name']:<13}", f"{r['ours']:>8.3f}/s {r['ours_mib']:>6} MiB"
        against = f"{r['peer_name']} {r['peer_version']}"
        if r["ratio"] is None:
            print(f"{name} {own}   {against}: not compared")
            continue
        target = TARGET_CPU if r["name"].endswith("x4") else TARGET_GPU
        verdict = f"target {target:g}x {'met' if r['ratio'] >= target else 'MISSED'}"
        other = f"{r['peer']:>8.3f}/s {r['peer_mib']:>6} MiB"
        print(f"{name} {own} against {other} {r['ratio']:>6.2f}x  {verdict:<16} {against}")
    if all(r["ratio"] is None or "cores" in r["machine"] for r in rows):
        print("16 and 32 tasks a batch, where vmap is meant for: no GPU here, not compared")


if __name__ == "__main__":
    main()
