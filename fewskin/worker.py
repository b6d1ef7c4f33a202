"""Run requests without Hydra: `python -m fewskin.worker request.json`, or `--serve` for a pool."""

import json
import logging
import os
import sys
import threading
import time
import traceback
from pathlib import Path

from fewskin.errors import ConfigError, FewskinError
from fewskin.execution import execute
from fewskin.provenance import Request

__all__ = ["main"]

log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Run one request file, or serve requests line by line on standard input.

    Returns:
        0, or 2 on a user error (one line on standard error).
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments == ["--serve"]:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
        return _serve()
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m fewskin.worker request.json\n")
        return 2
    try:
        sys.stdout.write(f"{execute(_read(Path(arguments[0])))}\n")
    except FewskinError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


def _read(file: Path) -> Request:
    try:
        data = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} is not a request in JSON: {error}.") from error
    return Request.from_json(data)


def _serve() -> int:
    # Answers own the real standard output; whatever a library prints goes to the log.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    for line in sys.stdin:
        answers.write(json.dumps(_answer(line)) + "\n")
        answers.flush()
    return 0


def _answer(line: str) -> dict[str, str]:
    try:
        return {"path": str(execute(Request.from_json(json.loads(line))))}
    except FewskinError as error:
        return {"error": str(error), "kind": type(error).__name__}
    except Exception as error:
        log.error("%s", traceback.format_exc())
        return {"error": str(error), "kind": type(error).__name__}


def _end_with_parent(parent: int) -> None:
    # A killed parent leaves no worker behind that writes into the next run's folders.
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
