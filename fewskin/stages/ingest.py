"""Read a data set into a manifest: one row per image that decodes, and a finding per other."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewskin.errors import ConfigError, DataError, ImageError
from fewskin.provenance import DEFAULT_OUT, stage

if TYPE_CHECKING:
    import pandas as pd

    from fewskin.data.source import SourceRead

__all__ = ["ingest"]

_FOLDER = {"name": "folder"}


@stage(version=1, inputs=("path",), plugins={"source": "data.sources"})
def ingest(
    path: Path | None = None,
    *,
    source: Mapping[str, Any] = _FOLDER,  # Any: JSON values, the source's options
    out: Path = DEFAULT_OUT,
) -> None:
    """Read images and labels into a manifest; unreadable files become findings.

    The images stay where they are; every one is decoded once and named by its pixels. `counts.csv`
    says how many images and patients each class has, rosacea among them or not.

    Args:
        path: the data: a folder, or what the source asks for; none for the phantom.
        source: where it comes from and that source's options, e.g. name=folder or name=csv.
    """
    from fewskin.data.images import in_threads
    from fewskin.data.source import CLASS_COUNTS, class_counts
    from fewskin.tables import FINDINGS, write_manifest, write_table

    read = _read(path, source, out)
    tried = in_threads(lambda name: _pixels(read.root, name), read.rows["path"].tolist())
    sound = [not reason for _, reason in tried]
    rows = read.rows[sound].assign(pixel_sha=[sha for sha, reason in tried if not reason])
    findings = _with_corrupt(read, [reason for _, reason in tried])
    if not len(rows):
        first = findings[findings["kind"] == "corrupt"].iloc[0]
        raise DataError(
            f"{path}: none of {len(tried)} images can be read; "
            f"the first: {first['path']}: {first['detail']}"
        )
    write_table(findings, out / "findings.csv", FINDINGS)
    write_table(class_counts(rows), out / "counts.csv", CLASS_COUNTS)
    made_here = read.root.resolve() == out.resolve()
    write_manifest(rows, out, "." if made_here else read.root)


def _read(path: Path | None, source: Mapping[str, Any], out: Path) -> "SourceRead":
    from fewskin.plugins import check_keywords, find, list_plugins

    check_keywords("sources", source)
    if path is None and source["name"] != "phantom" and source["name"] in list_plugins("sources"):
        raise ConfigError(f"source {source['name']} reads data: name it with data.path=<folder>.")
    options = {key: value for key, value in source.items() if key != "name"}
    read: SourceRead = find("sources", source["name"])(path, out=out, **options)
    return read


def _pixels(root: Path, relative: str) -> tuple[str, str]:
    """Return (pixel_sha, "") or ("", why the file cannot be used)."""
    from fewskin.data.images import decode, pixel_sha
    from fewskin.paths import inside

    file = inside(root, relative)
    try:
        return pixel_sha(decode(file)), ""
    except ImageError as error:
        return "", str(error).removeprefix(f"{file}: ")


def _with_corrupt(read: "SourceRead", reasons: list[str]) -> "pd.DataFrame":
    import pandas as pd

    bad = [reason != "" for reason in reasons]
    corrupt = read.rows.loc[bad, ["image_id", "path"]].assign(
        kind="corrupt", detail=[reason for reason in reasons if reason]
    )
    return pd.concat([read.findings, corrupt], ignore_index=True).astype(str)
