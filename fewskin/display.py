"""What the command line shows: help from signatures, dry runs, tables and progress."""

import csv
import inspect
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fewskin.executors import Event, default_workers, kind_of, known_seconds, missing
from fewskin.planning import Plan
from fewskin.provenance import Request

__all__ = [
    "Progress",
    "argument_help",
    "clock",
    "print_plan",
    "print_table",
    "settings_help",
    "verb_help",
    "verdict_lines",
]


def clock(seconds: float) -> str:
    """Return a duration for people.

    Example:
        >>> clock(59), clock(61), clock(7300)
        ('59 s', '1 min 01 s', '2 h 01 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def argument_help(target: Callable[..., Any], section: str = "Args") -> dict[str, str]:
    """Return keyword -> meaning from a Google-style docstring."""
    text = inspect.getdoc(target) or ""
    match = re.search(rf"^{section}:\n((?:[ ]+.*\n?|\n)+)", text, flags=re.MULTILINE)
    found: dict[str, str] = {}
    name = ""
    for line in (match.group(1) if match else "").splitlines():
        head = re.match(r"^ {4}(\w+):\s*(.*)$", line)
        if head:
            name = head.group(1)
            found[name] = head.group(2)
        elif name:
            found[name] += " " + line.strip()
    return {key: value.strip() for key, value in found.items()}


def settings_help(target: Callable[..., Any]) -> dict[str, str]:
    """Return keyword -> meaning of a class; a dataclass says it under Attributes."""
    return {**argument_help(target, "Attributes"), **argument_help(target)}


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> None:
    """Print a plain table; wide cells wrap on a terminal and stay whole in a pipe."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(soft_wrap=False)
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    console.print(table)


def verb_help(summary: str, rows: Sequence[tuple[str, str, str]], examples: Sequence[str]) -> None:
    """Print a verb's help: what it does, every key with default and meaning, examples."""
    print(f"{summary}\n")
    print_table(("key", "default", "meaning"), rows)
    print("\nexamples:")
    for example in examples:
        print(f"  {example}")


def _describe(request: Request) -> str:
    keys = ("label", "learner", "generator", "arm", "ratio", "task", "shots", "draw", "role")
    parts = []
    for key in keys:
        value = request.params.get(key)
        name = value.get("name") if isinstance(value, Mapping) else value
        if name is not None and not (key == "learner" and "label" in request.params):
            parts.append(f"{key}={name}")
    return " ".join(parts)


def print_plan(plan: Plan, *, workers: int | None, threads: int, cost: str) -> None:
    """Print every request's key and state, then counts and a cost estimate; run nothing."""
    todo = {request.key for request in missing(plan.report, plan.requests)}
    for request in plan.requests:
        state = "to run" if request.key in todo else ("cached" if request.done else "not needed")
        print(f"{request.stage:<9} {request.key[:12]}  {state:<10}  {_describe(request)}")
    total = Counter(request.stage for request in plan.requests)
    left = Counter(request.stage for request in plan.requests if request.key in todo)
    print()
    print_table(
        ("stage", "requests", "to run"), [(stage, total[stage], left[stage]) for stage in total]
    )
    n = workers or default_workers(threads)
    print(
        f"\n{n} processes of {threads} thread{'s' if threads > 1 else ''}; "
        f"{_estimate(plan, todo, n, cost)}"
    )


def _estimate(plan: Plan, todo: set[str], n: int, cost: str) -> str:
    known = known_seconds()
    kinds = Counter(kind_of(request) for request in plan.requests if request.key in todo)
    if not kinds:
        return "nothing to run."
    unknown = [kind for kind in kinds if kind not in known]
    seconds = sum(known[kind] * count for kind, count in kinds.items() if kind in known) / n
    if not unknown:
        return f"about {clock(seconds)}, from earlier runs here."
    said = f" The experiment's own statement: {cost}" if cost else ""
    if len(unknown) == len(kinds):
        return f"no earlier run here to estimate from.{said}"
    return f"over {clock(seconds)}; no earlier run here of {', '.join(unknown)}.{said}"


class Progress:
    """A listener that shows what is done, what runs, its steps, and the time left."""

    def __init__(self, n_workers: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bars

        self.n_workers = n_workers
        self.console = Console(stderr=True)
        # Without a terminal a line now and then says the same.
        self.live = self.console.is_terminal
        left = TextColumn("{task.fields[left]}")
        columns = (BarColumn(), MofNCompleteColumn(), left, TextColumn("{task.description}"))
        self.bars = Bars(*columns, console=self.console, disable=not self.live)
        self.task = self.bars.add_task("", total=0, left="")
        self.waiting: Counter[str] = Counter()
        self.running: dict[str, tuple[Request, float]] = {}
        self.seconds: dict[str, list[float]] = {}
        self.known = known_seconds()
        self.done = self.total = 0
        self.said = ""
        self.stopped = threading.Event()
        self.ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> "Progress":
        self.bars.start()
        self.ticker.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stopped.set()
        self.ticker.join()
        self._show()
        self.bars.stop()

    def __call__(self, event: Event) -> None:
        """Take one event of the executor."""
        kind = kind_of(event.request)
        if event.kind == "planned":
            self.total += 1
            self.waiting[kind] += 1
        elif event.kind == "started":
            self.running[event.request.key] = (event.request, time.time())
        else:
            self.done += 1
            self.waiting[kind] -= 1
            self.running.pop(event.request.key, None)
            self.seconds.setdefault(kind, []).append(event.seconds)

    def _tick(self) -> None:
        while not self.stopped.wait(1.0 if self.live else 15.0):
            self._show()

    def _left(self, steps: Mapping[str, tuple[int, int, float]]) -> str:
        means = {kind: sum(values) / len(values) for kind, values in self.seconds.items()}
        means = {**self.known, **means}
        waiting = Counter(self.waiting)
        seconds = 0.0
        for key, (step, total, elapsed) in steps.items():
            # A fit that reports its steps tells its own pace.
            waiting[kind_of(self.running[key][0])] -= 1
            seconds += elapsed * (total - step) / step
        kinds = [kind for kind, count in waiting.items() if count > 0]
        seconds += sum(means.get(kind, 0.0) * waiting[kind] for kind in kinds)
        known = all(kind in means for kind in kinds)
        left = clock(seconds / max(self.n_workers, 1))
        return f"{'about' if known else 'over'} {left} left" if self.done < self.total else "done"

    def _steps(self) -> dict[str, tuple[int, int, float]]:
        found = {}
        for key, (request, started) in list(self.running.items()):
            for file in request.path.parent.glob(f"{request.path.name}.tmp-*/**/progress.json"):
                try:
                    said = json.loads(file.read_text())
                    step, total = int(said["step"]), int(said["steps"])
                except (OSError, ValueError, KeyError):
                    continue
                if 0 < step <= total:
                    found[key] = (step, total, time.time() - started)
        return found

    def _show(self) -> None:
        steps = self._steps()
        parts = Counter(
            kind_of(request) + (" step {}/{}".format(*steps[key][:2]) if key in steps else "")
            for key, (request, _) in list(self.running.items())
        )
        now = ", ".join(f"{count}x {what}" if count > 1 else what for what, count in parts.items())
        left = self._left({key: value for key, value in steps.items() if key in self.running})
        self.bars.update(
            self.task, completed=self.done, total=self.total, left=left, description=now
        )
        line = f"[{self.done}/{self.total}] {left}  {now}"
        if not self.live and line != self.said:
            self.said = line
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def verdict_lines(folder: Path) -> list[str]:
    """Return the verdicts to print at the end of a run: the primary ones, or the first three."""
    file = folder / "tables" / "verdicts.csv"
    if not file.is_file():
        return []
    with open(file, newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    primary = [row["verdict"] for row in rows if row.get("primary") == "True"]
    return primary or [row["verdict"] for row in rows[:3]]
