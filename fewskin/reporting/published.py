"""A paper's figures beside this study's."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from fewskin.data.task_means import MEAN_TASK
from fewskin.reporting.blocks import Block, Section, Table, Text
from fewskin.reporting.study import Study
from fewskin.reporting.wording import interval, metric_name, sizes

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["published_section"]

# Papers on balanced test sets say accuracy; on an unbalanced one balanced accuracy is the like.
_METRICS = ("macro_auc", "balanced_accuracy")


def published_section(study: Study) -> Iterator[Section]:
    """Yield the section, where the experiment names a paper."""
    published = study.bundle.settings.get("published")
    if not published:
        return
    blocks: list[Block] = [
        Text(f"Figures as printed in {published['source']}. {published.get('caveat', '')}".strip()),
        _table(study, published),
    ]
    yield Section("Beside a published table", "published", tuple(blocks))


def _table(study: Study, published: Mapping[str, Any]) -> Table:
    header = ("K", "system", *(f"{metric_name(metric)}, %" for metric in _METRICS), "n")
    rows = [
        (
            str(row["shots"]),
            f"{row['system']} (published)",
            *(f"{row[metric]:.1f}" if metric in row else "–" for metric in _METRICS),
            "–",
        )
        for row in published["rows"]
    ]
    ours = list(_ours(study))
    made = sorted([*rows, *ours], key=lambda row: int(row[0]))
    marked = frozenset(i for i, row in enumerate(made) if row in ours)
    return Table(
        "Published figures have no interval. Ours are marked: 95 % intervals; n: test "
        f"{study.groups} × draws.",
        header,
        made,
        frozenset({2, 3, 4}),
        marked,
    )


def _ours(study: Study) -> Iterator[tuple[str, ...]]:
    found = {metric: _mean_task(study.plain(metric)) for metric in _METRICS}
    for row in found[_METRICS[0]].to_dict("records"):
        cells = []
        for metric in _METRICS:
            same = found[metric]
            same = same[(same["learner"] == row["learner"]) & (same["shots"] == row["shots"])]
            values = same[["value", "low", "high"]].iloc[0] if len(same) else None
            cells.append("–" if values is None else interval(*values))
        yield (str(row["shots"]), row["learner"], *cells, sizes(row["n_groups"], row["n_draws"]))


def _mean_task(rows: "pd.DataFrame") -> "pd.DataFrame":
    mean = rows[rows["task"] == MEAN_TASK]
    return mean if len(mean) else rows
