"""CIFAR-FS: 60,000 images of 100 classes of CIFAR-100; for comparison with the field.

Facts: 100 classes; no patients; licence not stated; no rosacea.

Bertinetto, Henriques, Torr, Vedaldi: Meta-learning with differentiable closed-form solvers. ICLR
2019. https://arxiv.org/abs/1805.08136
"""

from pathlib import Path, PurePosixPath

from fewskin.data.source import ImageFiles, SourceRead, finding, image_ids, list_images, source_read
from fewskin.data.trees import Leaf, leaves, loose_notes, split_note
from fewskin.errors import ConfigError

__all__ = ["cifar_fs"]

_PARTS = {"train": "train", "val": "val", "test": "test"}
_SPLITS = "cifar100/splits/bertinetto"
_HOW = (
    "Get https://zenodo.org/record/7978538/files/cifar100.zip and unpack it there (learn2learn's "
    "CIFARFS does the same into cifarfs/)."
)


def cifar_fs(path: Path, *, out: Path) -> SourceRead:
    """Read the files as learn2learn's `CIFARFS` lays them out.

    Either the archive, `cifar100/data/<class>/` with the class lists `cifar100/splits/bertinetto/`,
    or learn2learn's own copy `processed/<train, val, test>/<class>/`; where both are there, the
    archive. `split` is the published part of each class.

    Args:
        path: the folder that holds `cifar100/`, `cifarfs/` or `processed/`.
        out: unused; the images stay where they are.

    Raises:
        ConfigError: neither is there; the message says what to fetch.
    """
    bases = [path, path / "cifarfs"]
    archive = next((base for base in bases if (base / _SPLITS).is_dir()), None)
    copy = next((base for base in bases if (base / "processed").is_dir()), None)
    if archive is not None:
        files = list_images(archive / "cifar100" / "data")
        found, notes = _by_lists(files, archive / _SPLITS)
    elif copy is not None:
        files = list_images(copy / "processed")
        found, notes = [leaf for leaf in leaves(files, _PARTS) if leaf.split], []
    else:
        raise ConfigError(f"{path} holds no {_SPLITS}/ or processed/. {_HOW}")
    ids = image_ids([leaf.path for leaf in found])
    rows = [
        {
            "image_id": image_id,
            "path": leaf.path,
            "label": leaf.folders[0],
            "split": leaf.split,
            "source": "real",
            "dataset": "cifar_fs",
        }
        for leaf, image_id in zip(found, ids, strict=True)
    ]
    notes += [*map(dict, files.findings), *loose_notes(files, found), *split_note(found)]
    return source_read(rows, files.root, notes)


def _by_lists(files: ImageFiles, lists: Path) -> tuple[list[Leaf], list[dict[str, str]]]:
    part_of, notes = {}, []
    have = {PurePosixPath(path).parts[0] for path in files.paths}
    for part in _PARTS:
        file = lists / f"{part}.txt"
        text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
        if not text.strip():
            notes.append(finding("missing", "no list of classes of this part", path=file.name))
        for row, line in enumerate(text.splitlines(), start=1):
            name = line.strip()
            part_of[name] = part
            if name and name not in have:
                detail = f"{file.name} row {row}: class {name!r} has no images"
                notes.append(finding("missing", detail, path=name))
    found = [leaf for leaf in leaves(files, {}) if leaf.folders[0] in part_of]
    return [Leaf(leaf.path, part_of[leaf.folders[0]], leaf.folders) for leaf in found], notes
