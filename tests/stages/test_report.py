"""The report says what its tables say, safely, and the same every time."""

import functools
import itertools
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fewskin.data.evidence_tables import CALIBRATION, CONFUSION, DRAWS, VERDICTS
from fewskin.errors import TableError
from fewskin.reporting.bundle import AUDIT, COUNTS
from fewskin.stages.report import report
from fewskin.tables import FINDINGS, GAINS, SPLITS, Schema, write_manifest, write_table

CLASSES = ("<script>alert(1)</script>", 'a "quoted" & | class', "price in $ or $")
LEARNERS = ("probe", "my <i>learner</i>")
ARMS = (("real_only", 0.0), ("real_copies", 1.0), ("flat", 1.0))
VERDICT = (
    "flat with probe at K = 5 (novel): balanced accuracy +4.0 points [1.0, 7.0] over real_only"
)


def _write(rows: list[dict[str, object]], folder: Path, schema: Schema) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_table(
        pd.DataFrame(rows, columns=list(schema.required)), folder / f"{schema.name}.csv", schema
    )


def _cells(shots: tuple[int, ...] = (1, 5)) -> list[dict[str, object]]:
    return [
        {"task": "novel", "learner": learner, "arm": arm, "ratio": ratio, "shots": k}
        for learner, (arm, ratio), k in itertools.product(LEARNERS, ARMS, shots)
    ]


def _gains(*, intervals: bool) -> list[dict[str, object]]:
    rows = []
    size = {
        "n_groups": 40,
        "n_draws": 3,
        "n_base_seeds": 1,
        "select_on": "fixed",
        "method": "two-way",
    }
    near = (0.01, 0.07) if intervals else (np.nan, np.nan)
    for cell in _cells():
        plain = {**cell, "value": 0.6, "low": 0.55, "high": 0.65, **size}
        measures = [("balanced_accuracy", "all"), ("ece", "all")]
        measures += [("recall", f"class:{name}") for name in CLASSES]
        measures += [("auc", f"pair:{a}|{b}") for a, b in itertools.combinations(CLASSES, 2)]
        for metric, stratum in measures:
            row = {**plain, "metric": metric, "stratum": stratum}
            rows.append({**row, "baseline": ""})
            gain = {"gain": 0.04, "gain_low": near[0], "gain_high": near[1]}
            for control in ("real_only", "real_copies"):
                if cell["arm"] not in ("real_only", control):
                    rows.append({**row, **gain, "baseline": control})
            if cell["arm"] == "real_only" and cell["learner"] != "probe":
                rows.append({**row, **gain, "baseline": "learner:probe"})
    return rows


def _verdicts(*, primary: bool) -> list[dict[str, object]]:
    rows = []
    for cell in _cells():
        if cell["arm"] == "flat":
            first = primary and (cell["learner"], cell["shots"]) == ("probe", 5)
            end = "a measured gain" if first else "a measured gain (exploratory)"
            numbers = {"gain": 0.04, "gain_low": 0.01, "gain_high": 0.07, "detectable": 0.031}
            row = {**cell, **numbers, "metric": "balanced_accuracy", "stratum": "all"}
            row |= {"verdict": f"{VERDICT}: {end}.", "against": "real_only", "n_groups": 40}
            rows.append({**row, "n_draws": 3, "primary": str(first), "claimed": "True"})
    return rows


def _evaluated(folder: Path, *, intervals: bool = True, primary: bool = True) -> Path:
    pairs = list(itertools.product(CLASSES, repeat=2))
    draws = [
        {
            **cell,
            "draw": d,
            "metric": "balanced_accuracy",
            "stratum": "all",
            "value": 0.5 + 0.02 * d,
        }
        for cell in _cells()
        for d in range(3)
    ]
    confusion = [
        {
            **cell,
            "label": a,
            "predicted": b,
            "count": 1 + 8 * (a == b),
            "share": 0.1 + 0.7 * (a == b),
        }
        for cell in _cells()
        for a, b in pairs
    ]
    bins = [
        {
            "bin_low": low,
            "bin_high": low + 0.5,
            "confidence": low + 0.3,
            "accuracy": 0.5,
            "count": 9,
        }
        for low in (0.0, 0.5)
    ]
    _write(_gains(intervals=intervals), folder, GAINS)
    _write(_verdicts(primary=primary), folder, VERDICTS)
    _write(draws, folder, DRAWS)
    _write(confusion, folder, CONFUSION)
    _write([{**cell, **each} for cell in _cells() for each in bins], folder, CALIBRATION)
    _record(folder, "evaluate", "2024-03-09T10:00:00+0000")
    return folder


def _record(folder: Path, stage: str, started: str, **more: object) -> None:
    record = {
        "stage": stage,
        "key": "0123456789abcdef",
        "params": {},
        "inputs": {},
        "seconds": 61.0,
    }
    record |= {"started": started, "versions": {"fewskin": "9.9"}, "machine": "vax", **more}
    (folder / "stage.json").write_text(json.dumps(record))


def _images(folder: Path, source: str, names: Mapping[str, str]) -> Path:
    folder.mkdir(parents=True)
    rows = []
    for i, (name, label) in enumerate(names.items()):
        Image.new("RGB", (16, 16), (200, 100 + i, 90)).save(folder / f"{name}.png")
        row = {"image_id": name, "path": f"{name}.png", "label": label, "source": source}
        made = {"made_by": "flat", "parent_ids": "c0p0"} if source == "generated" else {}
        rows.append({**row, "patient_id": name, "group_id": name, **made})
    write_manifest(pd.DataFrame(rows).fillna(""), folder)
    return folder


def make_study(tmp_path: Path, *, source: str = "real", **evaluated: bool) -> dict[str, object]:
    """Write every input of a report; return them by name."""
    names = {f"c{c}p{p}": label for c, label in enumerate(CLASSES) for p in range(4)}
    manifest = _images(tmp_path / "manifest", source, names)
    counts = {"n_images": 4, "n_patients": 4, "n_groups": 4}
    _write([{"label": label, **counts} for label in CLASSES], manifest, COUNTS)
    finding = {"kind": "corrupt", "image_id": "", "path": "<b>.jpg", "detail": "not an | image"}
    _write([finding], manifest, FINDINGS)
    roles = [
        {"task": "novel", "fold": 0, "shots": 0, "draw": -1, "image_id": name, "role": role}
        for name in names
        for role in (("pool",) if name.endswith(("0", "1")) else ("test",))
    ]
    _write(roles, tmp_path / "splits", SPLITS)
    generated = _images(tmp_path / "made", "generated", {f"g-{i}": CLASSES[0] for i in range(9)})
    audit = {"arm": "flat", "task": "novel", "label": CLASSES[0], "n_real": 2, "n_generated": 9}
    audit |= {"auc": 0.9, "auc_low": 0.8, "auc_high": np.nan, "near_copies": 0.5}
    _write([audit], tmp_path / "audit", AUDIT)
    return {
        "evaluated": _evaluated(tmp_path / "evaluated", **evaluated),
        "manifest": manifest,
        "checked": None,
        "splits": tmp_path / "splits",
        "generated": (generated,),
        "audits": (tmp_path / "audit",),
        "title": "Which <way> is best?",
        "command": "fewskin run experiment=x",
        "notes": "a <note>",
    }


@pytest.fixture
def study(tmp_path: Path) -> Callable[..., dict[str, object]]:
    """Return a function that writes every input of a report and returns them by name."""
    return functools.partial(make_study, tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report's folder, for the tests that only read it."""
    folder = tmp_path_factory.mktemp("report")
    return report(**make_study(folder), out=folder / "out")


def _pages(folder: Path) -> tuple[str, str]:
    return (folder / "report.html").read_text(), (folder / "report.md").read_text()


def test_no_name_of_the_data_is_ever_markup(finished: Path):
    page, text = _pages(finished)
    for raw in ("<script", "<i>", "<way>", "<note>", "<b>.jpg"):
        assert raw not in page
        assert raw not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&lt;script&gt;" in text


def test_the_page_asks_for_nothing_from_outside(finished: Path):
    page, _ = _pages(finished)
    assert "http:" not in page
    assert "https:" not in page
    assert set(re.findall(r'(?:src|href)="([^"]{5})', page)) <= {"data:"} | {
        link[:5] for link in re.findall(r'href="(#[^"]*)"', page)
    }
    assert "url(" not in page.replace("url(#", "")


def test_names_in_drawings_are_shown_as_written(finished: Path):
    texts = {
        element.text
        for file in (finished / "figures").glob("*.svg")
        for element in ElementTree.fromstring(file.read_text()).iter()
    }
    assert "price in $ or…" in texts


def test_the_same_inputs_give_the_same_bytes(study, tmp_path: Path):
    inputs = study()
    first, second = (report(**inputs, out=tmp_path / name) for name in ("one", "two"))
    names = sorted(str(f.relative_to(first)) for f in first.rglob("*") if f.is_file())
    assert len(names) > 20
    for name in set(names) - {"stage.json"}:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_both_renderings_have_the_same_sections_tables_and_figures(finished: Path):
    page, text = _pages(finished)
    assert re.findall(r"<h2[^>]*>([^<]*)", page) == re.findall(r"^## (.*)$", text, re.MULTILINE)
    for kind in ("Table", "Figure"):
        numbers = re.findall(rf"<b>{kind} (\d+)\.", page)
        assert numbers == re.findall(rf"\*\*{kind} (\d+)\.", text)
        assert len(numbers) >= 5


def test_markdown_refers_to_every_figure_file_and_no_other(finished: Path):
    named = re.findall(r"\(figures/([^)]*)\)", _pages(finished)[1])
    assert sorted(named) == sorted(file.name for file in (finished / "figures").iterdir())


def test_the_primary_verdict_is_the_answer_word_for_word(finished: Path):
    page, _ = _pages(finished)
    assert f'<p class="answer">{VERDICT}: a measured gain.</p>' in page
    assert f"Primary, fixed in advance: {VERDICT}: a measured gain." in page


def test_without_a_primary_comparison_everything_is_exploratory(study, tmp_path: Path):
    page, _ = _pages(report(**study(primary=False), out=tmp_path / "out"))
    assert "No primary comparison was fixed in advance" in page
    assert "Primary, fixed in advance:" not in page


def test_simulated_data_are_called_simulated(study, tmp_path: Path):
    page, text = _pages(report(**study(source="simulated"), out=tmp_path / "out"))
    assert '<p class="banner">Simulated data' in page
    assert "> Simulated data" in text


def test_real_data_are_not_called_simulated(finished: Path):
    page, _ = _pages(finished)
    assert "imulated" not in page
    assert "not a medical device" in page


def test_a_gain_without_interval_is_printed_without_one_and_counted(study, tmp_path: Path):
    _, text = _pages(report(**study(intervals=False), out=tmp_path / "out"))
    assert "| +4.0 | +4.0 |" in text
    assert "gains have no interval" in text


def test_the_date_is_that_of_the_results(finished: Path):
    page, _ = _pages(finished)
    assert "Results of 2024-03-09" in page


def test_every_table_lies_beside_the_report(finished: Path):
    for name in ("gains", "verdicts", "draws", "confusion", "calibration"):
        given, copy = (
            folder / f"{name}.csv"
            for folder in (finished.parent / "evaluated", finished / "tables")
        )
        assert len(copy.read_text().splitlines()) == len(given.read_text().splitlines())
    for name in ("audit", "findings", "counts", "manifest", "splits", "provenance"):
        assert (finished / "tables" / f"{name}.csv").is_file()


def test_the_records_of_inputs_are_followed_to_their_own_inputs(study, tmp_path: Path):
    inputs = study()
    deep = tmp_path / "deep"
    deep.mkdir()
    _record(deep, "predict", "2024-03-01T00:00:00+0000", key="fedcba9876543210")
    _record(inputs["evaluated"], "evaluate", "2024-03-09", inputs={"predictions": [str(deep)]})
    out = report(**inputs, out=tmp_path / "out")
    assert "fedcba9876543210" in (out / "tables" / "provenance.csv").read_text()


def test_a_report_needs_neither_generated_images_nor_audits(study, tmp_path: Path):
    inputs = {**study(), "generated": (), "audits": ()}
    page, _ = _pages(report(**inputs, out=tmp_path / "out"))
    assert "No generated images were given" in page
    assert "No audit of generated images was given" in page


def test_at_most_eight_images_of_a_class_are_shown(finished: Path):
    widths = [Image.open(file).width for file in (finished / "figures").glob("*.png")]
    # 8 images, their 16 pixels shown as 64, with 7 gaps of 4; and the one parent.
    assert sorted(widths) == [64, 8 * 64 + 7 * 4]


def test_without_gains_the_error_names_the_file(study, tmp_path: Path):
    inputs = study()
    (inputs["evaluated"] / "gains.csv").unlink()
    with pytest.raises(TableError, match=r"gains\.csv does not exist"):
        report(**inputs, out=tmp_path / "out")


def with_learner_gain(folder: Path, low: float, high: float) -> None:
    """Compare probe with the other learner on the plain arm, with this interval."""
    gains = _gains(intervals=True)
    plain = [
        row
        for row in gains
        if (row["learner"], row["arm"], row["baseline"]) == ("probe", "real_only", "")
        and (row["metric"], row["stratum"]) == ("balanced_accuracy", "all")
    ]
    interval = {"gain": (low + high) / 2, "gain_low": low, "gain_high": high}
    more = [{**row, **interval, "baseline": f"learner:{LEARNERS[1]}"} for row in plain]
    _write([*gains, *more], folder, GAINS)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (-0.09, -0.03, "probe loses"),
        (0.03, 0.09, "probe wins"),
        (-0.02, 0.03, "probe shows no measured difference"),
    ],
)
def test_a_meta_learner_is_said_to_win_or_lose(
    study, tmp_path: Path, low: float, high: float, said: str
) -> None:
    given = study()
    with_learner_gain(tmp_path / "evaluated", low, high)
    out = report(**given, experiment={"episodic": ["probe"]}, out=tmp_path / "out")
    text = (out / "report.md").read_text()
    assert "Meta-learners are those fitted on episodes." in text
    assert said in text


def test_a_meta_learner_without_a_plain_one_beside_it_is_warned_of(study, tmp_path: Path) -> None:
    out = report(**study(), experiment={"episodic": ["probe"]}, out=tmp_path / "out")
    assert "Whether the episodes helped cannot be said" in (out / "report.md").read_text()


def test_published_figures_are_not_marked_as_ours(study, tmp_path: Path) -> None:
    published = {"source": "A & B <2020>", "caveat": "Other data."}
    published |= {"rows": [{"system": "MAML", "shots": 5, "macro_auc": 70.0}]}
    out = report(**study(), experiment={"published": published}, out=tmp_path / "out")
    page, text = _pages(out)
    assert "| 5 | MAML (published) | 70.0 | – | – |" in text
    assert "A &amp; B &lt;2020&gt;" in page
