"""Prediction tables as aligned arrays: every arm of a task on the same test rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from fewskin.errors import TableError
from fewskin.functional.jackknife import strata_of
from fewskin.tables import PREDICTIONS, prob_columns, read_manifest, read_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Arm", "ArmKey", "TestRows", "Wording", "read_arms", "read_predictions", "wording"]

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


class ArmKey(NamedTuple):
    """What an arm is compared within and by; sorts as the tables do."""

    task: str
    learner: str
    arm: str
    ratio: float
    shots: int


@dataclass(frozen=True)
class TestRows:
    """The test rows of one task, the same for every arm, shots and draw.

    Attributes:
        classes: (C) labels, sorted.
        image_ids: (n) sorted.
        labels: (n,) position of each row's label in `classes`.
        groups: (n,) group of each row, 0..G-1.
        group_ids: (G) name of each group.
        strata: (G,) class within which each group is resampled.
        weights: (n,) such that the rows of one group in one class weigh 1 together.
        class_groups: (C,) number of groups with a row of the class.
    """

    __test__ = False  # pytest would take the name for a test class.
    classes: tuple[str, ...]
    image_ids: tuple[str, ...]
    labels: Index
    groups: Index
    strata: Index
    weights: Array
    class_groups: Index
    group_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arm:
    """Predictions of one learner with one image source at one K: (D draws, n rows, C classes)."""

    key: ArmKey
    draws: tuple[int, ...]
    probs: Array


@dataclass(frozen=True)
class Wording:
    """How verdicts speak of the test rows: "patients", "lesions" or "groups", simulated or not."""

    groups: str = "groups"
    simulated: bool = False


def read_predictions(folders: Sequence[Path]) -> "pd.DataFrame":
    """Return the test rows of many prediction tables as one; rows with role oof are left out.

    Args:
        folders: results of `predict`, or CSV files.

    Raises:
        TableError: no table, a bad row, or no test row at all.
    """
    import pandas as pd

    if not folders:
        raise TableError(
            "no predictions were given; expected the result folders of `fewskin predict`."
        )
    files = [
        folder / "predictions.csv" if folder.is_dir() else folder for folder in map(Path, folders)
    ]
    frame = pd.concat([read_table(file, PREDICTIONS) for file in files], ignore_index=True)
    frame = frame[frame["role"] == "test"]
    if frame.empty:
        raise TableError(
            f"{files[0]} and {len(files) - 1} more hold no row with role 'test'; "
            "only those are evaluated."
        )
    return frame.assign(
        group_id=frame["group_id"].where(frame["group_id"] != "", frame["image_id"])
    )


def read_arms(frame: "pd.DataFrame") -> dict[str, tuple[TestRows, list[Arm]]]:
    """Return, for each task, its test rows and its arms in table order.

    Args:
        frame: rows of `read_predictions`; folds are pooled, each test row belonging to one.

    Raises:
        TableError: two arms or draws were not predicted on the same images, classes or groups.
    """
    return {str(task): _task(part) for task, part in frame.groupby("task", sort=True)}


def _task(frame: "pd.DataFrame") -> tuple[TestRows, list[Arm]]:
    columns = [name for name in prob_columns(frame) if frame[name].notna().any()]
    classes = tuple(name[2:] for name in sorted(columns))
    keys = ["task", "learner", "arm", "ratio", "shots"]
    rows, arms = None, []
    for values, part in frame.groupby(keys, sort=True):
        task, learner, arm, ratio, shots = map(str, values)
        key = ArmKey(task, learner, arm, float(ratio), int(shots))
        if rows is None:
            first = part[part["draw"] == part["draw"].min()]
            rows, reference = _test_rows(first, classes), key
        arms.append(_arm(key, part, rows, reference))
    assert rows is not None  # groupby of a frame with rows yields at least one part
    return rows, arms


def _test_rows(frame: "pd.DataFrame", classes: tuple[str, ...]) -> TestRows:
    frame = frame.sort_values("image_id", kind="stable")
    position = {name: k for k, name in enumerate(classes)}
    unknown = frame[~frame["label"].isin(list(position))]
    if len(unknown):
        row = unknown.iloc[0]
        raise TableError(
            f"{row['task']}: test image {row['image_id']} is {row['label']!r}, which no "
            f"probability column names ({', '.join(classes)}); predict with the task's classes."
        )
    labels = np.array([position[name] for name in frame["label"]], dtype=np.int64)
    names, codes = np.unique(frame["group_id"].to_numpy(str), return_inverse=True)
    groups = codes.astype(np.int64)
    cells, inverse, sizes = np.unique(
        groups * len(classes) + labels, return_inverse=True, return_counts=True
    )
    return TestRows(
        classes=classes,
        image_ids=tuple(frame["image_id"]),
        labels=labels,
        groups=groups,
        strata=strata_of(labels, groups),
        weights=1.0 / sizes[inverse],
        class_groups=np.bincount(cells % len(classes), minlength=len(classes)).astype(np.int64),
        group_ids=tuple(names.tolist()),
    )


def _arm(key: ArmKey, frame: "pd.DataFrame", rows: TestRows, reference: ArmKey) -> Arm:
    columns = [f"p:{name}" for name in rows.classes]
    draws, probs = [], []
    for draw, part in frame.groupby("draw", sort=True):
        part = part.sort_values("image_id", kind="stable")
        _check_rows(part, rows, f"{_name(key)}, draw {draw}", _name(reference))
        values = part[columns].to_numpy(np.float64)
        if np.isnan(values).any():
            blank = columns[int(np.flatnonzero(np.isnan(values).any(axis=0))[0])]
            raise TableError(
                f"{_name(key)}, draw {draw}: {blank} is blank; "
                "every arm of a task has the same classes."
            )
        draws.append(int(str(draw)))
        probs.append(values)
    return Arm(key, tuple(draws), np.stack(probs))


def _check_rows(part: "pd.DataFrame", rows: TestRows, where: str, reference: str) -> None:
    ids = part["image_id"].tolist()
    twice = part.loc[part["image_id"].duplicated(), "image_id"]
    if len(twice):
        raise TableError(f"{where}: test image {twice.iloc[0]} is predicted twice, expected once.")
    for have, want, who, other in (
        (set(ids), rows.image_ids, where, reference),
        (set(rows.image_ids), ids, reference, where),
    ):
        missing = [image_id for image_id in want if image_id not in have]
        if missing:
            raise TableError(
                f"{who} has no prediction for test image {missing[0]} ({len(missing)} missing), "
                f"which {other} has; predict every arm on the same test rows."
            )
    labels = np.array([rows.classes[k] for k in rows.labels])
    off = np.flatnonzero(part["label"].to_numpy(str) != labels)
    groups = np.unique(part["group_id"].to_numpy(str), return_inverse=True)[1]
    if len(off) == 0:
        off = np.flatnonzero(groups != rows.groups)
    if len(off):
        raise TableError(
            f"{where}: test image {ids[off[0]]} has another label or group than in {reference}."
        )


def _name(key: ArmKey) -> str:
    return f"{key.task}: {key.arm} (ratio {key.ratio:g}) with {key.learner} at K = {key.shots}"


def wording(manifest: Path | None, image_ids: Sequence[str]) -> Wording:
    """Return how to speak of the test rows, from the manifest they come from.

    Args:
        manifest: folder of `ingest` or `check`; None for "groups" of real images.
        image_ids: the test rows of all tasks.

    Raises:
        TableError: a test image is not in the manifest, is generated, or only some are simulated.
    """
    if manifest is None:
        return Wording()
    rows = read_manifest(manifest).rows.set_index("image_id")
    absent = [image_id for image_id in image_ids if image_id not in rows.index]
    if absent:
        raise TableError(
            f"test image {absent[0]} is not in {manifest}; give the manifest that was split."
        )
    rows = rows.loc[list(image_ids)]
    sources = set(rows["source"].replace("", "real"))
    if "generated" in sources:
        made = rows.index[rows["source"] == "generated"][0]
        raise TableError(f"test image {made} is generated; test rows are real.")
    if len(sources) > 1:
        raise TableError(
            f"{manifest}: some test rows are simulated and some real; evaluate them apart."
        )
    for column, word in (("patient_id", "patients"), ("lesion_id", "lesions")):
        if (rows[column] != "").all():
            return Wording(word, sources == {"simulated"})
    return Wording("groups", sources == {"simulated"})
