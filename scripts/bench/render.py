#!/usr/bin/env python
"""CPU milliseconds of a picture of a face, ours beside pyrender, moderngl and embreex.

    python scripts/bench/render.py [--quick] [--json FILE] [--model FILE]

Every picture has a new shape and a new pose, so that nothing of the last can be kept. All sides
start from vertices in numpy and end with a picture in numpy. The model is our own head, or a file
of `fewskin face import-ict`.

`face` rows are skin, lips, eyes and mouth at 256 px: ours is a labelled sample, in colour under a
light, with coverage, five region masks, depth and one mask given as a texture; pyrender and
moderngl draw colour alone, with their own lamp and the same texture. `2x2` averages four points a
pixel, `1` takes one; moderngl then has 4 samples or none. embreex casts one ray a point and gives
triangle and place, no colour: it stands beside our raster alone (`raster` rows), once with the tree
built anew for each shape and once with the rays turned instead of the mesh.
`head and background` is the face over the sheet of hair, neck and background, four points a pixel;
no peer has that.

Each side has a process of its own with one thread; they work in turn and the least CPU time of n
pictures counts, after one that does not. Targets: 8 ms for `face 1`, 30 ms for `head and
background`, on one core; 2,000 faces a second in batches where there is a GPU.
"""

import argparse
import contextlib
import importlib.metadata
import importlib.util
import json
import multiprocessing
import os
import platform
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import render_peers  # beside this file
from render_peers import SIDE, SIZE, Draw

TARGETS = {"face 1": 8.0, "head and background 2x2": 30.0}
PEERS = {
    "face 1": ("pyrender", "moderngl"),
    "face 2x2": ("moderngl",),
    "raster, new shape": ("embreex",),
    "raster, same shape": ("embreex",),
    "head and background 2x2": (),
}
GPU_TARGET, BATCH = 2000.0, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer pictures: under 50 s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there")
    parser.add_argument("--model", type=Path, metavar="FILE", help="a face model, .npz")
    args = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1", LP_NUM_THREADS="1")
    sides = {name: Side(name, args.model) for name in SERVED}
    rows = [row for name in PEERS for row in compare(name, sides, turns=6 if args.quick else 40)]
    for side in sides.values():
        side.close()
    rows.append(on_gpu(args.model))
    show(rows)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


def compare(name: str, sides: "dict[str, Side]", turns: int) -> list[dict[str, Any]]:
    """Return a row for each peer, or one of ours alone."""
    taken = ["ours", *PEERS[name]]
    found: dict[str, list[float]] = {side: [] for side in taken}
    for turn in range(turns + 1):
        for side in taken:
            seconds = sides[side].ask(name)
            if turn:
                found[side].append(seconds)
    own = 1000 * min(found["ours"])
    rows = []
    for peer in PEERS[name] or ("",):
        best = 1000 * min(found[peer]) if peer else float("inf")
        there = bool(np.isfinite(best))
        rows.append(
            {
                "name": name,
                "ours": round(own, 2),
                "peer": round(best, 2) if there else None,
                "peer_name": peer,
                "peer_version": sides[peer].version if peer else "",
                "unit": "CPU ms",
                "ratio": round(best / own, 2) if there else None,
                "machine": f"{platform.machine()} {os.cpu_count()} cores",
            }
        )
    return rows


class Side:
    """A process that draws when asked; a peer that is absent or fails answers with infinity."""

    def __init__(self, name: str, model: Path | None) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, name, model), daemon=True)
        self.process.start()
        theirs.close()
        self.version = ""
        with contextlib.suppress(EOFError):
            self.version = self.pipe.recv()

    def ask(self, case: str) -> float:
        """Return the CPU seconds of one picture."""
        try:
            self.pipe.send(case)
            return float(self.pipe.recv())
        except (EOFError, OSError):  # it ended: some OpenGL drivers abort
            return float("inf")

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):
            self.pipe.send("")
        self.process.join()


def serve(pipe: Connection, name: str, file: Path | None) -> None:
    if name != "ours" and importlib.util.find_spec(name) is None:
        pipe.send("")
        cases: dict[str, Draw] = {}
    else:
        pipe.send("" if name == "ours" else importlib.metadata.version(name))
        try:
            cases = SERVED[name](Scene(file))
        except Exception as error:  # whatever an OpenGL without a display raises
            print(f"{name}: {type(error).__name__}: {error}")
            cases = {}
    for case in iter(pipe.recv, ""):
        if case not in cases:
            pipe.send(float("inf"))
            continue
        started = time.process_time()
        cases[case]()
        pipe.send(time.process_time() - started)


class Scene:
    """What all sides draw: a model, its texture, and every time a new shape and pose."""

    def __init__(self, file: Path | None) -> None:
        from fewskin.face.model import load_model
        from fewskin.face.subject import PARTS
        from fewskin.functional.pose import frontal_view
        from fewskin.paths import assets_dir

        self.model = load_model(file or assets_dir() / "face" / "analytic_head.npz")
        self.only = self.model.in_region(*PARTS)
        self.view = frontal_view((SIZE, SIZE))
        self.rng = np.random.default_rng(0)
        self.texture = self.rng.random((SIDE, SIDE, 3), dtype=np.float32)
        normal = self.rng.standard_normal((8, min(10, len(self.model.identity))), np.float32)
        self.shapes = [self.model.shape(row) for row in normal]
        self.drawn = 0

    def next(self) -> tuple[Any, Any]:
        """Return the vertices and the view of the next picture."""
        self.drawn += 1
        pose = self.rng.uniform([-35, -12, -8], [35, 12, 8])
        return self.shapes[self.drawn % len(self.shapes)], self.view.posed(*pose)


def ours(scene: Scene) -> dict[str, Draw]:
    """Return our pictures by name."""
    from fewskin.face.render import render
    from fewskin.face.sheet import depth_sheet
    from fewskin.face.subject import border_opacity
    from fewskin.functional.lighting import ambient, directional
    from fewskin.functional.raster import raster

    model, light = scene.model, ambient(0.5).plus(directional((-0.5, 0.6, 1.0), 0.6))
    mask = {"lesion": scene.texture[..., 0]}
    photo = np.full((1024, 1024, 3), 0.4, np.float32)
    large = scene.view.scaled(4)
    sheet = depth_sheet(photo, photo[..., 0], model, model.vertices, large)
    opacity = border_opacity(model, SIDE)

    def face(supersample: int) -> object:
        vertices, view = scene.next()
        return render(
            model,
            vertices,
            view,
            scene.texture,
            light=light,
            masks=mask,
            only=scene.only,
            supersample=supersample,
        )

    def head() -> object:
        vertices, view = scene.next()
        behind = sheet.draw(view, light=(light, light))
        return render(
            model,
            vertices,
            view,
            scene.texture,
            light=light,
            background=behind,
            opacity=opacity,
            masks=mask,
            only=scene.only,
        )

    def points(new_shape: bool) -> object:
        vertices, view = scene.next()
        vertices = vertices if new_shape else scene.shapes[0]
        return raster(view.project(vertices), model.triangles, view.size)

    return {
        "face 1": lambda: face(1),
        "face 2x2": lambda: face(2),
        "raster, new shape": lambda: points(True),
        "raster, same shape": lambda: points(False),
        "head and background 2x2": head,
    }


SERVED: dict[str, Callable[[Scene], dict[str, Draw]]] = {
    "ours": ours,
    "embreex": render_peers.embreex,
    "moderngl": render_peers.moderngl,
    "pyrender": render_peers.pyrender,
}


def on_gpu(file: Path | None) -> dict[str, Any]:
    """Return the row of batches on a GPU, empty where there is none."""
    import torch

    row = {
        "name": f"faces {SIZE} px, batches of {BATCH}",
        "ours": None,
        "peer": None,
        "peer_name": "",
        "peer_version": "",
        "unit": "images/s",
        "ratio": None,
        "machine": "no GPU",
    }
    if not torch.cuda.is_available():
        return row
    from fewskin.face.render_torch import face_tensors, render_batch, view_tensors
    from fewskin.face.subject import PARTS

    scene = Scene(file)
    face = face_tensors(scene.model, "cuda", regions=PARTS)
    pairs = [scene.next() for _ in range(BATCH)]
    vertices = torch.from_numpy(np.stack([pair[0] for pair in pairs])).cuda()
    views = view_tensors([pair[1] for pair in pairs], "cuda")
    textures = torch.from_numpy(scene.texture).permute(2, 0, 1)[None].cuda()
    lights = torch.full((1, 9, 3), 0.3, device="cuda")
    best = float("inf")
    for turn in range(12):
        torch.cuda.synchronize()
        started = time.perf_counter()
        render_batch(face, vertices, views, textures, lights=lights, supersample=1)
        torch.cuda.synchronize()
        if turn:
            best = min(best, time.perf_counter() - started)
    return {**row, "ours": round(BATCH / best, 1), "machine": torch.cuda.get_device_name()}


def show(rows: list[dict[str, Any]]) -> None:
    for r in rows:
        if r["ours"] is None:
            print(f"{r['name']:<28} no GPU here: not measured, target {GPU_TARGET:g} {r['unit']}")
            continue
        if r["unit"] == "images/s":
            verdict = "met" if r["ours"] >= GPU_TARGET else "MISSED"
            print(f"{r['name']:<28} {r['ours']:>8.1f}/s on {r['machine']}, target {verdict}")
            continue
        target = TARGETS.get(r["name"])
        verdict = ""
        if target:
            verdict = f"target {target:g} ms {'met' if r['ours'] <= target else 'MISSED'}"
        against = "no peer has this"
        if r["peer_name"]:
            named = f"{r['peer_name']} {r['peer_version']}".strip()
            against = f"{named}: not compared"
            if r["ratio"] is not None:
                against = f"{named} {r['peer']:.1f} ms, {r['ratio']:.1f}x"
        print(f"{r['name']:<28} {r['ours']:>7.2f} ms  {against:<38} {verdict}")


if __name__ == "__main__":
    main()
