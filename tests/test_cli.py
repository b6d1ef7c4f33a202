"""The command line: help, suggestions, exit code 2 with one line, and no traceback ever."""

import subprocess
import sys
from pathlib import Path

import pytest

from fewskin.catalogue import verbs
from fewskin.cli import compose_config, main, stage_keys
from fewskin.paths import runs_dir


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["splt"], "unknown verb 'splt', did you mean 'split'?"),
        (["split", "rare=[a]"], "data.path= is needed"),
        (["split", "data.path=x", "rare=[a]", "drws=2"], "did you mean 'draws'?"),
        (["split", "data.path=/no/such/place", "rare=[a]"], "/no/such/place does not exist"),
        (["split", "data.path=x"], "rare"),
        (["split", "data.path=x", "rare=a"], "expected a list such as rare=[a]"),
        (["split", "data.path=x", "rare=[a"], "split"),
        (["split", "rare"], "'rare' is not key=value"),
        (["run"], "run needs experiment=NAME"),
        (["run", "experiment=dmo"], "did you mean 'demo'?"),
        (["run", "experiment=demo", "split.drws=1"], "did you mean 'draws'?"),
        (["run", "experiment=demo", "arms.flat.ratoi=1"], "did you mean 'ratio'?"),
        (["run", "experiment=demo", "arms.flat.ratio=-1"], "ratio=-1"),
        (["run", "experiment=demo", "learners.probe.backbon=conv4"], "did you mean 'backbone'?"),
        (["run", "experiment=demo", "primary.learner=prob"], "did you mean 'probe'?"),
        (["run", "experiment=demo", "source=foldr"], "did you mean 'folder'?"),
        (["list", "learner"], "did you mean 'learners'?"),
        (["list"], "Usage: fewskin list KIND"),
    ],
)
def test_a_user_error_is_one_line_and_exit_code_2(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.parametrize("verb", [verb for verb in verbs() if verb not in ("list", "doctor")])
def test_help_names_every_key_and_its_meaning(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    keys = ["experiment", "arms", "split"] if verb == "run" else stage_keys(verb)
    for key in keys:
        assert key in shown
    assert "examples:" in shown


@pytest.mark.parametrize("verb", [v for v in verbs() if v not in ("list", "doctor", "run")])
def test_no_key_is_left_without_a_meaning(verb: str) -> None:
    from fewskin.display import argument_help
    from fewskin.provenance import load_stage

    made = load_stage(verb)
    assert set(made.signature.parameters) - {"out"} <= set(argument_help(made.body))


@pytest.mark.parametrize("kind", ["generators", "learners"])
def test_list_says_what_each_setting_of_a_plugin_means(kind: str) -> None:
    from fewskin.display import settings_help
    from fewskin.plugins import find, keywords, list_plugins

    for name in list_plugins(kind):  # type: ignore[arg-type]  # a literal
        target = find(kind, name)  # type: ignore[arg-type]
        assert set(keywords(target)) <= set(settings_help(target)), name


@pytest.mark.parametrize("kind", ["sources", "generators", "learners", "experiments", "backbones"])
def test_list_prints_names(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", kind]) == 0
    assert len(capsys.readouterr().out.splitlines()) >= 3


def test_a_path_with_spaces_brackets_and_quotes_is_taken_as_it_is() -> None:
    path = "/data/my photos (1), O'Brien $x"
    config = compose_config("split", [f"data.path={path}", "rare=[a]"], stage_keys("split"))
    assert config["data"]["path"] == path


def test_a_dry_run_runs_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["run", "experiment=demo", "dry_run=true"]) == 0
    shown = capsys.readouterr().out
    assert "to run" in shown
    assert "2 CPU cores" in shown
    assert not list(runs_dir().glob("*"))


def test_help_imports_neither_torch_nor_hydra() -> None:
    code = (
        "import sys; from fewskin.cli import main; main(['--help']); "
        "sys.exit(any(m in sys.modules for m in ('torch', 'hydra', 'pandas')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_doctor_names_every_package_our_users_rely_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    for name in ("torch", "learn2learn", "diffusers", "pytorch-lightning", "trimesh", "hydra"):
        assert name in shown
