"""DermNet on Kaggle: about 19,500 clinical photographs in 23 groups, folders Train and Test.

Facts: 23 classes; no patient ids; terms of the website; one joint class of acne and rosacea.

https://www.kaggle.com/datasets/shubhamgoel27/dermnet, images of http://www.dermnet.com.
"""

import re
from pathlib import Path, PurePosixPath
from typing import Literal

from fewskin.data.published import check_choice
from fewskin.data.source import SourceRead, finding, image_ids, list_images, source_read
from fewskin.data.trees import leaves, loose_notes, split_note

__all__ = ["dermnet"]

_PARTS = {"train": "train", "test": "test"}
_PEOPLE = (
    "no patient ids, and photographs of one person may lie in Train and in Test; each counts as "
    "its own patient, near copies are grouped by fewskin check"
)


def dermnet(
    path: Path, *, out: Path, label: Literal["folder", "file_topic"] = "folder"
) -> SourceRead:
    """Read the folder tree `train/<class>/` and `test/<class>/`.

    Rosacea shares a class with acne. The file names are finer than the folders: `file_topic` is a
    name without its numbers (07Acne081101.jpg gives Acne). As a label it is what somebody called a
    file, not a diagnosis.

    Args:
        path: the folder that holds `train` and `test` (in any case and depth), or class folders.
        out: unused; the images stay where they are.
        label: the class is the folder, or the topic of the file name.

    Raises:
        DataError: no folder, or no image below a class folder.
        ConfigError: `label` is not one of the choices.
    """
    check_choice("dermnet", "label", label, ("folder", "file_topic"))
    files = list_images(path)
    found = leaves(files, _PARTS)
    rows = []
    for leaf, image_id in zip(found, image_ids([leaf.path for leaf in found]), strict=True):
        topic = _topic(PurePosixPath(leaf.path).stem)
        row = {"image_id": image_id, "path": leaf.path, "split": leaf.split, "file_topic": topic}
        row |= {"label": leaf.folders[0] if label == "folder" else topic, "source": "real"}
        row |= {"dataset": "dermnet", "view": "clinical", "licence": "terms of dermnet.com"}
        rows.append(row)
    notes = [*files.findings, *loose_notes(files, found), *split_note(found)]
    named = [row for row in rows if row["label"]]
    notes += [
        finding("unlabelled", "the file name has no topic", path=row["path"])
        for row in rows
        if not row["label"]
    ]
    return source_read(named, path, [*notes, finding("no_patient_ids", _PEOPLE)])


def _topic(stem: str) -> str:
    """Return a file name without numbers at either end.

    Example:
        >>> _topic("07Acne081101"), _topic("acne-closed-comedo-001"), _topic("0012")
        ('Acne', 'acne-closed-comedo', '')
    """
    return re.sub(r"[\W\d_]+$", "", re.sub(r"^[\W\d_]+", "", stem))
