"""Photographs that the worst cue gives away, and those it does not, class by class."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np

from fewskin.data.images import decode, in_threads
from fewskin.data.shortcuts import Audited
from fewskin.face.contact import contact_sheet, strip
from fewskin.tables import Manifest, Schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EXAMPLES", "SIDES", "choose_examples", "example_sheet", "example_strips"]

SIDES: Final = ("most", "least")
EXAMPLES: Final = Schema(
    name="shortcut_examples",
    required=("cue", "label", "side", "place", "image_id"),
    unique=("label", "image_id"),
    sort=("label", "side", "place"),
    integers=("place",),
    choices={"side": SIDES},
)
_EACH: Final = 4  # images a side
_CLASSES: Final = 12


def choose_examples(rows: "pd.DataFrame", audited: Audited) -> "pd.DataFrame":
    """Return up to four images a side of each class, one a group, in order.

    Args:
        rows: the manifest rows that were audited.
        audited: of `audit_cues`.

    Returns:
        Rows of `EXAMPLES`. Side "most": the worst cue alone puts them in their class most surely;
        "least": least surely. With over 12 classes, those that the cue tells best.
    """
    import pandas as pd

    lines = [
        {"cue": audited.worst, "label": label, "side": side, "place": place, "image_id": image_id}
        for label in _told_best(audited)
        for side, place, image_id in _of_class(rows, audited, label)
    ]
    return pd.DataFrame(lines, columns=list(EXAMPLES.required))


def _told_best(audited: Audited) -> list[str]:
    table = audited.table
    own = table[(table["cue"] == audited.worst) & (table["stratum"] != "all")]
    best = own.sort_values("auc", ascending=False, kind="stable")["stratum"].head(_CLASSES)
    return sorted(stratum.removeprefix("class:") for stratum in best)


def _of_class(rows: "pd.DataFrame", audited: Audited, label: str) -> Iterator[tuple[str, int, str]]:
    scores = audited.scores[:, audited.classes.index(label)]
    chosen = np.flatnonzero((rows["label"] == label) & np.isfinite(scores))
    order = chosen[np.argsort(-scores[chosen], kind="stable")]
    single = rows.iloc[order].drop_duplicates("group_id")["image_id"].tolist()
    most = single[: min(_EACH, -(-len(single) // 2))]
    least = single[len(most) :][-_EACH:][::-1]
    for side, ids in zip(SIDES, (most, least), strict=True):
        yield from ((side, place, image_id) for place, image_id in enumerate(ids))


def example_strips(
    manifest: Manifest, examples: "pd.DataFrame", cell: int = 96
) -> "list[tuple[str, str, np.typing.NDArray[np.uint8]]]":
    """Return (label, side, strip) of the examples, whole photographs in square cells.

    Args:
        manifest: holds the images; those it lacks are left out.
        examples: rows of `EXAMPLES`.
        cell: side of a cell, pixels.
    """
    position = {image_id: i for i, image_id in enumerate(manifest.rows["image_id"])}
    made = []
    for label in examples["label"].unique():
        for side in SIDES:
            part = examples[(examples["label"] == label) & (examples["side"] == side)]
            ids = part.sort_values("place")["image_id"]
            at = [position[image_id] for image_id in ids if image_id in position]
            pictures = in_threads(lambda i: decode(manifest.path(i)), at)
            if pictures:
                made.append((str(label), side, strip(pictures, cell)))
    return made


def example_sheet(manifest: Manifest, examples: "pd.DataFrame") -> bytes:
    """Return the examples as one PNG: a row a class, the images given away most on its left."""
    strips = example_strips(manifest, examples)
    labels = list(dict.fromkeys(label for label, _, _ in strips))
    cue = str(examples["cue"].iloc[0]) if len(examples) else ""
    rows = []
    for label in labels:
        both = [picture for name, _, picture in strips if name == label]
        gap = np.full((both[0].shape[0], 24, 3), 255, np.uint8)
        joined = [both[0], *(part for picture in both[1:] for part in (gap, picture))]
        rows.append((f"{label}: by {cue} alone most | least like it", np.hstack(joined)))
    return contact_sheet(rows)
