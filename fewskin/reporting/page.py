"""A document as one self-contained HTML page: no script, no request, every text escaped."""

import base64
import html
from collections.abc import Iterator

from fewskin.reporting.blocks import Block, Bullets, Code, Document, Figure, Strips, Table, Text
from fewskin.reporting.canvas import clean, inline
from fewskin.reporting.style import CSS

__all__ = ["to_html"]

# The page may load nothing: even a mistake in escaping could not reach the network or run a script.
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)
_SMALL = 240  # points up to which panels stand closer
_LONG = 34  # characters from which a table cell gets room for several words a line


def escape(text: str) -> str:
    """Return text that can stand in an element or a quoted attribute."""
    return html.escape(clean(text), quote=True)


class _Counter:
    """Numbers figures and tables in reading order."""

    def __init__(self) -> None:
        self.figures = self.tables = 0

    def figure(self) -> int:
        self.figures += 1
        return self.figures

    def table(self) -> int:
        self.tables += 1
        return self.tables


def to_html(document: Document) -> str:
    """Return the whole page."""
    counter = _Counter()
    body = [_head(document), _contents(document)]
    for section in document.sections:
        body.append(f'<section aria-labelledby="{section.anchor}">')
        body.append(f'<h2 id="{section.anchor}">{escape(section.title)}</h2>')
        body += [_block(block, counter) for block in section.blocks]
        body.append("</section>")
    title = escape(document.title)
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f"<title>{title}</title>\n<style>\n{CSS}\n</style>\n</head>\n<body>\n<main>",
            *body,
            "</main>\n</body>\n</html>\n",
        ]
    )


def _head(document: Document) -> str:
    lines = ["<header>", f"<h1>{escape(document.title)}</h1>"]
    if document.date:
        lines.append(f'<p class="date">Results of {escape(document.date)}</p>')
    lines.append(f'<p class="answer">{escape(document.answer)}</p>')
    lines += [f'<p class="banner">{escape(banner)}</p>' for banner in document.banners]
    return "\n".join([*lines, "</header>"])


def _contents(document: Document) -> str:
    items = [
        f'<li><a href="#{section.anchor}">{escape(section.title)}</a></li>'
        for section in document.sections
    ]
    return "\n".join(['<nav aria-label="Contents">', "<ol>", *items, "</ol>", "</nav>"])


def _block(block: Block, counter: _Counter) -> str:
    if isinstance(block, Text):
        kind = f' class="{block.kind}"' if block.kind != "plain" else ""
        return f"<p{kind}>{escape(block.text)}</p>"
    if isinstance(block, Bullets):
        return "<ul>\n" + "\n".join(f"<li>{escape(item)}</li>" for item in block.items) + "\n</ul>"
    if isinstance(block, Code):
        return f"<pre><code>{html.escape(block.text)}</code></pre>"
    if isinstance(block, Table):
        return _table(block, counter.table())
    if isinstance(block, Figure):
        return _figure(block, counter.figure())
    return _strips(block)


def _table(table: Table, number: int) -> str:
    # The caption stays in place while a wide table is scrolled under it.
    lines = [
        f'<figure class="table">\n<figcaption id="t{number}">',
        f"<b>Table {number}.</b>{escape(table.caption)}</figcaption>",
        f'<div class="scroll" tabindex="0" role="region" aria-labelledby="t{number}">',
        *_table_lines(table),
        "</div>\n</figure>",
    ]
    return "\n".join(lines)


def _table_lines(table: Table) -> Iterator[str]:
    cells = "".join(
        f'<th scope="col"{_align(i, "", table)}>{escape(cell)}</th>'
        for i, cell in enumerate(table.header)
    )
    yield f"<table>\n<thead><tr>{cells}</tr></thead>\n<tbody>"
    for position, row in enumerate(table.rows):
        mark = ' class="marked"' if position in table.marked else ""
        cells = "".join(
            f"<td{_align(i, cell, table)}>{escape(cell)}</td>" for i, cell in enumerate(row)
        )
        yield f"<tr{mark}>{cells}</tr>"
    yield "</tbody>\n</table>"


def _align(column: int, cell: str, table: Table) -> str:
    if column in table.numeric:
        return ' class="num"'
    return ' class="long"' if len(cell) >= _LONG else ""


def _figure(figure: Figure, number: int) -> str:
    size = {1: " one", 2: " two", 4: " two"}.get(len(figure.panels), "")
    size = " small" if all(panel.width < _SMALL for panel in figure.panels) else size
    lines = [f'<figure>\n<div class="panels{size}">']
    for i, panel in enumerate(figure.panels):
        svg = inline(panel.svg, prefix=f"f{number}p{i}", alt=panel.alt)
        lines.append(f'<div class="panel">\n<h3>{escape(panel.title)}</h3>\n{svg}\n</div>')
    caption = f"<b>Figure {number}.</b>{escape(figure.caption)}"
    lines.append(f"</div>\n<figcaption>{caption}</figcaption>\n</figure>")
    return "\n".join(lines)


def _strips(strips: Strips) -> str:
    lines = ['<figure class="panel">', f"<h3>{escape(strips.title)}</h3>", '<table class="strips">']
    for label, png in strips.rows:
        data = base64.b64encode(png).decode()
        image = (
            f'<img alt="{escape(f"{strips.title}: {label}")}" src="data:image/png;base64,{data}">'
        )
        lines.append(f"<tr><td>{escape(label)}</td><td>{image}</td></tr>")
    return "\n".join([*lines, "</table>", "</figure>"])
