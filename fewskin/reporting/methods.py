"""Sections on how: the design, what was fixed in advance, provenance and limits."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fewskin.reporting.blocks import Block, Bullets, Code, Section, Table, Text
from fewskin.reporting.study import Study
from fewskin.reporting.wording import ARM_MEANING, joined, metric_name, plural, shown, task_meaning

__all__ = ["DISCLAIMER", "limit_section", "method_section", "provenance_section", "simulated_note"]

DISCLAIMER = "Research tool, not a medical device. Nothing here may guide the care of a patient."
_CHOICE = {
    "fixed": "nothing was chosen on this data: all settings were fixed beforehand",
    "base_episodes": "settings were chosen on base classes, treated as if rare, with the same K",
    "support_cv": "settings were chosen by cross-validation within the support images",
}
_INTERVALS = (
    "Intervals are 95 %: the variance over draws of the support patients plus the variance over "
    "test groups minus their interaction (found by leaving out one group at a time within its "
    "class), with a Satterthwaite t. They answer “other support patients and other test patients "
    "of the same kind”, not another hospital or camera."
)


def simulated_note(study: Study) -> str:
    """Return the banner of a study whose images were all made by a program, else ""."""
    if not study.bundle.simulated:
        return ""
    return (
        "Simulated data: every photograph was drawn by a program and no patient was involved. The "
        "results test the method and say nothing about real skin disease."
    )


def method_section(study: Study) -> Section:
    """Return how the experiment was made."""
    return Section("How the experiment was made", "methods", tuple(_methods(study)))


def _methods(study: Study) -> Iterator[Block]:
    yield Table("The design.", ("what", "value"), list(_design(study)))
    yield Text(
        "All arms of a learner see the same draws, the same seeds, and take the same steps with "
        "the same batch size, augmentation and class balance; an arm only changes which images "
        "fill a batch."
    )
    yield Text(_INTERVALS)
    methods = [text for text in study.bundle.gains["method"].unique() if text]
    if methods:
        yield Text(f"As recorded in tables/gains.csv: {'; '.join(methods)}.", "note")
    yield Text(_power(study))


def _design(study: Study) -> Iterator[tuple[str, str]]:
    gains, settings = study.bundle.gains, study.bundle.settings
    split, evaluated = _params(study, "split"), _params(study, "evaluate")
    learners = settings.get("learners") or {}
    yield "tasks", "; ".join(task_meaning(task) for task in gains["task"].unique())
    yield "K, patients per rare class", joined(str(k) for k in sorted(gains["shots"].unique()))
    yield "draws of K patients", joined(str(n) for n in sorted(gains["n_draws"].unique()))
    yield (
        "learners",
        "; ".join(_spec(label, learners.get(label)) for label in gains["learner"].unique()),
    )
    yield "arms", "; ".join(_arm(study, name, label) for (name, _), label in _named_arms(study))
    yield "cells (task × learner × arm × K × draw)", f"{_n_cells(study):,}"
    for name, key in _SPLIT_ROWS:
        if split.get(key) is not None:
            yield name, _plain(split[key])
    if settings.get("image_size"):
        yield "image size, pixels", str(settings["image_size"])
    if settings.get("inputs") or any((settings.get("inputs_of") or {}).values()):
        yield "what learners read", _crops(settings)
    yield "base fits (seeds)", joined(str(n) for n in sorted(gains["n_base_seeds"].unique()))
    yield "root seed", _plain(settings.get("seed", evaluated.get("seed", "unknown")))
    yield "primary comparison, fixed in advance", _primary(study)
    yield (
        "choice of settings",
        "; ".join(f"{c}: {_CHOICE.get(c, c)}" for c in gains["select_on"].unique()),
    )


_CROPS = {
    None: "the photographs as they are",
    "face": "the face alone, set upright",
    "patches": "the face and patches of its skin",
    "masked": "patches of bare skin, without eyes, brows, lips and surroundings",
}


def _crops(settings: Mapping[str, Any]) -> str:  # Any: JSON values
    common, own = settings.get("inputs"), settings.get("inputs_of") or {}
    apart = [f"{label}: {_CROPS.get(kind, kind)}" for label, kind in own.items()]
    every = set(own) >= set(settings.get("learners") or ["any"])
    return "; ".join([*([] if every else [_CROPS.get(common, str(common))]), *apart])


_SPLIT_ROWS = (
    ("rare classes", "rare"),
    ("common classes", "common"),
    ("photographs per patient in support", "photos_per_patient"),
    ("pool, patients per rare class at most", "pool"),
    ("test share of the common classes' patients", "test_share"),
    ("test patients set by", "test_where"),
    ("seed of the split", "seed"),
)


def _params(study: Study, stage: str) -> Mapping[str, Any]:  # Any: JSON values
    found = study.bundle.made_by(stage)
    return found[0].get("params") or {} if found else {}


def _plain(value: Any) -> str:  # Any: a JSON value
    if value is None:
        return "not set"
    if isinstance(value, list):
        return joined(map(_plain, value), limit=20)
    if isinstance(value, dict):
        return ", ".join(f"{key} = {_plain(item)}" for key, item in value.items())
    return str(value)


def _spec(label: str, spec: Mapping[str, Any] | None) -> str:  # Any: JSON values
    settings = dict(spec or {})
    name = settings.pop("name", label)
    parts = [name] if name != label else []
    parts += [f"{key} = {_plain(value)}" for key, value in settings.items()]
    return f"{label} ({', '.join(parts)})" if parts else label


def _named_arms(study: Study) -> Sequence[tuple[tuple[str, float], str]]:
    return list(zip(study.arms.keys, study.arms.labels, strict=True))


def _arm(study: Study, name: str, label: str) -> str:
    planned = (study.bundle.settings.get("arms") or {}).get(name) or {}
    generator = planned.get("generator") if name not in ARM_MEANING else None
    ratios = [f"{ratio:g}" for ratio in _ratios(study, name) if ratio]
    parts = [ARM_MEANING.get(name, ""), _spec("generator", generator) if generator else ""]
    parts += [f"{joined(ratios)} per real image"] if ratios else []
    if planned.get("image_size"):
        parts.append(f"made at {planned['image_size']} px")
    if planned.get("generated_only"):
        parts.append("trained on these alone, without the real ones")
    about = ", ".join(part for part in parts if part)
    return f"{label}: {about}" if about else label


def _ratios(study: Study, name: str) -> list[float]:
    return [ratio for arm, ratio in study.arms.keys if arm == name]


def _n_cells(study: Study) -> int:
    plain = study.plain(study.metric)
    return int(plain["n_draws"].sum())


def _primary(study: Study) -> str:
    row = study.primary
    if row is None:
        return "none: every comparison is exploratory"
    measure = study.measure_name(row["metric"], row["stratum"])
    return f"{measure}, task {row['task']}, K = {row['shots']}, learner {row['learner']}"


def _power(study: Study) -> str:
    verdicts = study.headline(study.bundle.verdicts)
    row = study.primary
    known = verdicts["detectable"].to_numpy(float)
    known = known[np.isfinite(known)]
    opening = (
        "The smallest detectable gain is 2.8 standard errors of the difference between the two "
        "controls, a true gain that would be found 4 times in 5; it does not look at the other "
        "arms. "
    )
    if row is not None and np.isfinite(row["detectable"]):
        amount = f"{shown(row['detectable'])} points of {metric_name(row['metric'])}"
        return f"{opening}For the primary comparison it is {amount}."
    if len(known):
        return f"{opening}Here it is {shown(known.min())} to {shown(known.max())} points."
    return f"{opening}It could not be computed here: it needs both controls and an interval."


def provenance_section(study: Study, command: str, notes: str) -> Section:
    """Return what would be needed to make these numbers again."""
    return Section("Provenance", "provenance", tuple(_provenance(study, command, notes)))


def _provenance(study: Study, command: str, notes: str) -> Iterator[Block]:
    if command:
        yield Text("The command that makes this report again, from the same data and version:")
        yield Code(command)
    if notes:
        yield Text(notes)
    records = list(study.bundle.records.values())
    if not records:
        yield Text("The tables came without records of how they were made.", "warning")
        return
    yield Table(
        "The results this report was made from. A key names a result by everything that went into "
        "it; the same key means the same numbers.",
        ("input", "stage", "key", "settings"),
        list(_inputs(study)),
    )
    yield Table(
        "Everything these results rest on, as far as its record is still there; each is a row of "
        "tables/provenance.csv.",
        ("stage", "results", "computing time"),
        list(_stages(study)),
        frozenset({1, 2}),
    )
    yield Table("Where and with what it was computed.", ("what", "value"), list(_machines(records)))


def _inputs(study: Study) -> Iterator[tuple[str, str, str, str]]:
    for name, folders in study.bundle.folders.items():
        found = [
            study.bundle.records[folder] for folder in folders if folder in study.bundle.records
        ]
        for record in found[:3]:
            params = json.dumps(record.get("params") or {}, sort_keys=True, ensure_ascii=False)
            yield name, str(record.get("stage", "")), str(record["key"])[:12], _cut(params)
        if len(found) > 3:
            yield name, str(found[0].get("stage", "")), f"and {len(found) - 3} more", ""
        if len(found) < len(folders):
            yield name, "", f"{plural(len(folders) - len(found), 'folder')} without record", ""


def _cut(text: str, most: int = 400) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _stages(study: Study) -> Iterator[tuple[str, str, str]]:
    names = sorted({str(record.get("stage", "")) for record in study.bundle.records.values()})
    for name in names:
        found = study.bundle.made_by(name)
        yield (
            name,
            f"{len(found):,}",
            _duration(sum(float(record.get("seconds") or 0) for record in found)),
        )


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _machines(records: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for name, key in (
        ("machine", "machine"),
        ("device", "device"),
        ("threads", "threads"),
        ("Python", "python"),
    ):
        values = sorted(
            {str(record[key]) for record in records if record.get(key) not in (None, "")}
        )
        if values:
            yield name, joined(values)
    versions = {
        (str(package), str(version))
        for record in records
        for package, version in (record.get("versions") or {}).items()
    }
    if versions:
        yield "packages", ", ".join(f"{package} {version}" for package, version in sorted(versions))


def limit_section(study: Study) -> Section:
    """Return what these results do not show."""
    return Section("Limitations", "limitations", (Bullets(list(_limits(study))),))


def _limits(study: Study) -> Iterator[str]:
    gains, rows = study.bundle.gains, study.bundle.rows
    if study.bundle.simulated:
        yield simulated_note(study)
    if study.groups != "patients":
        yield (
            f"Groups are {study.groups}, not patients, where no patient ids were given; "
            "independence of test and support patients cannot be checked there."
        )
    tone = (rows["skin_tone"] != "").mean() if len(rows) else 0.0
    if tone < 1:
        known = (
            "unknown for every image"
            if tone == 0
            else f"known for {100 * tone:.0f} % of the images only"
        )
        yield f"Skin tone is {known}, so nothing is said about equal performance over skin tones."
    elif rows["skin_tone"].nunique() > 1:
        yield "Results are not broken down by skin tone, although it is known."
    if rows["dataset"].nunique() <= 1:
        yield "All images come from one data set; other clinics and cameras were not tested."
    if int(gains["n_base_seeds"].max()) < 3:
        n = plural(int(gains["n_base_seeds"].max()), "base fit")
        yield f"Everything rests on {n} a learner; another seed could shift all its arms together."
    paired = gains[gains["baseline"].isin(study.controls)]
    blank = int(paired["gain_low"].isna().sum())
    if blank:
        share = f"{blank:,} of {len(paired):,} gains"
        yield f"{share} have no interval, because a class has fewer than 10 test groups."
    many = len(study.bundle.verdicts) - int(study.bundle.verdicts["primary"].sum())
    if many > 0:
        yield (
            f"{plural(many, 'comparison')} besides the primary one are not corrected for their "
            "number; about 1 in 20 intervals excludes 0 without any true gain."
        )
    yield from _independence(study)
    yield DISCLAIMER


def _independence(study: Study) -> Iterator[str]:
    for name, spec in (study.bundle.settings.get("learners") or {}).items():
        weights = (spec or {}).get("weights")
        if weights:
            yield (
                f"Learner {name} starts from weights trained elsewhere ({weights}); if their "
                "training images include these patients, independence is unknown."
            )
