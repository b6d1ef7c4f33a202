"""Fixtures of every test: an own runs folder, small synthetic patients, the real images if any."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fewskin.seeding import rng_for
from fewskin.tables import write_manifest

ROOT = Path(__file__).resolve().parents[1]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs an accelerator: torch.cuda.is_available() is false")


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Results of a test go to its own folder."""
    monkeypatch.setenv("FEWSKIN_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture(scope="session")
def realdata() -> Path:
    """Folder of the real images, which are not part of the repository."""
    folder = Path(os.environ.get("FEWSKIN_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real images: {folder} does not exist; set FEWSKIN_DATA to their folder")
    return folder


@pytest.fixture
def synthetic_manifest(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that makes a manifest folder of small PNG images.

    Each class has its own colour, each patient an own shade of it, each photograph own noise.
    """

    def make(
        n_patients: int = 6,
        *,
        classes: Sequence[str] = ("common_a", "common_b", "rare_a", "rare_b"),
        photos: int = 1,
        image_size: int = 24,
        seed: int = 0,
        name: str = "synthetic",
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        rows = []
        for label in classes:
            colour = rng_for(seed, "class", label).uniform(60, 195, 3)
            for number in range(n_patients):
                patient = f"{label}-{number}"
                shade = colour + rng_for(seed, patient).normal(0, 12, 3)
                for photo in range(photos):
                    image_id = f"{patient}-{photo}"
                    noise = rng_for(seed, image_id).normal(0, 20, (image_size, image_size, 3))
                    pixels = np.clip(shade + noise, 0, 255).astype(np.uint8)
                    Image.fromarray(pixels).save(folder / f"{image_id}.png")
                    rows.append((image_id, f"{image_id}.png", label, patient, patient, "real"))
        columns = ["image_id", "path", "label", "patient_id", "group_id", "source"]
        write_manifest(pd.DataFrame(rows, columns=columns), folder)
        return folder

    return make
