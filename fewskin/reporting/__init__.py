"""What a report is made of: blocks of plain text, figures from tables, two renderings of them."""

__all__: list[str] = []
