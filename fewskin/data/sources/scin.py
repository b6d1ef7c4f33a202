"""SCIN: over 10,000 photographs that 5,000 people took of their own skin, with weighted diagnoses.

Facts: Classes and rosacea: counted on ingest; case ids; SCIN Data Use License.

Ward et al.: Crowdsourcing dermatology images with Google Search ads (2024).
https://arxiv.org/abs/2402.18545, https://github.com/google-research-datasets/scin.
"""

import ast
import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fewskin.data.cells import fitzpatrick, flag, number, plain, sex
from fewskin.data.published import Sheet, assemble, check_choice, find_table, read_sheet
from fewskin.data.source import SourceRead, list_images
from fewskin.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["scin"]

_IMAGES = tuple(f"image_{i}_path" for i in (1, 2, 3))
_CASES = ("case_id", "age_group", "sex_at_birth", "fitzpatrick_skin_type", *_IMAGES)
_WEIGHTS = "weighted_skin_condition_label"
_TONES = tuple(f"dermatologist_fitzpatrick_skin_type_label_{i}" for i in (1, 2, 3))
_MONK = ("monk_skin_tone_label_india", "monk_skin_tone_label_us")
_VIEWS = {"CLOSE_UP": "close-up", "AT_AN_ANGLE": "at an angle", "AT_DISTANCE": "at a distance"}
_SITE = "body_parts_"
_HOW = (
    "Get scin_cases.csv, scin_labels.csv and images/ of the folder dataset/ in the public bucket "
    "dx-scin-public-data; see https://github.com/google-research-datasets/scin."
)
_PEOPLE = "case ids (kept as lesion_id), not patient ids: one person may have given two cases"


def scin(
    path: Path,
    *,
    out: Path,
    min_weight: float = 0.5,
    tone: Literal["dermatologist", "self"] = "dermatologist",
) -> SourceRead:
    """Read SCIN: one row an image, up to three a case.

    The class is the condition with the highest weight in `weighted_skin_condition_label`, which
    stays as a column; the weight is `label_confidence`. Cases whose highest weight is below
    `min_weight` or shared by two conditions, and cases that were not gradable, are left out. Ages
    are published in ranges.

    Args:
        path: the folder with the two tables (or with `dataset/`), or `scin_cases.csv`.
        out: unused; the images stay where they are.
        min_weight: least weight of the class, 0 to 1.
        tone: `skin_tone` is the Fitzpatrick type most dermatologists gave (blank where they are
            equally divided), or what the person answered.

    Raises:
        DataError: no table, or none of its images is there.
        TableError: a table lacks an official column.
        ConfigError: an option is out of range.
    """
    if not isinstance(min_weight, int | float) or not 0.0 <= min_weight <= 1.0:
        raise ConfigError(f"source.min_weight={min_weight!r}; expected a number from 0 to 1.")
    check_choice("scin", "tone", tone, ("dermatologist", "self"))
    cases = read_sheet(find_table(path, ("scin_cases.csv", "dataset_scin_cases.csv"), _HOW), _CASES)
    beside = cases.file.with_name(cases.file.name.replace("cases", "labels"))
    labels = read_sheet(
        find_table(beside if beside.is_file() else path, (beside.name,), _HOW),
        ("case_id", _WEIGHTS),
    )
    about = _about_cases(cases).join(_about_labels(labels, min_weight), on="case_id").fillna("")
    given = {"dermatologist": "tone_dermatologist", "self": "tone_self"}[tone]
    about = about.assign(skin_tone=about[given], lesion_id=about["case_id"], dataset="scin")
    about = about.assign(dx_basis="dermatologists, from photographs", device="own camera or phone")
    about = about.assign(licence="SCIN Data Use License").drop(columns="case_id")
    files = list_images(path if path.is_dir() else cases.file.parent)
    cases.notes += labels.notes
    return assemble(cases, _one_row_an_image(cases, about), files, path=path, people=_PEOPLE)


def _about_cases(sheet: Sheet) -> "pd.DataFrame":
    parts = [name for name in sheet.frame.columns if name.startswith(_SITE)]
    marked = sheet.frame[parts].to_numpy() == "YES"
    names = [name.removeprefix(_SITE).replace("_", " ") for name in parts]
    sites = ["+".join(n for n, on in zip(names, row, strict=True) if on) for row in marked]
    return sheet.frame[["case_id"]].assign(
        age=sheet.values("age_group", _age_range),
        sex=sheet.values("sex_at_birth", sex),
        site=sites,
        tone_self=sheet.values("fitzpatrick_skin_type", fitzpatrick),
        related_category=sheet.optional("related_category", plain),
        condition_duration=sheet.optional("condition_duration", plain),
    )


def _age_range(text: str) -> str | None:
    low, _, high = text.removeprefix("AGE_").partition("_")
    high = high.removeprefix("TO_").removeprefix("OR_")
    if not low.isdigit():
        return None
    return f"{low}+" if high == "ABOVE" else f"{low}-{high}" if high.isdigit() else None


def _about_labels(sheet: Sheet, min_weight: float) -> "pd.DataFrame":
    chosen = [_top(text) for text in sheet.frame[_WEIGHTS]]
    unread = [top is None for top in chosen]
    sheet.tell("odd_value", unread, f"{_WEIGHTS} is not a dictionary of weights; no label is taken")
    tops = [top or ("", 0.0, False) for top in chosen]
    none = [not label and not bad for (label, _, _), bad in zip(tops, unread, strict=True)]
    sheet.tell("unlabelled", none, f"{_WEIGHTS} is empty: not gradable, or no condition named")
    tied = [tie for _, _, tie in tops]
    sheet.tell("tied_label", tied, "two conditions share the highest weight; no label is taken")
    weak = [bool(label) and not tie and w < min_weight for label, w, tie in tops]
    sheet.tell("weak_label", weak, f"the highest weight is below {min_weight:g}; no label is taken")
    keep = [bool(t[0]) and not a and not b for t, a, b in zip(tops, tied, weak, strict=True)]
    rows = sheet.frame[["case_id", _WEIGHTS]].assign(
        label=[top[0] if kept else "" for top, kept in zip(tops, keep, strict=True)],
        label_confidence=[f"{t[1]:g}" if kept else "" for t, kept in zip(tops, keep, strict=True)],
        tone_dermatologist=_agreed(sheet),
        **{name: sheet.optional(name, number) for name in _MONK},
        **{name: sheet.optional(name, flag) for name in _gradable(sheet)},
    )
    twice = rows["case_id"].duplicated()
    sheet.tell("twice", twice, "the case is in an earlier row; this one is left out")
    return rows[~twice].set_index("case_id")


def _gradable(sheet: Sheet) -> list[str]:
    return [name for name in sheet.frame.columns if name.startswith("gradable_for_monk")]


def _top(text: str) -> tuple[str, float, bool] | None:
    """Return (condition, weight, whether another has that weight); None if it cannot be read."""
    try:
        weights = ast.literal_eval(text.strip() or "{}")
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    if not isinstance(weights, dict) or not all(
        isinstance(k, str) and isinstance(w, int | float) and math.isfinite(w) and 0 <= w <= 1
        for k, w in weights.items()
    ):
        return None
    ranked = sorted(weights.items(), key=lambda item: (-item[1], item[0]))
    if not ranked:
        return "", 0.0, False
    return ranked[0][0], float(ranked[0][1]), len(ranked) > 1 and ranked[1][1] == ranked[0][1]


def _agreed(sheet: Sheet) -> list[str]:
    given = [sheet.values(name, fitzpatrick) for name in _TONES if name in sheet.frame.columns]
    tones, split = [], []
    for row in zip(*given, strict=True):
        votes = Counter(tone for tone in row if tone).most_common(2)
        split.append(len(votes) == 2 and votes[0][1] == votes[1][1])
        tones.append(votes[0][0] if votes and not split[-1] else "")
    if given:
        sheet.tell("odd_value", split, "dermatologists are divided on the skin type; left blank")
    return tones or [""] * len(sheet.frame)


def _one_row_an_image(cases: Sheet, about: "pd.DataFrame") -> "pd.DataFrame":
    import pandas as pd

    parts = []
    for column in _IMAGES:
        # Names are numbers that occur once; the folder of a local copy may be another.
        name = cases.frame[column].str.strip().str.rpartition("/")[2]
        shot = column.replace("_path", "_shot_type")
        view = cases.optional(shot, plain)
        view = view.map(lambda text: _VIEWS.get(text, "")) if not isinstance(view, str) else view
        parts.append(about.assign(image=name, view=view)[name != ""])
    return pd.concat(parts).sort_index(kind="stable")
