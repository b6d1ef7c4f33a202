"""Fit a learner or a generator on the base rows, once for all draws."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewskin.errors import ConfigError, DataError
from fewskin.provenance import DEFAULT_OUT, stage

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["fit"]


@stage(
    version=1,
    inputs=("manifest", "splits"),
    plugins={"learner": "learners", "generator": "generators"},
)
def fit(
    manifest: Path,
    splits: Path,
    *,
    learner: Mapping[str, Any] | None = None,
    generator: Mapping[str, Any] | None = None,
    image_size: int = 64,
    fold: int = 0,
    seed: int = 0,
    out: Path = DEFAULT_OUT,
) -> None:
    """Fit one learner or generator on the base rows, once for all draws.

    Args:
        manifest: folder of `fewskin check`.
        splits: folder of `fewskin split`.
        learner: name and hyper-parameters of a learner, e.g. name=probe.
        generator: name and hyper-parameters of a generator; give one of the two.
        image_size: side in pixels of what is learnt or generated.
        fold: which fold of the splits table.
        seed: of everything random.
    """
    import json

    from fewskin.data.images import open_table
    from fewskin.data.leakage import guard
    from fewskin.paths import atomic_write
    from fewskin.plugins import make
    from fewskin.tables import SPLITS, read_table

    if (learner is None) == (generator is None):
        raise ConfigError("fit needs one of learner= and generator=, not both.")
    table = open_table(manifest, image_size)
    roles = read_table(splits / "splits.csv", SPLITS)
    ids = _base_ids(roles, fold)
    for task in sorted(set(roles["task"])):
        guard(roles, table.rows, task=task, fold=fold, used=sorted(ids))
    base = table.with_ids(sorted(ids))
    plugin = (
        make("learners", learner) if learner is not None else make("generators", generator or {})
    )
    fitted = plugin.fit(base if len(base) else None, seed=seed, out=out)
    fitted.save(out / "state")
    about = {"n_rows": len(base), "classes": list(base.classes), "image_size": image_size}
    # "" is from scratch; who does not say may have seen anything, test images among it.
    about |= {"pretrained_on": getattr(fitted, "pretrained_on", "unknown")}
    atomic_write(out / "fit.json", json.dumps(about, indent=1) + "\n")


def _base_ids(roles: "pd.DataFrame", fold: int) -> set[str]:
    here = roles[roles["fold"] == fold]
    if here.empty:
        raise DataError(f"splits.csv has no fold {fold}; it has {sorted(set(roles['fold']))}.")
    base = here[here["role"] == "base"]
    sets = [set(base.loc[base["task"] == task, "image_id"]) for task in set(here["task"])]
    if any(ids != sets[0] for ids in sets):
        raise DataError(
            "splits.csv: the tasks have different base rows; one fit cannot serve both."
        )
    return sets[0]
