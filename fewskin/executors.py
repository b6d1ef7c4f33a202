"""Where requests run: local worker processes that outlive no parent and lose no result."""

import json
import logging
import os
import queue
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import fewskin.errors
from fewskin.errors import FewskinError, StageError
from fewskin.paths import runs_dir
from fewskin.provenance import Request

__all__ = [
    "Event",
    "Listener",
    "default_workers",
    "kind_of",
    "known_seconds",
    "missing",
    "run_requests",
]

log = logging.getLogger(__name__)
# Results that only their consumers need; removed once those are finished.
INTERMEDIATE = ("train",)


@dataclass(frozen=True)
class Event:
    """What happened to a request; `seconds` is its own run time."""

    kind: Literal["planned", "started", "finished"]
    request: Request
    seconds: float = 0.0


Listener = Callable[[Event], None]


def default_workers(threads: int) -> int:
    """Return how many processes fit the machine: cores / threads, at 2 GB each."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**31
    except (ValueError, OSError):
        memory = cores
    return max(1, min(cores // max(threads, 1), int(memory)))


def missing(target: Request, ordered: Sequence[Request]) -> list[Request]:
    """Return the requests that must run for `target`, in the order of `ordered`.

    A finished result needs nothing; so the inputs of a finished result may be gone.
    """
    needed: dict[str, Request] = {}
    stack = [target]
    while stack:
        request = stack.pop()
        if request.key not in needed and not request.done:
            needed[request.key] = request
            stack += request.parents()
    return [request for request in ordered if request.key in needed]


class _Worker:
    """One `python -m fewskin.worker --serve` process: a request in, an answer out."""

    def __init__(self, number: int, threads: int) -> None:
        log_dir = runs_dir() / "logs"
        log_dir.mkdir(parents=True, exist_ok=True)
        self.log_file = log_dir / f"worker-{number}.log"
        env = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        with open(self.log_file, "a") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fewskin.worker", "--serve"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=env,
                text=True,
            )

    def run(self, request: Request) -> float:
        """Run one request and return its seconds; raise what the worker raised."""
        started = time.time()
        stdin, stdout = _open(self.process.stdin), _open(self.process.stdout)
        try:
            stdin.write(json.dumps(request.to_json()) + "\n")
            stdin.flush()
            line = stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = self.process.wait()
            raise StageError(
                f"a worker ended with code {code} while running {request.stage} (out of "
                "memory, or killed?); "
                f"see {self.log_file}. Run the same command again to continue."
            )
        answer = json.loads(line)
        if "error" in answer:
            raise _as_error(answer, self.log_file)
        return time.time() - started

    def stop(self) -> None:
        """End the process now; what it was doing continues in a later run."""
        self.process.kill()
        self.process.wait()


def _open(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise StageError("the worker has no pipe.")
    return stream


def _as_error(answer: dict[str, str], log_file: Path) -> Exception:
    kind = getattr(fewskin.errors, answer["kind"], None)
    if isinstance(kind, type) and issubclass(kind, FewskinError):
        return kind(answer["error"])
    return StageError(
        f"{answer['kind']}: {answer['error']} (a defect of fewskin or a plug-in; see {log_file})."
    )


def run_requests(
    target: Request,
    ordered: Sequence[Request],
    *,
    keep: set[str] | None = None,
    workers: int | None = None,
    threads: int = 1,
    listener: Listener | None = None,
) -> None:
    """Run everything `target` still needs, in parallel, each request once.

    Args:
        target: the last request.
        ordered: all requests, inputs before their consumers; earlier ones are started first.
        keep: stages whose intermediate results stay although nothing needs them any more.
        workers: processes; default by cores and memory.
        threads: of each process.
        listener: called with every event.

    Raises:
        FewskinError: the first failure; finished results stay and running ones are let finish.
    """
    todo = missing(target, ordered)
    tell = listener or (lambda event: None)
    for request in todo:
        tell(Event("planned", request))
    prunable = {r.key for r in todo if r.stage in INTERMEDIATE and r.stage not in (keep or set())}
    n = min(workers or default_workers(threads), max(1, len(todo)))
    idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
    pool: list[_Worker] = []
    for number in range(n if todo else 0):
        pool.append(_Worker(number, threads))
        idle.put(pool[-1])
    try:
        with ThreadPoolExecutor(n) as threads_pool:
            _schedule(todo, threads_pool, idle, n, tell, prunable)
    finally:
        for worker in pool:
            worker.stop()


def _schedule(
    todo: Sequence[Request],
    pool: ThreadPoolExecutor,
    idle: "queue.SimpleQueue[_Worker]",
    n: int,
    tell: Listener,
    prunable: set[str],
) -> None:
    waiting = {request.key: request for request in todo}
    unfinished = set(waiting)
    consumers = _consumers(todo)
    running: dict[Future[float], Request] = {}

    def one(request: Request) -> float:
        worker = idle.get()
        try:
            return worker.run(request)
        finally:
            idle.put(worker)

    while waiting or running:
        for key, request in list(waiting.items()):
            if len(running) >= n:
                break
            if not any(parent.key in unfinished for parent in request.parents()):
                del waiting[key]
                tell(Event("started", request))
                running[pool.submit(one, request)] = request
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            request = running.pop(future)
            seconds = future.result()
            unfinished.discard(request.key)
            _remember(request, seconds)
            tell(Event("finished", request, seconds))
            for parent in request.parents():
                if parent.key in prunable and not consumers.get(parent.key, set()) & unfinished:
                    shutil.rmtree(parent.path, ignore_errors=True)


def _consumers(todo: Sequence[Request]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for request in todo:
        for parent in request.parents():
            found.setdefault(parent.key, set()).add(request.key)
    return found


def kind_of(request: Request) -> str:
    """Return what a request costs like: its stage and plug-in, e.g. "train finetune"."""
    for parameter in ("learner", "generator", "source"):
        spec = request.params.get(parameter)
        if isinstance(spec, Mapping):
            return f"{request.stage} {spec.get('name')}"
    return request.stage


def _timings_file() -> Path:
    return runs_dir() / "logs" / "seconds.csv"


def _remember(request: Request, seconds: float) -> None:
    with open(_timings_file(), "a") as file:
        file.write(f"{kind_of(request)},{seconds:.3f}\n")


def known_seconds() -> dict[str, float]:
    """Return the median seconds of each kind of request that earlier runs here have measured."""
    found: dict[str, list[float]] = {}
    try:
        lines = _timings_file().read_text().splitlines()
    except OSError:
        return {}
    for line in lines:
        kind, _, seconds = line.rpartition(",")
        # A line cut short by a full disk or a kill tells nothing.
        if kind and seconds.replace(".", "", 1).isdigit():
            found.setdefault(kind, []).append(float(seconds))
    return {kind: statistics.median(values) for kind, values in found.items()}
