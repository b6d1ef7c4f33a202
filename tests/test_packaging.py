"""The wheel works away from the checkout, configs and assets included."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]


def call(*words: object, **options: object) -> str:
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = ("build", "--wheel", "--no-isolation", "--outdir", folder, ROOT)
    call(sys.executable, "-m", *build, cwd=folder)
    (wheel,) = folder.glob("fewskin-*.whl")
    call(
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--target",
        folder / "site",
        wheel,
    )
    return folder / "site"


def fewskin(installed: Path, cwd: Path, *words: object) -> str:
    path = {**os.environ, "PYTHONPATH": str(installed), "FEWSKIN_RUNS": str(cwd / "runs")}
    return call(sys.executable, installed / "bin" / "fewskin", *words, cwd=cwd, env=path)


def test_the_wheel_carries_configs_assets_types_and_licence(installed: Path) -> None:
    assert (installed / "fewskin" / "_configs" / "experiment" / "demo.yaml").is_file()
    assert (installed / "fewskin" / "_assets").is_dir()
    assert (installed / "fewskin" / "py.typed").is_file()
    assert list(installed.glob("fewskin-*.dist-info/licenses/LICENSE"))


def test_list_finds_plug_ins_and_experiments(installed: Path, tmp_path: Path) -> None:
    for kind, name in (("sources", "folder"), ("generators", "copies"), ("experiments", "demo")):
        assert name in fewskin(installed, tmp_path, "list", kind)
    learners = [f.stem for f in (ROOT / "fewskin" / "learners").glob("[!_]*.py")]
    shown = fewskin(installed, tmp_path, "list", "learners")
    assert all(name in shown for name in learners)


def test_a_verb_runs_from_another_folder(installed: Path, tmp_path: Path) -> None:
    for label, shade in (("acne", 90), ("rosacea", 180)):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(2):
            pixels = np.full((16, 16, 3), shade + number, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / label / f"{label}{number}.png")
    shown = fewskin(installed, tmp_path, "ingest", "data.path=photos")
    (manifest,) = (tmp_path / "runs" / "ingest").glob("*/manifest.csv")
    assert len(manifest.read_text().splitlines()) == 1 + 4
    assert str(manifest.parent.relative_to(tmp_path)) in shown
