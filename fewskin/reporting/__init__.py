"""What a report is made of: blocks of plain text, figures from tables, and two renderings of them."""

__all__: list[str] = []
