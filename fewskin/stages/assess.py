"""Adapt a fitted learner to many support sets and predict the test rows, keeping no weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewskin.errors import ConfigError
from fewskin.provenance import DEFAULT_OUT, stage

if TYPE_CHECKING:
    import pandas as pd

    from fewskin.protocols import ImageTable, Learner, Predictor

__all__ = ["assess"]


@stage(version=1, inputs=("manifest", "splits", "fit"), plugins={"learner": "learners"})
def assess(
    manifest: Path,
    splits: Path,
    fit: Path | None = None,
    *,
    learner: Mapping[str, Any],  # Any: JSON values, the learner's hyper-parameters
    label: str,
    task: str,
    shots: int,
    draws: Sequence[int],
    arm: str = "real_only",
    fold: int = 0,
    image_size: int = 64,
    seed: int = 0,
    out: Path = DEFAULT_OUT,
) -> None:
    """Train on the real images alone and predict, draw by draw: `train` and `predict` at once.

    The predictions are those of `train` and `predict`, without a process, a copy of the net and a
    folder for each draw. A killed run goes on with the draw it was at.

    Args:
        manifest: folder of `fewskin check`.
        splits: folder of `fewskin split`.
        fit: folder of `fewskin fit` of the same learner; none trains from its first weights.
        learner: name and hyper-parameters, as for `fewskin fit`.
        label: the learner's name in tables.
        task: novel, generalised or nway:<a>|<b>.
        shots: patients per rare class (K).
        draws: which support sets.
        arm: name of this arm in tables.
        fold: which fold of the splits table.
        image_size: side in pixels.
        seed: the study's root seed; that of a draw follows from it, shots and draw.
    """
    import json

    import pandas as pd

    from fewskin.data.images import open_table
    from fewskin.paths import atomic_write
    from fewskin.plugins import make
    from fewskin.tables import PREDICTIONS, SPLITS, read_table, write_table

    if not draws:
        raise ConfigError("draws is empty; expected the numbers of some support sets.")
    table = open_table(manifest, image_size)
    roles = read_table(splits / "splits.csv", SPLITS)
    made = make("learners", learner)
    if fit is not None:
        made = made.load(fit / "state")
    cell: dict[str, object] = {"task": task, "fold": fold, "learner": label, "arm": arm}
    cell |= {"ratio": 0.0, "shots": shots}
    parts = []
    for draw in sorted(draws):
        file = out / "draws" / f"{draw}.csv"
        if not file.is_file():
            rows = _draw(made, table, roles, {**cell, "draw": draw}, seed, fit is None, out)
            write_table(rows, file, PREDICTIONS)
        parts.append(read_table(file, PREDICTIONS))
    write_table(pd.concat(parts, ignore_index=True), out / "predictions.csv", PREDICTIONS)
    for draw in draws:
        (out / "draws" / f"{draw}.csv").unlink()
    (out / "draws").rmdir()
    cell |= {"draws": sorted(draws), "transductive": bool(made.transductive)}
    cell |= {"pretrained_on": getattr(made, "pretrained_on", "unknown")}
    atomic_write(out / "cell.json", json.dumps(cell, indent=1) + "\n")


def _draw(
    learner: "Learner",
    table: "ImageTable",
    roles: "pd.DataFrame",
    cell: Mapping[str, Any],  # Any: text and numbers
    seed: int,
    unfitted: bool,
    out: Path,
) -> "pd.DataFrame":
    import shutil

    from fewskin.data.cell_tables import cell_tables
    from fewskin.data.predictions import prediction_rows
    from fewskin.seeding import seed_for

    named = {name: cell[name] for name in ("task", "fold", "shots", "draw")}
    rows = cell_tables(table, roles, **named)
    mine = seed_for(seed, "train", cell["shots"], cell["draw"])
    work = out / "work" / str(cell["draw"])
    fitted = learner.fit(None, seed=mine, out=work) if unfitted else learner
    predictor: Predictor = fitted.adapt(
        rows.support, extra=None, base=rows.base, seed=mine, out=work
    )
    shutil.rmtree(work, ignore_errors=True)
    return prediction_rows(predictor, rows.test, cell)
