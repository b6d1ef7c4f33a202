"""Plug-ins by name: a file name is its key; `package.module:Class` reaches outside the package."""

import ast
import importlib
import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from fewskin.errors import ConfigError, PluginError
from fewskin.paths import atomic_write
from fewskin.provenance import unknown

__all__ = [
    "check_keywords",
    "find",
    "fit_spec",
    "keywords",
    "list_plugins",
    "load_object",
    "make",
    "save_object",
    "summary",
]

Kind = Literal["generators", "learners", "sources"]
_FOLDERS = {"generators": "generators", "learners": "learners", "sources": "data/sources"}
_ROOT = Path(__file__).parent


def list_plugins(kind: Kind) -> list[str]:
    """Return the names of the plug-ins of one kind that ship with fewskin, sorted.

    Example:
        >>> "protonet" in list_plugins("learners")
        True
    """
    return sorted(file.stem for file in (_ROOT / _FOLDERS[kind]).glob("[!_]*.py"))


def summary(kind: Kind, name: str) -> str:
    """Return the first line of a plug-in's docstring without importing it."""
    text = ast.get_docstring(ast.parse((_ROOT / _FOLDERS[kind] / f"{name}.py").read_text())) or ""
    return text.partition("\n")[0]


def find(kind: Kind, name: str) -> Any:  # Any: a class, or a function for sources
    """Return the class (or source function) called `name`.

    Args:
        kind: "generators", "learners" or "sources".
        name: a file name of that folder, or "package.module:Attribute".

    Raises:
        PluginError: there is none; the message suggests the nearest name.
    """
    module, _, attribute = name.partition(":")
    if not attribute and name not in list_plugins(kind):
        raise PluginError(
            unknown(kind[:-1], name, list_plugins(kind)) + " Your own: package.module:Class."
        )
    if not attribute:
        module = f"fewskin.{_FOLDERS[kind].replace('/', '.')}.{name}"
    try:
        loaded = importlib.import_module(module)
    except ImportError as error:
        raise PluginError(f"cannot import {kind[:-1]} {name!r}: {error}.") from error
    if not attribute:
        (attribute,) = loaded.__all__
    if not hasattr(loaded, attribute):
        raise PluginError(f"{module} has no {attribute!r}; expected package.module:Class.")
    return getattr(loaded, attribute)


def keywords(target: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the keyword parameters of a class or function."""
    skip = {"self", "path", "out"}
    return {name: p for name, p in inspect.signature(target).parameters.items() if name not in skip}


def check_keywords(kind: Kind, spec: Mapping[str, Any]) -> None:
    """Raise `ConfigError` when `spec` holds a key that the plug-in's constructor does not have."""
    if "name" not in spec:
        raise ConfigError(f"{kind[:-1]}: no name; expected one of {', '.join(list_plugins(kind))}.")
    known = list(keywords(find(kind, spec["name"])))
    for key in spec:
        if key != "name" and key not in known:
            raise ConfigError(unknown(f"key of {kind[:-1]} {spec['name']}", key, known))


def make(kind: Kind, spec: Mapping[str, Any]) -> Any:  # Any: a Generator or a Learner
    """Return the plug-in object of `{"name": ..., **hyper_parameters}`.

    Raises:
        PluginError: unknown name.
        ConfigError: unknown hyper-parameter.
    """
    check_keywords(kind, spec)
    return find(kind, spec["name"])(**{key: value for key, value in spec.items() if key != "name"})


def fit_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the learner whose base fit serves `spec`: equal ones are fitted once.

    A learner class may say `fit_as = "<name>"`: its `fit` and `load` are those of that learner,
    and of its keywords only `backbone`, `weights` and those that begin with `fit_` decide them.

    Args:
        spec: a learner as `{"name": ..., **hyper_parameters}`.

    Example:
        >>> fit_spec({"name": "probe", "c": 1.0, "fit_steps": 9})["fit_steps"]
        9
        >>> "c" in fit_spec({"name": "probe", "c": 1.0})
        False
    """
    made = find("learners", spec["name"])
    name = getattr(made, "fit_as", None)
    if name is None:
        return dict(spec)
    values = {key: spec.get(key, known.default) for key, known in keywords(made).items()}
    deciding = {key for key in values if key in ("backbone", "weights") or key.startswith("fit_")}
    return {"name": name, **{key: values[key] for key in sorted(deciding)}}


def save_object(made: Any, folder: Path) -> None:  # Any: whatever has save and load
    """Save a sampler or predictor with the name of its class, for `load_object`."""
    folder.mkdir(parents=True, exist_ok=True)
    made.save(folder)
    name = f"{type(made).__module__}:{type(made).__qualname__}"
    atomic_write(folder / "class.json", json.dumps({"class": name}) + "\n")


def load_object(folder: Path) -> Any:  # Any: what `save_object` was given
    """Return the sampler or predictor written by `save_object`.

    Raises:
        PluginError: the folder or the class it names is absent.
    """
    try:
        module, _, name = json.loads((folder / "class.json").read_text())["class"].partition(":")
        made = getattr(importlib.import_module(module), name)
    except (OSError, ValueError, KeyError, ImportError, AttributeError) as error:
        raise PluginError(f"{folder} holds no saved sampler or predictor: {error}.") from error
    return made.load(folder)
