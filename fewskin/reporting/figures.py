"""The report's drawings, each from rows of the tables beside it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fewskin.reporting.canvas import GRID, INK, MARKERS, MUTED, SERIES, canvas, shorten, to_svg
from fewskin.reporting.wording import LOWER_IS_BETTER, Arms, metric_name, unit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["SHAPES", "calibration", "confusion", "curve", "dots", "forest", "learners", "limits"]

_ROW = 19.0  # points between rows
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
    return min(118.0, 16.0 + 5.9 * max((len(shorten(name, 17)) for name in names), default=4))


def _dress_rows(axes: "Axes", rows: _Rows, label: str) -> None:
    axes.set_ylim(rows.depth, -0.7)
    axes.set_yticks(list(rows.places.values()), [shorten(name, 17) for _, name in rows.places])
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


def _axis_label(metric: str) -> str:
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
    named = rows.assign(
        name=[arms.label(arm, ratio) for arm, ratio in zip(rows["arm"], rows["ratio"], strict=True)]
    )
    stack = _stack(list(_groups(named, arms)))
    top = 30.0
    with canvas(_height(stack, top=top), left=_margin(list(named["name"])), top=top) as axes:
        axes.set_xlim(100 * span[0], 100 * span[1])
        _dress_rows(axes, stack, "gain, points")
        axes.axvline(0, color=INK, linewidth=1)
        for i, control in enumerate(controls):
            colour, marker = _MARKS[i % len(_MARKS)]
            side = named[named["baseline"] == control]
            shift = 0.34 * (i - (len(controls) - 1) / 2)
            y = np.array(
                [stack.places[key] + shift for key in zip(side["shots"], side["name"], strict=True)]
            )
            x = 100 * side["gain"]
            _bars(axes, y, 100 * side["gain_low"], 100 * side["gain_high"], colour)
            label = f"over {shorten(control, 14)}"
            axes.plot(x, y, marker, color=colour, markersize=5.5, linestyle="none", label=label)
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(-0.02, 0.985),
            ncols=2,
            handletextpad=0.1,
            columnspacing=1.2,
        )
        return to_svg(axes)


def _bars(axes: "Axes", y: np.ndarray, low: "pd.Series", high: "pd.Series", colour: str) -> None:
    known = np.isfinite(low.to_numpy(float)) & np.isfinite(high.to_numpy(float))
    axes.hlines(y[known], low[known], high[known], colors=colour, linewidth=2)


def _groups(named: "pd.DataFrame", arms: Arms) -> Iterator[tuple[int, list[str]]]:
    for shots, group in named.groupby("shots"):
        present = set(group["name"])
        yield int(shots), [label for label in arms.labels if label in present]  # type: ignore[call-overload]  # int64


def dots(rows: "pd.DataFrame", arms: Arms, metric: str, span: tuple[float, float]) -> str:
    """Draw one dot a draw, joined between the arms of a K, with the mean as a bar.

    Args:
        rows: draws rows of one task, learner and metric.
        arms: order, names and colours.
        metric: what is on the axis.
        span: axis range, shared between panels.
    """
    named = rows.assign(
        name=[arms.label(arm, ratio) for arm, ratio in zip(rows["arm"], rows["ratio"], strict=True)]
    )
    stack = _stack(list(_groups(named, arms)))
    with canvas(_height(stack, top=8), left=_margin(list(named["name"])), top=8) as axes:
        axes.set_xlim(100 * span[0], 100 * span[1])
        _dress_rows(axes, stack, _axis_label(metric))
        for (shots, _), draw in named.groupby(["shots", "draw"]):
            y = np.array([stack.places[int(shots), name] for name in draw["name"]])
            order = np.argsort(y)
            axes.plot(
                100 * draw["value"].to_numpy()[order], y[order], color=GRID, linewidth=1, zorder=1
            )
        for (shots, name), cell in named.groupby(["shots", "name"]):
            y_cell = stack.places[int(shots), name]
            colour = _colour(arms.labels.index(name))
            x = 100 * cell["value"].to_numpy()
            axes.plot(
                x,
                np.full(len(x), y_cell),
                "o",
                color=colour,
                markersize=4.5,
                alpha=0.75,
                linestyle="none",
            )
            axes.vlines(x.mean(), y_cell - 0.36, y_cell + 0.36, colors=INK, linewidth=2, zorder=3)
        return to_svg(axes)


def _colour(position: int) -> str:
    return SERIES[position % len(SERIES)]


def _marker(position: int) -> str:
    return MARKERS[position % len(MARKERS)]


def curve(rows: "pd.DataFrame", arms: Arms, metric: str, span: tuple[float, float]) -> str:
    """Draw the value over K, one line an arm, with intervals.

    Args:
        rows: plain gains rows (baseline "") of one task and learner.
        arms: order, names and colours.
        metric: what is on the axis.
        span: axis range, shared between panels.
    """
    ks = sorted(rows["shots"].unique())
    lines = (len(arms.keys) + 2) // 3
    top = 12.0 + 15.0 * lines
    with canvas(200 + top, left=46, top=top) as axes:
        for position, (arm, ratio) in enumerate(arms.keys):
            line = rows[(rows["arm"] == arm) & (rows["ratio"] == ratio)].sort_values("shots")
            shift = 0.07 * (position - (len(arms.keys) - 1) / 2)
            x = np.array([ks.index(shots) for shots in line["shots"]]) + shift
            low, high = 100 * line["low"].to_numpy(float), 100 * line["high"].to_numpy(float)
            known = np.isfinite(low) & np.isfinite(high)
            axes.vlines(
                x[known],
                low[known],
                high[known],
                colors=_colour(position),
                linewidth=1.6,
                alpha=0.7,
            )
            axes.plot(
                x,
                100 * line["value"],
                color=_colour(position),
                marker=_marker(position),
                markersize=5,
                linewidth=1.4,
                label=shorten(arms.labels[position], 15),
            )
        axes.set_xticks(range(len(ks)), [f"{shots}" for shots in ks])
        axes.set_xlim(-0.35, len(ks) - 0.65)
        axes.set_ylim(100 * span[0], 100 * span[1])
        axes.set_xlabel("K, patients per rare class")
        axes.set_ylabel(_axis_label(metric))
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(-0.08, 0.99),
            ncols=3,
            handlelength=1.6,
            columnspacing=1.0,
        )
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
        _dress_rows(axes, stack, _axis_label(metric))
        y = np.array(
            [stack.places[key] for key in zip(rows["shots"], rows["learner"], strict=True)]
        )
        _bars(axes, y, 100 * rows["low"], 100 * rows["high"], SERIES[1])
        axes.plot(100 * rows["value"], y, "o", color=SERIES[1], markersize=6, linestyle="none")
        return to_svg(axes)


def confusion(rows: "pd.DataFrame") -> str:
    """Draw the share of each true class (row) that was called each class (column).

    Args:
        rows: confusion rows of one task, learner, arm and K.
    """
    names = sorted({*rows["label"], *rows["predicted"]})
    side = 340 - 100.0
    with canvas(side + 92, left=92, bottom=84, top=8, right=8) as axes:
        position = {name: i for i, name in enumerate(names)}
        for label, predicted, share in zip(
            rows["label"], rows["predicted"], rows["share"], strict=True
        ):
            _square(axes, position[predicted], position[label], float(share), len(names))
        ticks = [shorten(name, 13) for name in names]
        size = 10.5 if len(names) <= 8 else max(4.0, 84.0 / len(names))
        axes.set_xticks(
            range(len(names)), ticks, rotation=40, ha="right", rotation_mode="anchor", fontsize=size
        )
        axes.set_yticks(range(len(names)), ticks, fontsize=size)
        axes.tick_params(length=0)
        axes.set_xlim(-0.5, len(names) - 0.5)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel("called")
        axes.xaxis.set_label_coords(0.5, -0.29)
        axes.set_ylabel("truth")
        axes.yaxis.set_label_coords(-0.34, 0.5)
        return to_svg(axes)


def _square(axes: "Axes", x: int, y: int, share: float, n: int) -> None:
    from matplotlib.patches import Rectangle

    if not np.isfinite(share):
        return
    colour = SERIES[1] if x == y else SERIES[2]
    axes.add_patch(
        Rectangle((x - 0.47, y - 0.47), 0.94, 0.94, facecolor=colour, alpha=0.08 + 0.77 * share)
    )
    if n <= 12:
        ink = INK if share < 0.55 else "#ffffff"
        axes.text(
            x,
            y,
            f"{100 * share:.0f}",
            ha="center",
            va="center",
            color=ink,
            fontsize=min(11.0, 90 / n),
        )


def calibration(rows: "pd.DataFrame", arms: Arms) -> str:
    """Draw how often predictions of each confidence were right; a dot's area is its share of images.

    Args:
        rows: calibration rows of one task, learner and K.
        arms: order, names and colours.
    """
    lines = (len(arms.keys) + 2) // 3
    top = 12.0 + 15.0 * lines
    with canvas(250 + top, left=46, top=top) as axes:
        axes.plot([0, 100], [0, 100], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        for position, (arm, ratio) in enumerate(arms.keys):
            line = rows[(rows["arm"] == arm) & (rows["ratio"] == ratio) & (rows["count"] > 0)]
            x, y = 100 * line["confidence"].to_numpy(float), 100 * line["accuracy"].to_numpy(float)
            share = line["count"].to_numpy(float) / max(1.0, float(line["count"].sum()))
            label = shorten(arms.labels[position], 15)
            axes.plot(x, y, color=_colour(position), linewidth=1.3, alpha=0.8, label=label)
            axes.scatter(
                x,
                y,
                s=6 + 260 * share,
                color=_colour(position),
                alpha=0.75,
                marker=_marker(position),
            )
        axes.set_xlim(0, 100)
        axes.set_ylim(0, 100)
        axes.set_xlabel("confidence, %")
        axes.set_ylabel("correct, %")
        axes.grid()
        axes.set_axisbelow(True)
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(-0.08, 0.99),
            ncols=3,
            handlelength=1.6,
            columnspacing=1.0,
        )
        return to_svg(axes)
