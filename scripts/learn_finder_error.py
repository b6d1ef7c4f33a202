#!/usr/bin/env python
"""Make assets/face/finder_error.npz: what MediaPipe gets wrong on turned heads.

    python scripts/learn_finder_error.py MODEL.npz FOLDER_OF_FACES

Each photograph is fitted, drawn anew at yaw -45 to 45, and its landmarks are found again; where the
model has them is known. Every third photograph, from the first, is left out: those are the ones on
which `scripts/bench/faces.py --every 3` measures. Needs `pip install fewskin[landmarks]`; minutes.
"""

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fewskin.data.images import decode
from fewskin.data.source import list_images
from fewskin.face.finder_error import learn_error
from fewskin.face.landmark_checks import Limits
from fewskin.face.landmarks import Landmarks, inter_ocular, pose_of
from fewskin.face.mediapipe_provider import MediapipeProvider
from fewskin.face.model import load_model
from fewskin.face.people import shrunk
from fewskin.face.pictures import as_linear, as_pixels
from fewskin.face.subject import Subject, subject_of
from fewskin.functional.pose import angles_of

Array = npt.NDArray[np.floating]

SIZE, YAWS, EVERY = 512, (-45, -30, -15, 0, 15, 30, 45), 3


def seen_again(
    subject: Subject, yaw: float, provider: MediapipeProvider
) -> tuple[tuple[float, float, float], Array] | None:
    """Return the pose that is found and (468, 2) found minus drawn; None where nothing is found."""
    own = subject.fit.view
    _, pitch, roll = angles_of(own.rotation)
    view = own.scaled(SIZE / max(own.size)).posed(yaw, pitch, roll)
    (found,) = provider.detect([as_pixels(subject.picture(view).image)])
    if not isinstance(found, Landmarks):
        return None
    space = subject.model.landmarks(subject.fit.vertices)
    drawn = view.project(space)
    unit = inter_ocular(Landmarks(space)) * view.focal_px / np.median(drawn[:, 2])
    return pose_of(found.points), (found.points[:, :2] - drawn[:, :2]) / unit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path("assets/face/finder_error.npz"))
    options = parser.parse_args()

    model, files = load_model(options.model), list_images(options.folder)
    names = [name for i, name in enumerate(files.paths) if i % EVERY]
    made = []
    with MediapipeProvider(limits=Limits(max_yaw_deg=90.0)) as provider:
        for name in names:
            image = shrunk(decode(files.root / name), 1024)
            (face,) = provider.detect([image])
            if isinstance(face, Landmarks):
                subject = subject_of(as_linear(image), face, model)
                made += [seen_again(subject, yaw, provider) for yaw in YAWS]
    poses, errors = (np.array(each) for each in zip(*(one for one in made if one), strict=True))
    coefficients = learn_error(poses, errors).astype(np.float16)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(options.out, coefficients=coefficients)
    print(f"{len(names)} photographs, {len(poses)} of {len(made)} pictures found again")


if __name__ == "__main__":
    main()
