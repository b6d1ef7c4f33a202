"""fewskin: which way of using a few skin photographs is better, by how much, how sure are we?

Every file of `fewskin/stages` is a function here, and `fewskin.run` runs a whole experiment:

    import fewskin as fs

    photos = fs.ingest("photos", source={"name": "folder"})
    checked = fs.check(photos)
    splits = fs.split(checked, task="novel", rare=["rosacea"])
"""

import importlib
from pathlib import Path
from typing import Any

__version__ = "0.1.0"
_STAGES = sorted(file.stem for file in (Path(__file__).parent / "stages").glob("[!_]*.py"))
__all__ = ["__version__", "run", *_STAGES]


def __getattr__(name: str) -> Any:  # Any: a stage or a function
    # Lazy, so that `import fewskin` loads neither torch nor pandas.
    if name == "run":
        return importlib.import_module("fewskin.planning").run
    if name in _STAGES:
        return importlib.import_module("fewskin.provenance").load_stage(name)
    raise AttributeError(f"module 'fewskin' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
