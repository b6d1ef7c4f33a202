"""Tables: what is refused, where the message points, and equal bytes for equal rows."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fewskin.errors import StageError, TableError
from fewskin.paths import atomic_write
from fewskin.tables import (
    MANIFEST,
    PREDICTIONS,
    prob_columns,
    read_manifest,
    read_table,
    validate,
    write_manifest,
    write_table,
)

CELL = {"task": "novel", "fold": 0, "learner": "probe", "arm": "flat", "ratio": 1.0, "shots": 5}
ROW = {**CELL, "draw": 0, "role": "test", "image_id": "a", "group_id": "g", "label": "x"}


def images(**columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {"image_id": ["b", "a"], "path": ["b.png", "a.png"], "label": ["x", "y"], **columns}
    )


def test_a_missing_column_is_named() -> None:
    with pytest.raises(TableError, match="column 'label' is missing"):
        validate(images().drop(columns="label"), MANIFEST)


def test_a_repeated_id_is_named_with_its_file_and_row(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("image_id,path,label\na,a.png,x\na,b.png,x\n")
    with pytest.raises(TableError, match=r"manifest\.csv row 3: image_id='a' appears twice"):
        read_table(tmp_path / "manifest.csv", MANIFEST)


def test_unknown_columns_pass_through_and_optional_ones_are_added() -> None:
    made = validate(images(hospital=["h1", "h2"]), MANIFEST)
    assert made["hospital"].tolist() == ["h2", "h1"]
    assert set(MANIFEST.optional) <= set(made.columns)


def test_equal_rows_in_another_order_are_equal_bytes(tmp_path: Path) -> None:
    write_table(images(), tmp_path / "one.csv", MANIFEST)
    write_table(images().iloc[::-1], tmp_path / "two.csv", MANIFEST)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


def test_floats_survive_the_file_exactly(tmp_path: Path) -> None:
    value = np.float64(0.1) + np.float64(0.2)
    write_table(
        pd.DataFrame([{**ROW, "p:x": value, "p:y": 1 - value}]), tmp_path / "p.csv", PREDICTIONS
    )
    assert read_table(tmp_path / "p.csv", PREDICTIONS)["p:x"].iloc[0] == value


@pytest.mark.parametrize("probs", [(0.5, 0.6), (-0.1, 1.1), (np.nan, np.nan)])
def test_probabilities_that_are_none_are_refused(probs: tuple[float, float]) -> None:
    with pytest.raises(TableError, match=r"row 2: probabilities sum to"):
        validate(pd.DataFrame([{**ROW, "p:x": probs[0], "p:y": probs[1]}]), PREDICTIONS)


def test_probabilities_may_be_blank_for_classes_of_another_task() -> None:
    made = validate(pd.DataFrame([{**ROW, "p:x": 1.0, "p:y": ""}]), PREDICTIONS)
    assert prob_columns(made) == ["p:x", "p:y"]


@pytest.mark.parametrize(("column", "value"), [("draw", "1.5"), ("draw", ""), ("ratio", "two")])
def test_numbers_that_are_none_are_refused(column: str, value: str) -> None:
    with pytest.raises(TableError, match=f"{column} is '{value}'"):
        validate(pd.DataFrame([{**ROW, column: value, "p:x": 1.0}]), PREDICTIONS)


def test_a_choice_outside_its_list_is_refused() -> None:
    with pytest.raises(TableError, match="source is 'fake', expected real or simulated"):
        validate(images(source=["real", "fake"]), MANIFEST)


@pytest.mark.parametrize("text", [b"", b"\xff\xfe\x00bad", b'a,b\n"unclosed'])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(text)
    with pytest.raises(TableError, match=r"t\.csv"):
        read_table(tmp_path / "t.csv", MANIFEST)


@pytest.mark.parametrize("path", ["../secret.png", "/etc/passwd", "a/../../b.png"])
def test_a_path_that_leaves_the_root_is_refused(tmp_path: Path, path: str) -> None:
    write_table(images().assign(path=["b.png", path]), tmp_path / "manifest.csv", MANIFEST)
    with pytest.raises(TableError, match="leaves its root"):
        read_manifest(tmp_path)


def test_a_manifest_finds_its_images_beside_it_after_a_move(tmp_path: Path) -> None:
    write_manifest(images(), tmp_path / "one")
    os.rename(tmp_path / "one", tmp_path / "two")
    assert read_manifest(tmp_path / "two").path(0) == tmp_path / "two" / "a.png"


def test_a_missing_root_is_said(tmp_path: Path) -> None:
    write_manifest(images(), tmp_path / "m", root=tmp_path / "gone")
    with pytest.raises(TableError, match="ingest the data again"):
        read_manifest(tmp_path / "m")


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    atomic_write(tmp_path / "f", "old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StageError, match="No space left on device"):
        atomic_write(tmp_path / "f", "new")
    assert (tmp_path / "f").read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["f"]
