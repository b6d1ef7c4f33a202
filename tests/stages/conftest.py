from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from fewskin.data.splits import Design, make_splits
from fewskin.tables import SPLITS, read_manifest, read_table, write_manifest, write_table
from fewskin.testing import BASE, RARE, synthetic_table


def as_folder(table, folder: Path) -> Path:
    folder.mkdir()
    for name, image in zip(table.rows["path"], table.images().permute(0, 2, 3, 1), strict=True):
        Image.fromarray(image.numpy()).save(folder / name)
    write_manifest(table.rows, folder)
    return folder


@pytest.fixture
def tiny_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    monkeypatch.setenv("FEWSKIN_RUNS", str(tmp_path / "runs"))
    """Manifest and splits folders: 8 patients of each class, K 1 and 3, two draws."""
    manifest = as_folder(synthetic_table((*BASE, *RARE), 8), tmp_path / "manifest")
    design = Design(tasks=("novel", "generalised"), rare=RARE, shots=(1, 3), draws=2, pool=4)
    splits = tmp_path / "splits"
    splits.mkdir()
    rows = read_manifest(manifest).rows
    write_table(make_splits(rows, design, seed=0), splits / "splits.csv", SPLITS)
    return manifest, splits


@pytest.fixture
def edited(tiny_data: tuple[Path, Path], tmp_path: Path) -> Callable[..., Path]:
    """A function that gives a splits folder whose table was changed by a function."""

    def make(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Path:
        folder = tmp_path / "edited"
        folder.mkdir()
        table = read_table(tiny_data[1] / "splits.csv", SPLITS)
        write_table(change(table), folder / "splits.csv", SPLITS)
        return folder

    return make
