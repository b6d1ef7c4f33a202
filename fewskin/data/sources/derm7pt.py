"""Derm7pt: 1,011 skin lesions, each a dermoscopic and a clinical image, and the 7-point checklist.

Facts: 20 classes; case numbers, no patient ids; terms at derm.cs.sfu.ca; no rosacea.

Kawahara, Daneshvar, Argenziano, Hamarneh: Seven-point checklist and skin lesion classification
using multitask multimodal neural nets. IEEE J-BHI 23 (2019). https://doi.org/10.1109/JBHI.2018.2824327
"""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fewskin.data.cells import number, plain, sex, site
from fewskin.data.published import Sheet, assemble, check_choice, find_table, read_sheet
from fewskin.data.source import SourceRead, list_images, read_csv
from fewskin.errors import TableError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["derm7pt"]

_COLUMNS = ("case_num", "diagnosis", "location", "sex", "clinic", "derm")
_CRITERIA = (
    *("pigment_network", "streaks", "pigmentation", "regression_structures"),
    *("dots_and_globules", "blue_whitish_veil", "vascular_structures"),
    *("level_of_diagnostic_difficulty", "elevation", "management"),
)
_VIEWS = {"derm": "dermoscopy", "clinic": "clinical"}
_SPLITS = {"train": "train", "valid": "val", "test": "test"}
_HOW = "Get release_v0.zip from https://derm.cs.sfu.ca, which asks for your address."
_PEOPLE = "case numbers (kept as lesion_id), not patient ids: one person may have two cases"


def derm7pt(
    path: Path, *, out: Path, image: Literal["derm", "clinic", "both"] = "derm"
) -> SourceRead:
    """Read Derm7pt as published; images of one case share a `lesion_id`.

    The seven criteria and their score stay as columns, and so does the published split.

    Args:
        path: the folder `release_v0` with `meta/meta.csv` and `images/`, or that table.
        out: unused; the images stay where they are.
        image: dermoscopic images, clinical ones, or both as two rows a case.

    Raises:
        DataError: no table, or none of its images is there.
        TableError: the table lacks an official column, or a split file is not a list of numbers.
        ConfigError: `image` is not one of the choices.
    """
    check_choice("derm7pt", "image", image, ("derm", "clinic", "both"))
    sheet = read_sheet(find_table(path, ("meta.csv", "derm7pt_meta.csv"), _HOW), _COLUMNS)
    about = sheet.frame[[]].assign(
        label=sheet.values("diagnosis", plain),
        lesion_id=sheet.frame["case_num"],
        site=sheet.values("location", site),
        sex=sheet.values("sex", sex),
        **{name: sheet.optional(name, plain) for name in _CRITERIA},
        seven_point_score=sheet.optional("seven_point_score", number),
        split=_splits(sheet),
        dataset="derm7pt",
        licence="terms at derm.cs.sfu.ca",
    )
    files = list_images(_root(sheet.file))
    return assemble(sheet, _images(sheet, about, image), files, path=path, people=_PEOPLE)


def _root(table: Path) -> Path:
    return table.parent.parent if table.parent.name == "meta" else table.parent


def _images(sheet: Sheet, about: "pd.DataFrame", image: str) -> "pd.DataFrame":
    import pandas as pd

    wanted = [name for name in _VIEWS if image in (name, "both")]
    parts = [about.assign(image=sheet.frame[name], view=_VIEWS[name]) for name in wanted]
    return pd.concat(parts).sort_index(kind="stable")


def _splits(sheet: Sheet) -> list[str]:
    """Return the published part of each case; the files hold positions in the table from 0."""
    parts = [""] * len(sheet.frame)
    for name, split in _SPLITS.items():
        file = sheet.file.with_name(f"{name}_indexes.csv")
        if not file.is_file():
            continue
        frame = read_csv(file)
        for row, cell in enumerate(frame.get("indexes", ["none"]), start=2):
            if not cell.isdigit() or int(cell) >= len(parts):
                raise TableError(
                    f"{file} row {row}: {cell!r}; expected a column indexes with row positions 0 "
                    f"to {len(parts) - 1} of {sheet.file.name}."
                )
            parts[int(cell)] = split
    return parts
