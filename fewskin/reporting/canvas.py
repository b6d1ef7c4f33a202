"""Drawings as SVG text: equal input, equal bytes; any text is safe; colours follow the page."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "GRID",
    "INK",
    "MARKERS",
    "MUTED",
    "SERIES",
    "canvas",
    "clean",
    "inline",
    "shorten",
    "to_svg",
]

# Okabe & Ito's colour-blind safe set (https://jfly.uni-koeln.de/color/) without its yellow, which
# is too light for lines on paper; the first is a grey for the arm without generated images.
SERIES = ("#59636e", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
INK, MUTED, GRID = "#1b1f24", "#656d77", "#d5d9de"
WIDTH = 340  # points; one panel fills a phone and a third of a desktop page
_ROLES = {INK: "ink", MUTED: "muted", GRID: "grid", "#ffffff": "paper"}
_ROLES |= {colour: f"s{i}" for i, colour in enumerate(SERIES)}
_LARGEST = 1.2  # pixels a point; larger type would shout beside the text
# Controls, lone surrogates, non-characters, and marks that turn the direction of text.
_FORBIDDEN = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]"
)
_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_STYLE: Any = {  # the type of matplotlib's settings is a literal of all their names
    "svg.fonttype": "none",
    "svg.hashsalt": "fewskin",
    # A `$` in a class name is a character, not mathematics.
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10.5,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


def colour(i: int) -> str:
    """Return the colour of the i-th series; with more series than colours they repeat."""
    return SERIES[i % len(SERIES)]


def marker(i: int) -> str:
    """Return the mark of the i-th series; where a colour comes again, its mark is another."""
    return MARKERS[(i + i // len(SERIES)) % len(MARKERS)]


def clean(text: str) -> str:
    r"""Return `text` without the control characters and surrogates that no document may hold.

    Example:
        >>> clean("a\x00b\tc")
        'ab c'
    """
    return _FORBIDDEN.sub("", re.sub(r"[\t\r\n\x0b\x0c\x85\u2028\u2029]+", " ", text))


def shorten(text: str, limit: int) -> str:
    """Return `text`, or its start and an ellipsis, in at most `limit` characters.

    Example:
        >>> shorten("basal cell carcinoma", 10)
        'basal cel…'
    """
    plain = clean(text)
    return plain if len(plain) <= limit else plain[: limit - 1].rstrip() + "…"


@contextmanager
def canvas(
    height: float,
    *,
    left: float,
    bottom: float = 42,
    top: float = 26,
    right: float = 12,
    width: float = WIDTH,
) -> "Iterator[Axes]":
    """Give the axes of one panel; sizes are points. Draw and call `to_svg` inside the block."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # The reader's browser has the glyph that the measuring font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        box = (
            left / width,
            bottom / height,
            1 - (left + right) / width,
            1 - (bottom + top) / height,
        )
        yield figure.add_axes(box)


def to_svg(axes: "Axes") -> str:
    """Return the panel as an SVG document with a white ground."""
    figure: Figure = axes.figure  # type: ignore[assignment]  # a subfigure is never made here
    buffer = io.StringIO()
    figure.savefig(
        buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    root = ElementTree.fromstring(_FORBIDDEN.sub("", buffer.getvalue()))  # noqa: S314 (our own drawing)
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        link = element.attrib.pop(f"{{{_XLINK}}}href", None)
        if link is not None:
            element.set("href", link)
        if "style" in element.attrib:
            element.set("style", _font(element.attrib["style"]))
    root.attrib.pop("version", None)
    root.set("xmlns", _SVG)
    ground = ElementTree.Element(
        "rect", {"width": "100%", "height": "100%", "fill": "#ffffff", "class": "ground"}
    )
    root.insert(0, ground)
    return _drop_unused_ids(root)


def _font(style: str) -> str:
    style = re.sub(r"font-family:[^;]*", "font-family: Helvetica, Arial, sans-serif", style)
    return re.sub(r"(font: [^;]*?[\d.]+px) [^;]*", r"\1 Helvetica, Arial, sans-serif", style)


def _references(element: ElementTree.Element) -> Iterator[str]:
    for name, value in element.attrib.items():
        if name == "href" and value.startswith("#"):
            yield value[1:]
        yield from re.findall(r"url\(#([^)]+)\)", value)


def _drop_unused_ids(root: ElementTree.Element) -> str:
    used = {name for element in root.iter() for name in _references(element)}
    for element in root.iter():
        if element.get("id") not in used:
            element.attrib.pop("id", None)
    return ElementTree.tostring(root, encoding="unicode")


def inline(svg: str, *, prefix: str, alt: str) -> str:
    """Return an SVG document as an element of an HTML page.

    Ids get the prefix, so that two drawings never share one, and the fixed colours become the
    page's variables, so that the drawing follows a dark page.

    Args:
        svg: what `to_svg` returned.
        prefix: unique in the page.
        alt: text alternative.
    """
    root = ElementTree.fromstring(svg)  # noqa: S314 (our own drawing)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        for name, value in element.attrib.items():
            element.set(name, _adapt(name, value, prefix))
    for ground in [child for child in root if child.get("class") == "ground"]:
        root.remove(ground)
    width = float(root.get("viewBox", f"0 0 {WIDTH} 0").split()[2])
    root.set("style", f"max-width: {_LARGEST * width:.0f}px")
    for name in ("width", "height", "xmlns"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", clean(alt))
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=False)


def _adapt(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return f"{prefix}-{value}"
    if name == "href":
        return value.replace("#", f"#{prefix}-", 1)
    value = re.sub(r"url\(#", f"url(#{prefix}-", value)
    if name != "style":
        return value
    return re.sub(r"#[0-9a-f]{6}\b", lambda found: _variable(found[0]), value)


def _variable(colour: str) -> str:
    return f"var(--{_ROLES[colour]})" if colour in _ROLES else colour
