"""What there is to choose from: config groups, plug-ins, backbones and experiments."""

import ast
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from fewskin.errors import ConfigError
from fewskin.paths import configs_dir
from fewskin.plugins import list_plugins, summary
from fewskin.provenance import unknown

__all__ = ["KINDS", "config_groups", "examples", "listed", "run_rows", "spoken", "typed", "verbs"]

KINDS = ("sources", "generators", "learners", "backbones", "experiments")


def config_groups() -> dict[str, list[str]]:
    """Return config group -> names of its files."""
    folders = sorted(folder for folder in configs_dir().iterdir() if folder.is_dir())
    return {
        folder.name: sorted(
            str(file.relative_to(folder).with_suffix("")) for file in folder.rglob("*.yaml")
        )
        for folder in folders
    }


def listed(kind: str, wanted: str = "") -> list[tuple[str, str]]:
    """Return (name, one line) of everything of one kind whose name holds `wanted`.

    Raises:
        ConfigError: an unknown kind.
    """
    if kind not in KINDS:
        raise ConfigError(unknown("list", kind, KINDS) + " Usage: fewskin list KIND [TEXT].")
    if kind == "experiments":
        folder = configs_dir() / "experiment"
        found = [
            (name, _first_comment(folder / f"{name}.yaml"))
            for name in config_groups()["experiment"]
        ]
    elif kind == "backbones":
        from fewskin.nets.backbones import list_backbones

        found = [(name, "") for name in list_backbones()]
    elif kind == "sources":
        found = [(name, _about_source(name)) for name in list_plugins("sources")]
    else:
        found = [(name, summary(kind, name)) for name in list_plugins(kind)]  # type: ignore[arg-type] # one of _LISTS
    return [(name, text) for name, text in found if wanted in name]


def _about_source(name: str) -> str:
    """Return what a source is and the `Facts:` line of its docstring: classes, ids, licence."""
    text = ast.get_docstring(ast.parse((_SOURCES / f"{name}.py").read_text())) or ""
    facts = [line for line in text.splitlines() if line.startswith("Facts: ")]
    return " ".join([summary("sources", name), *(line.removeprefix("Facts: ") for line in facts)])


def _first_comment(file: Path) -> str:
    lines = [line[1:].strip() for line in file.read_text().splitlines() if line.startswith("# ")]
    return next((line for line in lines if not line.startswith(("@package", "fewskin "))), "")


def run_rows() -> list[tuple[str, str, str]]:
    """Return key, default and meaning of what `fewskin run` takes."""
    from fewskin.display import argument_help
    from fewskin.experiment import OF_LEARNERS, Experiment

    meaning = argument_help(Experiment, "Attributes")
    rows = [
        ("experiment", "needed", f"one of {', '.join(config_groups()['experiment'])}"),
        ("data.path", "", "folder or table of the real images"),
        ("data.rare", "", "labels with few patients, e.g. [rosacea,lupus]"),
        ("data.common", "every other", "labels of the base rows"),
        ("data.rare_where", "", "instead of rare: a column and its value, e.g. {split: test}"),
        ("data.rare_at_most", "", "instead of rare: classes of at most so many patients"),
        ("data.rare_at_least", "", "with rare_at_most: and of at least so many"),
        ("data.common_where", "", "instead of common: a column and its value"),
        ("data.common_at_least", "", "instead of common: classes of at least so many patients"),
        (
            "source",
            "folder",
            f"one of {', '.join(config_groups()['source'])}; source.KEY=... sets its options",
        ),
    ]
    skip = ("name", "path", "command", "source", *OF_LEARNERS)
    rows += [
        (f.name, "in the experiment", meaning.get(f.name, ""))
        for f in fields(Experiment)
        if f.name not in skip
    ]
    return [
        *rows,
        ("executor.workers", "cores / threads", "processes"),
        (
            "executor.threads",
            "1",
            "threads of each process; results are bit-equal for an equal number",
        ),
        ("out", "runs/report/<key>", "folder of the report"),
        ("dry_run", "false", "print every key, what is cached and the cost; run nothing"),
    ]


def examples(verb: str) -> list[str]:
    """Return the commands in the opening comments of a verb's config."""
    lines = (configs_dir() / f"{verb}.yaml").read_text().splitlines()
    return [line[2:] for line in lines if line.startswith("# fewskin ")]


_STAGES = Path(__file__).parent / "stages"
_SOURCES = Path(__file__).parent / "data" / "sources"
_EXTRA = {
    "run": "Run an experiment: learners x arms x shots x draws, then its report.",
    "list": "List sources, generators, learners, backbones or experiments.",
    "doctor": "Say what is installed, what is missing and the command that adds it.",
}
_ORDER = (
    "run",
    "ingest",
    "check",
    "split",
    "fit",
    "adapt",
    "generate",
    "audit",
    "train",
    "assess",
    "predict",
    "evaluate",
    "report",
)


def verbs() -> dict[str, str]:
    """Return verb -> one line, without importing any stage."""
    found = dict(_EXTRA)
    for file in _STAGES.glob("[!_]*.py"):
        found[file.stem] = (ast.get_docstring(ast.parse(file.read_text())) or "").partition("\n")[0]
    return {
        verb: found[verb] for verb in (*_ORDER, *sorted(set(found) - set(_ORDER))) if verb in found
    }


def spoken(verb: str) -> str:
    """Return a verb as it is typed.

    Example:
        >>> spoken("face_import_ict"), spoken("fit")
        ('face import-ict', 'fit')
    """
    group, _, rest = verb.partition("_")
    return f"{group} {rest.replace('_', '-')}" if rest else verb


def typed(words: Sequence[str]) -> tuple[str, list[str]]:
    """Return the verb of a command and its other words, the reverse of `spoken`.

    A folder named alone after a verb of two words is its `data.path`.

    Example:
        >>> typed(["face", "import-ict", "DIR", "out=ict"])
        ('face_import_ict', ['data.path=DIR', 'out=ict'])
    """
    verb, rest = words[0], list(words[1:])
    if verb != "face" or not rest or rest[0].startswith("-"):
        return verb, rest
    verb, rest = f"face_{rest[0].replace('-', '_')}", rest[1:]
    bare = [bool(word) and "=" not in word and word[0] not in "-~+" for word in rest]
    return verb, [f"data.path={w}" if b else w for w, b in zip(rest, bare, strict=True)]
