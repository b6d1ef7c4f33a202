"""Ask of every class: can one tell its generated images from real ones, and are they copies?"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from fewskin.errors import DataError
from fewskin.provenance import DEFAULT_OUT, stage

if TYPE_CHECKING:
    from fewskin.protocols import ImageTable

__all__ = ["audit"]

# Of two images at 32 px: what near-duplicates of one photograph reach.
_NEAR_COPY = 0.98


@stage(version=1, inputs=("manifest", "splits", "generated"))
def audit(
    manifest: Path,
    splits: Path,
    generated: Sequence[Path],
    *,
    arm: str,
    task: str,
    image_size: int = 64,
    max_per_class: int = 300,
    fold: int = 0,
    seed: int = 0,
    out: Path = DEFAULT_OUT,
) -> None:
    """Measure per class how well "generated?" can be told, and the share of near copies.

    A logistic regression on simple features, cross-validated by patient. AUC 0.5: it cannot be
    told; near 1: a classifier may learn the generator's traces instead of the disease. An arm that
    repeats real images scores about 0.5 and 100 % near copies.

    Args:
        manifest: folder of `fewskin check`.
        splits: folder of `fewskin split`.
        generated: folders of `fewskin generate`: all draws of one arm at one K.
        arm: the arm's name, for the table.
        task: novel, generalised or an N-way task of the splits table.
        image_size: side in pixels at which images are compared.
        max_per_class: images of a class at most, real and generated each, chosen by seed.
        fold: which fold of the splits table.
        seed: of that choice and of the folds.
    """
    import pandas as pd

    from fewskin.data.images import open_table
    from fewskin.data.leakage import guard
    from fewskin.data.splits import select
    from fewskin.paths import atomic_write
    from fewskin.tables import SPLITS, read_table

    if not generated:
        raise DataError("audit: no generated images; name folders of `fewskin generate`.")
    table = open_table(manifest, image_size)
    roles = read_table(splits / "splits.csv", SPLITS)
    made = [open_table(Path(folder), image_size) for folder in generated]
    guard(roles, table.rows, task=task, fold=fold, generated=[each.rows for each in made])
    chosen = select(roles, task=task, shots=0, draw=-1, fold=fold)
    known = table.where(table.rows["image_id"].isin([*chosen["pool"], *chosen["base"]]).to_numpy())
    rows: list[dict[str, object]] = []
    for label in sorted({label for each in made for label in each.labels}):
        found = _compare(known, made, label, max_per_class, seed)
        rows.append({"arm": arm, "task": task, "label": label, **found})
    text = pd.DataFrame(rows).to_csv(index=False, lineterminator="\n", float_format="%.4f")
    atomic_write(out / "audit.csv", text)


def _compare(
    known: "ImageTable", made: Sequence["ImageTable"], label: str, most: int, seed: int
) -> dict[str, object]:
    from fewskin.functional.resemblance import image_features, nearest_correlation

    every, fake = _side([known], label), _side(made, label).sample(most, seed)
    real = every.sample(most, seed)
    result: dict[str, object] = {"n_real": len(real.images), "n_generated": len(fake.images)}
    result |= dict.fromkeys(("auc", "auc_low", "auc_high", "near_copies"), np.nan)
    if len(real.images):
        # Against every real image: a parent left out of the sample would hide its copies.
        near = nearest_correlation(fake.images, every.images) >= _NEAR_COPY
        result["near_copies"] = float(near.mean())
    groups = np.unique([*real.groups, *fake.groups], return_inverse=True)[1]
    n_folds = min(5, len(set(real.groups)), len(set(fake.groups)))
    if n_folds >= 2:
        features = image_features(np.concatenate([real.images, fake.images]))
        is_fake = np.arange(len(features)) >= len(real.images)
        scores = _out_of_fold(features, is_fake, groups, n_folds, seed)
        names = ("auc", "auc_low", "auc_high")
        result |= zip(names, _auc_interval(scores, is_fake, groups), strict=True)
    return result


class _Side(NamedTuple):
    images: npt.NDArray[np.uint8]
    groups: list[str]

    def sample(self, most: int, seed: int) -> "_Side":
        from fewskin.seeding import rng_for

        keep = np.sort(rng_for(seed, "audit").permutation(len(self.images))[:most])
        return _Side(self.images[keep], [self.groups[i] for i in keep])


def _side(tables: Sequence["ImageTable"], label: str) -> _Side:
    own = [table.where([label == each for each in table.labels]) for table in tables]
    images = np.concatenate([table.images().numpy() for table in own])
    return _Side(images, [group for table in own for group in table.groups])


def _out_of_fold(
    features: npt.NDArray[np.float64],
    is_fake: npt.NDArray[np.bool_],
    groups: npt.NDArray[np.int64],
    n_folds: int,
    seed: int,
) -> npt.NDArray[np.float64]:
    """Return (n,) how generated each image looks to a model that never saw its patient."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scores = np.zeros(len(features))
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed % 2**32)
    for train, test in folds.split(features, is_fake, groups):
        if len(set(is_fake[train])) < 2:
            continue
        model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
        model.fit(features[train], is_fake[train])
        scores[test] = model.decision_function(features[test])
    return scores


def _auc_interval(
    scores: npt.NDArray[np.float64],
    is_fake: npt.NDArray[np.bool_],
    groups: npt.NDArray[np.int64],
) -> tuple[float, float, float]:
    from fewskin.functional.intervals import t_interval, two_way_variance, zero_variance_margin
    from fewskin.functional.jackknife import auc_leave_out, influence, strata_of

    auc, left = auc_leave_out(scores[None], is_fake, groups, np.ones(len(scores)))
    strata = strata_of(is_fake.astype(np.int64), groups)
    variance = two_way_variance(auc, influence(auc, left, strata), strata)
    low, high = t_interval(float(auc[0]), variance)
    if variance.total == 0:
        low -= zero_variance_margin(len(strata))
    return float(auc[0]), max(low, 0.0), min(high, 1.0)
