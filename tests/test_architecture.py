"""A file imports only from floors below it; neighbours on floors 4 and 5 never meet."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = {
    1: "errors seeding paths compat fingerprints functional nets",
    2: "tables provenance execution",
    3: "protocols data training face reporting",
    4: "plugins testing learners generators",
    5: "stages",
    7: "experiment planning executors doctor display catalogue",
    8: "cli worker",
}
FLOOR = {name: floor for floor, names in FLOORS.items() for name in names.split()}
FILES = sorted((ROOT / "fewskin").rglob("*.py"))
MAX_LINES, MAX_BODY = 350, 50


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(file) for file in FILES}


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from fewskin.data import images` imports a module, `from ... import decode` a name.
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in whole)


def floor_of(module: str) -> int:
    return FLOOR[module.split(".")[1]]


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_a_file_imports_only_from_below(file: Path) -> None:
    module = module_of(file)
    if module == "fewskin":
        return  # lazy: it names the stages, it does not import them
    own = floor_of(module)
    for name in sorted(set(imported(file))):
        if not name.startswith("fewskin.") or name == module:
            continue
        assert floor_of(name) <= own, f"{module} (floor {own}) imports {name} from above"
        neighbours = own in (4, 5) and floor_of(name) == own
        assert not neighbours, f"{module} imports its neighbour {name}; move what both need down"


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_a_file_and_its_functions_stay_small(file: Path) -> None:
    text = file.read_text()
    assert len(text.splitlines()) <= MAX_LINES, f"{file.name} is over {MAX_LINES} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0].end_lineno if ast.get_docstring(node) else node.body[0].lineno - 1
            lines = (node.end_lineno or 0) - (first or 0)
            assert lines <= MAX_BODY, f"{file.name}: {node.name} has {lines} lines, not {MAX_BODY}"


def test_only_the_engine_builds_a_trainer_and_only_the_command_line_knows_hydra() -> None:
    for file in FILES:
        module, names = module_of(file), set(imported(file))
        assert module == "fewskin.cli" or not any(
            name.partition(".")[0] in ("hydra", "omegaconf") for name in names
        ), f"{module} imports Hydra"
        called = {
            getattr(node.func, "attr", getattr(node.func, "id", ""))
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.Call)
        }
        assert module == "fewskin.training.engine" or "Trainer" not in called, module
