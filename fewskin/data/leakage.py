"""The guard against leaks: no test patient wherever something is fitted, trained or generated."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fewskin.errors import LeakageError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["guard"]


def guard(
    splits: "pd.DataFrame",
    rows: "pd.DataFrame",
    *,
    task: str,
    fold: int = 0,
    used: Sequence[str] = (),
    generated: Sequence["pd.DataFrame"] = (),
) -> None:
    """Refuse test images, or images made from them, wherever something is fitted or generated.

    A row counts as test when its id, group or exact pixels are those of a test row of the task.

    Args:
        splits: a splits table.
        rows: manifest rows with `group_id` and `pixel_sha`.
        task: the task whose test rows are protected.
        fold: the fold.
        used: image_ids of base and support rows about to be used.
        generated: manifests of generated images about to be used.

    Raises:
        LeakageError: names the first offending image and why.
    """
    here = splits[(splits["task"] == task) & (splits["fold"] == fold) & (splits["role"] == "test")]
    table = rows.set_index("image_id")
    test = table.loc[table.index.isin(set(here["image_id"]))]
    protected = {
        "group_id": set(test["group_id"]) - {""},
        "pixel_sha": set(test["pixel_sha"]) - {""},
    }
    for image_id in used:
        _refuse(str(image_id), table, set(test.index), protected, f"task={task}")
    for made in generated:
        for image_id, parents in zip(made["image_id"], made["parent_ids"], strict=True):
            for parent in filter(None, str(parents).split(";")):
                _refuse(
                    parent,
                    table,
                    set(test.index),
                    protected,
                    f"task={task}, as parent of {image_id!r}",
                )


def _refuse(
    image_id: str,
    table: "pd.DataFrame",
    test_ids: set[str],
    protected: Mapping[str, set[str]],
    where: str,
) -> None:
    if image_id in test_ids:
        raise LeakageError(
            f"image {image_id!r} is a test image ({where}) and may not be trained on; split again."
        )
    if image_id not in table.index:
        raise LeakageError(
            f"image {image_id!r} ({where}) is not in the manifest, so its patient cannot be "
            "checked."
        )
    for column, values in protected.items():
        if table.at[image_id, column] in values:
            raise LeakageError(
                f"image {image_id!r} ({where}) shares {column}={table.at[image_id, column]!r} "
                "with a test image; "
                "run `fewskin check` and `fewskin split` again."
            )
