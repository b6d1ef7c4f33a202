"""An experiment is learners x arms x shots x draws: its requests, their order and its report."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from fewskin.errors import ConfigError
from fewskin.functional.tiles import LAYOUTS, TILED, tile_side
from fewskin.plugins import check_keywords, find
from fewskin.provenance import load_stage, unknown

__all__ = ["OF_LEARNERS", "Arm", "Experiment", "experiment_from"]

OF_LEARNERS = ("image_sizes", "inputs_of", "arms_of")  # taken from learners, no keys of a config
_TRANSDUCTIVE = " (transductive)"
Spec = Mapping[str, Any]  # a plug-in as {"name": ..., **hyper_parameters}


@dataclass(frozen=True)
class Arm:
    """An image source and how much of it: `ratio` generated images for each real one.

    Attributes:
        generator: None in the arm of real images alone.
        ratio: one or several.
        image_size: side in pixels at which the generator works; None is the experiment's. The
            learners see its images made smaller, as they see photographs.
        generated_only: the real images that the generated ones come from are not trained on.
    """

    generator: Spec | None = None
    ratio: float | Sequence[float] = 1.0
    image_size: int | None = None
    generated_only: bool = False

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
        learners: label -> learner; an `image_size` among its keys is a side of its own, in studies
            of real images only, `inputs` are inputs of its own, and `arms` the only ones it is in.
        arms: name -> Arm; `real_only` and `real_copies` are the controls.
        check: keywords of `fewskin check`.
        image_size: side in pixels of everything that is learnt and generated.
        image_sizes: label -> side of the learners that have their own; taken from `learners`.
        inputs: crops of faces that learners read in place of the photographs: "patches", "face" or
            "masked", as of `fewskin face crop`; None for none. Generators see the photographs.
        inputs_of: label -> inputs of the learners that have their own; taken from `learners`.
        arms_of: label -> arms of the learners that do not run in all; taken from `learners`.
        primary: task, metric, shots and learner of the one primary comparison.
        select_on: how choices were made: "fixed", "base_episodes" or "support_cv".
        seed: root of all seeds.
        base_seeds: base fits of every learner and generator, of different seeds; draws take turns.
        keep_models: keep every cell's weights, not only its predictions.
        learner_baseline: learner, or learners, that the others are compared with.
        published: figures of a paper to print beside ours: `source`, `caveat` and `rows`, each
            with `system`, `shots` and metrics in percent.
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
    image_sizes: Mapping[str, int] = field(default_factory=dict)
    inputs: str | None = None
    inputs_of: Mapping[str, str | None] = field(default_factory=dict)
    arms_of: Mapping[str, Sequence[str]] = field(default_factory=dict)
    primary: Mapping[str, Any] | None = None
    learner_baseline: str | Sequence[str] | None = None
    select_on: str = "fixed"
    seed: int = 0
    base_seeds: int = 1
    keep_models: bool = False
    published: Mapping[str, Any] | None = None
    title: str = ""
    notes: str = ""
    cost: str = ""
    command: str = ""


def experiment_from(config: Mapping[str, Any]) -> Experiment:
    """Return the experiment of a resolved config, every key of it checked.

    Raises:
        ConfigError: an unknown key (with a suggestion) or a value out of range.
        PluginError: an unknown learner, generator or source.
    """
    known = [f.name for f in fields(Experiment) if f.name not in OF_LEARNERS]
    for key in config:
        if key not in known:
            raise ConfigError(unknown("experiment key", key, known))
    for key in ("name", "source", "split", "learners", "arms"):
        if not config.get(key):
            raise ConfigError(f"experiment has no {key!r}; see `fewskin run --help`.")
    values = dict(config)
    values["arms"] = {name: _arm(name, spec or {}) for name, spec in config["arms"].items()}
    values["learners"] = {
        label: {"name": label, **(spec or {})} for label, spec in config["learners"].items()
    }
    values["image_sizes"] = {
        label: int(spec.pop("image_size"))
        for label, spec in values["learners"].items()
        if "image_size" in spec
    }
    values["inputs_of"] = {
        label: spec.pop("inputs") for label, spec in values["learners"].items() if "inputs" in spec
    }
    values["arms_of"] = {
        label: as_names(spec.pop("arms"))
        for label, spec in values["learners"].items()
        if "arms" in spec
    }
    values |= _marked(values)
    values["path"] = Path(config["path"]) if config.get("path") else None
    made = Experiment(**values)
    _check(made)
    return made


def _marked(values: Mapping[str, Any]) -> dict[str, Any]:
    # A transductive learner sees all test images at once: no table may show it without saying so.
    new = {
        label: f"{label}{_TRANSDUCTIVE}"
        if find("learners", spec["name"]).transductive and not label.endswith(_TRANSDUCTIVE)
        else label
        for label, spec in values["learners"].items()
    }
    own = {name: values.get(name) or {} for name in OF_LEARNERS}
    made: dict[str, Any] = {
        **{name: {new[label]: v for label, v in given.items()} for name, given in own.items()},
        "learners": {new[label]: spec for label, spec in values["learners"].items()},
        "learner_baseline": [
            new.get(name, name) for name in as_names(values.get("learner_baseline"))
        ],
    }
    primary = values.get("primary")
    if primary and primary.get("learner") in new:
        made["primary"] = {**primary, "learner": new[primary["learner"]]}
        if primary.get("against") in new:
            made["primary"]["against"] = new[primary["against"]]
    return made


def as_names(names: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return one name, several or none as a tuple.

    Example:
        >>> as_names("probe"), as_names(None)
        (('probe',), ())
    """
    if names is None:
        return ()
    return (names,) if isinstance(names, str) else tuple(names)


def _arm(name: str, spec: Mapping[str, Any]) -> Arm:
    for key in spec:
        if key not in (known := [f.name for f in fields(Arm)]):
            raise ConfigError(unknown(f"key of arm {name}", key, known))
    generator = spec.get("generator")
    if isinstance(generator, str):
        generator = {"name": generator}
    arm = Arm(**{**spec, "generator": generator})
    if arm.image_size is not None and arm.image_size < 1:
        raise ConfigError(f"arm {name}: image_size={arm.image_size}, expected pixels, or null.")
    if arm.generated_only and generator is None:
        raise ConfigError(f"arm {name}: generated_only=true without a generator; name one.")
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
    generated = [name for name, arm in made.arms.items() if arm.generator is not None]
    if made.image_sizes and generated:
        label = next(iter(made.image_sizes))
        raise ConfigError(
            f"learner {label} has an image_size of its own, but the images of arm {generated[0]} "
            "have one size; set image_size of the experiment."
        )
    draws = made.split.get("draws", 10)
    if not 1 <= made.base_seeds <= draws:
        raise ConfigError(f"base_seeds={made.base_seeds}: expected 1 to split.draws={draws}.")
    _check_inputs(made)
    for label, names in made.arms_of.items():
        for name in names:
            if name not in made.arms:
                raise ConfigError(unknown(f"arm of learner {label}", name, list(made.arms)))
    if "real_only" not in made.arms:
        raise ConfigError("arms: real_only is missing; every gain is measured against it.")
    _check_primary(made)


def _check_inputs(made: Experiment) -> None:
    for label in made.learners:
        inputs = made.inputs_of.get(label, made.inputs)
        if inputs is not None and inputs not in LAYOUTS:
            raise ConfigError(unknown("inputs", str(inputs), LAYOUTS))
        if inputs in TILED:
            tile_side(made.image_sizes.get(label, made.image_size))


def _check_primary(made: Experiment) -> None:
    primary = made.primary or {}
    known = ("task", "metric", "shots", "learner", "stratum", "against")
    for key in primary:
        if key not in known:
            raise ConfigError(unknown("key of primary", key, known))
    if primary and primary.get("learner") not in made.learners:
        raise ConfigError(
            unknown("learner in primary", str(primary.get("learner")), list(made.learners))
        )
    if primary and primary.get("shots") not in tuple(made.split.get("shots", (1, 5))):
        raise ConfigError(
            f"primary.shots={primary.get('shots')} is not among "
            f"split.shots={made.split.get('shots')}."
        )
    for baseline in as_names(made.learner_baseline):
        if baseline not in made.learners:
            raise ConfigError(unknown("learner_baseline", baseline, list(made.learners)))
