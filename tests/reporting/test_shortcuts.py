from pathlib import Path

import pandas as pd
import pytest

from fewskin.data.shortcut_examples import EXAMPLES
from fewskin.data.shortcuts import SHORTCUTS, TOGETHER
from fewskin.reporting.blocks import Strips, Table, Text
from fewskin.reporting.bundle import read_bundle
from fewskin.reporting.document import make_document
from fewskin.reporting.page import to_html
from fewskin.reporting.shortcuts import shortcut_section
from fewskin.reporting.study import Study
from fewskin.tables import write_table
from tests.stages.report_study import CLASSES, make_study

INPUTS = ("evaluated", "manifest", "checked", "splits", "generated", "audits")


def audited(folder: Path, border: float, together: float = 0.95) -> None:
    lines = []
    means = {TOGETHER: together, "border": border, "mean colour": 0.55}
    for rank, (cue, mean) in enumerate(means.items()):
        row = {"rank": rank, "cue": cue, "n_images": 1234, "n_groups": 40}
        ends = {"low": mean - 0.04, "high": mean + 0.03}
        lines.append({**row, "stratum": "all", "auc": mean, **ends})
        blank = {"low": float("nan"), "high": float("nan")}
        lines.append({**row, "stratum": f"class:{CLASSES[0]}", "auc": 0.99, **blank})
        lines.append({**row, "stratum": f"class:{CLASSES[1]}", "auc": mean + 0.01, **ends})
    table = pd.DataFrame(lines, columns=list(SHORTCUTS.required))
    write_table(table, folder / "shortcuts.csv", SHORTCUTS)
    shown = [
        {"cue": "border", "label": CLASSES[0], "side": side, "place": 0, "image_id": image_id}
        for side, image_id in (("most", "c0p0"), ("least", "c0p1"))
    ]
    write_table(pd.DataFrame(shown), folder / "shortcut_examples.csv", EXAMPLES)


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, tuple[Path, ...]]:
    given = make_study(tmp_path)
    found = {name: given[name] for name in INPUTS}
    return {
        name: () if value is None else value if isinstance(value, tuple) else (value,)
        for name, value in found.items()
    }


def section(folders):
    return shortcut_section(Study(read_bundle(folders, {})))


def test_the_worst_cue_is_named_in_one_sentence_with_its_interval(folders) -> None:
    audited(folders["manifest"][0], 0.91)
    first = section(folders).blocks[0]
    assert isinstance(first, Text)
    assert first.kind == "warning"
    assert first.text == (
        "Border alone tells the classes apart at an AUC (×100) of 91.0 [87.0, 94.0], all trivial "
        "cues together at 95.0 [91.0, 98.0]. Read every result beside these figures."
    )


def test_the_table_has_the_worst_cue_first_and_the_class_it_tells_best(folders) -> None:
    audited(folders["manifest"][0], 0.91)
    (table,) = (block for block in section(folders).blocks if isinstance(block, Table))
    assert [row[0] for row in table.rows] == [TOGETHER, "border", "mean colour"]
    # The other class has the higher AUC, but too few groups for an interval.
    assert table.rows[1][2:] == (CLASSES[1], "92.0 [87.0, 94.0]", "1,234 / 40")
    assert table.marked == {0}


def test_photographs_of_both_sides_are_shown(folders) -> None:
    audited(folders["manifest"][0], 0.91)
    (strips,) = (block for block in section(folders).blocks if isinstance(block, Strips))
    assert strips.title == CLASSES[0]
    assert [name for name, _ in strips.rows] == ["given away most", "given away least"]
    assert all(png[:4] == b"\x89PNG" for _, png in strips.rows)


def test_little_is_called_little(folders) -> None:
    audited(folders["manifest"][0], 0.56, together=0.58)
    first = section(folders).blocks[0]
    assert first.kind == "lead"
    assert first.text.endswith("That is little.")


def test_a_report_without_an_audit_says_so(folders) -> None:
    (only,) = section(folders).blocks
    assert only.text == "No shortcut audit was given to this report."


def test_the_page_has_the_section_and_escapes_its_classes(folders) -> None:
    audited(folders["manifest"][0], 0.91)
    document = make_document(read_bundle(folders, {}), title="t", command="c", notes="n")
    page = to_html(document)
    assert 'id="shortcuts"' in page
    assert CLASSES[0] not in page
