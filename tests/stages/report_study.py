"""What a report is made of, with names that are hard to print: for tests."""

import itertools
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from fewskin.data.evidence_tables import CALIBRATION, CONFUSION, DRAWS, VERDICTS
from fewskin.reporting.bundle import AUDIT, COUNTS
from fewskin.tables import FINDINGS, GAINS, SPLITS, Schema, write_manifest, write_table

CLASSES = ("<script>alert(1)</script>", 'a "quoted" & | class', "price in $ or $")
LEARNERS = ("probe", "my <i>learner</i>")
ARMS = (("real_only", 0.0), ("real_copies", 1.0), ("flat", 1.0))
VERDICT = (
    "flat with probe at K = 5 (novel): balanced accuracy +4.0 points [1.0, 7.0] over real_only"
)


def write(rows: list[dict[str, object]], folder: Path, schema: Schema) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_table(
        pd.DataFrame(rows, columns=list(schema.required)), folder / f"{schema.name}.csv", schema
    )


def _cells(shots: tuple[int, ...] = (1, 5)) -> list[dict[str, object]]:
    return [
        {"task": "novel", "learner": learner, "arm": arm, "ratio": ratio, "shots": k}
        for learner, (arm, ratio), k in itertools.product(LEARNERS, ARMS, shots)
    ]


def gains_rows(*, intervals: bool) -> list[dict[str, object]]:
    rows = []
    size = {
        "n_groups": 40,
        "n_draws": 3,
        "n_base_seeds": 1,
        "select_on": "fixed",
        "method": "two-way",
    }
    near = (0.01, 0.07) if intervals else (np.nan, np.nan)
    for cell in _cells():
        plain = {**cell, "value": 0.6, "low": 0.55, "high": 0.65, **size}
        measures = [("balanced_accuracy", "all"), ("ece", "all")]
        measures += [("recall", f"class:{name}") for name in CLASSES]
        measures += [("auc", f"pair:{a}|{b}") for a, b in itertools.combinations(CLASSES, 2)]
        for metric, stratum in measures:
            row = {**plain, "metric": metric, "stratum": stratum}
            rows.append({**row, "baseline": ""})
            gain = {"gain": 0.04, "gain_low": near[0], "gain_high": near[1]}
            for control in ("real_only", "real_copies"):
                if cell["arm"] not in ("real_only", control):
                    rows.append({**row, **gain, "baseline": control})
            if cell["arm"] == "real_only" and cell["learner"] != "probe":
                rows.append({**row, **gain, "baseline": "learner:probe"})
    return rows


def _verdicts(*, primary: bool) -> list[dict[str, object]]:
    rows = []
    for cell in _cells():
        if cell["arm"] == "flat":
            first = primary and (cell["learner"], cell["shots"]) == ("probe", 5)
            end = "a measured gain" if first else "a measured gain (exploratory)"
            numbers = {"gain": 0.04, "gain_low": 0.01, "gain_high": 0.07, "detectable": 0.031}
            row = {**cell, **numbers, "metric": "balanced_accuracy", "stratum": "all"}
            row |= {"verdict": f"{VERDICT}: {end}.", "against": "real_only", "n_groups": 40}
            rows.append({**row, "n_draws": 3, "primary": str(first), "claimed": "True"})
    return rows


def _evaluated(folder: Path, *, intervals: bool = True, primary: bool = True) -> Path:
    pairs = list(itertools.product(CLASSES, repeat=2))
    draws = [
        {
            **cell,
            "draw": d,
            "metric": "balanced_accuracy",
            "stratum": "all",
            "value": 0.5 + 0.02 * d,
        }
        for cell in _cells()
        for d in range(3)
    ]
    confusion = [
        {
            **cell,
            "label": a,
            "predicted": b,
            "count": 1 + 8 * (a == b),
            "share": 0.1 + 0.7 * (a == b),
        }
        for cell in _cells()
        for a, b in pairs
    ]
    bins = [
        {
            "bin_low": low,
            "bin_high": low + 0.5,
            "confidence": low + 0.3,
            "accuracy": 0.5,
            "count": 9,
        }
        for low in (0.0, 0.5)
    ]
    write(gains_rows(intervals=intervals), folder, GAINS)
    write(_verdicts(primary=primary), folder, VERDICTS)
    write(draws, folder, DRAWS)
    write(confusion, folder, CONFUSION)
    write([{**cell, **each} for cell in _cells() for each in bins], folder, CALIBRATION)
    record(folder, "evaluate", "2024-03-09T10:00:00+0000")
    return folder


def record(folder: Path, stage: str, started: str, **more: object) -> None:
    record = {
        "stage": stage,
        "key": "0123456789abcdef",
        "params": {},
        "inputs": {},
        "seconds": 61.0,
    }
    record |= {"started": started, "versions": {"fewskin": "9.9"}, "machine": "vax", **more}
    (folder / "stage.json").write_text(json.dumps(record))


def _images(folder: Path, source: str, names: Mapping[str, str]) -> Path:
    folder.mkdir(parents=True)
    rows = []
    for i, (name, label) in enumerate(names.items()):
        Image.new("RGB", (16, 16), (200, 100 + i, 90)).save(folder / f"{name}.png")
        row = {"image_id": name, "path": f"{name}.png", "label": label, "source": source}
        made = {"made_by": "flat", "parent_ids": "c0p0"} if source == "generated" else {}
        rows.append({**row, "patient_id": name, "group_id": name, **made})
    write_manifest(pd.DataFrame(rows).fillna(""), folder)
    return folder


def make_study(tmp_path: Path, *, source: str = "real", **evaluated: bool) -> dict[str, object]:
    """Write every input of a report; return them by name."""
    names = {f"c{c}p{p}": label for c, label in enumerate(CLASSES) for p in range(4)}
    manifest = _images(tmp_path / "manifest", source, names)
    counts = {"n_images": 4, "n_patients": 4, "n_groups": 4}
    write([{"label": label, **counts} for label in CLASSES], manifest, COUNTS)
    finding = {"kind": "corrupt", "image_id": "", "path": "<b>.jpg", "detail": "not an | image"}
    write([finding], manifest, FINDINGS)
    roles = [
        {"task": "novel", "fold": 0, "shots": 0, "draw": -1, "image_id": name, "role": role}
        for name in names
        for role in (("pool",) if name.endswith(("0", "1")) else ("test",))
    ]
    write(roles, tmp_path / "splits", SPLITS)
    generated = _images(tmp_path / "made", "generated", {f"g-{i}": CLASSES[0] for i in range(9)})
    audit = {"arm": "flat", "task": "novel", "label": CLASSES[0], "n_real": 2, "n_generated": 9}
    audit |= {"auc": 0.9, "auc_low": 0.8, "auc_high": np.nan, "near_copies": 0.5}
    write([audit], tmp_path / "audit", AUDIT)
    return {
        "evaluated": _evaluated(tmp_path / "evaluated", **evaluated),
        "manifest": manifest,
        "checked": None,
        "splits": tmp_path / "splits",
        "generated": (generated,),
        "audits": (tmp_path / "audit",),
        "title": "Which <way> is best?",
        "command": "fewskin run experiment=x",
        "notes": "a <note>",
    }
