"""Has a learner's pre-training seen the test patients? If nobody can tell, the verdict says so."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["outside_training", "unknown_independence"]

_OWN_BASE_FIT = re.compile(r"(?:^|, )\d+ base images(?: of [^,]+(?:, [^,]+)*)?$")


def outside_training(pretrained_on: str) -> str:
    """Return what weights had seen before the study's own base fit; "" from scratch.

    Example:
        >>> outside_training("imagenet-1k, 1870 base images of ham10000")
        'imagenet-1k'
        >>> outside_training("1870 base images of ham10000")
        ''
    """
    return _OWN_BASE_FIT.sub("", pretrained_on)


def unknown_independence(predictions: Sequence[Path], datasets: Sequence[str]) -> Mapping[str, str]:
    """Return learner -> note, for learners whose weights may have seen the test patients.

    Args:
        predictions: folders of `fewskin predict`; their `cell.json` says what the weights saw.
        datasets: names of the data sets of the test rows.
    """
    notes: dict[str, str] = {}
    for folder in predictions:
        file = folder / "cell.json"
        if not file.is_file():
            continue
        cell = json.loads(file.read_text())
        outside = outside_training(cell.get("pretrained_on", "unknown"))
        seen = [name for name in datasets if name and name.lower() in outside.lower()]
        if outside == "unknown" or "unknown" in outside.split(", ") or seen:
            notes[cell["learner"]] = f"independence unknown: weights pre-trained on {outside}"
    return notes
