"""ISIC challenges of 2018, 2019 and 2020: dermoscopic images of pigmented skin lesions.

Facts: 7 to 9 classes; patient ids in 2020, else lesion ids; CC BY-NC 4.0; no rosacea.

2018 task 3 is HAM10000 (10,015 images); 2019 has 25,331 and 2020 has 33,126 training images.
https://challenge.isic-archive.com/data, Rotemberg et al., Scientific Data 8, 34 (2021).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fewskin.data.cells import age, plain, sex, site
from fewskin.data.published import Sheet, assemble, check_choice, read_sheet
from fewskin.data.source import SourceRead, finding, list_images
from fewskin.errors import ConfigError, DataError, TableError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["isic"]

_CLASSES = ("MEL", "NV", "BCC", "AK", "AKIEC", "BKL", "DF", "VASC", "SCC", "UNK")
_PARTS = {"training": "train", "validation": "val", "test": "test"}
_HOW = "Get it from https://challenge.isic-archive.com/data and unpack the zips."
_PEOPLE = "lesion ids at most, no patient ids: two lesions of one person may be in train and test"
_META_2019 = ("image", "age_approx", "anatom_site_general", "sex")
_TABLE_2020 = (
    *("image_name", "patient_id", "sex", "age_approx", "anatom_site_general_challenge"),
    *("diagnosis", "benign_malignant"),
)
_PAIR = ("image_name_1", "image_name_2")


def isic(
    path: Path,
    *,
    out: Path,
    year: int = 0,
    part: Literal["training", "validation", "test"] = "training",
    label: Literal["diagnosis", "benign_malignant"] = "diagnosis",
    duplicates: Literal["leave_out", "keep"] = "leave_out",
) -> SourceRead:
    """Read the ground truth of one ISIC challenge, and what lies beside it.

    2018 and 2019 are one-hot; 2019's metadata and 2018's lesion groupings are joined where present.
    The class UNK, and 2020's diagnosis "unknown", are no diagnosis: those images are left out.

    Args:
        path: the folder with the ground truth and the images at any depth, or that table.
        out: unused; the images stay where they are.
        year: 2018, 2019 or 2020; needed where a folder holds several.
        part: which ground truth; kept in the column `split`, which nothing trusts.
        label: of 2020 only: the diagnosis, or benign against malignant.
        duplicates: of 2020 only: of each group in `ISIC_2020_Training_Duplicates.csv`, keep the
            first image, or none if their labels differ; or keep them all.

    Raises:
        DataError: no ground truth, or none of its images is there.
        TableError: a table lacks an official column.
        ConfigError: an option is not one of the choices, or the year is not clear.
    """
    check_choice("isic", "part", part, tuple(_PARTS))
    check_choice("isic", "label", label, ("diagnosis", "benign_malignant"))
    check_choice("isic", "duplicates", duplicates, ("leave_out", "keep"))
    root = path if path.is_dir() else path.parent
    file, found_year = _truth(path, year, part)
    if found_year == 2020:
        sheet, rows = _rows_2020(file, label)
        if duplicates == "leave_out":
            rows = _without_duplicates(sheet, rows, root)
    else:
        sheet, rows = _rows_one_hot(file, root)
    rows = rows.assign(
        dataset=f"isic{found_year}",
        view="dermoscopy",
        split=next((_PARTS[name] for name in _PARTS if name.title() in file.name), ""),
        licence="CC BY-NC 4.0",
    )
    people = "" if found_year == 2020 else _PEOPLE
    return assemble(sheet, rows, list_images(root), path=path, people=people)


def _truth(path: Path, year: int, part: str) -> tuple[Path, int]:
    given = [path] if path.is_file() else sorted(path.rglob("ISIC*GroundTruth*.csv"))
    # The last one stays: of 2020, the second version, which has lesion ids.
    years = {
        known: file
        for file in given
        for known in (2018, 2019, 2020)
        if str(known) in file.name and (path.is_file() or part.title() in file.name)
    }
    wanted = [year] if year else sorted(years)
    if len(wanted) > 1:
        raise ConfigError(
            f"{path} holds the ground truth of {', '.join(map(str, wanted))}; pass source.year=."
        )
    if not wanted or wanted[0] not in years:
        name = f"ISIC {year or '2018, 2019 or 2020'} {part} ground truth"
        raise DataError(f"{path} holds no {name} (ISIC*GroundTruth*.csv). {_HOW}")
    return years[wanted[0]], wanted[0]


def _rows_one_hot(file: Path, root: Path) -> "tuple[Sheet, pd.DataFrame]":
    sheet = read_sheet(file, ("image",))
    classes = [name for name in _CLASSES if name in sheet.frame.columns]
    if len(classes) < 2:
        raise TableError(f"{file}: no one-hot columns; expected some of {', '.join(_CLASSES)}.")
    hot = sheet.frame[classes].isin(["1", "1.0"])
    odd = ~sheet.frame[classes].isin(["0", "0.0", "1", "1.0"]).all(axis=1) | (hot.sum(axis=1) != 1)
    sheet.tell("odd_value", odd, "not exactly one class is 1; no label is taken")
    label = hot.idxmax(axis=1).where(~odd, "")
    sheet.tell("odd_value", label == "UNK", "the class is UNK, which is no diagnosis")
    rows = sheet.frame[["image"]].assign(label=label.where(label != "UNK", ""))
    beside = {"ISIC_2019_*_Metadata.csv": _meta_2019, "ISIC2018_*_LesionGroupings.csv": _lesions}
    for pattern, read in beside.items():
        for table in sorted(root.rglob(pattern)):
            more, about = read(table)
            about = about[~about.index.duplicated()].reindex(rows["image"]).fillna("")
            for column in about.columns:
                # Training and test lie in separate tables; each fills its own images.
                before = rows[column].to_numpy() if column in rows else ""
                rows[column] = about[column].where(about[column] != "", before).to_numpy()
            sheet.notes += more.notes
    return sheet, rows


def _meta_2019(file: Path) -> "tuple[Sheet, pd.DataFrame]":
    sheet = read_sheet(file, _META_2019)
    rows = sheet.frame[[]].assign(
        age=sheet.values("age_approx", age),
        site=sheet.values("anatom_site_general", site),
        sex=sheet.values("sex", sex),
        lesion_id=sheet.optional("lesion_id", plain),
    )
    return sheet, rows.set_index(sheet.frame["image"])


def _lesions(file: Path) -> "tuple[Sheet, pd.DataFrame]":
    sheet = read_sheet(file, ("image", "lesion_id", "diagnosis_confirm_type"))
    rows = sheet.frame[["lesion_id"]].assign(dx_basis=sheet.values("diagnosis_confirm_type", plain))
    return sheet, rows.set_index(sheet.frame["image"])


def _rows_2020(file: Path, label: str) -> "tuple[Sheet, pd.DataFrame]":
    sheet = read_sheet(file, _TABLE_2020)
    texts = {name: sheet.values(name, plain) for name in ("diagnosis", "benign_malignant")}
    rows = sheet.frame[["patient_id"]].assign(
        image=sheet.frame["image_name"],
        label=texts[label],
        lesion_id=sheet.optional("lesion_id", plain),
        age=sheet.values("age_approx", age),
        sex=sheet.values("sex", sex),
        site=sheet.values("anatom_site_general_challenge", site),
        **texts,
    )
    return sheet, rows


def _without_duplicates(sheet: Sheet, rows: "pd.DataFrame", root: Path) -> "pd.DataFrame":
    from fewskin.data.duplicates import components

    tables = sorted(root.rglob("ISIC_2020_Training_Duplicates.csv"))
    if not tables:
        detail = "no ISIC_2020_Training_Duplicates.csv; published copies are not left out"
        sheet.notes.append(finding("duplicate_list", detail))
        return rows
    pairs = read_sheet(tables[0], _PAIR).frame
    at = {name: i for i, name in enumerate(rows["image"])}
    linked = [
        [at[one], at[two]] for one, two in pairs[list(_PAIR)].to_numpy() if one in at and two in at
    ]
    known = rows["label"] != ""
    group = components(len(rows), linked)
    labels = known & (rows["label"].where(known).groupby(group).transform("nunique") > 1)
    later = known & (known.groupby(group).cumsum() > 1)
    what = f"listed in {tables[0].name}"
    sheet.tell("duplicate_list", labels, f"{what} with copies of another label; left out")
    sheet.tell("duplicate_list", later & ~labels, f"{what} as a copy of an earlier row; left out")
    return rows[~(labels | later)]
