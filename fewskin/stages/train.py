"""Adapt a learner to one support set and the images of one arm."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fewskin.errors import ConfigError, DataError
from fewskin.provenance import DEFAULT_OUT, stage

if TYPE_CHECKING:
    from fewskin.protocols import ImageTable

__all__ = ["train"]


@stage(
    version=1,
    inputs=("manifest", "splits", "fit", "generated"),
    plugins={"learner": "learners"},
)
def train(
    manifest: Path,
    splits: Path,
    fit: Path | None = None,
    generated: Sequence[Path] = (),
    *,
    learner: Mapping[str, Any],
    label: str,
    task: str,
    shots: int,
    draw: int,
    arm: str = "real_only",
    ratio: float = 0.0,
    generated_only: bool = False,
    fold: int = 0,
    image_size: int = 64,
    seed: int = 0,
    out: Path = DEFAULT_OUT,
) -> None:
    """Train one cell: a learner on one support set and the images of one arm.

    Args:
        manifest: folder of `fewskin check`.
        splits: folder of `fewskin split`.
        fit: folder of `fewskin fit` of the same learner; none trains from its first weights.
        generated: folders of `fewskin generate`, from this draw's support (and base) rows.
        learner: name and hyper-parameters, as for `fewskin fit`.
        label: the learner's name in tables.
        task: novel (rare classes only), generalised (all classes) or nway:<a>|<b> (some rare ones).
        shots: patients per rare class (K).
        draw: which support set.
        arm: the image source's name in tables.
        ratio: generated images for each real one; their share of every class is ratio/(1+ratio).
        generated_only: train on the generated images alone; the real ones they come from are not
            seen by the learner, those of its base fit are.
        fold: which fold of the splits table.
        image_size: side in pixels.
        seed: of everything random; equal for every arm of a draw.
    """
    import json

    from fewskin.data.cell_tables import cell_tables
    from fewskin.data.images import open_table
    from fewskin.paths import atomic_write
    from fewskin.plugins import make, save_object
    from fewskin.tables import SPLITS, read_table

    table = open_table(manifest, image_size)
    roles = read_table(splits / "splits.csv", SPLITS)
    made = [open_table(Path(folder), image_size) for folder in generated]
    cell: dict[str, Any] = {"task": task, "fold": fold, "shots": shots, "draw": draw}
    rows = cell_tables(table, roles, **cell, generated=[each.rows for each in made])
    real = rows.support.labels + ([] if rows.base is None else rows.base.labels)
    fitted = make("learners", learner)
    fitted = fitted.load(fit / "state") if fit is not None else fitted.fit(None, seed=seed, out=out)
    extra = _extra(made, real, ratio)
    if not generated_only:
        predictor = fitted.adapt(rows.support, extra=extra, base=rows.base, seed=seed, out=out)
    elif extra is None:
        raise ConfigError("generated_only=true without generated=; give folders of generate.")
    else:
        predictor = fitted.adapt(extra, extra=None, base=None, seed=seed, out=out)
    save_object(predictor, out / "model")
    cell |= {"learner": label, "arm": arm, "ratio": ratio, "classes": list(predictor.classes)}
    cell |= {"transductive": bool(fitted.transductive)}
    cell |= {"pretrained_on": getattr(predictor, "pretrained_on", "unknown")}
    atomic_write(out / "cell.json", json.dumps(cell, indent=1) + "\n")


def _extra(made: Sequence["ImageTable"], real: Sequence[str], ratio: float) -> "ImageTable | None":
    """Return the generated rows as one table; in each class they weigh `ratio` x its real rows."""
    import pandas as pd

    from fewskin.protocols import ImageTable

    if not made:
        return None
    rows = pd.concat([each.rows for each in made], ignore_index=True)
    labels = rows["label"].tolist()
    missing = sorted(set(real) - set(labels)) or sorted(set(labels) - set(real))
    if missing:
        # Else "looks generated" would tell that class from the others.
        raise DataError(
            f"class {missing[0]!r} has only real or only generated images; every class needs the "
            "same share. Give folders generated from support and, for all classes, from base rows."
        )
    pixels = np.concatenate([each.pixels[each.index] for each in made])
    n_real = {label: real.count(label) for label in set(labels)}
    n_made = {label: labels.count(label) for label in set(labels)}
    weights = np.array([ratio * n_real[label] / n_made[label] for label in labels])
    table = ImageTable(rows, pixels, np.arange(len(rows), dtype=np.int64))
    return replace(table, weights=weights)
