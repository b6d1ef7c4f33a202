"""The few-shot benchmark through the command line, at a small size: killed in training, it ends
the same; pairs, their mean, transductive labels and published figures are in the report."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fewskin.fingerprints import content_hash
from fewskin.tables import GAINS, read_table

WORDS = [
    *("run", "experiment=isic_2way", "source=folder", "data.path=photos", "image_size=32"),
    *("data.rare=[r1,r2,r3]", "split.shots=[2]", "split.draws=4", "split.pool=6", "base_seeds=2"),
    *("learner_baseline=[protonet,probe]", "executor.workers=1"),
    *(f"~learners.{name}" for name in ("simpleshot", "baseline_pp", "finetune", "tim", "colour")),
    "~learners.descriptors",
    "learners.whitened.backbone=conv4",
    *("learners.whitened.fit_steps=120", "learners.whitened.fit_batch_size=8"),
    *("learners.probe=${learners.whitened}", "learners.bdcspn=${learners.whitened}"),
    "learners.protonet={backbone: conv4, fit_steps: 6, shot: 2, query: 2, image_size: 32}",
    "primary={task: nway, metric: macro_auc, shots: 2, learner: whitened, against: protonet}",
]


def photographs(folder: Path) -> None:
    """Write 24 photographs of each of five classes, told apart by the width of their stripes."""
    rng = np.random.default_rng(0)
    for number, label in enumerate(("c1", "c2", "r1", "r2", "r3")):
        (folder / label).mkdir(parents=True)
        for i in range(24):
            stripes = 40 * np.sin(np.arange(32) * (number + 1) * 0.4)[:, None, None]
            pixels = np.clip(128 + stripes + rng.normal(0, 30, (32, 32, 3)), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / label / f"{label}_{i}.png")


def start(folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "fewskin.cli", *WORDS],
        cwd=folder,
        env={**os.environ, "FEWSKIN_RUNS": "runs", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(folder: Path) -> str:
    process = start(folder)
    out, error = process.communicate(timeout=400)
    assert process.returncode == 0, error
    return out


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    photographs(folder / "photos")
    out = finish(folder)
    assert "whitened at K = 2 (nway): macro AUC" in out
    return folder


def report_of(folder: Path) -> str:
    (file,) = folder.glob("runs/report/*/report.md")
    return file.read_text()


def test_base_fits_are_shared_and_repeated_for_every_base_seed(finished: Path) -> None:
    assert len(list(finished.glob("runs/fit/*/stage.json"))) == 4  # 2 kinds of fit, 2 base seeds


def test_gains_hold_every_pair_and_their_mean(finished: Path) -> None:
    (file,) = finished.glob("runs/evaluate/*/gains.csv")
    gains = read_table(file, GAINS)
    assert set(gains["task"]) == {"nway", "nway:r1|r2", "nway:r1|r3", "nway:r2|r3"}
    assert set(gains["n_base_seeds"]) == {2}
    assert set(gains.loc[gains["baseline"] != "", "baseline"]) == {
        "learner:protonet",
        "learner:probe",
    }
    mean = gains[(gains["task"] == "nway") & (gains["baseline"] == "")]
    assert set(mean["n_groups"]) == {54}  # 24 photographs less a pool of 6, in three classes


def test_the_report_labels_transductive_learners_and_says_who_loses(finished: Path) -> None:
    text = report_of(finished)
    assert "bdcspn (transductive)" in text
    assert "Meta-learners are those fitted on episodes" in text
    assert "against probe: protonet" in text


def test_the_report_prints_the_published_table_beside_ours(finished: Path) -> None:
    section = report_of(finished).partition("## Beside a published table")[2].partition("\n## ")[0]
    assert "Meta-DermDiagnosis" in section
    assert "Reptile G-conv (published)" in section
    assert "| **2** | **whitened** |" in section


def test_a_run_killed_in_training_ends_with_the_same_metrics(
    finished: Path, tmp_path: Path
) -> None:
    photographs(tmp_path / "photos")
    process = start(tmp_path)
    until = time.monotonic() + 200
    while not list(tmp_path.glob("runs/fit/*.tmp-*/checkpoint/*.pt")):
        assert process.poll() is None, "the run ended before it wrote a checkpoint"
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    process.stderr.close()
    assert not list(tmp_path.glob("runs/evaluate/*/gains.csv"))
    finish(tmp_path)
    for name in ("assess/*/predictions.csv", "evaluate/*/gains.csv"):
        theirs, ours = (
            {file.relative_to(folder): content_hash(file) for file in folder.glob(f"runs/{name}")}
            for folder in (finished, tmp_path)
        )
        assert ours == theirs
