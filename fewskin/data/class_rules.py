"""Rare and common classes by rule: by a column of the table, or by their number of patients."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from fewskin.errors import ConfigError, DataError
from fewskin.provenance import unknown

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ClassRules", "class_rules"]


@dataclass(frozen=True)
class ClassRules:
    """What makes a class rare or common; rules that are not None must all hold.

    Attributes:
        rare_where: column -> value that every row of a rare class has, e.g. {split: test}.
        rare_at_most: patients of a rare class, at most.
        rare_at_least: patients of a rare class, at least; smaller classes are left out.
        common_where: as `rare_where`, for common classes.
        common_at_least: patients of a common class, at least.
    """

    rare_where: Mapping[str, str] | None = None
    rare_at_most: int | None = None
    rare_at_least: int | None = None
    common_where: Mapping[str, str] | None = None
    common_at_least: int | None = None

    def classes(self, rows: "pd.DataFrame") -> tuple[list[str], list[str] | None]:
        """Return the rare classes and the common ones; None leaves all others common.

        Args:
            rows: manifest rows with `group_id`.

        Raises:
            DataError: no class is rare, one is both, or a column is absent.
        """
        patients = rows.groupby("label")["group_id"].nunique()
        rare = [
            str(label)
            for label, n in patients.items()
            if self._is(rows[rows["label"] == label], self.rare_where)
            and (self.rare_at_least or 0) <= n <= (self.rare_at_most or n)
        ]
        if not rare:
            raise DataError(f"no class is rare by {self._said('rare')}; see counts.csv of ingest.")
        if self.common_where is None and self.common_at_least is None:
            return sorted(rare), None
        common = [
            str(label)
            for label, n in patients.items()
            if self._is(rows[rows["label"] == label], self.common_where)
            and n >= (self.common_at_least or 0)
        ]
        both = sorted(set(rare) & set(common))
        if both:
            raise DataError(
                f"class {both[0]!r} is rare by {self._said('rare')} and common by "
                f"{self._said('common')}; expected one of the two."
            )
        return sorted(rare), sorted(common)

    def _is(self, rows: "pd.DataFrame", where: Mapping[str, str] | None) -> bool:
        for column, value in (where or {}).items():
            if column not in rows.columns:
                raise DataError(unknown("column in a class rule", column, list(rows.columns)))
            if not (rows[column].astype(str) == str(value)).all():
                return False
        return True

    def _said(self, kind: str) -> str:
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return ", ".join(
            f"data.{name}={value}"
            for name, value in given.items()
            if name.startswith(kind) and value is not None
        )


def class_rules(data: Mapping[str, Any]) -> ClassRules | None:  # Any: what a config holds
    """Return the rules among the keys of `data`, or None where there are none.

    Raises:
        ConfigError: a rule for common classes without one for rare ones.

    Example:
        >>> class_rules({"rare_at_most": 20}).rare_at_most
        20
        >>> class_rules({"path": "photos"}) is None
        True
    """
    known = [f.name for f in fields(ClassRules)]
    given = {key: data[key] for key in known if data.get(key) is not None}
    if not given:
        return None
    if not any(key.startswith("rare") for key in given):
        raise ConfigError(f"data.{next(iter(given))} needs a rule for the rare classes too.")
    return ClassRules(**given)
