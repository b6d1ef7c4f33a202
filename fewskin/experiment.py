"""An experiment is learners x arms x shots x draws: which requests, in which order, and their report."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from fewskin.errors import ConfigError
from fewskin.executors import Listener, run_requests
from fewskin.plugins import check_keywords
from fewskin.provenance import Request, load_stage, unknown
from fewskin.seeding import seed_for

__all__ = ["Arm", "Experiment", "Plan", "experiment_from", "plan_experiment", "run"]

Spec = Mapping[str, Any]  # a plug-in as {"name": ..., **hyper_parameters}


@dataclass(frozen=True)
class Arm:
    """An image source and how much of it: `ratio` generated images for each real one."""

    generator: Spec | None = None
    ratio: float | Sequence[float] = 1.0

    def ratios(self) -> tuple[float, ...]:
        """Return the ratios to run; an arm without generator has the ratio 0."""
        if self.generator is None:
            return (0.0,)
        values = self.ratio if isinstance(self.ratio, Sequence) else (self.ratio,)
        return tuple(float(value) for value in values)


@dataclass(frozen=True)
class Experiment:
    """Everything that decides a study's numbers.

    Attributes:
        name: short name, also of the config.
        source: where rows come from, `{"name": "folder", ...}`.
        path: folder or table of the source; None for the phantom.
        split: keywords of `fewskin split`; `rare` is one of them.
        learners: label -> learner.
        arms: name -> Arm; `real_only` and `real_copies` are the controls.
        check: keywords of `fewskin check`.
        image_size: side in pixels of everything that is learnt and generated.
        primary: task, metric, shots and learner of the one primary comparison.
        select_on: how choices were made: "fixed", "base_episodes" or "support_cv".
        seed: root of all seeds.
        keep_models: keep every cell's weights, not only its predictions.
        learner_baseline: learner that the others are compared with.
        title: heading of the report.
        notes: text printed in the report.
        cost: what a run costs, in words, for `dry_run=true`.
        command: how it was started, printed in the report.
    """

    name: str
    source: Spec
    split: Mapping[str, Any]
    learners: Mapping[str, Spec]
    arms: Mapping[str, Arm]
    path: Path | None = None
    check: Mapping[str, Any] = field(default_factory=dict)
    image_size: int = 64
    primary: Mapping[str, Any] | None = None
    learner_baseline: str | None = None
    select_on: str = "fixed"
    seed: int = 0
    keep_models: bool = False
    title: str = ""
    notes: str = ""
    cost: str = ""
    command: str = ""


@dataclass(frozen=True)
class Plan:
    """Requests in a sensible order of running, and the last one, the report."""

    requests: tuple[Request, ...]
    report: Request
    keep_models: bool


def experiment_from(config: Mapping[str, Any]) -> Experiment:
    """Return the experiment of a resolved config, every key of it checked.

    Raises:
        ConfigError: an unknown key (with a suggestion) or a value out of range.
        PluginError: an unknown learner, generator or source.
    """
    known = [f.name for f in fields(Experiment)]
    for key in config:
        if key not in known:
            raise ConfigError(unknown("experiment key", key, known))
    for key in ("name", "source", "split", "learners", "arms"):
        if not config.get(key):
            raise ConfigError(f"experiment has no {key!r}; see `fewskin run --help`.")
    values = dict(config)
    values["arms"] = {name: _arm(name, spec or {}) for name, spec in config["arms"].items()}
    values["learners"] = {label: {"name": label, **(spec or {})} for label, spec in config["learners"].items()}
    values["path"] = Path(config["path"]) if config.get("path") else None
    made = Experiment(**values)
    _check(made)
    return made


def _arm(name: str, spec: Mapping[str, Any]) -> Arm:
    for key in spec:
        if key not in ("generator", "ratio"):
            raise ConfigError(unknown(f"key of arm {name}", key, ("generator", "ratio")))
    generator = spec.get("generator")
    if isinstance(generator, str):
        generator = {"name": generator}
    arm = Arm(generator, spec.get("ratio", 1.0))
    for ratio in arm.ratios():
        if not math.isfinite(ratio) or ratio < 0 or (generator is not None and ratio == 0):
            raise ConfigError(f"arm {name}: ratio={ratio}, expected a number above 0.")
    return arm


def _check(made: Experiment) -> None:
    check_keywords("sources", made.source)
    for spec in made.learners.values():
        check_keywords("learners", spec)
    for arm in made.arms.values():
        if arm.generator is not None:
            check_keywords("generators", arm.generator)
    load_stage("split").check_keys(list(made.split))
    load_stage("check").check_keys(list(made.check))
    if "real_only" not in made.arms:
        raise ConfigError("arms: real_only is missing; every gain is measured against it.")
    _check_primary(made)


def _check_primary(made: Experiment) -> None:
    primary = made.primary or {}
    known = ("task", "metric", "shots", "learner")
    for key in primary:
        if key not in known:
            raise ConfigError(unknown("key of primary", key, known))
    if primary and primary.get("learner") not in made.learners:
        raise ConfigError(unknown("learner in primary", str(primary.get("learner")), list(made.learners)))
    if primary and primary.get("shots") not in tuple(made.split.get("shots", (1, 5))):
        raise ConfigError(f"primary.shots={primary.get('shots')} is not among split.shots={made.split.get('shots')}.")
    baseline = made.learner_baseline
    if baseline is not None and baseline not in made.learners:
        raise ConfigError(unknown("learner_baseline", baseline, list(made.learners)))


def _split_values(made: Experiment, name: str) -> Any:  # Any: whatever that keyword holds
    return made.split.get(name, load_stage("split").signature.parameters[name].default)


class _Planner:
    """Builds the requests of one experiment; each method returns one kind."""

    def __init__(self, made: Experiment) -> None:
        self.made = made
        self.tasks = tuple(_split_values(made, "tasks"))
        self.shots = tuple(sorted(_split_values(made, "shots")))
        self.draws = range(int(_split_values(made, "draws")))
        self.ingest = load_stage("ingest").request(made.path, source=dict(made.source))
        self.manifest = load_stage("check").request(self.ingest, **made.check)
        split = {"seed": seed_for(made.seed, "split"), **made.split}
        self.splits = load_stage("split").request(self.manifest, **split)
        self.fits: dict[str, Request] = {label: self._fit(learner=spec) for label, spec in made.learners.items()}
        self.generator_fits = {
            name: self._fit(generator=arm.generator) for name, arm in made.arms.items() if arm.generator is not None
        }

    def _fit(self, **plugin: Any) -> Request:
        seed = seed_for(self.made.seed, "base", 0)
        size = self.made.image_size
        return load_stage("fit").request(self.manifest, self.splits, **plugin, image_size=size, seed=seed)

    def generated(self, arm: str, ratio: float, shots: int, draw: int, role: str) -> Request:
        """Return the images of one arm for one support set, or for the base rows (shots 0, draw -1)."""
        task = "generalised" if "generalised" in self.tasks else self.tasks[0]
        seed = seed_for(self.made.seed, "gen", shots, draw)
        adapted = load_stage("adapt").request(
            self.manifest,
            self.splits,
            self.generator_fits[arm],
            generator=self.made.arms[arm].generator,
            task=task,
            shots=shots,
            draw=draw,
            role=role,
            image_size=self.made.image_size,
            seed=seed,
        )
        return load_stage("generate").request(adapted, ratio=ratio, seed=seed)

    def images(self, arm: str, ratio: float, task: str, shots: int, draw: int) -> tuple[Request, ...]:
        """Return every generated manifest a cell trains on."""
        if self.made.arms[arm].generator is None:
            return ()
        made = [self.generated(arm, ratio, shots, draw, "support")]
        if task == "generalised":
            made.append(self.generated(arm, ratio, 0, -1, "base"))
        return tuple(made)

    def cell(self, label: str, arm: str, ratio: float, task: str, shots: int, draw: int) -> Request:
        """Return the predictions of one trained cell."""
        made = self.made
        trained = load_stage("train").request(
            self.manifest,
            self.splits,
            self.fits[label],
            self.images(arm, ratio, task, shots, draw),
            learner=made.learners[label],
            label=label,
            task=task,
            shots=shots,
            draw=draw,
            arm=arm,
            ratio=ratio,
            image_size=made.image_size,
            seed=seed_for(made.seed, "train", shots, draw),
        )
        return load_stage("predict").request(trained, self.manifest, self.splits, image_size=made.image_size)

    def cells(self) -> Iterator[Request]:
        """Yield every cell, draw by draw, so that a partial run is balanced."""
        for draw in self.draws:
            for shots in self.shots:
                for task in self.tasks:
                    for arm, settings in self.made.arms.items():
                        for ratio in settings.ratios():
                            for label in self.made.learners:
                                yield self.cell(label, arm, ratio, task, shots, draw)

    def audits(self) -> Iterator[Request]:
        """Yield one audit an arm and ratio: all draws of the largest K."""
        for arm, settings in self.made.arms.items():
            for ratio in settings.ratios() if settings.generator is not None else ():
                made = tuple(self.generated(arm, ratio, self.shots[-1], draw, "support") for draw in self.draws)
                yield load_stage("audit").request(
                    self.manifest,
                    self.splits,
                    made,
                    arm=arm,
                    task=self.tasks[0],
                    image_size=self.made.image_size,
                    seed=self.made.seed,
                )

    def report(self, cells: Sequence[Request], audits: Sequence[Request]) -> Request:
        """Return the report on all cells."""
        made = self.made
        primary = dict(made.primary) if made.primary else None
        evaluated = load_stage("evaluate").request(
            tuple(cells),
            self.manifest,
            baselines=[name for name in ("real_only", "real_copies") if name in made.arms],
            learner_baseline=made.learner_baseline,
            primary=primary,
            select_on=made.select_on,
            seed=made.seed,
        )
        samples = tuple(
            self.generated(arm, settings.ratios()[0], self.shots[-1], 0, "support")
            for arm, settings in made.arms.items()
            if settings.generator is not None
        )
        return load_stage("report").request(
            evaluated,
            self.manifest,
            self.ingest,
            self.splits,
            samples,
            tuple(audits),
            title=made.title or made.name,
            experiment=_described(made),
            command=made.command or f"fewskin run experiment={made.name}",
            notes=made.notes,
        )


def _described(made: Experiment) -> dict[str, Any]:
    arms = {name: {"generator": arm.generator, "ratio": list(arm.ratios())} for name, arm in made.arms.items()}
    return {
        "name": made.name,
        "source": dict(made.source),
        "split": dict(made.split),
        "learners": {label: dict(spec) for label, spec in made.learners.items()},
        "arms": arms,
        "image_size": made.image_size,
        "primary": made.primary,
        "select_on": made.select_on,
        "seed": made.seed,
    }


def _in_order(target: Request, seen: dict[str, Request]) -> None:
    for parent in target.parents():
        if parent.key not in seen:
            _in_order(parent, seen)
    seen.setdefault(target.key, target)


def plan_experiment(made: Experiment, *, out: Path | None = None) -> Plan:
    """Return every request of an experiment; keys are known before anything has run."""
    planner = _Planner(made)
    cells = tuple(planner.cells())
    report = planner.report(cells, tuple(planner.audits()))
    report = replace(report, out=out) if out else report
    ordered: dict[str, Request] = {}
    # Base fits first: everything waits for them, and they are the longest.
    for target in (*planner.fits.values(), *cells, report):
        _in_order(target, ordered)
    return Plan(tuple(ordered.values()), report, made.keep_models)


def run(
    made: Experiment,
    *,
    workers: int | None = None,
    threads: int = 1,
    listener: Listener | None = None,
    out: Path | None = None,
) -> Path:
    """Run what is not finished yet and return the report's folder.

    Args:
        made: the experiment, e.g. from `experiment_from`.
        workers: processes; by default as many as cores / threads and memory allow.
        threads: of each process. Results are bit-equal for the same number of threads.
        listener: called with every event, for progress displays.
        out: folder of the report; `runs/report/<key>` by default.
    """
    plan = plan_experiment(made, out=out)
    keep = {"train"} if plan.keep_models else set()
    run_requests(plan.report, plan.requests, keep=keep, workers=workers, threads=threads, listener=listener)
    return plan.report.path
