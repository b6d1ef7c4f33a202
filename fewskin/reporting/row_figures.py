"""The report's drawings with one row an arm or learner, each from rows of the tables beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fewskin.reporting.canvas import GRID, INK, SERIES, canvas, colour, shorten, to_svg
from fewskin.reporting.wording import LOWER_IS_BETTER, Arms, metric_name, unit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["SHAPES", "axis_label", "dots", "forest", "learners", "limits"]

_ROW = 19.0  # points between rows
_LONGEST = 30  # letters of a row's name; "laplacianshot (transductive)" has 28
SHAPES = ("circles", "diamonds", "squares")
_MARKS = ((SERIES[1], "o"), (SERIES[2], "D"), (SERIES[3], "s"))


@dataclass(frozen=True)
class _Rows:
    """Where the rows of a grouped panel lie: a heading for each K, then its arms."""

    places: dict[tuple[int, str], float]
    headings: dict[int, float]
    depth: float


def _stack(groups: Sequence[tuple[int, Sequence[str]]]) -> _Rows:
    places, headings, y = {}, {}, 0.0
    for shots, names in groups:
        headings[shots] = y
        for name in names:
            y += 1.0
            places[shots, name] = y
        y += 1.3
    return _Rows(places, headings, y - 0.6)


def _margin(names: Sequence[str]) -> float:
    return 16.0 + 5.9 * max((len(shorten(name, _LONGEST)) for name in names), default=4)


def _dress_rows(axes: "Axes", rows: _Rows, label: str) -> None:
    axes.set_ylim(rows.depth, -0.7)
    names = [shorten(name, _LONGEST) for _, name in rows.places]
    axes.set_yticks(list(rows.places.values()), names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.set_xlabel(label)
    for shots, y in rows.headings.items():
        axes.text(
            -0.02,
            y,
            f"K = {shots}",
            transform=axes.get_yaxis_transform(),
            ha="right",
            va="center",
            weight="bold",
        )


def _height(rows: _Rows, *, top: float) -> float:
    return (rows.depth + 0.7) * _ROW + 44 + top


def limits(values: "np.ndarray | pd.Series", *, zero: bool = False) -> tuple[float, float]:
    """Return a range that holds all finite values with a little air, and 0 if asked.

    Example:
        >>> limits(np.array([0.0, 1.0, np.nan]))
        (-0.05, 1.05)
    """
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    finite = np.append(finite, 0.0) if zero or not len(finite) else finite
    low, high = float(finite.min()), float(finite.max())
    air = 0.05 * (high - low) or 0.05
    return low - air, high + air


def axis_label(metric: str) -> str:
    """Return what an axis that shows a metric is called."""
    better = " (lower is better)" if metric in LOWER_IS_BETTER else ""
    return f"{metric_name(metric)}{unit(metric)}{better}"


def forest(
    rows: "pd.DataFrame", arms: Arms, controls: Sequence[str], span: tuple[float, float]
) -> str:
    """Draw the paired gains over each control with their intervals and the line of no gain.

    Args:
        rows: gains rows of one task and learner with a control in `baseline`.
        arms: order and names.
        controls: the baselines, each with its own mark.
        span: axis range in shares, shared between panels.
    """
    named, stack = _named(rows, arms)
    top = 30.0
    with canvas(_height(stack, top=top), left=_margin(list(named["name"])), top=top) as axes:
        axes.set_xlim(100 * span[0], 100 * span[1])
        _dress_rows(axes, stack, "gain, points")
        axes.axvline(0, color=INK, linewidth=1)
        for i, control in enumerate(controls):
            shade, shape = _MARKS[i % len(_MARKS)]
            side = named[named["baseline"] == control]
            shift = 0.34 * (i - (len(controls) - 1) / 2)
            y = _heights(side, stack) + shift
            x = 100 * side["gain"]
            _bars(axes, y, 100 * side["gain_low"], 100 * side["gain_high"], shade)
            label = f"over {shorten(control, 14)}"
            axes.plot(x, y, shape, color=shade, markersize=5.5, linestyle="none", label=label)
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(-0.02, 0.985),
            ncols=2,
            handletextpad=0.1,
            columnspacing=1.2,
        )
        return to_svg(axes)


def _bars(axes: "Axes", y: np.ndarray, low: "pd.Series", high: "pd.Series", shade: str) -> None:
    known = np.isfinite(low.to_numpy(float)) & np.isfinite(high.to_numpy(float))
    axes.hlines(y[known], low[known], high[known], colors=shade, linewidth=2)


def _named(rows: "pd.DataFrame", arms: Arms) -> "tuple[pd.DataFrame, _Rows]":
    labels = [arms.label(*key) for key in zip(rows["arm"], rows["ratio"], strict=True)]
    named = rows.assign(name=labels).reset_index(drop=True)
    groups = []
    for shots in sorted(named["shots"].unique()):
        present = set(named["name"][named["shots"] == shots])
        groups.append((int(shots), [label for label in arms.labels if label in present]))
    return named, _stack(groups)


def _heights(named: "pd.DataFrame", stack: _Rows) -> np.ndarray:
    return np.array([stack.places[key] for key in zip(named["shots"], named["name"], strict=True)])


def dots(rows: "pd.DataFrame", arms: Arms, metric: str, span: tuple[float, float]) -> str:
    """Draw one dot a draw, joined between the arms of a K, with the mean as a bar.

    Args:
        rows: draws rows of one task, learner and metric.
        arms: order, names and colours.
        metric: what is on the axis.
        span: axis range, shared between panels.
    """
    named, stack = _named(rows, arms)
    x, y = 100 * named["value"].to_numpy(float), _heights(named, stack)
    with canvas(_height(stack, top=8), left=_margin(list(named["name"])), top=8) as axes:
        axes.set_xlim(100 * span[0], 100 * span[1])
        _dress_rows(axes, stack, axis_label(metric))
        for same in named.groupby(["shots", "draw"]).indices.values():
            path = same[np.argsort(y[same])]
            axes.plot(x[path], y[path], color=GRID, linewidth=1, zorder=1)
        for (_, name), place in stack.places.items():
            here = x[y == place]
            shade = colour(arms.labels.index(name))
            axes.scatter(here, np.full(len(here), place), s=20, color=shade, alpha=0.75)
            axes.vlines(here.mean(), place - 0.36, place + 0.36, colors=INK, linewidth=2, zorder=3)
        return to_svg(axes)


def learners(rows: "pd.DataFrame", metric: str, span: tuple[float, float]) -> str:
    """Draw each learner's plain value on the real photographs alone, with its interval, at each K.

    Args:
        rows: plain gains rows (baseline "") of one task, arm `real_only`.
        metric: what is on the axis.
        span: axis range, shared between panels.
    """
    names = sorted(rows["learner"].unique())
    stack = _stack([(int(shots), names) for shots in sorted(rows["shots"].unique())])
    with canvas(_height(stack, top=8), left=_margin(names), top=8) as axes:
        axes.set_xlim(100 * span[0], 100 * span[1])
        _dress_rows(axes, stack, axis_label(metric))
        y = np.array(
            [stack.places[key] for key in zip(rows["shots"], rows["learner"], strict=True)]
        )
        _bars(axes, y, 100 * rows["low"], 100 * rows["high"], SERIES[1])
        axes.plot(100 * rows["value"], y, "o", color=SERIES[1], markersize=6, linestyle="none")
        return to_svg(axes)
