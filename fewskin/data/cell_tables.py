"""The rows of one cell: what a learner trains on and is tested on, past the guard against leaks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from fewskin.data.leakage import guard
from fewskin.data.splits import select
from fewskin.protocols import ImageTable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CellTables", "cell_tables"]


class CellTables(NamedTuple):
    """Rows of one cell.

    Attributes:
        support: the few real images of the draw.
        base: rows of the common classes in the task generalised, else None.
        test: the test rows of the task.
    """

    support: ImageTable
    base: ImageTable | None
    test: ImageTable


def cell_tables(
    table: ImageTable,
    roles: "pd.DataFrame",
    *,
    task: str,
    shots: int,
    draw: int,
    fold: int = 0,
    generated: "Sequence[pd.DataFrame]" = (),
) -> CellTables:
    """Return the rows of a cell.

    Args:
        table: all rows of the checked manifest.
        roles: a splits table.
        task: novel, generalised or nway:<a>|<b>.
        shots: patients per rare class (K).
        draw: which support set.
        fold: which fold of the splits table.
        generated: manifests of generated images that will be trained on too.

    Raises:
        DataError: the splits have no such cell.
        LeakageError: a test image, or one made from it, would be trained on.
    """
    chosen = select(roles, task=task, shots=shots, draw=draw, fold=fold)
    common = chosen["base"] if task == "generalised" else []
    used = [*chosen["support"], *common]
    guard(roles, table.rows, task=task, fold=fold, used=used, generated=generated)
    base = table.with_ids(common) if task == "generalised" else None
    return CellTables(table.with_ids(chosen["support"]), base, table.with_ids(chosen["test"]))
