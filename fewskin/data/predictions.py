"""What a predictor says of test rows, as rows of a predictions table."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fewskin.errors import DataError
from fewskin.protocols import ImageTable, Predictor

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["prediction_rows"]


def prediction_rows(
    predictor: Predictor,
    test: ImageTable,
    cell: Mapping[str, Any],  # Any: text and numbers
) -> "pd.DataFrame":
    """Return rows of `PREDICTIONS` with role test.

    A predictor may offer `predict_table(table)`, which shares what frozen nets make of images.

    Args:
        predictor: knows every class of `test`.
        test: the test rows; all in one call, so that transductive predictors see their whole task.
        cell: task, fold, learner, arm, ratio, shots and draw; other keys are left out.

    Raises:
        DataError: a test row's class is not one of the predictor's.
    """
    strange = sorted(set(test.labels) - set(predictor.classes))
    if strange:
        raise DataError(
            f"test class {strange[0]!r} was not trained: {', '.join(predictor.classes)}."
        )
    from_table = getattr(predictor, "predict_table", None)
    prob = from_table(test) if from_table else predictor.predict(test.images())
    rows = test.rows[["image_id", "group_id", "label"]].copy()
    for name in ("task", "fold", "learner", "arm", "ratio", "shots", "draw"):
        rows[name] = cell[name]
    rows["role"] = "test"
    for i, name in enumerate(predictor.classes):
        rows[f"p:{name}"] = prob[:, i].double().numpy()
    return rows
