"""Published training and test parts: which pictures lie on both sides."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fewskin.data.source import finding

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SPLIT_COLUMN", "crossing_notes"]

SPLIT_COLUMN = "split"  # where a source keeps the part that the data set's authors chose


def crossing_notes(rows: "pd.DataFrame", same: Iterable[Sequence[int]]) -> list[dict[str, str]]:
    """Return a finding for every set of copies that lie in more than one published part.

    Args:
        rows: manifest rows; without a column `split` nothing is found.
        same: sets of row positions that show one picture: exact or near-duplicates.

    Example:
        >>> import pandas as pd
        >>> rows = pd.DataFrame({"image_id": ["a", "b"], "path": ["a.png", "b.png"]})
        >>> rows["split"] = ["train", "test"]
        >>> crossing_notes(rows, [[0, 1]])[0]["detail"]
        'copies in several published parts: a in train, b in test; do not use those parts'
    """
    if SPLIT_COLUMN not in rows.columns:
        return []
    from fewskin.data.duplicates import components

    # Near-copies of one of several exact copies are copies of them all.
    part_of = components(len(rows), [list(positions) for positions in same])
    order = np.argsort(part_of, kind="stable")
    ends = np.flatnonzero(np.diff(part_of[order])) + 1
    notes = []
    for positions in (part.tolist() for part in np.split(order, ends) if len(part) > 1):
        parts = [rows[SPLIT_COLUMN].iloc[i] for i in positions]
        if len({part for part in parts if part}) < 2:
            continue
        names = [rows["image_id"].iloc[i] for i in positions]
        shown = [f"{name} in {part}" for name, part in zip(names, parts, strict=True) if part]
        more = f" and {len(shown) - 5} more" if len(shown) > 5 else ""
        detail = (
            f"copies in several published parts: {', '.join(shown[:5])}{more}; do not use those "
            "parts"
        )
        path = rows["path"].iloc[positions[0]]
        notes.append(finding("crosses_split", detail, image_id=names[0], path=path))
    return notes
