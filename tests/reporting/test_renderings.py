"""The page and its Markdown twin: same content, nothing unescaped."""

from html.parser import HTMLParser

import pytest

from fewskin.reporting.blocks import (
    Bullets,
    Code,
    Document,
    Figure,
    Panel,
    Section,
    Strips,
    Table,
    Text,
)
from fewskin.reporting.canvas import canvas, to_svg
from fewskin.reporting.markdown import escape, figure_files, to_markdown
from fewskin.reporting.page import to_html

ODD = "<script>alert(1)</script> | \"x\" 'y' & `z` *w* [a](http://b) <img src=x onerror=y> # $m$"


class _Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def document() -> Document:
    with canvas(100, left=40) as axes:
        axes.set_title(ODD)
        svg = to_svg(axes)
    blocks = (
        Text(ODD),
        Text(ODD, "claim"),
        Bullets([ODD, "- not a list"]),
        Code("fewskin run ``` " + ODD),
        Table(ODD, (ODD, "n"), [(ODD, "1"), ("plain", "2")], frozenset({1}), frozenset({0})),
        Figure(ODD, [Panel("panel", ODD, svg, ODD)]),
        Strips("strip", ODD, [(ODD, b"png")]),
    )
    return Document(ODD, ODD, (ODD,), "2024-01-02", (Section(ODD, "one", blocks),))


@pytest.fixture(scope="module")
def seen(document: Document) -> _Seen:
    parser = _Seen()
    parser.feed(to_html(document))
    parser.close()
    return parser


def test_the_page_is_well_nested(seen: _Seen):
    assert seen.open == []


def test_no_name_becomes_a_tag(seen: _Seen):
    assert "script" not in seen.tags
    assert seen.tags.count("img") == 1  # the strip


def test_no_name_becomes_an_attribute(seen: _Seen):
    assert not any(name.startswith("on") for name, _ in seen.attributes)


def test_the_page_loads_nothing(seen: _Seen):
    for name, value in seen.attributes:
        if name in ("src", "href"):
            assert value is not None
            assert value.startswith(("#", "data:image/png;base64,"))


def test_ids_are_unique(seen: _Seen):
    ids = [value for name, value in seen.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_text_reads_as_written(seen: _Seen):
    # title, h1, answer, banner, contents, h2, 2 paragraphs, item, command, caption, header,
    # cell, panel title, drawing, caption, strip title, strip label
    assert sum(ODD in text for text in seen.text) == 18


def test_markdown_holds_no_tag(document: Document):
    outside = to_markdown(document).split("````")
    assert "<" not in outside[0] + outside[2]


def test_markdown_table_rows_have_the_cells_of_their_header(document: Document):
    rows = [line for line in to_markdown(document).splitlines() if line.startswith("|")]
    cells = [line.replace("\\|", "").count("|") for line in rows]
    # One table of two columns with 2 rows, one of strips with 1 row; rule lines included.
    assert cells == [3] * 7


def test_markdown_names_exactly_the_figure_files(document: Document):
    text = to_markdown(document)
    assert sorted(figure_files(document)) == ["panel.svg", "strip-0.png"]
    assert all(f"(figures/{name})" in text for name in figure_files(document))


def test_a_command_with_backticks_stays_in_its_block(document: Document):
    assert "````text\nfewskin run ```" in to_markdown(document)


@pytest.mark.parametrize("text", ["- a", "+ a", "1. a", "1) a", "# a", "> a", "=== "])
def test_a_line_cannot_start_a_block(text: str):
    assert escape(text)[0] in "\\&" or escape(text)[1] == "\\"


@pytest.mark.parametrize("text", ["61.2", "+4.0", "-1"])
def test_a_number_is_not_escaped(text: str):
    assert escape(text) == text
