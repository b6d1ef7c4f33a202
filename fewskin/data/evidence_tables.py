"""Schemas of the tables `evaluate` writes beside `gains.csv`."""

from fewskin.tables import Schema

__all__ = ["CALIBRATION", "CONFUSION", "DRAWS", "VERDICTS"]

_ARM = ("task", "learner", "arm", "ratio", "shots")
_FLAGS = ("True", "False")

DRAWS = Schema(
    name="draws",
    required=(*_ARM, "draw", "metric", "stratum", "value"),
    unique=(*_ARM, "draw", "metric", "stratum"),
    sort=(*_ARM, "metric", "stratum", "draw"),
    integers=("shots", "draw"),
    floats=("ratio", "value"),
)
CONFUSION = Schema(
    name="confusion",
    required=(*_ARM, "label", "predicted", "count", "share"),
    unique=(*_ARM, "label", "predicted"),
    sort=(*_ARM, "label", "predicted"),
    integers=("shots", "count"),
    floats=("ratio", "share"),
)
CALIBRATION = Schema(
    name="calibration",
    required=(*_ARM, "bin_low", "bin_high", "confidence", "accuracy", "count"),
    unique=(*_ARM, "bin_low"),
    sort=(*_ARM, "bin_low"),
    integers=("shots", "count"),
    floats=("ratio", "bin_low", "bin_high", "confidence", "accuracy"),
)
VERDICTS = Schema(
    name="verdicts",
    required=(
        *(*_ARM, "metric", "stratum", "verdict", "gain", "gain_low", "gain_high", "against"),
        *("n_groups", "n_draws", "detectable", "primary", "claimed"),
    ),
    unique=(*_ARM, "metric", "stratum"),
    sort=(*_ARM, "metric", "stratum"),
    integers=("shots", "n_groups", "n_draws"),
    floats=("ratio", "gain", "gain_low", "gain_high", "detectable"),
    choices={"primary": _FLAGS, "claimed": _FLAGS},
)
