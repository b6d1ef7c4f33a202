"""The examples of the guides run as they stand, and their links lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GUIDES = sorted((ROOT / "docs").glob("*.md"))
SAYS = {"few-shot": "('lupus', 'rosacea')", "face": "(192, 192, 3) True", "data": "Rosacea,1,"}


@pytest.mark.parametrize("guide", GUIDES, ids=lambda file: file.stem)
def test_python_examples_run(
    guide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for code in re.findall(r"```python\n(.*?)```", guide.read_text(), flags=re.DOTALL):
        exec(code, {})
    assert SAYS[guide.stem] in capsys.readouterr().out


@pytest.mark.parametrize("guide", GUIDES, ids=lambda file: file.stem)
def test_experiments_and_links_exist(guide: Path) -> None:
    text = guide.read_text()
    for name in set(re.findall(r"experiment=(\w+)", text)):
        assert (ROOT / "configs" / "experiment" / f"{name}.yaml").is_file()
    for link in set(re.findall(r"\]\((?!http)([^)#]+)\)", text)):
        assert (guide.parent / link).exists(), link
