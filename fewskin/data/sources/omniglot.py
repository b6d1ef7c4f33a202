"""Omniglot: 1,623 handwritten characters, 20 drawings each; for comparison with the field.

Facts: 1,623 classes; drawers, no patients; MIT; no rosacea.

Lake, Salakhutdinov, Tenenbaum: Human-level concept learning through probabilistic program
induction. Science 350 (2015). https://github.com/brendenlake/omniglot
"""

from pathlib import Path, PurePosixPath

from fewskin.data.source import SourceRead, image_ids, list_images, source_read
from fewskin.data.trees import leaves, loose_notes, split_note
from fewskin.errors import ConfigError

__all__ = ["omniglot"]

_PARTS = {"images_background": "train", "images_evaluation": "test"}
_FROM = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/"


def omniglot(path: Path, *, out: Path) -> SourceRead:
    """Read the files as torchvision's `Omniglot` lays them out; a class is an alphabet's character.

    `split` is train for the background alphabets and test for the evaluation ones, as published.

    Args:
        path: a folder that holds `images_background/` and `images_evaluation/`, at any depth.
        out: unused; the images stay where they are.

    Raises:
        ConfigError: neither folder is there; the message says what to fetch.
    """
    files = list_images(path)
    found = [leaf for leaf in leaves(files, _PARTS) if leaf.split and len(leaf.folders) > 1]
    if not found:
        names = " and ".join(f"{_FROM}{part}.zip" for part in _PARTS)
        raise ConfigError(
            f"{path} holds no images_background/<alphabet>/<character>/; expected Omniglot as "
            f"torchvision unpacks it. Get {names}, and unpack both there."
        )
    rows = [
        {
            "image_id": image_id,
            "path": leaf.path,
            "label": "/".join(leaf.folders),
            "split": leaf.split,
            "drawer": PurePosixPath(leaf.path).stem.rpartition("_")[2],
            "source": "real",
            "dataset": "omniglot",
            "licence": "MIT",
        }
        for leaf, image_id in zip(found, image_ids([leaf.path for leaf in found]), strict=True)
    ]
    others = [dict(note) for note in files.findings if not note["path"].endswith(".zip")]
    return source_read(rows, path, [*others, *loose_notes(files, found), *split_note(found)])
