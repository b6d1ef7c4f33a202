"""Landmarks by mediapipe, in a worker process, remembered in a folder.

The pictures go to `mediapipe_worker`. A killed worker, a missing package or a picture that takes
too long raise one clear error, and the next call starts a new worker.
"""

import hashlib
import io
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from fewskin.errors import ConfigError
from fewskin.face.landmark_checks import Limits, checked_image, judge
from fewskin.face.landmarks import Landmarks, Reason
from fewskin.face.mediapipe_client import Found, Worker
from fewskin.face.mediapipe_worker import FINDER
from fewskin.face.topology import N_LANDMARKS
from fewskin.paths import atomic_write

__all__ = ["MediapipeProvider"]

Pixels = npt.NDArray[np.uint8]
_WORKER = (sys.executable, "-m", "fewskin.face.mediapipe_worker")


class MediapipeProvider:
    """Finds landmarks with mediapipe 0.10.14, or with a .task file of yours.

    Use it in a `with` block, or call `close`; one thread at a time.

    Args:
        cache: folder of earlier findings, by the pictures' pixels; None remembers nothing. What was
            found is kept, not the judgement: other limits need no new search.
        task: a FaceLandmarker .task file, for a mediapipe that has lost its old interface.
        limits: when a face is used; the defaults of `Limits`.
        timeout_s: for one picture, and for the worker's start.
        worker: the command of the worker, where another environment has mediapipe; this Python by
            default.

    Raises:
        ConfigError: the .task file does not exist or is none.
    """

    def __init__(
        self,
        *,
        cache: Path | None = None,
        task: Path | None = None,
        limits: Limits | None = None,
        timeout_s: float = 60.0,
        worker: Sequence[str] = _WORKER,
    ) -> None:
        self._cache, self._limits, self._timeout_s = cache, limits, timeout_s
        self._command = [*worker, *([str(task)] if task else [])]
        self._finder = f"{FINDER} {_checked_task(task) if task else ''}"
        self._worker: Worker | None = None

    def __enter__(self) -> "MediapipeProvider":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the worker; the next `detect` starts another."""
        if self._worker:
            self._worker.stop()
        self._worker = None

    def detect(self, images: Sequence[Pixels]) -> list[Landmarks | Reason]:
        """Return the landmarks of each (H, W, 3) uint8 picture, or why it has none.

        Raises:
            MissingExtra: mediapipe is not installed.
            StageError: the worker ended, or a picture took longer than `timeout_s`.
        """
        made = list[Landmarks | Reason]()
        for image in images:
            bad = checked_image(image)
            found = None if bad else self._remembered(np.ascontiguousarray(image))
            if isinstance(found, str):
                bad = Reason("unreadable", f"mediapipe cannot look at it: {found[:200]}")
            if bad or found is None or isinstance(found, str):
                made.append(bad or Reason("unreadable", "nothing was read."))
            else:
                made.append(judge(image, _faces(*found), self._limits))
        return made

    def _remembered(self, image: Pixels) -> Found | str:
        if self._cache is None:
            return self._ask(image)
        file = self._cache / f"{_key(image, self._finder)}.npz"
        known = _load(file)
        if known is not None:
            return known
        found = self._ask(image)
        if not isinstance(found, str):
            _save(file, found)
        return found

    def _ask(self, image: Pixels) -> Found | str:
        try:
            if self._worker is None:
                self._worker = Worker(self._command, self._timeout_s)
            return self._worker.find(image)
        except BaseException:
            self.close()  # half an answer may be left in the pipe
            raise


def _checked_task(file: Path) -> str:
    if not file.is_file():
        raise ConfigError(
            f"{file} does not exist; expected a FaceLandmarker .task file. Leave it out to use the "
            "models inside mediapipe 0.10.14."
        )
    if not zipfile.is_zipfile(file):
        raise ConfigError(f"{file} is no .task file (a zip of models); download it again.")
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _faces(points: npt.NDArray[np.float32], scores: npt.NDArray[np.float32]) -> list[Landmarks]:
    return [
        Landmarks(
            face[:N_LANDMARKS], face[N_LANDMARKS:] if len(face) > N_LANDMARKS else None, score
        )
        for face, score in zip(points, scores.tolist(), strict=True)
    ]


def _key(image: Pixels, finder: str) -> str:
    made = hashlib.sha256(f"{finder} {image.shape}".encode())
    made.update(image.data)
    return made.hexdigest()


def _load(file: Path) -> Found | None:
    """Return a remembered finding; None where there is none, or a damaged one."""
    try:
        with np.load(file, allow_pickle=False) as found:
            points, scores = found["points"], found["scores"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    fits = points.ndim == 3 and points.shape[2] == 3 and len(points) == len(scores)
    return (points, scores) if fits else None


def _save(file: Path, found: Found) -> None:
    stream = io.BytesIO()
    np.savez_compressed(stream, points=found[0], scores=found[1])
    atomic_write(file, stream.getvalue())
