"""A bundle with what every section needs to know of it: arms, primary metric, names and orders."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fewskin.reporting.bundle import Bundle
from fewskin.reporting.wording import Arms, arms_of, metric_name

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Study"]

_CELL = ("task", "shots", "learner", "arm", "ratio")
_CONTROLS = ("real_only", "real_copies")


@dataclass(frozen=True)
class Study:
    """Answers about a bundle that several sections ask."""

    bundle: Bundle

    @cached_property
    def arms(self) -> Arms:
        """The arms in the order they are shown."""
        return arms_of(self.bundle.gains, self.bundle.settings)

    @cached_property
    def controls(self) -> tuple[str, ...]:
        """The control arms that gains were measured over, the plain one first."""
        found = {
            name
            for name in self.bundle.gains["baseline"]
            if name and not name.startswith("learner:")
        }
        return tuple(
            sorted(
                found, key=lambda name: (_CONTROLS.index(name) if name in _CONTROLS else 9, name)
            )
        )

    @property
    def over_controls(self) -> str:
        """What a claimed gain is over, and on whom."""
        names = {1: "the control", 2: "both controls"}.get(len(self.controls), "all controls")
        return f"over {names}{' on simulated patients' if self.bundle.simulated else ''}"

    @property
    def plain_arm(self) -> str:
        """The arm on which learners are compared."""
        return self.controls[0] if self.controls else self.arms.keys[0][0]

    @cached_property
    def primary(self) -> "pd.Series[Any] | None":
        """The verdict row of the primary comparison, if one was fixed in advance."""
        rows = self.bundle.verdicts
        rows = rows[rows["primary"]]
        return rows.iloc[0] if len(rows) else None

    @cached_property
    def metric(self) -> str:
        """The metric that headlines the report: the primary one."""
        if self.primary is not None:
            return str(self.primary["metric"])
        present = self.bundle.gains["metric"]
        return (
            "balanced_accuracy" if (present == "balanced_accuracy").any() else str(present.iloc[0])
        )

    @property
    def shots(self) -> int:
        """The K of figures that show only one: the primary one, else the largest."""
        return int(
            self.primary["shots"] if self.primary is not None else self.bundle.gains["shots"].max()
        )

    @property
    def learner(self) -> str:
        """The learner of figures that show only one: the primary one, else the first."""
        return str(
            self.primary["learner"]
            if self.primary is not None
            else self.bundle.gains["learner"].min()
        )

    @cached_property
    def groups(self) -> str:
        """What a group is: patients, lesions, images, or groups where ids are mixed."""
        rows = self.bundle.rows
        for column, noun in (("patient_id", "patients"), ("lesion_id", "lesions")):
            known = rows[column] != ""
            if known.any():
                return noun if known.all() else "groups"
        return "images"

    def measure_name(self, metric: str, stratum: str) -> str:
        """Return a metric's name with the classes it is taken over."""
        return (
            metric_name(metric)
            if stratum == "all"
            else f"{metric_name(metric)} of the {stratum} classes"
        )

    def plain(self, metric: str, stratum: str = "all") -> "pd.DataFrame":
        """Return the values, not differences, of one metric and stratum."""
        return self._rows(metric, stratum, self.bundle.gains["baseline"] == "")

    def paired(self, metric: str, stratum: str = "all") -> "pd.DataFrame":
        """Return the gains over the controls of one metric and stratum."""
        return self._rows(metric, stratum, self.bundle.gains["baseline"].isin(self.controls))

    def against_learners(self, metric: str) -> "pd.DataFrame":
        """Return the paired differences between learners on the plain control arm."""
        gains = self.bundle.gains
        keep = gains["baseline"].str.startswith("learner:") & (gains["arm"] == self.plain_arm)
        return self._rows(metric, "all", keep)

    def _rows(self, metric: str, stratum: str, keep: "pd.Series[bool]") -> "pd.DataFrame":
        gains = self.bundle.gains
        return self.ordered(
            gains[keep & (gains["metric"] == metric) & (gains["stratum"] == stratum)]
        )

    def headline(self, verdicts: "pd.DataFrame") -> "pd.DataFrame":
        """Return the verdicts on the headline metric and on the recall of the rare classes."""
        main = (verdicts["metric"] == self.metric) & (verdicts["stratum"] == "all")
        return verdicts[main | ((verdicts["metric"] == "recall") & (verdicts["stratum"] == "rare"))]

    def headlines(self) -> Iterator[tuple[str, str, str]]:
        """Yield task, metric and stratum of each forest plot."""
        gains = self.bundle.gains
        for task in gains["task"].unique():
            yield str(task), self.metric, "all"
            rare = (
                (gains["task"] == task)
                & (gains["stratum"] == "rare")
                & (gains["metric"] == "recall")
            )
            if rare.any():
                yield str(task), "recall", "rare"

    def ordered(self, rows: "pd.DataFrame") -> "pd.DataFrame":
        """Return rows by task, K, learner and arm, arms in their own order."""
        places = [
            self.arms.position(arm, ratio)
            for arm, ratio in zip(rows["arm"], rows["ratio"], strict=True)
        ]
        keys = ["task", "shots", "learner", "_place"]
        return (
            rows.assign(_place=places)
            .sort_values(keys, kind="stable")
            .drop(columns="_place")
            .reset_index(drop=True)
        )

    def by(
        self, rows: "pd.DataFrame", *columns: str
    ) -> "Iterator[tuple[tuple[Any, ...], pd.DataFrame]]":
        """Yield groups of `rows` by `columns`, ordered as `ordered`; Any: cells of a table."""
        if len(rows):
            for key, group in self.ordered(rows).groupby(list(columns), sort=False):
                yield (key if isinstance(key, tuple) else (key,)), group

    def cells(self, rows: "pd.DataFrame") -> list[tuple[Any, ...]]:
        """Return task, K, learner, arm and ratio of each row; Any: cells of a table."""
        return list(zip(*(rows[column] for column in _CELL), strict=True))

    def name(self, *parts: str) -> str:
        """Return a file name made of `parts`, with every odd character replaced."""
        return "-".join(
            re.sub(r"[^A-Za-z0-9_]+", "_", part).strip("_") or "x" for part in parts
        ).lower()
