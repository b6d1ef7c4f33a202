import shutil
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from fewskin import doctor
from fewskin.doctor import diagnose


def rows() -> dict[str, tuple[str, str]]:
    return {what: (state, remedy) for what, state, remedy in diagnose()}


def test_what_is_installed_needs_no_remedy() -> None:
    found = rows()
    assert found["torch"] == (metadata.version("torch"), "")
    assert found["learn2learn import"] == ("works", "")
    assert found["device"][1] == ""


def test_a_missing_package_names_the_command_that_adds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = metadata.version

    def version(name: str) -> str:
        if name in ("torch", "mlflow"):
            raise metadata.PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(doctor.metadata, "version", version)
    found = rows()
    assert found["torch"] == ("missing", "scripts/setup")
    assert found["mlflow [track]"] == ("missing", "scripts/setup track")


def test_every_remedy_is_an_extra_that_set_up_knows() -> None:
    script = (Path(__file__).resolve().parents[1] / "scripts" / "setup").read_text()
    extras = set(metadata.metadata("fewskin").get_all("Provides-Extra"))
    known = script.partition("every=(")[2].partition(")")[0].split()
    assert extras == {*known, "landmarks"}


def test_a_full_disk_is_seen(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1e9))
    state, remedy = rows()["runs folder"]
    assert state == f"{runs}: 1.0 GB free"
    assert "FEWSKIN_RUNS" in remedy


def test_a_broken_import_is_a_row_and_not_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> str:
        raise RuntimeError("operator x does not exist\nand more")

    monkeypatch.setattr(doctor, "_torchvision", broken)
    assert rows()["torchvision import"] == ("operator x does not exist", "scripts/setup")
