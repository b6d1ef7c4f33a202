#!/usr/bin/env python
"""Make assets/face/ict_landmarks.npz: where MediaPipe's landmarks are on ICT-FaceKit's mesh.

    python scripts/learn_ict_landmarks.py FACEXMODEL_OR_NPZ FOLDER_OF_FACES

Starts from a registration (`fewskin.face.correspondence`) and learns from the folder's faces, one
for each person (`fewskin.face.landmark_learning`). With --check, every second face is kept apart
and its error printed before and after. Needs `pip install fewskin[landmarks]`; minutes.
"""

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from fewskin.face.fit import fit
from fewskin.face.ict import load_ict
from fewskin.face.landmark_learning import learn_landmarks
from fewskin.face.landmarks import Landmarks
from fewskin.face.mediapipe_provider import MediapipeProvider
from fewskin.face.model import FaceModel

Array = npt.NDArray[np.floating]


def found_in(folder: Path) -> tuple[list[Array], list[tuple[int, int]]]:
    """Return landmarks and sizes of the pictures in which one face can be used."""
    points, sizes = [], []
    with MediapipeProvider() as provider:
        for file in sorted(folder.rglob("*.jpg")):
            image = np.asarray(Image.open(file).convert("RGB"))
            (face,) = provider.detect([image])
            if isinstance(face, Landmarks):
                points.append(face.points)
                sizes.append((image.shape[0], image.shape[1]))
    return points, sizes


def errors(model: FaceModel, points: list[Array], sizes: list[tuple[int, int]]) -> str:
    made = [fit(model, *one).rms_iod for one in zip(points, sizes, strict=True)]
    return f"median {np.median(made):.4f}, worst {np.max(made):.4f} of the distance between eyes"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path("assets/face/ict_landmarks.npz"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()

    model = load_ict(options.model, learned=False)
    points, sizes = found_in(options.folder)
    usable = model.in_region("face", "lips", "head")
    if options.check:
        learned = learn_landmarks(
            model, points[::2], sizes[::2], usable=usable, rounds=options.rounds
        )
        for name, one in (("registered", model), ("learned on the others", learned)):
            print(name, errors(one, points[1::2], sizes[1::2]))
    model = learn_landmarks(model, points, sizes, usable=usable, rounds=options.rounds)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        options.out,
        # The head comes first and whole, so its vertices keep the numbers of the files.
        corners=model.triangles[model.landmark_triangles].astype(np.int16),
        bary=model.landmark_bary.astype(np.float16),
    )
    print(len(points), "faces;", errors(model, points, sizes))


if __name__ == "__main__":
    main()
