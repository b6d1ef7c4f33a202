"""Predict the test images of one trained cell."""

from pathlib import Path

from fewskin.provenance import DEFAULT_OUT, stage

__all__ = ["predict"]


@stage(version=1, inputs=("trained", "manifest", "splits"))
def predict(
    trained: Path,
    manifest: Path,
    splits: Path,
    *,
    image_size: int = 64,
    out: Path = DEFAULT_OUT,
) -> None:
    """Predict class probabilities of the test images of one trained cell.

    Args:
        trained: folder of `fewskin train`.
        manifest: folder of `fewskin check`.
        splits: folder of `fewskin split` that the cell was trained on.
        image_size: side in pixels, as in training.
    """
    import json

    from fewskin.data.images import open_table
    from fewskin.data.predictions import prediction_rows
    from fewskin.data.splits import select
    from fewskin.paths import atomic_write
    from fewskin.plugins import load_object
    from fewskin.tables import PREDICTIONS, SPLITS, read_table, write_table

    cell = json.loads((trained / "cell.json").read_text())
    predictor = load_object(trained / "model")
    table = open_table(manifest, image_size)
    roles = read_table(splits / "splits.csv", SPLITS)
    ids = select(
        roles, task=cell["task"], shots=cell["shots"], draw=cell["draw"], fold=cell["fold"]
    )["test"]
    test = table.with_ids(ids)
    write_table(prediction_rows(predictor, test, cell), out / "predictions.csv", PREDICTIONS)
    atomic_write(out / "cell.json", json.dumps(cell, indent=1) + "\n")
