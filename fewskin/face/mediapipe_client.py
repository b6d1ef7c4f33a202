"""The other end of `mediapipe_worker`: starts it, asks it, and says clearly what went wrong."""

import contextlib
import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from fewskin.errors import MissingExtra, StageError

__all__ = ["Found", "Worker"]

Found = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]  # (n, N, 3) points, (n,) scores
_LONGEST_LINE = 65536


class Worker:
    """A running worker; one picture at a time.

    Args:
        command: that starts it.
        timeout_s: for its start, and for one picture.

    Raises:
        MissingExtra: mediapipe cannot be imported there.
        StageError: it does not start, or not in time.
    """

    def __init__(self, command: Sequence[str], timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `stop`
        try:
            self._process = subprocess.Popen(
                [*command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env={**os.environ, "GLOG_minloglevel": "2"},
            )
        except OSError as error:
            self._log.close()
            raise StageError(
                f"cannot start the landmark worker {command[0]}: {error.strerror}."
            ) from error
        with self._in_time("starting"):
            first = self._read_line()
        if "missing" in first:
            self.stop()
            raise MissingExtra(
                f"mediapipe cannot be used ({first['missing']}); run "
                "`pip install 'fewskin[landmarks]'` on Python 3.12 or older, or give landmark "
                "files."
            )

    def find(self, image: npt.NDArray[np.uint8]) -> Found | str:
        """Return the faces in a contiguous (H, W, 3) uint8 picture, or what mediapipe complains of.

        Raises:
            StageError: the worker ended, or took too long.
        """
        height, width = image.shape[:2]
        with self._in_time(f"looking at a picture of {width} x {height} pixels"):
            asked = json.dumps({"height": height, "width": width}).encode() + b"\n"
            stdin = _open(self._process.stdin)
            stdin.write(asked)
            stdin.write(image.data)
            stdin.flush()
            answer = self._read_line()
            if "error" in answer:
                return str(answer["error"])
            scores = np.array(answer["scores"], dtype=np.float32)
            shape = (len(scores), int(answer["n_points"]), 3)
            raw = self._read(4 * int(np.prod(shape)))
        return np.frombuffer(raw, dtype="<f4").reshape(shape).astype(np.float32), scores

    def stop(self) -> None:
        """End the process now."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            with contextlib.suppress(OSError):  # a pipe that is broken already
                _open(stream).close()

    @contextlib.contextmanager
    def _in_time(self, doing: str) -> Iterator[None]:
        """Kill the process after the time-out: a read from it then ends at once."""
        late = threading.Event()

        def kill() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(self._timeout_s, kill)
        timer.start()
        try:
            yield
        except (OSError, EOFError, ValueError, KeyError) as error:
            timer.cancel()
            text = self._what_went_wrong(doing, late.is_set())
            self.stop()
            raise StageError(text) from error
        finally:
            timer.cancel()

    def _what_went_wrong(self, doing: str, late: bool) -> str:
        if late:
            return (
                f"the landmark worker took over {self._timeout_s:g} s {doing} and was ended. "
                "Shrink the picture, or raise timeout_s."
            )
        self._process.kill()
        code = self._process.wait()
        self._log.seek(0)
        last = self._log.read().decode(errors="replace").strip().rpartition("\n")[2][:200]
        return (
            f"the landmark worker ended with code {code} {doing} (out of memory, or killed?); "
            f"its last line: {last!r}. Run again: what was found is kept in the cache."
        )

    def _read_line(self) -> dict[str, Any]:
        line = _open(self._process.stdout).readline(_LONGEST_LINE)
        if not line:
            raise EOFError
        found = json.loads(line)
        if not isinstance(found, dict):
            raise ValueError(f"{found!r} is no answer")
        return found

    def _read(self, n_bytes: int) -> bytes:
        raw = _open(self._process.stdout).read(n_bytes)
        if len(raw) < n_bytes:
            raise EOFError
        return raw


def _open(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise StageError("the landmark worker has no pipe.")
    return stream
