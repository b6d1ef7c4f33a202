"""Running one request: take over what a killed run left, run, record, publish by rename."""

import functools
import json
import logging
import os
import platform
import shutil
import socket
import sys
import time
from pathlib import Path
from typing import Any

from fewskin.errors import StageError
from fewskin.fingerprints import content_hash
from fewskin.paths import atomic_write
from fewskin.provenance import Json, Request, load_stage

__all__ = ["execute"]

log = logging.getLogger(__name__)


def execute(request: Request) -> Path:
    """Run `request` unless its result is finished, and return the result folder.

    A folder left by a killed run of the same request is taken over, so that a stage with
    checkpoints continues; an error removes nothing that was finished.

    Raises:
        StageError: an input is not finished, or `out` holds something else.
    """
    final = request.path
    if request.done:
        log.info("%s %s: already there, skipped", request.stage, final)
        return final
    if request.published:
        log.info("%s %s: its images have moved, made again", request.stage, final)
        shutil.rmtree(final)
    if final.exists() and any(final.iterdir() if final.is_dir() else [final]):
        raise StageError(f"{final} holds another result; choose another out= or delete it.")
    for parent in request.parents():
        if not parent.done:
            raise StageError(
                f"{request.stage} needs {parent.path}, which is not finished; run "
                f"{parent.stage} first."
            )
    work = _take_over(final)
    started = time.time()
    log.info("%s %s: start", request.stage, final)
    _run_body(request, work)
    record = _record(request, work, started)
    atomic_write(work / "stage.json", json.dumps(record, indent=1, sort_keys=True) + "\n")
    _publish(work, final, request)
    log.info("%s %s: done in %.1f s", request.stage, final, time.time() - started)
    return final


def _run_body(request: Request, work: Path) -> None:
    arguments = {name: _argument(value) for name, value in request.inputs.items()}
    try:
        load_stage(request.stage).body(**arguments, **request.params, out=work)
    except OSError as error:
        raise StageError(
            f"{request.stage}: {error.strerror or error} ({error.filename or work})."
        ) from error


def _argument(value: Any) -> Any:  # Any: one of the forms an input may take
    if isinstance(value, tuple):
        return [_argument(item) for item in value]
    return value.path if isinstance(value, Request) else value


def _take_over(final: Path) -> Path:
    # One folder a process; a dead process's folder is the place where its work goes on.
    host = socket.gethostname()
    mine = final.with_name(f"{final.name}.tmp-{host}-{os.getpid()}")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        for left in sorted(final.parent.glob(f"{final.name}.tmp-{host}-*")):
            if left != mine and not _alive(int(left.name.rpartition("-")[2])):
                if mine.exists():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    os.rename(left, mine)
        mine.mkdir(exist_ok=True)
        for half in mine.rglob(".*.part-*"):
            half.unlink()
    except OSError as error:
        raise StageError(
            f"cannot write to {final.parent}: {error.strerror}. Choose another folder with out=."
        ) from error
    return mine


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _publish(work: Path, final: Path, request: Request) -> None:
    if final.is_dir() and not any(final.iterdir()):
        final.rmdir()
    try:
        os.rename(work, final)
    except OSError as error:
        if not request.done:
            raise StageError(f"cannot publish {final}: {error.strerror}.") from error
        # Another process finished the same request first; its result has the same key.
        shutil.rmtree(work, ignore_errors=True)


def _record(request: Request, work: Path, started: float) -> dict[str, Json]:
    files = sorted(file for file in work.rglob("*") if file.is_file())
    return {
        **request.to_json(),
        "key": request.key,
        "outputs": {str(file.relative_to(work)): content_hash(file) for file in files[:1000]},
        "n_outputs": len(files),
        "versions": _versions(),
        "python": platform.python_version(),
        "machine": f"{platform.machine()} {os.cpu_count()} cores",
        "device": _device(),
        "threads": int(os.environ.get("OMP_NUM_THREADS", "0")) or os.cpu_count(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(started)),
        "seconds": round(time.time() - started, 3),
    }


def _device() -> str:
    torch = sys.modules.get("torch")
    return "cuda" if torch is not None and torch.cuda.is_available() else "cpu"


@functools.cache
def _versions() -> dict[str, str]:
    from importlib import metadata

    found = {}
    for name in (
        "fewskin",
        "torch",
        "pytorch-lightning",
        "torchmetrics",
        "timm",
        "numpy",
        "scikit-learn",
        "pillow",
    ):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    return found
