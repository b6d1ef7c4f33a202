"""The provider with stand-in workers, and with mediapipe itself where it is installed."""

import importlib.util
import os
import signal
import sys
import textwrap
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fewskin.errors import ConfigError, MissingExtra, StageError
from fewskin.face.landmarks import Landmarks, Reason, inter_ocular, pose_of
from fewskin.face.mediapipe_provider import MediapipeProvider
from fewskin.face.topology import topology

needs_mediapipe = pytest.mark.skipif(
    importlib.util.find_spec("mediapipe") is None,
    reason="mediapipe is not installed: pip install 'fewskin[landmarks]'",
)
PICTURE = np.random.default_rng(0).integers(60, 200, (256, 256, 3)).astype(np.uint8)
FACE = np.concatenate([topology().mean, topology().mean_irises]) * [10.0, -10.0, -10.0]
FACE = (FACE + np.array([128.0, 128.0, 0.0])).astype("<f4")

# A worker that finds the same face everywhere and counts its answers in a file.
HEAD = """
import json, os, sys, time
from pathlib import Path
out = sys.stdout.buffer
def send(header, raw=b""):
    out.write(json.dumps(header).encode() + b"\\n" + raw)
    out.flush()
def requests():
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        sys.stdin.buffer.read(asked["height"] * asked["width"] * 3)
        yield asked
"""
FINDS = """
send({"ready": "stand-in"})
raw = Path(sys.argv[1]).read_bytes()
for number, _ in enumerate(requests()):
    Path(sys.argv[2]).open("a").write("x")
    send({"scores": [0.9], "n_points": 478}, raw)
"""


@pytest.fixture
def worker(tmp_path):
    """Return a function that makes the command of a worker with this body."""
    (tmp_path / "face.raw").write_bytes(FACE.tobytes())

    def make(body):
        script = tmp_path / "worker.py"
        script.write_text(HEAD + textwrap.dedent(body))
        return sys.executable, str(script), str(tmp_path / "face.raw"), str(tmp_path / "count")

    return make


def test_the_worker_starts_once_for_many_pictures(worker, tmp_path):
    with MediapipeProvider(worker=worker(FINDS)) as provider:
        assert provider._worker is None
        first = provider.detect([PICTURE, PICTURE])
        process = provider._worker._process.pid
        provider.detect([PICTURE])
        assert provider._worker._process.pid == process
    assert all(isinstance(face, Landmarks) for face in first)
    assert np.array_equal(first[0].points, FACE[:468])
    assert np.array_equal(first[0].irises, FACE[468:])
    assert (tmp_path / "count").read_text() == "xxx"
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_what_was_found_is_remembered_by_pixels(worker, tmp_path):
    for _ in range(2):
        with MediapipeProvider(worker=worker(FINDS), cache=tmp_path / "cache") as provider:
            a, b = provider.detect([PICTURE, PICTURE[:, :200]])
    assert (tmp_path / "count").read_text() == "xx"
    assert np.array_equal(a.points, FACE[:468])
    assert np.isclose(b.score, 0.9)


def test_a_damaged_memory_is_made_again(worker, tmp_path):
    for content in (None, b"", b"rubbish", b"PK\x03\x04rubbish"):
        if content is not None:
            (file,) = (tmp_path / "cache").glob("*.npz")
            file.write_bytes(content)
        with MediapipeProvider(worker=worker(FINDS), cache=tmp_path / "cache") as provider:
            assert isinstance(provider.detect([PICTURE])[0], Landmarks)
    assert (tmp_path / "count").read_text() == "xxxx"


def test_a_view_of_an_array_is_sent_as_it_looks(worker):
    with MediapipeProvider(worker=worker(FINDS)) as provider:
        assert isinstance(provider.detect([PICTURE[::-1, ::-1]])[0], Landmarks)


def test_what_is_no_picture_needs_no_worker(worker):
    with MediapipeProvider(worker=worker("sys.exit(1)")) as provider:
        assert provider.detect([np.zeros((5, 5), np.uint8)])[0].code == "unreadable"
        assert provider.detect([]) == []


def test_a_complaint_about_one_picture_is_its_reason(worker):
    body = """
    send({"ready": ""})
    for _ in requests():
        send({"error": "RuntimeError: odd"})
    """
    with MediapipeProvider(worker=worker(body)) as provider:
        first, second = provider.detect([PICTURE, PICTURE])
    assert first.code == second.code == "unreadable"
    assert "odd" in first.text


@pytest.mark.parametrize(
    ("body", "error", "text"),
    [
        ('send({"missing": "ModuleNotFoundError: x"})', MissingExtra, r"fewskin\[landmarks\]"),
        ('sys.stderr.write("first\\nno such library"); sys.exit(7)', StageError, "no such library"),
        ('send({"ready": ""}); sys.exit(7)', StageError, "256 x 256"),
        ('send({"ready": ""}); [send([1]) for _ in requests()]', StageError, "landmark worker"),
        ('send({"ready": ""}); [send({}) for _ in requests()]', StageError, "landmark worker"),
        ('out.write(b"\\xff\\xfe\\n"); out.flush()', StageError, "starting"),
        (
            'send({"ready": ""}); [(send({"scores": [1], "n_points": 478}, b"ab"), sys.exit(3)) '
            "for _ in requests()]",
            StageError,
            "code 3",
        ),
    ],
)
def test_a_broken_worker_gives_one_clear_line(worker, body, error, text):
    with (
        MediapipeProvider(worker=worker(body)) as provider,
        pytest.raises(error, match=text) as raised,
    ):
        provider.detect([PICTURE])
    assert "\n" not in str(raised.value)


def test_a_worker_that_hangs_is_ended(worker):
    provider = MediapipeProvider(worker=worker('send({"ready": ""}); time.sleep(60)'), timeout_s=1)
    with pytest.raises(StageError, match="over 1 s"):
        provider.detect([PICTURE])
    assert provider._worker is None


def test_after_a_kill_the_next_call_starts_anew(worker):
    provider = MediapipeProvider(worker=worker(FINDS))
    provider.detect([PICTURE])
    os.kill(provider._worker._process.pid, signal.SIGKILL)
    with pytest.raises(StageError, match="killed"):
        provider.detect([PICTURE])
    assert isinstance(provider.detect([PICTURE])[0], Landmarks)
    provider.close()
    provider.close()


def test_a_command_that_does_not_exist_is_named():
    with pytest.raises(StageError, match="no-such-program"):
        MediapipeProvider(worker=["/no-such-program"]).detect([PICTURE])


def test_a_task_file_must_exist_and_be_a_zip(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        MediapipeProvider(task=tmp_path / "a.task")
    (tmp_path / "a.task").write_text("no zip")
    with pytest.raises(ConfigError, match=r"no \.task file"):
        MediapipeProvider(task=tmp_path / "a.task")


@pytest.fixture(scope="module")
def astronaut():
    return pytest.importorskip("skimage").data.astronaut()


@pytest.fixture(scope="module")
def real():
    with MediapipeProvider() as provider:
        yield provider


@needs_mediapipe
def test_mediapipe_finds_a_face_where_it_is(real, astronaut):
    (face,) = real.detect([astronaut])
    assert np.allclose(face.irises[[0, 5], :2], [[204, 101], [247, 104]], atol=1.5)  # seen by eye
    assert 30 < inter_ocular(face) < 45
    assert face.points[4, 2] < face.points[[234, 454], 2].min()  # the nose is nearest
    assert face.score > 0.8


@needs_mediapipe
def test_a_mirrored_picture_gives_mirrored_landmarks(real, astronaut):
    face, other = real.detect([astronaut, astronaut[:, ::-1]])
    back = other.points[topology().mirror] * [-1, 1, 1] + [astronaut.shape[1], 0, 0]
    assert np.abs(back - face.points)[:, :2].mean() < 0.3
    assert np.isclose(pose_of(other.points)[0], -pose_of(face.points)[0], atol=1.0)


@needs_mediapipe
def test_mediapipe_gives_a_reason_for_what_has_no_face(real, astronaut):
    two = np.concatenate([astronaut, astronaut], axis=1)
    tiny = astronaut[50:170:3, 170:290:3]
    for picture, code in ((PICTURE, "no_face"), (two, "several_faces"), (tiny, "small_face")):
        reason = real.detect([np.ascontiguousarray(picture)])[0]
        assert isinstance(reason, Reason)
        assert reason.code == code


@needs_mediapipe
def test_a_task_file_is_run(tmp_path, astronaut):
    # The wheel's own models in a bundle: its landmarks are of another scale than the task expects,
    # so only the way through the worker is tested here.
    models = Path(importlib.util.find_spec("mediapipe").origin).parent / "modules"
    with zipfile.ZipFile(tmp_path / "own.task", "w") as bundle:
        detector = models / "face_detection" / "face_detection_short_range.tflite"
        bundle.write(detector, "face_detector.tflite")
        bundle.write(
            models / "face_landmark/face_landmark.tflite", "face_landmarks_detector.tflite"
        )
    with MediapipeProvider(task=tmp_path / "own.task") as provider:
        found = provider.detect([astronaut])
    assert isinstance(found[0], Landmarks | Reason)
    assert getattr(found[0], "code", "no_face") != "unreadable"


@needs_mediapipe
def test_most_faces_of_the_data_are_found(real, realdata):
    from PIL import Image

    files = sorted((realdata / "faces_sfhq" / "small_265").glob("*.jpg"))[::8]
    if not files:
        pytest.skip(f"no faces in {realdata}")
    found = real.detect([np.asarray(Image.open(file).convert("RGB")) for file in files])
    assert all(isinstance(face, Landmarks) for face in found)
