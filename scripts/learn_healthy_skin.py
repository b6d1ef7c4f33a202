#!/usr/bin/env python
"""Make assets/face/healthy_skin.npz: what healthy skin looks like, and what blood on it does.

    python scripts/learn_healthy_skin.py MODEL FOLDER_OF_HEALTHY_FACES [--hold 3] [--maps FILE]

Each face is fitted with MODEL (analytic or an .npz file) and its light taken out; then it is drawn
once more on another head, at a yaw within 25 degrees, and found and fitted anew, so that the errors
of that are known too. Every third face (`--hold`), those that `bench/face_round_trip.py --every 3`
measures, is left out. Blood is painted on the maps of the rest (`face.common_map`): presets of
`face.conditions` and random fields that follow no anatomy, on mixtures and mirror images of the
faces, under other light; a small network learns to say where it is. The matched filter of redness
is the inverse of the covariance within faces, applied to haemoglobin's vector.

`--leave rosacea` keeps a condition out of what is taught: does the network know blood, or that
condition's shape? `--check` prints, for the faces that were held, what is found of each condition,
painted on their maps, and what is found where nothing was painted. Needs torch and
`pip install fewskin[landmarks]`. Ten minutes, half of them for the maps, which `--maps` keeps.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.nn import functional as F

from fewskin.data.images import decode
from fewskin.data.source import list_images
from fewskin.errors import DataError
from fewskin.face.analytic import analytic_head
from fewskin.face.common_map import COMMON_SIDE, common_map
from fewskin.face.condition import condition_names, present
from fewskin.face.finder_error import corrected
from fewskin.face.geometry import load_geometry
from fewskin.face.healthy import HealthyModel, bare_skin, cell_colours, network_inputs
from fewskin.face.landmarks import Landmarks
from fewskin.face.mediapipe_provider import MediapipeProvider
from fewskin.face.people import shrunk
from fewskin.face.pictures import as_linear, as_pixels
from fewskin.face.scene import picture_of, still
from fewskin.face.subject import Subject, subject_of
from fewskin.face.texture import smooth_step
from fewskin.functional.pigment import HAEMOGLOBIN, MELANIN
from fewskin.functional.pyramid import halved
from fewskin.seeding import rng_for

Array = npt.NDArray[np.floating]
SIDE, SHAPE, YAW = 512, 0.5, 25.0  # texels; spread of the other head; degrees
DRAWS, FIELDS = 30, 600  # of each condition; of random shape
NO_BLOOD = ("make_up", "melasma")  # their pigment is painted, and it is not blood
PICTURES, BATCH, RATE, DECAY = 24_000, 96, 4e-3, 0.05
HIDDEN, WIDTH, LEAST = 24, 16, 0.003  # numbers about a face; planes; mean square of blood
SIDEWAYS = np.linspace(-1.0, 1.0, COMMON_SIDE)
SURE = 0.2  # weight of a cell that counts in a check


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path("assets/face/healthy_skin.npz"))
    parser.add_argument("--hold", type=int, default=3, help="keep every n-th face apart; 0: none")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--leave", nargs="*", default=[], choices=condition_names())
    parser.add_argument("--maps", type=Path, help="keep the faces' maps in this .npz, or read it")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    od, weight, number = kept_maps(options)
    held = number % options.hold == 0 if options.hold else np.zeros(len(number), bool)
    bank = painted_bank()
    taught = {name: maps for name, maps in bank.items() if name not in options.leave}
    data = Examples(od[~held], weight[~held], taught, rng_for(0, "healthy skin"))
    made = HealthyModel(matched_filter(od[~held], weight[~held]), learned(data, options.rounds))
    np.savez_compressed(
        options.out,
        filter=made.filter,
        cells=made.weights["cells"].astype(np.int16),
        **{k: v.astype(np.float16) for k, v in made.weights.items() if k != "cells"},
    )
    size = options.out.stat().st_size
    print(f"{len(set(number[~held]))} faces, filter {made.filter.round(2)}: {size} bytes")
    if options.check:
        check(made, od[held], weight[held], bank)


def kept_maps(options: Any) -> tuple[Array, Array, npt.NDArray[np.int64]]:
    """Return `maps`, from a file if there is one."""
    if options.maps and options.maps.exists():
        with np.load(options.maps, allow_pickle=False) as found:
            return found["od"], found["weight"], found["number"]
    made = maps(load_geometry(options.model), options.folder)
    if options.maps:
        np.savez_compressed(options.maps, od=made[0], weight=made[1], number=made[2])
    return made


def maps(geometry: Any, folder: Path) -> tuple[Array, Array, npt.NDArray[np.int64]]:
    """Return (n, 3, 32, 32) density, (n, 32, 32) weight and (n,) number of the photograph.

    A photograph gives two: as it is, and drawn once more.
    """
    rows = []
    files = list_images(folder)
    with MediapipeProvider() as provider:
        for i, name in enumerate(files.paths):
            image = shrunk(decode(files.root / name), 1024)
            try:
                subject = found(image, geometry, provider)
                again = found(redrawn(subject, image, rng_for(0, "redrawn", i)), geometry, provider)
            except DataError as error:
                print(f"{name}: {error}", flush=True)
                continue
            rows += [(*cell_colours(one.albedo, one.model), i) for one in (subject, again)]
    od, weight, number = zip(*rows, strict=True)
    return np.stack(od), np.stack(weight), np.array(number)


def found(image: Any, geometry: Any, provider: MediapipeProvider) -> Subject:
    (face,) = provider.detect([image])
    if not isinstance(face, Landmarks):
        raise DataError(f"{face.code}, {face.text}")
    return subject_of(as_linear(image), corrected(face), geometry, side=SIDE)


def redrawn(subject: Subject, image: Any, rng: np.random.Generator) -> Any:
    shape = SHAPE * rng.standard_normal(min(40, len(subject.model.identity)))
    scene = still(yaw_deg=float(rng.uniform(-YAW, YAW)))
    scene = replace(scene, identity=shape.astype(np.float32))
    return as_pixels(picture_of(subject, scene, min(768, max(image.shape[:2]))).image)


def matched_filter(od: Array, weight: Array) -> npt.NDArray[np.float32]:
    """Return (3,) the redness that differences within healthy faces disturb least."""
    w = weight[:, None]
    level = (od * w).sum((2, 3), keepdims=True) / w.sum((2, 3), keepdims=True)
    off = (od - level) * np.sqrt(w)
    covariance = np.einsum("nihw,njhw->ij", off, off) / w.sum()
    taken = np.linalg.solve(covariance, HAEMOGLOBIN)
    return (taken / (taken @ HAEMOGLOBIN)).astype(np.float32)


def painted_bank() -> dict[str, Array]:
    """Return condition -> (DRAWS, 2, 32, 32) blood and pigment, of any extent and severity."""
    head, side = analytic_head(), 256
    common, even = common_map(head, side), np.ones((side, side), np.float32)
    made = {}
    for name in condition_names():
        rows = []
        for k in range(DRAWS):
            rng = rng_for(0, "bank", name, k)
            shown = present(name, head, rng=rng, side=side, extent=float(rng.uniform(0.6, 1.4)))
            layers = shown.at(float(rng.uniform(0.7, 4.0))).layers
            rows.append(common.of(np.stack([layers.haemoglobin, layers.melanin]), even)[0])
        made[name] = np.stack(rows)
    return made


def random_fields(rng: np.random.Generator, n: int) -> Array:
    """Return (n, 32, 32) blood of random shape: spots to half a face, even or one-sided."""
    made = []
    for _ in range(n):
        width = rng.choice([1.0, 1.5, 2.0, 3.0, 4.5])
        field = gaussian_filter(rng.standard_normal((COMMON_SIDE, COMMON_SIDE)), width)
        field /= field.std()
        if rng.random() < 0.5:
            field = (field + field[:, ::-1]) / np.sqrt(2.0)
        low = rng.uniform(-0.5, 1.2)
        part = np.clip((field - low) / rng.uniform(0.3, 1.5), 0.0, 1.0)
        made.append(part * part * (3.0 - 2.0 * part) * rng.uniform(0.04, 0.45))
    return np.stack(made).astype(np.float32)


def bare_cells() -> Array:
    """Return (32, 32) in [0, 1]: how much of a cell is bare skin."""
    head = analytic_head()
    bare = bare_skin(head, 256)
    return common_map(head, 256).of(bare[None], np.ones_like(bare))[0][0]


def coarse(planes: Array) -> npt.NDArray[np.float32]:
    """Return (..., 16, 16) means of 2 x 2 cells."""
    return halved(planes.astype(np.float32)) * np.float32(0.25)


@dataclass
class Examples:
    """Pictures without end: a healthy face, something on it, and how much blood that is."""

    od: Array
    weight: Array
    bank: dict[str, Array]
    rng: np.random.Generator

    def __post_init__(self) -> None:
        self.fields = random_fields(self.rng, FIELDS)
        self.bare = bare_cells()
        self.share = coarse(self.bare)
        self.cells = np.flatnonzero(self.share > 0.2)
        self.bloody = [name for name in self.bank if name not in NO_BLOOD]
        self.plain = [name for name in self.bank if name in NO_BLOOD]

    def batch(self, n: int) -> tuple[Array, Array, Array]:
        """Return (n, 7, 16, 16) inputs, (n, k) blood at the cells, and (n, k) what is seen."""
        od, weight = self._faces(n)
        drawn = [self._painted() for _ in range(n)]
        blood, brown = (
            np.stack(one).astype(np.float32) * self.bare for one in zip(*drawn, strict=True)
        )
        for amount, vector in ((blood, HAEMOGLOBIN), (brown, MELANIN)):
            od = od + amount[:, None] * vector[:, None, None]
        inputs = network_inputs(self._lit(od), weight)
        # The blood of a cell is that of its bare skin.
        blood = coarse(blood * self.bare) / np.maximum(self.share, 0.05)
        flat = [one.reshape(n, -1)[:, self.cells] for one in (blood, inputs[:, 6])]
        return inputs, flat[0], flat[1]

    def _faces(self, n: int) -> tuple[Array, Array]:
        """Return density and weight of mixtures of two faces, turned over or not."""
        rng = self.rng
        pairs = []
        for _ in range(2):
            pick, turn = rng.integers(len(self.od), size=n), rng.random(n) < 0.5
            od, weight = self.od[pick].copy(), self.weight[pick].copy()
            od[turn], weight[turn] = od[turn][..., ::-1], weight[turn][..., ::-1]
            pairs.append((od, weight))
        (one, seen), (other, too) = pairs
        share = np.where(rng.random(n) < 0.5, rng.beta(0.5, 0.5, n), 0.0)[:, None, None]
        seen = seen * ((too > 0.1) | (share == 0))
        od = one + share[:, None] * (other - one)
        w = seen[:, None]
        level = (od * w).sum((2, 3), keepdims=True) / w.sum((2, 3), keepdims=True).clip(1e-3)
        return level + (od - level) * rng.uniform(0.8, 1.25, (n, 1, 1, 1)), seen

    def _painted(self) -> tuple[Array, Array]:
        """Return (32, 32) blood and pigment on one face; in one of seven there is no blood."""
        rng, kind = self.rng, self.rng.random()
        blood, brown = np.zeros((2, COMMON_SIDE, COMMON_SIDE))
        if 0.15 <= kind < 0.55:
            blood, brown = self._one_of(self.bloody)
            blood = blood * rng.uniform(0.4, 1.3)
            part = rng.random()
            if part < 0.2:
                blood = blood + self._field() * rng.uniform(0.2, 0.8)
            elif part < 0.4:  # on one side
                blood = blood * smooth_step(SIDEWAYS * rng.choice([-1.0, 1.0]), -0.3, 0.3)
            elif part < 0.6:  # here and there
                field = self._field()
                blood = blood * np.clip(2.0 * field / max(field.max(), 1e-3), 0.0, 1.0)
        elif kind >= 0.55:
            blood = self._field() * rng.uniform(0.4, 1.2)
        if self.plain and rng.random() < 0.2:
            brown = brown + self._one_of(self.plain)[1] * rng.uniform(0.0, 1.0)
        return blood, brown

    def _one_of(self, names: list[str]) -> Array:
        draws = self.bank[names[self.rng.integers(len(names))]]
        one = draws[self.rng.integers(len(draws))]
        return one[..., ::-1] if self.rng.random() < 0.5 else one

    def _field(self) -> Array:
        return self.fields[self.rng.integers(len(self.fields))]

    def _lit(self, od: Array) -> Array:
        """Return the density under light that `delight` missed, and with noise."""
        rng, n = self.rng, len(od)
        y, x = np.mgrid[-1 : 1 : COMMON_SIDE * 1j, -1 : 1 : COMMON_SIDE * 1j]
        light = rng.normal(0.0, 0.03, (n, 1, 5)) + rng.normal(0.0, 0.006, (n, 3, 5))
        od = od + np.einsum("ncb,bhw->nchw", light, np.stack([x, y, x * x, y * y, x * y]))
        od = od + rng.normal(0.0, 0.02, (n, 3, 1, 1))
        return od + rng.normal(0.0, 0.006, od.shape)


class Network(nn.Module):
    """The network of `face.healthy`, to be trained; the names of its layers are the file's."""

    def __init__(self, cells: npt.NDArray[np.int64]) -> None:
        super().__init__()
        self.register_buffer("cells", torch.from_numpy(cells))
        self.gather = nn.Linear(3 * len(cells) + 3, HIDDEN)
        self.think = nn.Linear(HIDDEN, HIDDEN)
        self.tell = nn.Linear(HIDDEN, 2 * len(cells))
        self.context = nn.Linear(HIDDEN, WIDTH)
        self.look = nn.Conv2d(6, WIDTH, 3, padding=1)
        self.compare = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.last = nn.Conv2d(WIDTH, 1, 1)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return (n, k) blood at the cells of (n, 7, 16, 16) inputs."""
        n, planes, side, _ = inputs.shape
        flat = inputs.reshape(n, planes, -1)[:, :, self.cells]
        colours = torch.cat([flat[:, :3].reshape(n, -1), flat[:, 3:6, 0]], 1)
        face = F.leaky_relu(self.gather(F.dropout(colours, 0.1, self.training)), 0.1)
        face = F.dropout(face, 0.2, self.training)
        face = face + F.leaky_relu(self.think(face), 0.1)
        told = self.tell(face).reshape(n, 2, -1)
        local = inputs.new_zeros(n, 6, side * side)
        local[:, :, self.cells] = torch.cat([flat[:, [0, 1, 2, 6]], 5.0 * told], 1)
        local = self.look(local.reshape(n, 6, side, side)) + self.context(face)[:, :, None, None]
        local = F.leaky_relu(self.compare(F.leaky_relu(local, 0.1)), 0.1)
        return told[:, 0] + self.last(local).reshape(n, -1)[:, self.cells]  # type: ignore[no-any-return]


def learned(data: Examples, rounds: int) -> dict[str, npt.NDArray[np.float32]]:
    """Return the weights of a network; the same for the same data and machine."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    parts = [data.batch(100) for _ in range(PICTURES // 100)]
    inputs, blood, weight = (
        torch.from_numpy(np.concatenate(one)) for one in zip(*parts, strict=True)
    )
    network = Network(data.cells)
    steps = rounds * (PICTURES // BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, steps)
    for k in range(rounds):
        losses = []
        for use in torch.randperm(PICTURES)[: steps // rounds * BATCH].reshape(-1, BATCH):
            share = weight[use] / weight[use].sum(1, keepdim=True)
            error = (share * (network(inputs[use]) - blood[use]) ** 2).sum(1)
            # Relative to what is there, so that faint redness counts too, and none is none.
            loss = (error / ((share * blood[use] ** 2).sum(1) + LEAST)).mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        print(f"round {k + 1}: loss {np.mean(losses):.3f}", flush=True)
    return {name: values.numpy().copy() for name, values in network.state_dict().items()}


def check(made: HealthyModel, od: Array, weight: Array, bank: dict[str, Array]) -> None:
    """Print what is found on maps of faces that were held, by what was painted on them."""
    bare, rng = bare_cells(), rng_for(0, "check")
    bank = bank | {
        "random fields": np.stack([random_fields(rng, DRAWS)] * 2, 1) * [[[1.0]], [[0.0]]]
    }
    print("| painted | correlation: median [quartiles] | found / painted, mean |\n|---|---|---|")
    for name in ("nothing", *sorted(bank)):
        rows = []
        for one, seen in zip(od, weight, strict=True):
            use = (seen > SURE) & (bare > 0.5)
            blood, brown = bank[name][rng.integers(DRAWS)] if name in bank else (0.0 * seen,) * 2
            ill = one + blood * HAEMOGLOBIN[:, None, None] + brown * MELANIN[:, None, None]
            back = made.blood(ill.astype(np.float32), seen)[use]
            like = np.corrcoef(back, blood[use])[0, 1] if blood[use].any() else np.nan
            rows.append((like, back.mean(), blood[use].mean()))
        like, back, put = np.array(rows).T
        low, middle, high = np.nanquantile(like, [0.25, 0.5, 0.75]) if put.any() else [np.nan] * 3
        print(f"| {name} | {middle:.2f} [{low:.2f}, {high:.2f}] | "
              f"{np.median(back):.3f} / {np.median(put):.3f} |")  # fmt: skip


if __name__ == "__main__":
    main()
