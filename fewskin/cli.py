"""The command line, `fewskin <verb> key=value ...`: the only file that knows Hydra."""

import logging
import os
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import fewskin
from fewskin.catalogue import examples, listed, run_rows, spoken, typed, verbs
from fewskin.data.class_rules import ClassRules, class_rules
from fewskin.errors import ConfigError, FewskinError
from fewskin.paths import configs_dir

__all__ = ["compose_config", "experiment_settings", "main", "stage_keys"]

_EDGE = ("data", "out", "dry_run", "executor")  # keys that never reach a stage as they are


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0; 2 after a user error (one line on standard error); 130 when interrupted.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(
        level=os.environ.get("FEWSKIN_LOG", "WARNING"), format="%(name)s: %(message)s"
    )
    try:
        return _dispatch(given)
    except FewskinError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command continues where it stopped\n")
        return 130
    except BrokenPipeError:
        # The reader, `head` say, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _dispatch(given: list[str]) -> int:
    if not given or given[0] in ("-h", "--help", "help") or given == ["face"]:
        return _print_help()
    if given[0] in ("-V", "--version"):
        print(f"fewskin {fewskin.__version__}")
        return 0
    verb, rest = typed(given)
    if verb not in verbs():
        from fewskin.provenance import unknown

        known = [spoken(name) for name in verbs()]
        raise ConfigError(unknown("verb", spoken(verb), known) + " See `fewskin --help`.")
    if verb == "doctor":
        return _doctor()
    if verb == "list":
        return _list(rest)
    if any(word in ("-h", "--help") for word in rest):
        return _verb_help(verb)
    return _run(rest) if verb == "run" else _stage(verb, rest)


def _print_help() -> int:
    print("fewskin: learn from very few medical images, and measure what helps.\n")
    print("usage: fewskin <verb> key=value ...      fewskin <verb> --help\n")
    for verb, summary in verbs().items():
        print(f"  {spoken(verb):<15} {summary}")
    print("\nfirst steps:\n  fewskin run experiment=demo")
    print("  fewskin run experiment=rare data.path=DIR data.rare=[rosacea] dry_run=true")
    print("\nResults go to runs/ (FEWSKIN_RUNS). Research tool, not a medical device.")
    return 0


def _quoted(value: str) -> str:
    # Hydra's grammar trips over spaces, brackets and the like, which are fine in a path.
    if value.startswith(("[", "{", '"', "'")) or not any(c in value for c in " ()&;,=$%\\@?|#"):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _overrides(verb: str, given: Sequence[str], known: Sequence[str]) -> list[str]:
    from fewskin.catalogue import config_groups
    from fewskin.provenance import unknown

    groups, made = config_groups(), []
    text = (configs_dir() / f"{verb}.yaml").read_text()
    for word in given:
        key, sign, value = word.partition("=")
        # `~arms.mixup` takes an entry out of a config.
        if not sign and not key.startswith("~"):
            raise ConfigError(f"{word!r} is not key=value; see `fewskin {spoken(verb)} --help`.")
        top = key.lstrip("+~").partition(".")[0]
        if top not in known:
            raise ConfigError(unknown(f"{verb} key", top, known))
        if key.startswith("~"):
            made.append(word)
        elif key in groups and not value.startswith("{"):
            if value not in groups[key]:
                hint = (
                    f" Your own: {key}.name=package.module:Class."
                    if key in ("generator", "learner")
                    else ""
                )
                raise ConfigError(unknown(key, value, groups[key]) + hint)
            made.append(word if f"- {key}:" in text else f"+{word}")
        else:
            made.append(f"++{key.lstrip('+')}={_quoted(value)}")
    return made


def compose_config(verb: str, given: Sequence[str], known: Sequence[str]) -> dict[str, Any]:
    """Return the resolved config of a verb as plain dictionaries.

    Args:
        verb: name of a file in `configs/`.
        given: `key=value` words.
        known: top-level keys the verb has.

    Raises:
        ConfigError: an unknown key or config, or a value that does not parse.
    """
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        with initialize_config_dir(str(configs_dir().resolve()), version_base="1.3"):
            config = compose(config_name=verb, overrides=_overrides(verb, given, known))
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except (HydraException, OmegaConfBaseException) as error:
        reason = str(error).strip().splitlines()[0]
        if "Missing mandatory value" in reason:
            reason = f"{getattr(error, 'full_key', None) or 'a key'}= is needed"
        raise ConfigError(f"{verb}: {reason}. See `fewskin {spoken(verb)} --help`.") from None
    return {str(key): value for key, value in plain.items()} if isinstance(plain, dict) else {}


def stage_keys(verb: str) -> list[str]:
    """Return the top-level keys of a stage's command."""
    from fewskin.provenance import load_stage

    made = load_stage(verb)
    inputs = list(made.inputs)[:1]
    return [
        *_EDGE[:3],
        *(name for name in made.signature.parameters if name not in (*inputs, "out")),
    ]


def _stage(verb: str, given: Sequence[str]) -> int:
    from fewskin.execution import execute
    from fewskin.provenance import Request, load_stage

    made = load_stage(verb)
    config = compose_config(verb, given, stage_keys(verb))
    path = (config.get("data") or {}).get("path")
    values: dict[str, Any] = {key: value for key, value in config.items() if key not in _EDGE}
    if config.get("out"):
        values["out"] = Path(config["out"])
    if path is not None:
        values[made.inputs[0]] = [Path(p) for p in path] if isinstance(path, list) else Path(path)
    request: Request = made.request(**_coerced(verb, values))
    if config.get("dry_run"):
        print(
            f"{verb} {request.key[:12]}  {'cached' if request.done else 'to run'}  {request.path}"
        )
        return 0
    logging.getLogger("fewskin").setLevel(os.environ.get("FEWSKIN_LOG", "INFO"))
    folder = execute(request)
    print(f"result: {folder}")
    following = _next(verb, folder)
    if following:
        print(f"next:   {following}")
    return 0


def _coerced(verb: str, values: dict[str, Any]) -> dict[str, Any]:
    # Hydra has parsed types; only a number given where text is meant needs help (rare=[1,2]).
    for key in ("rare", "common", "labels"):
        if values.get(key) is not None:
            if not isinstance(values[key], list):
                raise ConfigError(
                    f"{verb}: {key}={values[key]!r}, expected a list such as {key}=[{values[key]}]."
                )
            values[key] = [str(item) for item in values[key]]
    return values


def _next(verb: str, folder: Path) -> str:
    return {
        "ingest": f"fewskin check data.path={folder}",
        "check": f"fewskin split data.path={folder} rare=[CLASS,...]",
        "split": "fewskin fit data.path=CHECKED splits=" + f"{folder} learner=probe",
        "fit": "fewskin train data.path=CHECKED splits=SPLITS " + f"fit={folder} learner=probe",
        "adapt": f"fewskin generate data.path={folder} ratio=4",
        "train": f"fewskin predict data.path={folder} manifest=CHECKED splits=SPLITS",
        "predict": f"fewskin evaluate data.path=[{folder},...]",
        "evaluate": f"fewskin report data.path={folder} ...",
        "face_fit": f"fewskin face view data.path={folder}",
        "face_import_ict": f"fewskin face fit data.path=DIR model={folder / 'model.npz'}",
    }.get(verb, "")


_DATA = ("path", "rare", "common", *(f.name for f in fields(ClassRules)))


def _experiment_keys() -> list[str]:
    from fewskin.experiment import OF_LEARNERS, Experiment

    inner = ("path", "command", *OF_LEARNERS)
    own = [f.name for f in fields(Experiment) if f.name not in inner]
    return [*_EDGE, "experiment", *own]


def experiment_settings(given: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return an experiment's settings, and the edge keys (out, dry_run, executor)."""
    from fewskin.provenance import unknown

    config = compose_config("run", given, _experiment_keys())
    data = dict(config.pop("data", None) or {})
    for key in data:
        if key not in _DATA:
            raise ConfigError(unknown("key of data", key, _DATA))
    edge = {key: config.pop(key, None) for key in ("out", "dry_run", "executor")}
    config.pop("experiment", None)
    split = {
        **config.get("split", {}),
        **{k: v for k, v in data.items() if k in ("rare", "common") and v is not None},
    }
    rules = class_rules(data) if split.get("rare") is None else None
    shown = [
        word
        for word in given
        if word.partition("=")[0].partition(".")[0] not in ("dry_run", "executor", "out")
    ]
    command = shlex.join(["fewskin", "run", *shown])
    settings = {
        **config,
        "path": data.get("path"),
        "split": _coerced("run", split),
        "command": command,
    }
    if rules is not None:
        from fewskin.planning import classes_by_rule

        settings["split"] = {**settings["split"], **classes_by_rule(rules, settings)}
    return settings, edge


def _run(given: Sequence[str]) -> int:
    from fewskin.display import Progress, clock, print_plan, verdict_lines
    from fewskin.executors import default_workers
    from fewskin.experiment import experiment_from
    from fewskin.planning import plan_experiment, run

    if not any(word.startswith("experiment=") for word in given):
        raise ConfigError(
            "run needs experiment=NAME, for example experiment=demo. See `fewskin list "
            "experiments`."
        )
    settings, edge = experiment_settings(given)
    made = experiment_from(settings)
    executor: Mapping[str, Any] = edge["executor"] or {}
    threads = int(executor.get("threads") or 1)
    workers = executor.get("workers")
    if edge["dry_run"]:
        print_plan(plan_experiment(made), workers=workers, threads=threads, cost=made.cost)
        return 0
    started = time.time()
    with Progress(workers or default_workers(threads)) as progress:
        out = Path(edge["out"]) if edge["out"] else None
        folder = run(made, workers=workers, threads=threads, listener=progress, out=out)
    for line in verdict_lines(folder):
        print(line)
    print(f"took {clock(time.time() - started)}")
    print(f"report: {folder / 'report.html'}")
    return 0


def _list(rest: Sequence[str]) -> int:
    for name, summary in listed(*(rest[:2] or [""])):
        print(f"{name:<24} {summary}".rstrip())
    if len(rest) == 2:
        _print_keywords(*rest)
    return 0


def _print_keywords(kind: str, name: str) -> None:
    from fewskin.display import print_table, settings_help
    from fewskin.plugins import find, keywords, list_plugins

    if kind not in ("sources", "generators", "learners") or name not in list_plugins(kind):  # type: ignore[arg-type] # checked just before
        return
    target = find(kind, name)  # type: ignore[arg-type] # checked just before
    meaning = settings_help(target)
    rows = [(key, _plain(p.default), meaning.get(key, "")) for key, p in keywords(target).items()]
    print()
    print_table(("key", "default", "meaning"), rows)


def _verb_help(verb: str) -> int:
    from fewskin.display import argument_help, verb_help

    if verb == "run":
        verb_help(verbs()["run"], run_rows(), examples("run"))
        return 0
    from fewskin.provenance import load_stage

    made = load_stage(verb)
    meaning = argument_help(made.body)
    rows = []
    for name, parameter in made.signature.parameters.items():
        if name == "out":
            continue
        default = "needed" if parameter.default is parameter.empty else _plain(parameter.default)
        rows.append(
            ("data.path" if name in made.inputs[:1] else name, default, meaning.get(name, ""))
        )
    rows += [
        ("out", f"runs/{verb}/<key>", "result folder"),
        ("dry_run", "false", "print the key and stop"),
    ]
    verb_help((made.__doc__ or "").partition("\n")[0], rows, examples(verb))
    return 0


def _plain(value: object) -> str:
    return "" if value is None else str(list(value) if isinstance(value, tuple) else value)


def _doctor() -> int:
    from fewskin.display import print_table
    from fewskin.doctor import diagnose

    rows = diagnose()
    print_table(("what", "state", "remedy"), rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
