"""Section on shortcuts: how well trivial cues alone tell the classes apart."""

import io
from collections.abc import Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fewskin.data.shortcut_examples import example_strips
from fewskin.data.shortcuts import TOGETHER
from fewskin.reporting.blocks import Block, Section, Strips, Table, Text
from fewskin.reporting.study import Study
from fewskin.reporting.wording import shown

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["shortcut_section"]

_STRONG, _WEAK = 0.7, 0.6  # AUC: what a shortcut can explain much, or hardly anything, of
_SIDES = {"most": "given away most", "least": "given away least"}


def shortcut_section(study: Study) -> Section:
    """Return what trivial cues alone tell, the worst first, with photographs."""
    return Section("What trivial cues give away", "shortcuts", tuple(_shortcuts(study)))


def _shortcuts(study: Study) -> Iterator[Block]:
    rows = study.bundle.shortcuts
    if not len(rows):
        yield Text("No shortcut audit was given to this report.", "note")
        return
    means = rows[rows["stratum"] == "all"].sort_values("rank")
    worst, together = means[means["rank"] == 1].iloc[0], means[means["rank"] == 0].iloc[0]
    strong = max(worst["auc"], together["auc"]) >= _STRONG
    yield Text(_sentence(worst, together), "warning" if strong else "lead")
    yield Text(
        "Each cue is asked for the class of photographs of groups it has not seen. 50 means that "
        "it tells nothing. A learner may take such a cue for the disease, so a result is worth no "
        "more than what it adds to these figures; the learner “trivial” is that floor on the test "
        "images. A cue can be part of the disease as well: redness is, in a red disease. A frame, "
        "a size or a compression never is. The audit is a property of the data: it used every "
        "labelled photograph, and nothing was chosen with it."
    )
    yield _table(study, rows, means)
    yield from _examples(study)


def _sentence(worst: "pd.Series", together: "pd.Series") -> str:
    cue = str(worst["cue"])
    name = cue[0].upper() + cue[1:]
    text = (
        f"{name} alone tells the classes apart at an AUC (×100) of {_auc(worst)}, all trivial cues "
        f"together at {_auc(together)}."
    )
    most = max(worst["auc"], together["auc"])
    if most >= _STRONG:
        return f"{text} Read every result beside these figures."
    return f"{text} That is little." if most < _WEAK else text


def _table(study: Study, rows: "pd.DataFrame", means: "pd.DataFrame") -> Table:
    cells = []
    for row in means.to_dict("records"):
        own = rows[(rows["cue"] == row["cue"]) & (rows["stratum"] != "all")]
        # As when cues are ranked: classes with an interval come first.
        most = own.loc[(own["auc"] - own["low"].isna()).idxmax()]
        label = str(most["stratum"]).removeprefix("class:")
        size = f"{most['n_images']:,} / {most['n_groups']:,}"
        cells.append((str(row["cue"]), _auc(row), label, _auc(most), size))
    return Table(
        f"AUC ×100 of each trivial cue by itself, cross-validated by {study.groups[:-1]}, with its "
        "95 % interval where a class has 10 groups or more; worst cue first. The mean is over the "
        "classes, each against the rest. All classes are in tables/shortcuts.csv.",
        ("cue", "mean over classes", "class told best", "that class", "its images / groups"),
        cells,
        frozenset({1, 3, 4}),
        frozenset({i for i, cell in enumerate(cells) if cell[0] == TOGETHER}),
    )


def _auc(row: "pd.Series | Mapping[Hashable, Any]") -> str:  # Any: a cell of a table
    low, high = row["low"], row["high"]
    ends = f" [{shown(low)}, {shown(high)}]" if np.isfinite(low) and np.isfinite(high) else ""
    return f"{shown(row['auc'])}{ends}"


def _examples(study: Study) -> Iterator[Block]:
    examples = study.bundle.shortcut_examples
    if not len(examples):
        return
    cue = str(examples["cue"].iloc[0])
    yield Text(
        f"What the worst cue, {cue}, sees: of each class the photographs that this cue alone puts "
        "in their class most and least surely, one of a group, whole."
    )
    strips = example_strips(study.bundle.manifest, examples)
    for label in dict.fromkeys(label for label, _, _ in strips):
        rows = [(_SIDES[side], _png(picture)) for name, side, picture in strips if name == label]
        yield Strips(study.name("shortcuts", label), label, rows)


def _png(pixels: "np.typing.NDArray[np.uint8]") -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
