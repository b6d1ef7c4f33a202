"""Images whose folders say the class, and sometimes the published part (train, test)."""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from fewskin.data.source import ImageFiles, finding

__all__ = ["Leaf", "leaves", "loose_notes", "split_note"]


@dataclass(frozen=True)
class Leaf:
    """One image of a tree.

    Attributes:
        path: relative POSIX path.
        split: the published part that its folder names, "" if none does.
        folders: folders below that one, from the outside in; never empty.
    """

    path: str
    split: str
    folders: tuple[str, ...]


def leaves(files: ImageFiles, parts: Mapping[str, str]) -> list[Leaf]:
    """Return the images that lie in a class folder.

    Args:
        files: images of the data set.
        parts: folder name in lower case -> published part, e.g. {"train": "train"}.

    Example:
        >>> from pathlib import Path
        >>> files = ImageFiles(Path("."), ("d/Train/acne/1.jpg", "readme.png"), ())
        >>> leaves(files, {"train": "train"})
        [Leaf(path='d/Train/acne/1.jpg', split='train', folders=('acne',))]
    """
    found = []
    for path in files.paths:
        folders = PurePosixPath(unicodedata.normalize("NFC", path)).parts[:-1]
        at = next((i for i, name in enumerate(folders) if name.lower() in parts), -1)
        split = parts[folders[at].lower()] if at >= 0 else ""
        if folders[at + 1 :]:
            found.append(Leaf(path, split, folders[at + 1 :]))
    return found


def loose_notes(files: ImageFiles, used: Sequence[Leaf]) -> list[dict[str, str]]:
    """Return a finding for each image that lies in no class folder."""
    known = {leaf.path for leaf in used}
    left = [path for path in files.paths if path not in known]
    return [finding("unlabelled", "not in a class folder", path=path) for path in left]


def split_note(used: Sequence[Leaf]) -> list[dict[str, str]]:
    """Return one finding with the sizes of the published parts, if there are any."""
    counts = Counter(leaf.split for leaf in used if leaf.split)
    if not counts:
        return []
    sizes = ", ".join(f"{split} {n}" for split, n in sorted(counts.items()))
    detail = f"published parts ({sizes}) are in the column split; no split of ours follows them"
    return [finding("published_split", detail)]
