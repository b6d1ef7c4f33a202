"""Results as content-addressed folders: keys, `stage.json`, and atomic publication.

A stage is a function whose last argument is `out`. `@stage` gives it a request, a key and a folder
`runs/<stage>/<key12>/`; the body writes into a temporary folder, renamed when it is complete.
"""

import functools
import importlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeAlias

from fewskin.errors import ConfigError
from fewskin.fingerprints import content_hash, plugin_file, sha, source_hash
from fewskin.paths import runs_dir

__all__ = [
    "DEFAULT_OUT",
    "Request",
    "Stage",
    "load_stage",
    "stage",
    "stage_record",
    "unknown",
]

DEFAULT_OUT = Path("")
Json: TypeAlias = (
    Any  # JSON values nest without bound, which the type language cannot say usefully.
)
P = ParamSpec("P")


def _canonical(value: Json) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


@dataclass(frozen=True)
class Request:
    """One call of a stage: its name, JSON parameters, and inputs that are requests or paths."""

    stage: str
    params: Mapping[str, Json]
    inputs: Mapping[str, "Request | Path | tuple[Request | Path, ...] | None"]
    out: Path = DEFAULT_OUT

    @functools.cached_property
    def key(self) -> str:
        """The result's sha256: stage, version, parameters, input keys, plug-in sources."""
        made = load_stage(self.stage)
        inputs = {name: _input_key(value) for name, value in self.inputs.items()}
        return sha(
            self.stage,
            str(made.version),
            _canonical(self.params),
            _canonical(inputs),
            made.sources(self.params),
        )

    @property
    def path(self) -> Path:
        """The result's folder, whether or not it exists yet."""
        return self.out if self.out != DEFAULT_OUT else runs_dir() / self.stage / self.key[:12]

    @property
    def done(self) -> bool:
        """Whether the finished result is there, and the images it points to are."""
        return self.published and _images_present(self.path)

    @property
    def published(self) -> bool:
        """Whether the result folder is this request's own."""
        return (stage_record(self.path) or {}).get("key") == self.key

    def parents(self) -> "list[Request]":
        """Return the input requests, flat."""
        found: list[Request] = []
        for value in self.inputs.values():
            found += [
                item
                for item in (value if isinstance(value, tuple) else (value,))
                if isinstance(item, Request)
            ]
        return found

    def to_json(self) -> Json:
        """Return what `python -m fewskin.worker` reads; input requests become their folders."""
        return {
            "stage": self.stage,
            "params": dict(self.params),
            "inputs": {name: _plain(value) for name, value in self.inputs.items()},
            "out": str(self.out) if self.out != DEFAULT_OUT else None,
        }

    @classmethod
    def from_json(cls, data: Json) -> "Request":
        """Return the request of `to_json`, checked against the stage's signature.

        Raises:
            ConfigError: the stage or a key is unknown.
        """
        try:
            name, params, inputs, out = (
                data["stage"],
                data["params"],
                data["inputs"],
                data.get("out"),
            )
            made = load_stage(name)
            paths = {key: _as_paths(value) for key, value in inputs.items()}
            made.check_keys([*params.keys(), *paths])
        except (KeyError, TypeError, AttributeError) as error:
            raise ConfigError(
                f"not a request: {error}; expected stage, params, inputs and out."
            ) from None
        return cls(name, params, paths, Path(out) if out else DEFAULT_OUT)


def _as_paths(value: Json) -> Path | tuple[Path, ...] | None:
    if value is None:
        return None
    return tuple(map(Path, value)) if isinstance(value, list) else Path(value)


def _plain(value: Any) -> Json:  # Any: one of the forms an input may take
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return None if value is None else str(value.path if isinstance(value, Request) else value)


def _input_key(value: Any) -> Json:  # Any: one of the forms an input may take
    if isinstance(value, tuple):
        return [_input_key(item) for item in value]
    if value is None or isinstance(value, Request):
        return value.key if value else None
    record = stage_record(value)
    return record["key"] if record else content_hash(value)


def _images_present(path: Path) -> bool:
    # A manifest refers to the user's own image folder, which may have moved since.
    try:
        root = json.loads((path / "manifest.json").read_text())["root"]
    except FileNotFoundError:
        return True
    except (ValueError, KeyError, TypeError):
        return False
    return (path / root).is_dir()


def stage_record(path: Path) -> dict[str, Json] | None:
    """Return the `stage.json` of a finished result folder, or None."""
    try:
        record = json.loads((path / "stage.json").read_text())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and "key" in record else None


class Stage(Generic[P]):
    """A stage function with a request, a key and a result folder; call it to run or reuse."""

    def __init__(
        self,
        body: Callable[P, None],
        version: int,
        inputs: Sequence[str],
        plugins: Mapping[str, str],
        follow_source: bool,
    ) -> None:
        functools.update_wrapper(self, body)
        self.body, self.version = body, version
        self.inputs, self.plugins = tuple(inputs), dict(plugins)
        self.name, self.follow_source = body.__name__, follow_source
        self.signature = inspect.signature(body)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Path:
        """Run the stage, or find its finished result, and return the result folder."""
        from fewskin.execution import execute

        return execute(self.request(*args, **kwargs))

    def check_keys(self, names: Sequence[str]) -> None:
        """Raise `ConfigError` with a suggestion on a key the stage does not have."""
        known = [name for name in self.signature.parameters if name != "out"]
        for name in names:
            if name not in known:
                raise ConfigError(unknown(f"{self.name} key", name, known))

    def request(self, *args: P.args, **kwargs: P.kwargs) -> Request:
        """Return the request of this call without running it; inputs may be requests."""
        self.check_keys([name for name in kwargs if name != "out"])
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ConfigError(f"{self.name}: {error}. See `fewskin {self.name} --help`.") from None
        bound.apply_defaults()
        values = dict(bound.arguments)
        out = Path(values.pop("out"))
        inputs = {name: _as_input(values.pop(name)) for name in self.inputs}
        return Request(self.name, json.loads(_canonical(values)), inputs, out)

    def sources(self, params: Mapping[str, Json]) -> str:
        """Return the source hashes that the key of a request with `params` follows."""
        hashes = []
        for parameter, kind in self.plugins.items():
            spec = params.get(parameter)
            name = spec.get("name") if isinstance(spec, Mapping) else spec
            file = plugin_file(kind, name) if isinstance(name, str) else None
            hashes.append(source_hash(file) if file else "")
        if self.follow_source:
            hashes.append(source_hash(Path(inspect.getfile(self.body))))
        return " ".join(hashes)


def _as_input(value: Any) -> Any:  # Any: str, Path, Request or a sequence of them
    if value is None or isinstance(value, Request):
        return value
    if isinstance(value, str | Path):
        return Path(value)
    return tuple(_as_input(item) for item in value)


def stage(
    *,
    version: int,
    inputs: Sequence[str] = (),
    plugins: Mapping[str, str] | None = None,
    follow_source: bool = False,
) -> Callable[[Callable[P, None]], Stage[P]]:
    """Make a function a stage.

    Args:
        version: raise it when the same request would give another result.
        inputs: parameters that are result folders or external files; they enter the key by content.
        plugins: parameter -> package of the plug-in it names (`{"learner": "learners"}`).
        follow_source: the key follows the stage's own source too; for cheap stages whose words
            and figures should never be those of an older version.
    """
    return lambda body: Stage(body, version, inputs, plugins or {}, follow_source)


def unknown(what: str, name: str, known: Sequence[str]) -> str:
    """Return "unknown <what> 'x', did you mean 'y'? Known: ..."."""
    import difflib

    close = difflib.get_close_matches(str(name), known, n=1)
    hint = f", did you mean {close[0]!r}?" if close else "."
    return f"unknown {what} {name!r}{hint} Known: {', '.join(known)}."


def load_stage(name: str) -> Stage[Any]:
    """Return the stage called `name`, from `fewskin/stages/<name>.py`.

    Raises:
        ConfigError: there is no such stage.
    """
    known = sorted(file.stem for file in (Path(__file__).parent / "stages").glob("[!_]*.py"))
    if name not in known:
        raise ConfigError(unknown("verb", name, known))
    found = getattr(importlib.import_module(f"fewskin.stages.{name}"), name)
    if not isinstance(found, Stage):
        raise ConfigError(f"fewskin/stages/{name}.py does not define a stage called {name}.")
    return found
