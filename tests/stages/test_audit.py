from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fewskin.errors import DataError, LeakageError
from fewskin.stages.adapt import adapt
from fewskin.stages.audit import audit
from fewskin.stages.generate import generate
from fewskin.tables import SPLITS, read_manifest, read_table, write_manifest
from fewskin.testing import BASE, RARE


def made(tiny_data: tuple[Path, Path], generator: str, ratio: float = 4.0, **cell) -> list[Path]:
    cell = {"task": "novel", "shots": 3, "image_size": 32, **cell}
    draws = [cell.pop("draw")] if "draw" in cell else [0, 1]
    name = {"name": generator}
    adapted = [adapt(*tiny_data, generator=name, draw=draw, **cell) for draw in draws]
    return [generate(folder, ratio=ratio) for folder in adapted]


def audited(tiny_data: tuple[Path, Path], generated: list[Path], **cell) -> pd.DataFrame:
    cell = {"arm": "an arm", "task": "novel", "image_size": 32, **cell}
    return pd.read_csv(audit(*tiny_data, generated, **cell) / "audit.csv").set_index("label")


def test_copies_are_all_near_copies_and_cannot_be_told(tiny_data) -> None:
    table = audited(tiny_data, made(tiny_data, "copies"))
    assert list(table.index) == sorted(RARE)
    assert (table["near_copies"] == 1.0).all()
    assert (table["auc"].between(0.2, 0.8)).all()
    assert (table["auc_low"] <= 0.5).all()
    assert (table["n_real"] == 4).all()
    assert (table["n_generated"] == 24).all()


def test_a_trace_of_generation_is_told(tiny_data, tmp_path: Path) -> None:
    (folder, _) = made(tiny_data, "flat")
    traced = tmp_path / "traced"
    (traced / "images").mkdir(parents=True)
    manifest = read_manifest(folder)
    for i, relative in enumerate(manifest.rows["path"]):
        pixels = np.array(Image.open(manifest.path(i)))
        pixels[::2, ::2] ^= 16
        Image.fromarray(pixels).save(traced / relative)
    write_manifest(manifest.rows.assign(pixel_sha=""), traced)
    table = audited(tiny_data, [traced])
    assert (table["auc"] > 0.95).all()
    assert (table["auc_high"] >= table["auc"]).all()
    assert (table["auc_low"] < table["auc"]).all()


def test_common_classes_are_compared_with_base_rows(tiny_data) -> None:
    cell = {"task": "generalised", "shots": 0, "draw": -1, "role": "base"}
    table = audited(tiny_data, made(tiny_data, "copies", 1.0, **cell), task="generalised")
    assert list(table.index) == sorted(BASE)
    assert (table["near_copies"] == 1.0).all()


def test_one_group_gives_no_auc(tiny_data) -> None:
    table = audited(tiny_data, made(tiny_data, "flat", shots=1, draw=0))
    assert table["auc"].isna().all()
    assert table["near_copies"].notna().all()


def test_an_image_made_from_a_test_image_is_refused(tiny_data) -> None:
    folder = made(tiny_data, "copies")[0]
    roles = read_table(tiny_data[1] / "splits.csv", SPLITS)
    test = roles.loc[(roles["role"] == "test") & (roles["task"] == "novel"), "image_id"].iloc[0]
    manifest = read_manifest(folder)
    write_manifest(manifest.rows.assign(parent_ids=test), folder)
    with pytest.raises(LeakageError, match=test):
        audited(tiny_data, [folder])


def test_an_audit_of_nothing_is_refused(tiny_data) -> None:
    with pytest.raises(DataError, match="no generated images"):
        audited(tiny_data, [])
