"""A folder as people have them: faults are reported, and nothing ends in a traceback."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fewskin.cli import main
from fewskin.paths import runs_dir
from fewskin.tables import FINDINGS, MANIFEST, read_table


@pytest.fixture
def messy(tmp_path: Path) -> Path:
    """Two common and one rare class of 12, and beside them everything that goes wrong."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "my photos (2024)"
    for label in ("acne", "eczema", "rosacea"):
        (folder / label).mkdir(parents=True)
        for i in range(12):
            image = Image.fromarray(rng.integers(0, 255, (40, 40, 3)).astype(np.uint8))
            image.save(folder / label / f"{label} {i}.jpg")
    (folder / "single").mkdir()
    Image.fromarray(rng.integers(0, 255, (40, 40, 3)).astype(np.uint8)).save(
        folder / "single" / "only.png"
    )
    whole = (folder / "acne" / "acne 0.jpg").read_bytes()
    (folder / "acne" / "truncated.jpg").write_bytes(whole[: len(whole) // 3])
    (folder / "acne" / "notes.jpg").write_text("patient came back in May")
    image = Image.fromarray(rng.integers(0, 255, (40, 40, 4)).astype(np.uint8), "CMYK")
    image.save(folder / "eczema" / "printed.jpg")
    (folder / "eczema" / "twice.jpg").write_bytes((folder / "acne" / "acne 1.jpg").read_bytes())
    return folder


def only(stage: str, name: str) -> Path:
    (found,) = runs_dir().glob(f"{stage}/*/{name}")
    return found


def test_a_messy_folder_is_ingested_and_its_faults_are_findings(messy: Path) -> None:
    assert main(["ingest", f"data.path={messy}"]) == 0
    rows = read_table(only("ingest", "manifest.csv"), MANIFEST)
    findings = read_table(only("ingest", "findings.csv"), FINDINGS)
    corrupt = set(findings.loc[findings["kind"] == "corrupt", "path"])
    assert corrupt == {"acne/truncated.jpg", "acne/notes.jpg"}
    assert "eczema/printed.jpg" in set(rows["path"])
    # 36 whole ones, the single, the CMYK one, the double.
    assert len(rows) == 39
    assert main(["check", f"data.path={only('ingest', 'manifest.csv').parent}"]) == 0
    checked = read_table(only("check", "findings.csv"), FINDINGS)
    assert (checked["kind"] == "conflict").any()
    assert corrupt <= set(checked["path"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data.rare=[single]"], "class 'single' has 1 patients"),
        (["data.rare=[rosacea]"], "common class 'single' has 1 patients"),
        (["data.rare=[rosacea]", "data.common=[acne,eczema]", "split.shots=[9]"], "9 shots"),
        (["data.rare=[rosaca]"], "did you mean 'rosacea'?"),
    ],
)
def test_an_impossible_study_of_it_is_one_line(
    messy: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    primary = "primary=null"
    assert main(["run", "experiment=rare", f"data.path={messy}", primary, *words]) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("[")]
    assert len(error) == 1
    assert said in error[0]


def test_a_possible_study_of_it_gives_a_report(
    messy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["data.rare=[rosacea]", "data.common=[acne,eczema]", "image_size=32"]
    words += ["split.shots=[1]", "split.draws=2", "~learners.finetune", "~learners.protonet"]
    words += ["~arms.mixup", "~arms.flat", "learner_baseline=null"]
    words += ["learners.probe={backbone: conv4, fit_steps: 2}"]
    words += ["primary={task: generalised, metric: balanced_accuracy, shots: 1, learner: probe}"]
    assert main(["run", "experiment=rare", f"data.path={messy}", *words]) == 0
    last = capsys.readouterr().out.strip().splitlines()[-1]
    report = Path(last.removeprefix("report: ")).read_text()
    assert "truncated.jpg" in report
    assert "corrupt" in report
