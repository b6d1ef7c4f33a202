"""The report's drawings over two axes, each from rows of the tables beside it."""

from typing import TYPE_CHECKING

import numpy as np

from fewskin.reporting.canvas import INK, MUTED, SERIES, canvas, colour, marker, shorten, to_svg
from fewskin.reporting.row_figures import axis_label
from fewskin.reporting.wording import Arms

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["calibration", "confusion", "curve"]


def curve(rows: "pd.DataFrame", arms: Arms, metric: str, span: tuple[float, float]) -> str:
    """Draw the value over K, one line an arm, with intervals.

    Args:
        rows: plain gains rows (baseline "") of one task and learner.
        arms: order, names and colours.
        metric: what is on the axis.
        span: axis range, shared between panels.
    """
    ks = sorted(rows["shots"].unique())
    top = _legend_room(arms)
    with canvas(200 + top, left=46, top=top) as axes:
        for i, (arm, ratio) in enumerate(arms.keys):
            line = rows[(rows["arm"] == arm) & (rows["ratio"] == ratio)].sort_values("shots")
            # Side by side, so that no interval hides another.
            shift = 0.07 * (i - (len(arms.keys) - 1) / 2)
            x = np.array([ks.index(shots) for shots in line["shots"]]) + shift
            low, high = 100 * line["low"].to_numpy(float), 100 * line["high"].to_numpy(float)
            known = np.isfinite(low) & np.isfinite(high)
            axes.vlines(
                x[known], low[known], high[known], colors=colour(i), linewidth=1.6, alpha=0.7
            )
            (drawn,) = axes.plot(x, 100 * line["value"], color=colour(i), marker=marker(i))
            drawn.set(markersize=5, linewidth=1.4, label=shorten(arms.labels[i], 15))
        axes.set_xticks(range(len(ks)), [f"{shots}" for shots in ks])
        axes.set_xlim(-0.35, len(ks) - 0.65)
        axes.set_ylim(100 * span[0], 100 * span[1])
        axes.set_xlabel("K, patients per rare class")
        axes.set_ylabel(axis_label(metric))
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        _legend(axes)
        return to_svg(axes)


def confusion(rows: "pd.DataFrame") -> str:
    """Draw the share of each true class (row) that was called each class (column).

    Args:
        rows: confusion rows of one task, learner, arm and K.
    """
    names = sorted({*rows["label"], *rows["predicted"]})
    ticks = [shorten(name, 14) for name in names]
    cell, longest = min(46.0, 250.0 / len(names)), max(map(len, ticks))
    size = min(10.5, 0.7 * cell)  # of the type
    left, bottom = 30 + 0.56 * size * longest, 34 + 0.38 * size * longest
    side = cell * len(names)
    with canvas(
        side + bottom + 4, left=left, bottom=bottom, top=4, right=14, width=side + left + 14
    ) as axes:
        position = {name: i for i, name in enumerate(names)}
        for row in rows.to_dict("records"):
            at = (position[row["predicted"]], position[row["label"]])
            _square(axes, at, float(row["share"]), cell)
        places = range(len(names))
        axes.set_xticks(
            places, ticks, rotation=40, ha="right", rotation_mode="anchor", fontsize=size
        )
        axes.set_yticks(places, ticks, fontsize=size)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlim(-0.5, len(names) - 0.5)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel("called")
        axes.xaxis.set_label_coords(0.5, -(bottom - 12) / side)
        axes.set_ylabel("truth")
        axes.yaxis.set_label_coords(-(left - 14) / side, 0.5)
        return to_svg(axes)


def _square(axes: "Axes", at: tuple[int, int], share: float, cell: float) -> None:
    from matplotlib.patches import Rectangle

    if not np.isfinite(share):
        return
    x, y = at
    shade = SERIES[1] if x == y else SERIES[2]
    # Never so dark that the number on it needs another ink.
    alpha = 0.06 + 0.6 * share
    axes.add_patch(Rectangle((x - 0.47, y - 0.47), 0.94, 0.94, facecolor=shade, alpha=alpha))
    if cell >= 20:
        text = f"{100 * share:.0f}"
        axes.text(x, y, text, ha="center", va="center", color=INK, fontsize=min(11.0, 0.32 * cell))


def calibration(rows: "pd.DataFrame", arms: Arms) -> str:
    """Draw how often predictions of each confidence were right; marks grow with their images.

    Args:
        rows: calibration rows of one task, learner and K.
        arms: order, names and colours.
    """
    top = _legend_room(arms)
    with canvas(250 + top, left=46, top=top) as axes:
        axes.plot([0, 100], [0, 100], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        for i, (arm, ratio) in enumerate(arms.keys):
            line = rows[(rows["arm"] == arm) & (rows["ratio"] == ratio) & (rows["count"] > 0)]
            x, y = 100 * line["confidence"].to_numpy(float), 100 * line["accuracy"].to_numpy(float)
            share = line["count"].to_numpy(float) / max(1.0, float(line["count"].sum()))
            axes.plot(x, y, color=colour(i), linewidth=1.3, alpha=0.8)
            # Marks on the edge of the plot stay whole.
            dots = axes.scatter(x, y, s=6 + 260 * share, color=colour(i), marker=marker(i))
            dots.set(alpha=0.75, clip_on=False)
            label = shorten(arms.labels[i], 15)
            axes.plot([], [], color=colour(i), marker=marker(i), markersize=5, label=label)
        axes.set_xlim(0, 100)
        axes.set_ylim(0, 100)
        axes.set_xlabel("confidence, %")
        axes.set_ylabel("correct, %")
        axes.grid()
        axes.set_axisbelow(True)
        _legend(axes)
        return to_svg(axes)


def _legend_room(arms: Arms) -> float:
    return 12.0 + 15.0 * ((len(arms.keys) + 2) // 3)


def _legend(axes: "Axes") -> None:
    place = (-0.08, 0.99)
    axes.legend(loc="lower left", bbox_to_anchor=place, ncols=3, handlelength=1.6, columnspacing=1)
