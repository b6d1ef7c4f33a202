"""The content of a report, free of any markup: both renderings are made from these blocks.

Every string here is plain text. Escaping happens once, in `page` and in `markdown`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

__all__ = [
    "Block",
    "Bullets",
    "Code",
    "Document",
    "Figure",
    "Panel",
    "Section",
    "Strips",
    "Table",
    "Text",
]


@dataclass(frozen=True)
class Text:
    """A paragraph. `kind` says how loud: plain, lead, note, warning, or a claimed result."""

    text: str
    kind: Literal["plain", "lead", "note", "warning", "claim"] = "plain"


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    items: Sequence[str]


@dataclass(frozen=True)
class Code:
    """Text shown as typed, such as a command."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows of text cells; columns whose position is in `numeric` are aligned right.

    Attributes:
        marked: positions of rows to emphasise.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: frozenset[int] = frozenset()
    marked: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Panel:
    """One drawing of a figure.

    Attributes:
        name: file name without ending, of letters, digits, `-` and `_`.
        title: printed above the drawing.
        svg: a complete SVG document.
        alt: what the drawing shows, for readers who cannot see it.
    """

    name: str
    title: str
    svg: str
    alt: str

    @property
    def width(self) -> float:
        """Width of the drawing, in points."""
        return float(self.svg.partition('viewBox="')[2].split()[2])


@dataclass(frozen=True)
class Figure:
    """Panels side by side under one caption."""

    caption: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Strips:
    """Rows of photographs: one PNG strip for each labelled row."""

    name: str
    title: str
    rows: Sequence[tuple[str, bytes]]


Block: TypeAlias = Text | Bullets | Code | Table | Figure | Strips


@dataclass(frozen=True)
class Section:
    """A heading with its blocks; `anchor` is its address in the page."""

    title: str
    anchor: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Document:
    """A whole report.

    Attributes:
        answer: one line that answers the question of the title.
        banners: what must be read before any number.
        date: day of the newest result, "" when unknown.
    """

    title: str
    answer: str
    banners: Sequence[str]
    date: str
    sections: Sequence[Section] = field(default_factory=tuple)
