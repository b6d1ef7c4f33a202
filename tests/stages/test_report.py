"""The report says what its tables say, safely, and the same every time."""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from fewskin.errors import TableError
from fewskin.stages.report import report
from fewskin.tables import GAINS
from tests.stages.report_study import LEARNERS, VERDICT, gains_rows, make_study, record, write


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
    record(deep, "predict", "2024-03-01T00:00:00+0000", key="fedcba9876543210")
    record(inputs["evaluated"], "evaluate", "2024-03-09", inputs={"predictions": [str(deep)]})
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
    gains = gains_rows(intervals=True)
    plain = [
        row
        for row in gains
        if (row["learner"], row["arm"], row["baseline"]) == ("probe", "real_only", "")
        and (row["metric"], row["stratum"]) == ("balanced_accuracy", "all")
    ]
    interval = {"gain": (low + high) / 2, "gain_low": low, "gain_high": high}
    more = [{**row, **interval, "baseline": f"learner:{LEARNERS[1]}"} for row in plain]
    write([*gains, *more], folder, GAINS)


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
