"""Drawings are deterministic, hold any text, and follow the page they stand in."""

from xml.etree import ElementTree

import matplotlib
import pytest

from fewskin.reporting.canvas import SERIES, canvas, clean, colour, inline, marker, to_svg
from fewskin.reporting.style import CSS

ODD = "<script>alert(1)</script> & \"quotes\" 'n' $x_1$ ]]> \x00\x1b[0m {x} %s 皮膚"


def _draw(text: str = ODD) -> str:
    with canvas(120, left=60) as axes:
        axes.plot([0, 1], [0, 1], "o", color=SERIES[1], label=text)
        axes.set_yticks([0, 1], [text, "$\\frac{1}{2}$"])
        axes.set_title(text)
        axes.legend()
        return to_svg(axes)


def _texts(svg: str) -> list[str]:
    return [e.text or "" for e in ElementTree.fromstring(svg).iter() if e.tag.endswith("text")]


def test_equal_drawings_are_equal_bytes():
    assert _draw() == _draw()


def test_no_date_and_no_program_is_named():
    assert "matplotlib" not in _draw().lower()
    assert "metadata" not in _draw()


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", 'a "b" & c', "$x_1$ $", "皮膚"])
def test_text_is_shown_as_written(text: str):
    assert text in _texts(_draw(text))


def test_a_fraction_of_mathtext_stays_text():
    assert "$\\frac{1}{2}$" in _texts(_draw("a"))


def test_control_characters_are_left_out():
    assert clean("a\x00b\ud800c\u202ed\te\r\nf") == "abcd e f"


def test_the_first_49_series_differ_in_colour_or_mark():
    assert len({(colour(i), marker(i)) for i in range(49)}) == 49


def test_inline_drawings_share_no_id():
    first, second = (
        {e.get("id") for e in ElementTree.fromstring(svg).iter() if e.get("id")}
        for svg in (inline(_draw("a"), prefix=p, alt="x") for p in ("f1", "f2"))
    )
    assert first
    assert not first & second


def test_every_reference_of_an_inline_drawing_has_its_target():
    root = ElementTree.fromstring(inline(_draw("a"), prefix="f1", alt="x"))
    ids = {e.get("id") for e in root.iter()}
    links = {e.get("href", "#")[1:] for e in root.iter() if e.get("href")}
    assert links
    assert links <= ids


def test_an_inline_drawing_uses_only_colours_of_the_page():
    svg = inline(_draw("a"), prefix="f1", alt="x")
    assert "var(--s1)" in svg
    assert all(colour not in svg for colour in SERIES)


def test_the_alternative_text_cannot_leave_its_attribute():
    root = ElementTree.fromstring(inline(_draw("a"), prefix="f1", alt='"><script>'))
    assert root.get("aria-label") == '"><script>'


def test_drawing_leaves_the_global_settings_alone():
    before = dict(matplotlib.rcParams)
    _draw()
    assert dict(matplotlib.rcParams) == before


def _luminance(colour: str) -> float:
    # Relative luminance of WCAG 2.1.
    shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [s / 12.92 if s <= 0.03928 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _palette(block: str) -> dict[str, str]:
    pairs = (line.strip().split(":") for line in block.replace("{", ";").split(";") if ":" in line)
    return {p[0].strip(): p[1].strip() for p in pairs if p[0].strip().startswith("--")}


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("name", ["--ink", "--muted", "--accent"])
def test_text_has_the_contrast_wcag_asks_for(mode: str, name: str):
    light, dark = CSS.split("@media (prefers-color-scheme: dark)")
    colours = _palette(light if mode == "light" else dark.partition("* {")[0])
    a, b = sorted((_luminance(colours[name]), _luminance(colours["--paper"])))
    assert (b + 0.05) / (a + 0.05) >= 4.5
