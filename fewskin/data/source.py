"""What a data source returns, and how it finds image files below a folder."""

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from fewskin.data.images import EXTENSIONS
from fewskin.errors import DataError
from fewskin.tables import FINDINGS, Schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CLASS_COUNTS",
    "ImageFiles",
    "SourceRead",
    "class_counts",
    "finding",
    "image_ids",
    "list_images",
    "read_csv",
    "source_read",
]

CLASS_COUNTS = Schema(
    name="class counts",
    required=("label", "n_images", "n_patients"),
    unique=("label",),
    sort=("label",),
    integers=("n_images",),
)
Row = Mapping[str, str]
_PHOTOGRAPHS = {".avif", ".cr2", ".dcm", ".dng", ".heic", ".heif", ".nef", ".raw"}


@dataclass(frozen=True)
class SourceRead:
    """What a source found, before any image is decoded.

    Attributes:
        rows: manifest rows without `pixel_sha`; `path` relative to `root`.
        root: folder of the images; the stage's own `out` when the source made them.
        findings: rows (kind, image_id, path, detail) of what was left out or is worth knowing.
    """

    rows: "pd.DataFrame"
    root: Path
    findings: "pd.DataFrame"


def source_read(
    rows: "Sequence[Row] | pd.DataFrame", root: Path, findings: Sequence[Row] = ()
) -> SourceRead:
    """Return the `SourceRead` of a table or of plain dictionaries.

    Raises:
        DataError: no row is left; the message carries the first finding.
    """
    import pandas as pd

    if not len(rows):
        why = f" First finding: {findings[0]['path']}: {findings[0]['detail']}" if findings else ""
        raise DataError(f"{root}: no labelled image to read.{why}")
    table = pd.DataFrame(rows).reset_index(drop=True).fillna("")
    return SourceRead(table, root, pd.DataFrame(findings, columns=list(FINDINGS.required)))


def class_counts(rows: "pd.DataFrame") -> "pd.DataFrame":
    """Return the number of images and patients of each class of a manifest.

    Args:
        rows: manifest rows.

    Returns:
        Columns label, n_images and n_patients; the last is blank where no image names a patient.

    Example:
        >>> import pandas as pd
        >>> rows = pd.DataFrame({"label": ["a", "a", "b"], "patient_id": ["P1", "P1", ""]})
        >>> class_counts(rows).to_numpy().tolist()
        [['a', 2, '1'], ['b', 1, '']]
    """
    table = rows if "patient_id" in rows.columns else rows.assign(patient_id="")
    counts = table.groupby("label", as_index=False).agg(
        n_images=("label", "size"),
        n_patients=("patient_id", lambda ids: ids[ids != ""].nunique()),
    )
    counts["n_patients"] = counts["n_patients"].astype(str).replace("0", "")
    return counts


def finding(kind: str, detail: str, *, image_id: str = "", path: str = "") -> dict[str, str]:
    """Return one row of the findings table."""
    return {"kind": kind, "image_id": image_id, "path": path, "detail": detail}


@dataclass(frozen=True)
class ImageFiles:
    """Image files below one folder.

    Attributes:
        root: the folder.
        paths: relative POSIX paths, sorted; none leaves `root`.
        findings: what was left out, with the reason.
    """

    root: Path
    paths: tuple[str, ...]
    findings: tuple[Row, ...]
    _named: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list), repr=False)

    def __post_init__(self) -> None:
        for path in self.paths:
            pure = PurePosixPath(unicodedata.normalize("NFC", path))
            for key in {str(pure), str(pure.with_suffix("")), pure.name, pure.stem}:
                self._named[key].append(path)

    def find(self, name: str) -> str | None:
        """Return the one file that `name` means, or None.

        Args:
            name: a relative path or a bare file name; its image extension may be absent or another.
        """
        wanted = unicodedata.normalize("NFC", name.strip().replace("\\", "/")).removeprefix("./")
        for key in (wanted, _without_extension(wanted)):
            found = self._named.get(key, [])
            if key in found or len(found) == 1:
                return key if key in found else found[0]
        return None


def _without_extension(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in EXTENSIONS else name


def list_images(root: Path) -> ImageFiles:
    """Return every image file below `root`; hidden files and folders are passed over.

    Symbolic links that leave `root` are refused: what they point to is neither hashed into the
    result's key nor moved with the folder.

    Raises:
        DataError: `root` is not a folder.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; expected one that holds images.")
    paths, findings = [], []
    for path in _walk(root):
        reason = _refusal(root, path)
        if reason is None:
            paths.append(path.relative_to(root).as_posix())
        else:
            shown = path.relative_to(root).as_posix().encode("utf-8", "backslashreplace").decode()
            findings.append(finding(reason[0], reason[1], path=shown))
    return ImageFiles(root, tuple(sorted(paths)), tuple(findings))


def _walk(root: Path) -> Iterator[Path]:
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        links = [name for name in inner if os.path.islink(os.path.join(folder, name))]
        for name in sorted([*names, *links]):
            if not name.startswith("."):
                yield Path(folder, name)


def _refusal(root: Path, path: Path) -> tuple[str, str] | None:
    name = str(path.relative_to(root))
    if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
        return "outside", "a link that leaves the data folder; copy what it points to into it"
    if path.is_dir():
        return "skipped", "a link to a folder; its images are read where they lie"
    if path.suffix.lower() in _PHOTOGRAPHS:
        return "skipped", f"{path.suffix} is not read; convert it to JPEG or PNG"
    if path.suffix.lower() not in EXTENSIONS:
        return "skipped", f"not an image extension ({path.suffix or 'none'})"
    if not path.is_file():
        return "missing", "a link to nothing" if path.is_symlink() else "not a plain file"
    if any(ord(letter) < 32 or 0xD800 <= ord(letter) < 0xE000 for letter in name):
        return "skipped", "the name is not UTF-8 or holds control characters; rename it"
    return None


def read_csv(path: Path) -> "pd.DataFrame":
    """Return a foreign CSV table as text, blank where unknown; commas, semicolons or tabs.

    Raises:
        DataError: the file is absent, empty, not a table or not UTF-8.
    """
    import pandas as pd

    try:
        with open(path, encoding="utf-8-sig") as file:
            header = file.readline()
        separator = max(",;\t", key=header.count)
        frame = pd.read_csv(
            path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig"
        )
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; expected a CSV table.") from None
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"{path} is not a CSV table in UTF-8: {reason}") from error
    if not isinstance(frame.index, pd.RangeIndex):
        raise DataError(f"{path}: its rows have more cells than its header; expected as many.")
    # A row that ends early has unknown cells.
    return frame.fillna("")


def image_ids(paths: Sequence[str]) -> list[str]:
    """Return a short unique id of each path: its stem, else its path joined by `__`.

    Example:
        >>> image_ids(["acne/1.jpg", "acne/2.jpg", "rosacea/1.jpg"])
        ['acne__1', '2', 'rosacea__1']
    """
    pure = [PurePosixPath(unicodedata.normalize("NFC", path).replace(";", "_")) for path in paths]
    candidates = (
        [path.stem for path in pure],
        ["__".join(path.with_suffix("").parts) for path in pure],
        ["__".join(path.parts) for path in pure],
        [f"{path.stem}__{number}" for number, path in enumerate(pure, 1)],
    )
    counts = [Counter(names) for names in candidates]
    taken: set[str] = set()
    ids = []
    for names in zip(*candidates, strict=True):
        unique = [n for n, count in zip(names, counts, strict=True) if count[n] == 1]
        ids.append(next(n for n in unique if n not in taken))
        taken.add(ids[-1])
    return ids
