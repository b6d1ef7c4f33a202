"""Fitzpatrick 17k: 16,577 clinical photographs of skin conditions with Fitzpatrick skin types.

Facts: 114 classes; no patient ids; CC BY-NC-SA 3.0; rosacea is a class.

Groh et al.: Evaluating deep neural networks trained on clinical images in dermatology with the
Fitzpatrick 17k dataset. CVPR Workshops 2021. https://arxiv.org/abs/2104.09957,
table at https://github.com/mattgroh/fitzpatrick17k.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from fewskin.data.cells import fitzpatrick, plain
from fewskin.data.published import Sheet, assemble, check_choice, find_table, read_sheet
from fewskin.data.source import ImageFiles, SourceRead, list_images

__all__ = ["fitzpatrick17k"]

_COLUMNS = (
    *("md5hash", "fitzpatrick_scale", "fitzpatrick_centaur", "label", "nine_partition_label"),
    *("three_partition_label", "qc", "url_alphanum"),
)
_LABELS = ("label", "nine_partition_label", "three_partition_label")
_TONES = ("fitzpatrick_scale", "fitzpatrick_centaur")
_HOW = (
    "Table: https://github.com/mattgroh/fitzpatrick17k; images: from its url column, or by the "
    "form linked there."
)
_PEOPLE = "no patient ids; two photographs of one person may be in training and test"


def fitzpatrick17k(
    path: Path,
    *,
    out: Path,
    label: Literal["label", "nine_partition_label", "three_partition_label"] = "label",
    tone: Literal["fitzpatrick_scale", "fitzpatrick_centaur"] = "fitzpatrick_scale",
    leave_out: Sequence[str] = ("3 Wrongly labelled",),
) -> SourceRead:
    """Read `fitzpatrick17k.csv`; images are named by `md5hash` or `url_alphanum`.

    A skin type of -1 means that the annotators could not tell; it becomes blank.

    Args:
        path: the folder with `fitzpatrick17k.csv` and the images at any depth, or that table.
        out: unused; the images stay where they are.
        label: column with the class: 114 conditions, nine groups or three.
        tone: column for `skin_tone`: Scale AI's annotators, or the Centaur crowd.
        leave_out: verdicts of the column `qc` that exclude an image.

    Raises:
        DataError: no table, or none of its images is there.
        TableError: the table lacks an official column.
        ConfigError: `label` or `tone` is not one of the choices.
    """
    check_choice("fitzpatrick17k", "label", label, _LABELS)
    check_choice("fitzpatrick17k", "tone", tone, _TONES)
    sheet = read_sheet(find_table(path, ("fitzpatrick17k.csv",), _HOW), _COLUMNS)
    files = list_images(path if path.is_dir() else sheet.file.parent)
    frame = sheet.frame
    rows = frame[["md5hash", "nine_partition_label", "three_partition_label", "qc"]].assign(
        image=_names(sheet, files),
        image_id=frame["md5hash"],
        label=sheet.values(label, plain),
        dataset="fitzpatrick17k",
        view="clinical",
        licence="CC BY-NC-SA 3.0",
    )
    tones = {column: sheet.values(column, fitzpatrick) for column in _TONES}
    rows = rows.assign(skin_tone=tones[tone], **tones)
    wrong = frame["qc"].isin([leave_out] if isinstance(leave_out, str) else list(leave_out))
    sheet.tell("excluded", wrong, "qc is one of source.leave_out; the image is left out")
    rows = rows[~wrong].drop(columns="md5hash")
    return assemble(sheet, rows, files, path=path, people=_PEOPLE)


def _names(sheet: Sheet, files: ImageFiles) -> list[str]:
    pairs = zip(sheet.frame["md5hash"], sheet.frame["url_alphanum"], strict=True)
    return [url if files.find(md5) is None and files.find(url) else md5 for md5, url in pairs]
