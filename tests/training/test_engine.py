import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from fewskin.errors import StageError
from fewskin.training.engine import run_steps
from fewskin.training.modules import Classifier, Recipe


def tiny(steps: int = 40, **settings) -> Classifier:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3)]
    return Classifier(nn.Sequential(*layers), Recipe(steps, 0.01, ema=0.9, **settings))


def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(step)
    labels = torch.randint(0, 3, (16,), generator=rng)
    return torch.randn(16, 4, generator=rng), torch.eye(3)[labels]


class _KilledError(Exception):
    pass


def killed_at(last: int):
    def until(step: int):
        if step == last:
            raise _KilledError
        return batch(step)

    return until


def assert_same(one: nn.Module, other: nn.Module) -> None:
    for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
def test_a_resumed_run_ends_with_the_same_bits(optimizer: str, tmp_path: Path) -> None:
    whole = tiny(optimizer=optimizer)
    run_steps(whole, batch, steps=40, out=None)
    with pytest.raises(_KilledError):
        run_steps(
            tiny(optimizer=optimizer), killed_at(27), steps=40, out=tmp_path, checkpoint_every=10
        )
    resumed = tiny(optimizer=optimizer)
    asked: list[int] = []
    run_steps(
        resumed, lambda t: asked.append(t) or batch(t), steps=40, out=tmp_path, checkpoint_every=10
    )
    assert min(asked) == 20
    assert_same(whole, resumed)


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_engine import batch, tiny
from fewskin.training.engine import run_steps

def slow(step):
    time.sleep(0.02)
    return batch(step)

run_steps(tiny(), slow, steps=40, out=Path(sys.argv[1]), checkpoint_every=5)
"""


def test_a_run_killed_by_the_system_is_continued(tmp_path: Path) -> None:
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", KILLED, str(tmp_path), here]
    # The bits hold at one number of threads, which the environment fixes here.
    env = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    process = subprocess.Popen(command, env=env)
    saved = tmp_path / "checkpoint" / "fit.pt"
    deadline = time.monotonic() + 60
    while not saved.is_file() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert saved.is_file(), "the run ended before it was killed"
    whole, resumed = tiny(), tiny()
    run_steps(whole, batch, steps=40, out=None)
    run_steps(resumed, batch, steps=40, out=tmp_path, checkpoint_every=5)
    assert_same(whole, resumed)


def test_a_finished_run_leaves_no_files(tmp_path: Path) -> None:
    run_steps(tiny(), batch, steps=25, out=tmp_path, checkpoint_every=10)
    assert list(tmp_path.iterdir()) == []


def test_progress_says_step_steps_and_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fewskin.training.engine._SECONDS_BETWEEN_PROGRESS", 0.0)
    with pytest.raises(_KilledError):
        run_steps(tiny(), killed_at(7), steps=40, out=tmp_path)
    said = json.loads((tmp_path / "progress.json").read_text())
    assert (said["step"], said["steps"]) == (7, 40)
    assert said["loss"] > 0


def test_the_callers_random_state_is_left_alone_and_plays_no_part(tmp_path: Path) -> None:
    one, other = tiny(), tiny()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    run_steps(one, batch, steps=5, out=None, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    run_steps(other, batch, steps=5, out=None, seed=3)
    assert_same(one, other)


def test_a_loss_that_is_not_a_number_stops_the_run(tmp_path: Path) -> None:
    def broken(step: int):
        inputs, targets = batch(step)
        return inputs * (float("nan") if step == 3 else 1.0), targets

    with pytest.raises(StageError, match=r"loss is nan at step 10.*lr="):
        run_steps(tiny(), broken, steps=40, out=tmp_path, checkpoint_every=10)
    assert not (tmp_path / "checkpoint").exists()


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "fit.pt").write_bytes(b"damaged")
    with pytest.raises(StageError, match="cannot read checkpoint"):
        run_steps(tiny(), batch, steps=5, out=tmp_path)


def test_lightning_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    run_steps(tiny(), batch, steps=3, out=None)
    assert capfd.readouterr() == ("", "")
