"""The requests of an experiment: one graph from the images to the report."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from fewskin.data.class_rules import ClassRules
from fewskin.data.tasks import expand_tasks
from fewskin.executors import Listener, run_requests
from fewskin.experiment import Experiment
from fewskin.plugins import find, fit_spec, keywords
from fewskin.provenance import Request, load_stage
from fewskin.seeding import seed_for
from fewskin.tables import read_manifest

__all__ = ["Plan", "classes_by_rule", "plan_experiment", "run"]


@dataclass(frozen=True)
class Plan:
    """Requests in a sensible order of running, and the last one, the report."""

    requests: tuple[Request, ...]
    report: Request
    keep_models: bool


def _split_values(made: Experiment, name: str) -> Any:  # Any: whatever that keyword holds
    return made.split.get(name, load_stage("split").signature.parameters[name].default)


class _Planner:
    """Builds the requests of one experiment; each method returns one kind."""

    def __init__(self, made: Experiment) -> None:
        self.made = made
        split = {"seed": seed_for(made.seed, "split"), **made.split}
        self.tasks = expand_tasks(
            _split_values(made, "tasks"),
            made.split["rare"],
            way=_split_values(made, "way"),
            n_tasks=_split_values(made, "n_tasks"),
            seed=split["seed"],
        )
        self.shots = tuple(sorted(_split_values(made, "shots")))
        self.draws = range(int(_split_values(made, "draws")))
        self.ingest = load_stage("ingest").request(made.path, source=dict(made.source))
        self.manifest = load_stage("check").request(self.ingest, **made.check)
        self.splits = load_stage("split").request(self.manifest, **split)
        replicates = range(made.base_seeds)
        self.fits = {
            label: [
                self._fit(r, self._size(label), self._shown(label), learner=fit_spec(spec))
                for r in replicates
            ]
            for label, spec in made.learners.items()
        }
        self.generator_fits = {
            name: [
                self._fit(r, self._arm_size(name), self.manifest, generator=arm.generator)
                for r in replicates
            ]
            for name, arm in made.arms.items()
            if arm.generator is not None
        }

    def _size(self, label: str) -> int:
        return self.made.image_sizes.get(label, self.made.image_size)

    def _arm_size(self, arm: str) -> int:
        return self.made.arms[arm].image_size or self.made.image_size

    def _shown(self, label: str, images: Request | None = None) -> Request:
        """Return what a learner reads of images, by default all of them: crops, if it says so."""
        images = images or self.manifest
        layout = self.made.inputs_of.get(label, self.made.inputs)
        if layout is None:
            return images
        return load_stage("face_crop").request(images, layout=layout, side=self._size(label))

    def _fit(self, replicate: int, size: int, manifest: Request, **plugin: Any) -> Request:
        seed = seed_for(self.made.seed, "base", replicate)
        return load_stage("fit").request(
            manifest, self.splits, **plugin, image_size=size, seed=seed
        )

    def _of_draw(self, fits: Sequence[Request], draw: int) -> Request:
        # Base fits take turns over the draws; what all draws share (draw -1) has the first.
        return fits[max(draw, 0) % len(fits)]

    def generated(self, arm: str, ratio: float, shots: int, draw: int, role: str) -> Request:
        """Return one arm's images for a support set, or for the base rows (shots 0, draw -1)."""
        task = "generalised" if "generalised" in self.tasks else self.tasks[0]
        seed = seed_for(self.made.seed, "gen", shots, draw)
        adapted = load_stage("adapt").request(
            self.manifest,
            self.splits,
            self._of_draw(self.generator_fits[arm], draw),
            generator=self.made.arms[arm].generator,
            task=task,
            shots=shots,
            draw=draw,
            role=role,
            image_size=self._arm_size(arm),
            seed=seed,
        )
        return load_stage("generate").request(adapted, ratio=ratio, seed=seed)

    def images(
        self, arm: str, ratio: float, task: str, shots: int, draw: int
    ) -> tuple[Request, ...]:
        """Return every generated manifest a cell trains on."""
        if self.made.arms[arm].generator is None:
            return ()
        made = [self.generated(arm, ratio, shots, draw, "support")]
        if task == "generalised":
            made.append(self.generated(arm, ratio, 0, -1, "base"))
        return tuple(made)

    def cell(self, label: str, arm: str, ratio: float, task: str, shots: int, draw: int) -> Request:
        """Return the predictions of one trained cell."""
        made, read = self.made, self._shown(label)
        images = self.images(arm, ratio, task, shots, draw)
        trained = load_stage("train").request(
            read,
            self.splits,
            self._of_draw(self.fits[label], draw),
            tuple(self._shown(label, each) for each in images),
            learner=made.learners[label],
            label=label,
            task=task,
            shots=shots,
            draw=draw,
            arm=arm,
            ratio=ratio,
            generated_only=made.arms[arm].generated_only,
            image_size=self._size(label),
            seed=seed_for(made.seed, "train", shots, draw),
        )
        return load_stage("predict").request(
            trained, read, self.splits, image_size=self._size(label)
        )

    def assessed(self, label: str, arm: str, task: str, shots: int, replicate: int) -> Request:
        """Return the predictions of the cells without generated images that share a base fit."""
        made = self.made
        return load_stage("assess").request(
            self._shown(label),
            self.splits,
            self.fits[label][replicate],
            learner=made.learners[label],
            label=label,
            task=task,
            shots=shots,
            draws=list(self.draws[replicate :: made.base_seeds]),
            arm=arm,
            image_size=self._size(label),
            seed=made.seed,
        )

    def cells(self) -> Iterator[Request]:
        """Yield every cell: those of real images by base fit, the others draw by draw."""
        arms = [(arm, ratio) for arm, made in self.made.arms.items() for ratio in made.ratios()]
        together = [arm for arm, _ in arms if self._together(arm)]
        for replicate, shots, task, arm, label in product(
            range(self.made.base_seeds), self.shots, self.tasks, together, self.made.learners
        ):
            if self._runs(label, arm):
                yield self.assessed(label, arm, task, shots, replicate)
        apart = [pair for pair in arms if not self._together(pair[0])]
        for draw, shots, task, (arm, ratio), label in product(
            self.draws, self.shots, self.tasks, apart, self.made.learners
        ):
            if self._runs(label, arm):
                yield self.cell(label, arm, ratio, task, shots, draw)

    def _runs(self, label: str, arm: str) -> bool:
        return arm in self.made.arms_of.get(label, self.made.arms)

    def _together(self, arm: str) -> bool:
        return self.made.arms[arm].generator is None and not self.made.keep_models

    def audits(self) -> Iterator[Request]:
        """Yield one audit an arm and ratio: all draws of the largest K."""
        for arm, settings in self.made.arms.items():
            for ratio in settings.ratios() if settings.generator is not None else ():
                made = tuple(
                    self.generated(arm, ratio, self.shots[-1], draw, "support")
                    for draw in self.draws
                )
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
            rare=list(made.split["rare"]),
            select_on=made.select_on,
            n_base_seeds=made.base_seeds,
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
    arms = {
        name: {
            "generator": arm.generator,
            "ratio": list(arm.ratios()),
            "image_size": arm.image_size,
            "generated_only": arm.generated_only,
        }
        for name, arm in made.arms.items()
    }
    return {
        "name": made.name,
        "source": dict(made.source),
        "split": dict(made.split),
        "learners": {label: dict(spec) for label, spec in made.learners.items()},
        "arms": arms,
        "image_size": made.image_size,
        "image_sizes": dict(made.image_sizes),
        "inputs": made.inputs,
        "inputs_of": dict(made.inputs_of),
        "primary": made.primary,
        # A learner that takes a `way` is fitted on episodes.
        "episodic": [
            label
            for label, spec in made.learners.items()
            if "way" in keywords(find("learners", spec["name"]))
        ],
        "published": made.published,
        "select_on": made.select_on,
        "base_seeds": made.base_seeds,
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
    fits = [fit for made_fits in planner.fits.values() for fit in made_fits]
    for target in (*fits, *cells, report):
        _in_order(target, ordered)
    return Plan(tuple(ordered.values()), report, made.keep_models)


def classes_by_rule(rules: ClassRules, settings: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return `rare`, and `common` where a rule says so, of the data that settings name.

    The names of the classes decide the plan, so the data are read and checked before it is made.

    Args:
        rules: what makes a class rare or common.
        settings: of an experiment; `source`, `path` and `check` are used.

    Raises:
        DataError: no class is rare, or one is both.
    """
    ingested = load_stage("ingest")(settings["path"], source=dict(settings["source"]))
    checked = load_stage("check")(ingested, **settings.get("check", {}))
    rare, common = rules.classes(read_manifest(checked).rows)
    return {"rare": rare, **({} if common is None else {"common": common})}


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
    run_requests(
        plan.report, plan.requests, keep=keep, workers=workers, threads=threads, listener=listener
    )
    return plan.report.path
