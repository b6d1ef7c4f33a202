"""A document as Markdown, with the same content as the page and its figures as files."""

import re
from collections.abc import Iterator

from fewskin.reporting.blocks import Block, Bullets, Code, Document, Figure, Strips, Table, Text
from fewskin.reporting.canvas import clean

__all__ = ["figure_files", "to_markdown"]

# An underscore inside a word, as in real_only, is a plain character.
_SPECIAL = re.compile(r"([\\`*\[\]<>|~$]|(?<!\w)_|_(?!\w)|^#)")
_HTML = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


def escape(text: str) -> str:
    r"""Return text in which no character is Markdown or HTML.

    Example:
        >>> escape("a|b <i> *c* real_only")
        'a\\|b &lt;i&gt; \\*c\\* real_only'
    """
    safe = clean(text).replace("&", "&amp;")
    safe = _SPECIAL.sub(lambda found: _HTML.get(found[1], f"\\{found[1]}"), safe)
    # At the start of a line these would open a list or underline a heading.
    return re.sub(r"^(\s*)(?:([-+](?=\s|$)|[-=]{2}|=)|(\d+)([.)])(?=\s))", _literal_start, safe)


def _literal_start(found: "re.Match[str]") -> str:
    space, bullet, number, stop = found.groups()
    return f"{space}\\{bullet}" if bullet else f"{space}{number}\\{stop}"


def to_markdown(document: Document) -> str:
    """Return the whole report; it names the files of `figure_files` under `figures/`."""
    lines = [f"# {escape(document.title)}", ""]
    if document.date:
        lines += [f"Results of {escape(document.date)}", ""]
    lines += [f"**{escape(document.answer)}**", ""]
    for banner in document.banners:
        lines += [f"> {escape(banner)}", ""]
    figures = tables = 0
    for section in document.sections:
        lines += [f"## {escape(section.title)}", ""]
        for block in section.blocks:
            figures += isinstance(block, Figure)
            tables += isinstance(block, Table)
            lines += [*_block(block, figures, tables), ""]
    return "\n".join(lines).rstrip() + "\n"


def _block(block: Block, figures: int, tables: int) -> Iterator[str]:
    if isinstance(block, Text):
        quote = "> " if block.kind in ("warning", "claim") else ""
        yield f"{quote}{escape(block.text)}"
    elif isinstance(block, Bullets):
        yield from (f"- {escape(item)}" for item in block.items)
    elif isinstance(block, Code):
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", block.text)), default=0))
        yield f"{fence}text\n{block.text}\n{fence}"
    elif isinstance(block, Table):
        yield from _table(block, tables)
    elif isinstance(block, Figure):
        for panel in block.panels:
            yield f"**{escape(panel.title)}**\n\n![{escape(panel.alt)}](figures/{panel.name}.svg)\n"
        yield f"**Figure {figures}.** {escape(block.caption)}"
    else:
        yield f"**{escape(block.title)}**\n"
        yield from _lines(
            ("", ""),
            [(escape(label), _image(block, i, label)) for i, (label, _) in enumerate(block.rows)],
        )


def _image(strips: Strips, i: int, label: str) -> str:
    return f"![{escape(f'{strips.title}: {label}')}](figures/{strips.name}-{i}.png)"


def _table(table: Table, number: int) -> Iterator[str]:
    yield f"**Table {number}.** {escape(table.caption)}\n"
    rows = []
    for position, row in enumerate(table.rows):
        cells = [escape(cell) for cell in row]
        rows.append(
            [f"**{cell}**" if cell else cell for cell in cells]
            if position in table.marked
            else cells
        )
    right = [i in table.numeric for i in range(len(table.header))]
    yield from _lines([escape(cell) for cell in table.header], rows, right)


def _lines(
    header: "list[str] | tuple[str, ...]",
    rows: "list[list[str]] | list[tuple[str, str]]",
    right: "list[bool] | None" = None,
) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield (
        "|"
        + "|".join("---:" if aligned else "---" for aligned in right or [False] * len(header))
        + "|"
    )
    yield from (f"| {' | '.join(row)} |" for row in rows)


def figure_files(document: Document) -> dict[str, bytes]:
    """Return the name and bytes of every figure the Markdown refers to."""
    files: dict[str, bytes] = {}
    for section in document.sections:
        for block in section.blocks:
            if isinstance(block, Figure):
                files |= {f"{panel.name}.svg": panel.svg.encode() for panel in block.panels}
            elif isinstance(block, Strips):
                files |= {f"{block.name}-{i}.png": png for i, (_, png) in enumerate(block.rows)}
    return files
