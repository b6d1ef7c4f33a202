"""The README's library example runs as it stands, at a smaller size."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

README = Path(__file__).resolve().parents[1] / "README.md"


def test_the_library_example_runs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    synthetic_manifest: Callable[..., Path],
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert '"fit_steps": 600' in code
    monkeypatch.chdir(tmp_path)
    made = synthetic_manifest(n_patients=12, classes=("acne", "eczema", "lupus", "rosacea"))
    for file in made.rglob("*.png"):
        label = next(
            c for c in ("acne", "eczema", "lupus", "rosacea") if c in str(file.relative_to(made))
        )
        (tmp_path / "photos" / label).mkdir(parents=True, exist_ok=True)
        Image.open(file).save(tmp_path / "photos" / label / file.name)
    exec(code.replace('"fit_steps": 600', '"fit_steps": 2').replace("range(5)", "range(2)"), {})
    shown = capsys.readouterr().out
    assert "flat with probe at K = 5 (novel)" in shown
    assert "12 patients" in shown or "groups" in shown or "images" in shown


def test_every_command_of_the_readme_names_things_that_exist() -> None:
    text = README.read_text()
    root = README.parent
    for name in set(re.findall(r"experiment=(\w+)", text)):
        assert (root / "configs" / "experiment" / f"{name}.yaml").is_file()
    for link in set(re.findall(r"\]\((?!http)([^)#]+)\)", text)):
        assert (root / link).exists(), link
    for script in set(re.findall(r"scripts/(\w+)", text)):
        assert (root / "scripts" / script).exists()
