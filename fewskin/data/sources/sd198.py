"""SD-198: 6,584 clinical photographs of 198 skin diseases, one folder each.

Facts: 198 classes; no patient ids; research use by request; Rosacea and Rhinophyma are classes.

Sun, Yang, Sun, Wang: A benchmark for automatic visual classification of clinical skin disease
images. ECCV 2016. https://doi.org/10.1007/978-3-319-46466-4_13,
http://xiaopingwu.cn/assets/projects/sd-198/.
"""

from pathlib import Path

from fewskin.data.source import SourceRead, finding, image_ids, list_images, source_read
from fewskin.data.trees import leaves, loose_notes

__all__ = ["sd198"]

_PEOPLE = (
    "no patient ids; each photograph counts as its own patient, so two of one person may be in "
    "training and test"
)


def sd198(path: Path, *, out: Path) -> SourceRead:
    """Read SD-198; labels are the folder names, e.g. Acne_Vulgaris.

    Args:
        path: the folder that holds `images/<class>/`, or `images` itself.
        out: unused; the images stay where they are.

    Raises:
        DataError: no folder, or no image below a class folder.
    """
    root = path / "images" if (path / "images").is_dir() else path
    files = list_images(root)
    found = leaves(files, {})
    rows = [
        {
            "image_id": image_id,
            "path": leaf.path,
            "label": leaf.folders[0],
            "source": "real",
            "dataset": "sd198",
            "view": "clinical",
            "licence": "research use, by request to the authors",
        }
        for leaf, image_id in zip(found, image_ids([leaf.path for leaf in found]), strict=True)
    ]
    notes = [*files.findings, *loose_notes(files, found), finding("no_patient_ids", _PEOPLE)]
    return source_read(rows, root, notes)
