"""Print what was found: one HTML page, its Markdown twin, figures and the tables beside them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewskin.provenance import DEFAULT_OUT, stage

if TYPE_CHECKING:
    from fewskin.reporting.bundle import Bundle

__all__ = ["report"]

_INPUTS = ("evaluated", "manifest", "checked", "splits", "generated", "audits")


@stage(version=1, follow_source=True, inputs=_INPUTS)
def report(
    evaluated: Path,
    manifest: Path,
    checked: Path | None,
    splits: Path,
    generated: Sequence[Path] = (),
    audits: Sequence[Path] = (),
    *,
    title: str,
    experiment: Mapping[str, Any] | None = None,  # Any: JSON values
    command: str = "",
    notes: str = "",
    out: Path = DEFAULT_OUT,
) -> None:
    """Write report.html and report.md: verdicts, figures, data card, methods and provenance.

    Args:
        evaluated: folder of `fewskin evaluate`.
        manifest: folder of the images' manifest, with groups: that of `fewskin check`.
        checked: another folder that may hold findings.csv or counts.csv, e.g. of `fewskin ingest`.
        splits: folder of `fewskin split`.
        generated: folders of `fewskin generate` to show images of; one an arm is enough.
        audits: folders of `fewskin audit`, one an arm.
        title: the question, or the study's name.
        experiment: the study as planned: learners, arms, image_size, seed.
        command: the command that makes this report again.
        notes: free text, printed with the provenance.
        out: result folder.

    Raises:
        TableError: an input lacks a table or a table breaks its schema.
    """
    from fewskin.paths import atomic_write
    from fewskin.reporting.bundle import read_bundle
    from fewskin.reporting.document import make_document
    from fewskin.reporting.markdown import figure_files, to_markdown
    from fewskin.reporting.page import to_html

    given = (evaluated, manifest, checked, splits, generated, audits)
    folders = {name: _folders(value) for name, value in zip(_INPUTS, given, strict=True)}
    bundle = read_bundle(folders, experiment or {})
    document = make_document(bundle, title=title, command=command, notes=notes)
    for name, data in figure_files(document).items():
        atomic_write(out / "figures" / name, data)
    _write_tables(bundle, out / "tables")
    atomic_write(out / "report.md", to_markdown(document))
    atomic_write(out / "report.html", to_html(document))


def _folders(value: Path | Sequence[Path] | None) -> tuple[Path, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, Path) else tuple(value)


def _write_tables(bundle: "Bundle", out: Path) -> None:
    from fewskin.paths import atomic_write
    from fewskin.reporting.bundle import tables_of

    for name, frame in tables_of(bundle).items():
        atomic_write(out / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n", na_rep=""))
