"""The public names of every module are reviewed: a change shows in tests/api_surface.json.

Write it anew with: python tests/test_api_surface.py --write
"""

import ast
import importlib
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECORD = Path(__file__).with_name("api_surface.json")


def public_names(file: Path) -> list[str] | None:
    """Return `__all__` of a file, or None when it has none."""
    for node in ast.parse(file.read_text()).body:
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        if getattr(targets[0], "id", "") == "__all__":
            try:
                return sorted(ast.literal_eval(node.value))
            except ValueError:
                # Computed, as the top level's list of stages is.
                name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
                return sorted(importlib.import_module(name.removesuffix(".__init__")).__all__)
    return None


def surface() -> dict[str, list[str]]:
    found = {}
    for file in sorted((ROOT / "fewskin").rglob("*.py")):
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        names = public_names(file)
        if names:
            found[module] = names
    return found


def test_public_names_are_the_reviewed_ones() -> None:
    recorded, now = json.loads(RECORD.read_text()), surface()
    changes = [
        f"{module}: {sign}{name}"
        for module in sorted({*recorded, *now})
        for sign, before, after in (("+", recorded, now), ("-", now, recorded))
        for name in sorted({*after.get(module, [])} - {*before.get(module, [])})
    ]
    how = "review them, add a CHANGELOG line and run python tests/test_api_surface.py --write"
    assert not changes, f"public names changed; {how}:\n" + "\n".join(changes)


def test_every_module_says_what_is_public() -> None:
    silent = [
        str(file.relative_to(ROOT))
        for file in (ROOT / "fewskin").rglob("*.py")
        if public_names(file) is None and ast.parse(file.read_text()).body[1:]
    ]
    assert not silent, f"no __all__ in {', '.join(silent)}"


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python tests/test_api_surface.py --write")
    RECORD.write_text(json.dumps(surface(), indent=1) + "\n")
