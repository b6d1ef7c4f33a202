"""Where things are: packaged configs and assets, the runs folder, and safe relative paths."""

import os
from pathlib import Path

from fewskin.errors import StageError, TableError

__all__ = ["assets_dir", "atomic_write", "configs_dir", "inside", "runs_dir"]

_PACKAGE = Path(__file__).resolve().parent


def _packaged(name: str) -> Path:
    in_wheel = _PACKAGE / f"_{name}"
    return in_wheel if in_wheel.is_dir() else _PACKAGE.parent / name


def configs_dir() -> Path:
    """Return the folder of YAML configs, inside the wheel or at the top of a checkout."""
    return _packaged("configs")


def assets_dir() -> Path:
    """Return the folder of shipped assets, inside the wheel or at the top of a checkout."""
    return _packaged("assets")


def runs_dir() -> Path:
    """Return the folder of results: `$FEWSKIN_RUNS`, else `runs` in the current folder."""
    return Path(os.environ.get("FEWSKIN_RUNS", "runs"))


def inside(root: Path, relative: str) -> Path:
    """Return `root / relative`, refusing a path that leaves `root`.

    Raises:
        TableError: `relative` is absolute or climbs out of `root`.
    """
    joined = os.path.normpath(os.path.join(os.path.abspath(root), relative))
    top = os.path.abspath(root)
    if os.path.isabs(relative) or os.path.commonpath([top, joined]) != top:
        raise TableError(
            f"path {relative!r} leaves its root {root}; expected a relative path inside it."
        )
    return Path(joined)


def atomic_write(path: Path, data: str | bytes) -> None:
    """Write `data` to `path` so that a reader sees the old file or the whole new one.

    Raises:
        StageError: the folder is read-only or the disk is full.
    """
    raw = data.encode() if isinstance(data, str) else data
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True) if part.parent.is_dir() else None
        raise StageError(
            f"cannot write {path}: {error.strerror}. Free some space or choose another folder "
            "with out=."
        ) from error
