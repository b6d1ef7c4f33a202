#!/usr/bin/env python
"""Make assets/face/healthy_skin.npz: how redness varies over healthy faces.

    python scripts/learn_healthy_skin.py MODEL FOLDER_OF_HEALTHY_FACES [--modes 8] [--check]

Each face is fitted with MODEL (analytic or an .npz file), its light taken out, and its skin's
optical density read at the landmarks. The matched filter is the inverse of the covariance within
faces, applied to haemoglobin's vector; the modes are principal components with missing values, both
sides of every face in turn. With --check, every second face is kept apart and what the model
misses there is printed. Needs `pip install fewskin[landmarks]`; a few seconds a face.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fewskin.data.images import decode
from fewskin.data.source import list_images
from fewskin.errors import DataError
from fewskin.face.geometry import load_geometry
from fewskin.face.healthy import HealthyModel, at_landmarks
from fewskin.face.landmarks import Landmarks
from fewskin.face.mediapipe_provider import MediapipeProvider
from fewskin.face.model import FaceModel
from fewskin.face.people import shrunk
from fewskin.face.pictures import as_linear
from fewskin.face.subject import subject_of
from fewskin.face.topology import topology
from fewskin.face.zones import zones_of
from fewskin.functional.pigment import HAEMOGLOBIN, density

Array = npt.NDArray[np.floating]
SEEN, ROUNDS, SKIN = 0.25, 15, 0.7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path("assets/face/healthy_skin.npz"))
    parser.add_argument("--modes", type=int, default=8)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    od, weight, known = read(load_geometry(options.model), options.folder)
    if options.check:
        made = learn(od[::2], weight[::2], known, options.modes)
        print(f"missed on the other half: {missed(made, od[1::2], weight[1::2]):.3f} density")
    made = learn(od, weight, known, options.modes)
    np.savez_compressed(
        options.out,
        filter=made.filter,
        known=made.known,
        mean=made.mean.astype(np.float16),
        modes=made.modes.astype(np.float16),
        spread=made.spread,
    )
    print(f"{len(od)} faces, {int(known.sum())} places, filter {made.filter.round(2)}, "
          f"spread {made.spread:.3f} -> {options.out}")  # fmt: skip


def read(geometry: Any, folder: Path) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
    """Return (n, 468, 3) density, (n, 468) weight, and (468,) which landmarks are on bare skin."""
    od, weight, known = [], [], np.ones(468, bool)
    files = list_images(folder)
    with MediapipeProvider() as provider:
        for name in files.paths:
            image = shrunk(decode(files.root / name), 1024)
            (face,) = provider.detect([image])
            if not isinstance(face, Landmarks):
                continue
            try:
                subject = subject_of(as_linear(image), face, geometry)
            except DataError as error:
                print(f"{name}: {error}")
                continue
            known &= on_skin(subject.model, subject.albedo.side)
            seen = subject.albedo.confidence * subject.albedo.skin
            planes = density(subject.albedo.colour)
            values = [at_landmarks(subject.model, planes[..., k], seen) for k in range(3)]
            od.append(np.stack([one for one, _ in values], axis=1))
            weight.append(values[0][1])
    return np.stack(od), np.stack(weight), known


def on_skin(model: FaceModel, side: int) -> npt.NDArray[np.bool_]:
    zones = zones_of(model, side)
    bare = zones.prior * (1.0 - zones.feature) * (1.0 - zones.nostril)
    share, _ = at_landmarks(model, bare, zones.of("face", "head").astype(np.float32))
    return np.asarray(share > SKIN)


def learn(od: Array, weight: Array, known: npt.NDArray[np.bool_], n_modes: int) -> HealthyModel:
    weight = np.where((weight > SEEN) & known, weight, 0.0)
    level = (od * weight[..., None]).sum(1, keepdims=True) / weight.sum(1)[:, None, None]
    off = od - level
    covariance = np.einsum("nl,nli,nlj->ij", weight, off, off) / weight.sum()
    taken = np.linalg.solve(covariance, HAEMOGLOBIN)
    taken /= taken @ HAEMOGLOBIN
    mirror = mirrored()
    values, weight = od @ taken, weight
    values, weight = (np.concatenate([one, one[:, mirror]]) for one in (values, weight))
    mean, modes, spread = components(values, weight, n_modes)
    return HealthyModel(taken, known, mean, modes, spread)


def mirrored() -> npt.NDArray[np.int64]:
    mean = topology().mean
    apart = np.linalg.norm(mean[:, None] - mean[None] * [-1.0, 1.0, 1.0], axis=2)
    return apart.argmin(1)


def components(values: Array, weight: Array, n_modes: int) -> tuple[Array, Array, float]:
    """Return mean (468,), modes (k, 468) and spread, by alternating least squares."""
    n, spread = len(values), 0.1
    mean = np.zeros(values.shape[1])
    modes = np.random.default_rng(0).normal(0.0, 0.05, (n_modes, values.shape[1]))
    for _ in range(ROUNDS):
        scores = np.stack([
            scored(modes, one - mean, w, spread) for one, w in zip(values, weight, strict=True)
        ])  # fmt: skip
        free = np.c_[scores[:, :-1], np.ones(n)]
        prior = np.diag(np.r_[np.full(n_modes, 20.0), 1e-2]) * spread**2
        for j in range(values.shape[1]):
            part = free * weight[:, j : j + 1]
            found = np.linalg.solve(part.T @ free + prior, part.T @ (values[:, j] - scores[:, -1]))
            modes[:, j], mean[j] = found[:-1], found[-1]
        if n_modes:
            own = scores[:, :-1]
            root = np.linalg.cholesky(own.T @ own / n + 1e-6 * np.eye(n_modes))
            modes, scores[:, :-1] = root.T @ modes, own @ np.linalg.inv(root).T
        left = values - scores[:, -1:] - mean - scores[:, :-1] @ modes
        spread = float(np.sqrt((weight * left**2).sum() / weight.sum()))
    return mean, modes, spread


def scored(modes: Array, target: Array, weight: Array, spread: float) -> Array:
    """Return (k + 1,) scores and level of one face."""
    design = np.vstack([modes, np.ones(modes.shape[1])])
    part = design * weight
    prior = np.diag(np.r_[np.ones(len(modes)), 1e-3]) * spread**2
    return np.asarray(np.linalg.solve(part @ design.T + prior, part @ target))


def missed(made: HealthyModel, od: Array, weight: Array) -> float:
    """Return the median over faces of the rms of what half the landmarks say of the others."""
    rng, errors = np.random.default_rng(1), []
    for one, w in zip(od @ made.filter, weight, strict=True):
        w = np.where((w > SEEN) & made.known, w, 0.0)
        hidden = rng.random(len(w)) < 0.5
        off = one - made.fitted(one, w * ~hidden)
        errors.append(np.sqrt((w * hidden * off**2).sum() / (w * hidden).sum()))
    return float(np.median(errors))


if __name__ == "__main__":
    main()
