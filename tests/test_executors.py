"""The local executor: only what is needed runs, a dead worker is one line, costs are remembered."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fewskin.errors import StageError
from fewskin.executors import (
    Event,
    default_workers,
    kind_of,
    known_seconds,
    missing,
    run_requests,
)
from fewskin.paths import runs_dir
from fewskin.provenance import Request, load_stage
from fewskin.worker import main as worker


@pytest.fixture
def chain(tmp_path: Path) -> list[Request]:
    """Three requests in a row: ingest, check, split of a tiny folder."""
    for label in ("a", "b"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for i in range(8):
            pixels = np.random.default_rng(i * 2 + (label == "b")).integers(0, 255, (16, 16, 3))
            name = tmp_path / "photos" / label / f"{label}{i}.png"
            Image.fromarray(pixels.astype(np.uint8)).save(name)
    ingest = load_stage("ingest").request(tmp_path / "photos")
    check = load_stage("check").request(ingest)
    return [ingest, check, load_stage("split").request(check, rare=["a"], tasks=["generalised"])]


def test_requests_run_in_order_once_and_tell_what_happens(chain: list[Request]) -> None:
    told: list[Event] = []
    with pytest.raises(Exception, match="'a' has 8 patients"):
        run_requests(chain[2], chain, workers=1, listener=told.append)
    finished = [event.request.stage for event in told if event.kind == "finished"]
    assert finished == ["ingest", "check"]
    assert [request.stage for request in missing(chain[2], chain)] == ["split"]


def test_a_finished_target_needs_nothing_even_when_its_inputs_are_gone(
    chain: list[Request],
) -> None:
    run_requests(chain[1], chain, workers=1)
    (chain[0].path / "stage.json").unlink()
    assert missing(chain[1], chain) == []


def test_costs_are_remembered_and_a_torn_line_is_not(chain: list[Request]) -> None:
    run_requests(chain[0], chain, workers=1)
    with open(runs_dir() / "logs" / "seconds.csv", "a") as file:
        file.write("fit pro")
    assert set(known_seconds()) == {"ingest folder"}
    assert kind_of(chain[1]) == "check"


def test_a_worker_that_dies_is_one_line_with_the_next_step(
    chain: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(StageError, match=r"a worker ended with code 1.*same command again"):
        run_requests(chain[0], chain, workers=1)


def test_workers_fit_the_cores() -> None:
    cores = len(os.sched_getaffinity(0))
    assert 1 <= default_workers(1) <= cores
    assert default_workers(10 * cores) == 1


def test_the_worker_runs_a_request_file(
    chain: list[Request], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "request.json").write_text(json.dumps(chain[0].to_json()))
    assert worker([str(tmp_path / "request.json")]) == 0
    assert capsys.readouterr().out.strip() == str(chain[0].path)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"stage": "ingst", "params": {}, "inputs": {}}', "\x00\xff"]
)
def test_a_bad_request_file_is_one_line_and_exit_code_2(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "request.json").write_text(text, encoding="latin-1")
    assert worker([str(tmp_path / "request.json")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert len(error.strip().splitlines()) == 1


def test_a_worker_ends_when_its_parent_is_killed() -> None:
    code = (
        "import subprocess, sys, os\n"
        "words = [sys.executable, '-m', 'fewskin.worker', '--serve']\n"
        "w = subprocess.Popen(words, stdin=-1, stdout=-1)\n"
        "print(w.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=30)
    pid = int(done.stdout)
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.1)"])
    pytest.fail("the worker outlived its parent")
