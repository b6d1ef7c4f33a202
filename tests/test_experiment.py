"""A whole experiment through the command line: killed at any moment, it ends the same."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fewskin.fingerprints import content_hash

WORDS = [
    *("run", "experiment=rare", "data.path=photos", "data.rare=[r1,r2]", "image_size=32"),
    *("source.patient_from=^(p[0-9]+)", "split.tasks=[novel,generalised]", "split.shots=[1,2]"),
    *("split.draws=2", "split.pool=4", "~learners.finetune", "~learners.protonet", "~arms.mixup"),
    *("learners.probe={backbone: conv4, fit_steps: 4}", "learner_baseline=null"),
    *("primary={task: novel, metric: balanced_accuracy, shots: 2, learner: probe}",),
]


def photographs(folder: Path) -> None:
    """Write 12 patients of each of four classes; a class has a texture of its own."""
    rng = np.random.default_rng(0)
    for number, label in enumerate(("c1", "c2", "r1", "r2")):
        (folder / label).mkdir(parents=True)
        for patient in range(12):
            noise = rng.normal(0, 30, (32, 32, 3))
            stripes = 40 * np.sin(np.arange(32) * (number + 1) * 0.5)[:, None, None]
            pixels = np.clip(128 + stripes + noise, 0, 255).astype(np.uint8)
            name = f"p{number * 100 + patient:03d}_{label}.png"
            Image.fromarray(pixels).save(folder / label / name)


def start(folder: Path, *more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "fewskin.cli", *WORDS, *more],
        cwd=folder,
        env={**os.environ, "FEWSKIN_RUNS": "runs", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(folder: Path, *more: str) -> str:
    process = start(folder, *more)
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    return out


def tables(folder: Path) -> dict[str, str]:
    found = folder.glob("runs/*/*/*.csv")
    return {str(file.relative_to(folder)): content_hash(file) for file in found}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    photographs(folder / "photos")
    out = finish(folder)
    assert out.strip().splitlines()[-1].startswith("report: ")
    return folder


def test_a_run_ends_with_a_report_and_all_its_tables(finished: Path) -> None:
    (report,) = finished.glob("runs/report/*/report.html")
    assert "not a medical device" in report.read_text()
    # 2 tasks, 2 K, 2 draws, 2 arms of generated images, 1 learner.
    assert len(list(finished.glob("runs/predict/*/predictions.csv"))) == 16
    # 2 tasks, 2 K, the learner and trivial; the draws of real_only are together.
    assert len(list(finished.glob("runs/assess/*/predictions.csv"))) == 8
    assert not list(finished.glob("runs/*/*.tmp-*"))


def test_models_are_intermediate_unless_asked_for(finished: Path) -> None:
    assert not list(finished.glob("runs/train/*"))


def test_a_second_run_repeats_nothing(finished: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in finished.glob("runs/*/*/stage.json")}
    finish(finished)
    assert {f: f.stat().st_mtime_ns for f in finished.glob("runs/*/*/stage.json")} == before


def test_a_run_killed_at_random_moments_ends_with_the_same_bytes(
    finished: Path, tmp_path: Path
) -> None:
    photographs(tmp_path / "photos")
    moments = random.Random(7)
    for _ in range(4):
        process = start(tmp_path)
        time.sleep(moments.uniform(1.0, 6.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        process.stderr.close()
    done = {file: file.stat().st_mtime_ns for file in tmp_path.glob("runs/predict/*/stage.json")}
    finish(tmp_path)
    assert {file: file.stat().st_mtime_ns for file in done} == done
    theirs, ours = tables(finished), tables(tmp_path)
    assert ours == theirs


def test_a_dry_run_knows_the_keys_of_the_real_run(finished: Path) -> None:
    shown = finish(finished, "dry_run=true")
    (report,) = finished.glob("runs/report/*")
    assert report.name in shown
    assert "nothing to run." in shown


def test_a_failing_learner_is_one_line_and_keeps_what_was_made(tmp_path: Path) -> None:
    photographs(tmp_path / "photos")
    process = start(tmp_path, "split.pool=1")
    _, error = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "2 shots need" in error
    assert "Traceback" not in error
    assert list(tmp_path.glob("runs/check/*/manifest.csv"))
