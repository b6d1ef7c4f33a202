"""Fingerprints of inputs and of source code, so that a result's key follows what made it."""

import ast
import functools
import hashlib
import importlib.util
from pathlib import Path

from fewskin.errors import StageError

__all__ = ["content_hash", "plugin_file", "sha", "source_hash"]

# Modules without arithmetic: a better error message must not make a base fit run again.
_NEUTRAL = {
    "errors",
    "execution",
    "fingerprints",
    "paths",
    "plugins",
    "protocols",
    "provenance",
    "tables",
    "compat",
}


def sha(*parts: str) -> str:
    """Return the sha256 of some texts, in hexadecimal."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@functools.cache
def _module_file(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def plugin_file(kind: str, name: str) -> Path | None:
    """Return a plug-in's source file: `kind` is its package, `name` a file or `module:Class`."""
    return _module_file(name.partition(":")[0] if ":" in name else f"fewskin.{kind}.{name}")


@functools.cache
def _imports(path: Path) -> tuple[str, ...]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(sorted(name for name in names if _counts(name)))


def _counts(name: str) -> bool:
    top, _, rest = name.partition(".")
    return top == "fewskin" and rest.partition(".")[0] not in _NEUTRAL


@functools.cache
def source_hash(path: Path) -> str:
    """Return the sha256 of a source file and every fewskin module it imports, however deep."""
    seen: dict[str, str] = {}
    queue = [path]
    while queue:
        file = queue.pop()
        if str(file) in seen:
            continue
        seen[str(file)] = hashlib.sha256(file.read_bytes()).hexdigest()
        queue += [found for name in _imports(file) if (found := _module_file(name))]
    return sha(*sorted(seen.values()))


def content_hash(path: Path) -> str:
    """Return the sha256 of an external input: one file, or a folder's relative names and contents.

    Raises:
        StageError: the path does not exist or cannot be read.
    """
    if not path.exists():
        raise StageError(f"{path} does not exist; check data.path= or the input's name.")
    digest = hashlib.sha256()
    try:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(str(file.relative_to(path)).encode())
                with open(file, "rb") as handle:
                    digest.update(hashlib.file_digest(handle, "sha256").digest())
    except OSError as error:
        raise StageError(f"cannot read {error.filename}: {error.strerror}.") from error
    return digest.hexdigest()
