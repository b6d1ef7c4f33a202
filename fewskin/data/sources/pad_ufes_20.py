"""PAD-UFES-20: 2,298 smartphone photographs of six skin lesions with 26 columns about the patient.

Facts: 6 classes; patient ids; CC BY 4.0; no rosacea.

Pacheco et al.: PAD-UFES-20: a skin lesion dataset composed of patient data and clinical images
collected from smartphones. Data in Brief 32 (2020). https://doi.org/10.17632/zr7vgbcyr2.1
"""

from pathlib import Path
from typing import TYPE_CHECKING

from fewskin.data.cells import age, fitzpatrick, flag, number, plain, sex, site
from fewskin.data.published import Sheet, assemble, find_table, read_sheet
from fewskin.data.source import SourceRead, list_images

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["pad_ufes_20"]

_FLAGS = (
    *("smoke", "drink", "pesticide", "skin_cancer_history", "cancer_history"),
    *("has_piped_water", "has_sewage_system"),
    *("itch", "grew", "hurt", "changed", "bleed", "elevation"),
)
_NUMBERS = ("diameter_1", "diameter_2")
_TEXTS = ("background_father", "background_mother")
_COLUMNS = (
    *("img_id", "patient_id", "lesion_id", "diagnostic", "age", "gender", "fitspatrick"),
    *("region", "biopsed"),
)
_HOW = "Get it from https://data.mendeley.com/datasets/zr7vgbcyr2/1 and unpack every zip in it."


def pad_ufes_20(path: Path, *, out: Path) -> SourceRead:
    """Read PAD-UFES-20 as published, or a part of it.

    `dx_basis` is biopsy where the column `biopsed` is True, otherwise clinical: the consensus of
    dermatologists. The other columns stay, as true, false, a number or blank.

    Args:
        path: the folder with `metadata.csv` and the images at any depth, or that table.
        out: unused; the images stay where they are.

    Raises:
        DataError: no table, or none of its images is there.
        TableError: the table lacks an official column.
    """
    sheet = read_sheet(find_table(path, ("metadata.csv",), _HOW), _COLUMNS)
    basis = sheet.values("biopsed", flag).map({"true": "biopsy", "false": "clinical", "": ""})
    rows = sheet.frame[["patient_id", "lesion_id"]].assign(
        image=sheet.frame["img_id"],
        label=sheet.values("diagnostic", plain),
        age=sheet.values("age", age),
        sex=sheet.values("gender", sex),
        skin_tone=sheet.values("fitspatrick", fitzpatrick),
        site=sheet.values("region", site),
        dx_basis=basis,
        **_others(sheet),
        dataset="pad_ufes_20",
        view="clinical",
        device="smartphone",
        licence="CC BY 4.0",
    )
    files = list_images(path if path.is_dir() else sheet.file.parent)
    return assemble(sheet, rows, files, path=path, people="")


def _others(sheet: Sheet) -> "dict[str, pd.Series[str] | str]":
    kinds = {**dict.fromkeys(_FLAGS, flag), **dict.fromkeys(_NUMBERS, number)}
    kinds |= dict.fromkeys(_TEXTS, plain)
    return {name: sheet.optional(name, convert) for name, convert in kinds.items()}
