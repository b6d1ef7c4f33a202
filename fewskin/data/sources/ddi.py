"""Diverse Dermatology Images: 656 clinical photographs of dark and light skin, proven by pathology.

Facts: 78 classes; no patient ids; Stanford research use agreement; no rosacea.

Daneshjou et al.: Disparities in dermatology AI performance on a diverse, curated clinical image
set. Science Advances 8, eabq6147 (2022). https://doi.org/10.1126/sciadv.abq6147
"""

from pathlib import Path
from typing import Literal

from fewskin.data.cells import flag, plain
from fewskin.data.published import assemble, check_choice, find_table, read_sheet
from fewskin.data.source import SourceRead, list_images

__all__ = ["ddi"]

_COLUMNS = ("DDI_file", "skin_tone", "disease")
_MALIGNANT = ("malignant", "malignancy(malig=1)")
_TONES = {"12": "I-II", "34": "III-IV", "56": "V-VI"}
_MEANING = {"true": "malignant", "false": "benign", "": ""}
_HOW = "Get it from https://ddi-dataset.github.io (a research use agreement is asked for)."
_PEOPLE = "no patient ids; two photographs of one person may be in training and test"


def ddi(path: Path, *, out: Path, label: Literal["disease", "malignant"] = "disease") -> SourceRead:
    """Read DDI as published.

    `skin_tone` is the published pair of Fitzpatrick types: 12 is I-II, 34 III-IV, 56 V-VI.

    Args:
        path: the folder with `ddi_metadata.csv` and the images at any depth, or that table.
        out: unused; the images stay where they are.
        label: the class is the disease, or malignant against benign.

    Raises:
        DataError: no table, or none of its images is there.
        TableError: the table lacks an official column.
        ConfigError: `label` is not one of the choices.
    """
    check_choice("ddi", "label", label, ("disease", "malignant"))
    sheet = read_sheet(find_table(path, ("ddi_metadata.csv",), _HOW), _COLUMNS)
    column = next((name for name in _MALIGNANT if name in sheet.frame.columns), _MALIGNANT[0])
    malignant = sheet.values(column, flag).map(_MEANING) if column in sheet.frame.columns else ""
    disease = sheet.values("disease", plain)
    rows = sheet.frame[["DDI_file"]].assign(
        image=sheet.frame["DDI_file"],
        label=disease if label == "disease" else malignant,
        disease=disease,
        malignant=malignant,
        skin_tone=sheet.values("skin_tone", lambda text: _TONES.get(text.removesuffix(".0"))),
        dx_basis="pathology",
        dataset="ddi",
        view="clinical",
        licence="Stanford research use agreement",
    )
    files = list_images(path if path.is_dir() else sheet.file.parent)
    return assemble(sheet, rows.drop(columns="DDI_file"), files, path=path, people=_PEOPLE)
