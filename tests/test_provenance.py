"""Keys, atomic results, and continuing after a kill, on two toy stages."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fewskin import execution, fingerprints, provenance
from fewskin.errors import ConfigError, StageError
from fewskin.execution import execute
from fewskin.fingerprints import content_hash, source_hash
from fewskin.provenance import DEFAULT_OUT, Request, Stage, stage, stage_record

calls: list[str] = []


@stage(version=1)
def grow(*, size: int = 1, out: Path = DEFAULT_OUT) -> None:
    """Write a text of some size."""
    calls.append("grow")
    (out / "text").write_text("x" * size)


@stage(version=1, inputs=("grown",))
def count(grown: Path, *, out: Path = DEFAULT_OUT) -> None:
    """Count the letters of a text."""
    calls.append("count")
    (out / "n").write_text(str(len((grown / "text").read_text())))


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    known: dict[str, Stage] = {"grow": grow, "count": count}
    monkeypatch.setattr(provenance, "load_stage", known.__getitem__)
    monkeypatch.setattr(execution, "load_stage", known.__getitem__)
    calls.clear()
    return None


def test_a_result_is_made_once_and_named_by_its_key() -> None:
    first = grow(size=3)
    assert grow(size=3) == first
    assert grow() != first
    assert calls == ["grow", "grow"]
    assert first.name == grow.request(size=3).key[:12]


def test_a_request_and_its_finished_folder_give_the_same_key() -> None:
    planned = count.request(grow.request(size=3))
    made = count.request(grow(size=3))
    assert planned.key == made.key
    assert not planned.done


def test_defaults_do_not_change_the_key_and_values_do() -> None:
    assert grow.request().key == grow.request(size=1).key
    assert grow.request(size=2).key != grow.request(size=1).key


def test_the_output_folder_is_not_in_the_key(tmp_path: Path) -> None:
    assert grow.request(out=tmp_path / "here").key == grow.request().key


def test_an_input_that_is_not_finished_is_named() -> None:
    with pytest.raises(StageError, match="which is not finished; run grow first"):
        execute(count.request(grow.request(size=9)))


def test_an_unknown_key_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="unknown grow key 'sise', did you mean 'size'"):
        grow(sise=2)


def test_a_foreign_folder_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(StageError, match="holds another result"):
        grow(out=tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_a_failing_stage_publishes_nothing_and_its_folder_is_taken_over() -> None:
    request = grow.request(size=4)
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True
    )
    host = os.uname().nodename
    left = request.path.with_name(f"{request.path.name}.tmp-{host}-{int(gone.stdout)}")
    left.mkdir(parents=True)
    (left / "checkpoint").write_text("half way")
    (left / ".text.part-1").write_text("torn")
    folder = execute(request)
    assert (folder / "checkpoint").read_text() == "half way"
    assert not (folder / ".text.part-1").exists()
    assert not left.exists()


def test_a_living_process_keeps_its_folder() -> None:
    request = grow.request(size=5)
    host = os.uname().nodename
    theirs = request.path.with_name(f"{request.path.name}.tmp-{host}-{os.getppid()}")
    theirs.mkdir(parents=True)
    execute(request)
    assert theirs.is_dir()


def test_a_torn_record_is_not_a_result() -> None:
    folder = grow(size=6)
    text = (folder / "stage.json").read_text()
    (folder / "stage.json").write_text(text[: len(text) // 2])
    assert stage_record(folder) is None
    assert not grow.request(size=6).done


def test_a_read_only_or_full_place_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, *args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(StageError, match=r"No space left on device.*out="):
        grow(size=7)


def test_the_record_says_what_made_it() -> None:
    record = stage_record(count(grow(size=3)))
    assert record is not None
    assert record["stage"] == "count"
    assert record["outputs"]["n"] == content_hash(record_path(record) / "n")
    assert {"versions", "threads", "device", "started", "seconds"} <= set(record)


def record_path(record: dict[str, object]) -> Path:
    return count.request(Path(str(record["inputs"]["grown"]))).path  # type: ignore[index]


def test_a_request_survives_json() -> None:
    request = count.request(grow.request(size=3))
    grow(size=3)
    again = Request.from_json(json.loads(json.dumps(request.to_json())))
    assert again.key == request.key


@pytest.mark.parametrize(
    "data", [{}, {"stage": "grow"}, [], {"stage": "grow", "params": 1, "inputs": {}}]
)
def test_a_bad_request_is_a_config_error(data: object) -> None:
    with pytest.raises(ConfigError):
        Request.from_json(data)


def test_content_hashes_follow_names_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = content_hash(tmp_path)
    os.rename(tmp_path / "a", tmp_path / "b")
    assert content_hash(tmp_path) != first
    with pytest.raises(StageError, match="does not exist"):
        content_hash(tmp_path / "nothing")


def test_a_source_hash_follows_imports_however_deep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaf = tmp_path / "leaf.py"
    leaf.write_text("x = 1\n")
    plugin = tmp_path / "plugin.py"
    plugin.write_text("from fewskin.leaf import x\n")
    monkeypatch.setattr(fingerprints, "_module_file", lambda name: leaf if "leaf" in name else None)
    source_hash.cache_clear()
    first = source_hash(plugin)
    leaf.write_text("x = 2\n")
    source_hash.cache_clear()
    assert source_hash(plugin) != first


def test_a_manifest_whose_images_moved_is_made_again(tmp_path: Path) -> None:
    folder = grow(size=8)
    (tmp_path / "photos").mkdir()
    (folder / "manifest.json").write_text(json.dumps({"root": str(tmp_path / "photos")}))
    assert grow.request(size=8).done
    os.rename(tmp_path / "photos", tmp_path / "archive")
    assert not grow.request(size=8).done
    assert grow(size=8) == folder
    assert calls == ["grow", "grow"]
