"""What is installed or missing and the command that adds it; the machine; the runs folder."""

import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import fewskin
from fewskin.errors import MissingExtra
from fewskin.paths import runs_dir

__all__ = ["Row", "diagnose"]

Row = tuple[str, str, str]
_LOW_DISK_GB = 5.0


def diagnose() -> list[Row]:
    """Return rows (what, state, remedy); the remedy is blank where nothing is to be done."""
    return [*_system(), *_packages(), *_imports()]


def _system() -> Iterator[Row]:
    yield "fewskin", f"{fewskin.__version__} at {Path(fewskin.__file__).parent}", ""
    new_enough = sys.version_info >= (3, 11)
    yield "python", platform.python_version(), "" if new_enough else "use Python 3.11 to 3.13"
    yield "cores", f"{_cores()} of {os.cpu_count()}", ""
    yield "memory", _memory(), ""
    yield _disk()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.1f} GB"
    except (ValueError, OSError, AttributeError):
        return "unknown"


def _disk() -> Row:
    runs = runs_dir().absolute()
    folder = next(place for place in (runs, *runs.parents) if place.is_dir())
    free = shutil.disk_usage(folder).free / 1e9
    writable = os.access(folder, os.W_OK)
    remedy = "" if writable and free > _LOW_DISK_GB else "set FEWSKIN_RUNS to a roomier folder"
    state = f"{free:.1f} GB free" if writable else "not writable"
    return "runs folder", f"{runs}: {state}", remedy


def _packages() -> Iterator[Row]:
    try:
        required = metadata.requires("fewskin") or []
    except metadata.PackageNotFoundError:
        yield "packages", "fewskin is not installed, only imported", "scripts/setup"
        return
    for text in required:
        name = re.split(r"[\s\[<>=!~;]", text, maxsplit=1)[0]
        extra = re.search(r"extra == ['\"](.+?)['\"]", text)
        yield _package(name, extra.group(1) if extra else "")


def _package(name: str, extra: str) -> Row:
    what = f"{name} [{extra}]" if extra else name
    try:
        return what, metadata.version(name), ""
    except metadata.PackageNotFoundError:
        return what, "missing", f"scripts/setup {extra}".strip()


def _imports() -> Iterator[Row]:
    yield _tried("torchvision import", _torchvision, "scripts/setup")
    yield _tried("learn2learn import", _learn2learn, "scripts/setup learn2learn")
    yield _tried("device", _device, "scripts/setup")


def _tried(what: str, test: Callable[[], str], remedy: str) -> Row:
    try:
        return what, test(), ""
    except (ImportError, MissingExtra, OSError, RuntimeError) as error:
        return what, str(error).strip().partition("\n")[0], remedy


def _torchvision() -> str:
    from fewskin.compat import fallback_needed

    # Built for another torch: models and transforms work, nms and image decoding do not.
    return "works, its own operators replaced" if fallback_needed() else "works"


def _learn2learn() -> str:
    from fewskin.compat import import_learn2learn

    import_learn2learn()
    return "works"


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return f"cuda: {', '.join(names)}"
    if torch.backends.mps.is_available():
        return "mps"
    return f"cpu, {torch.get_num_threads()} threads"
