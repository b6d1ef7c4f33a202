"""Give a generator the few real images of one draw."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fewskin.errors import ConfigError, DataError
from fewskin.provenance import DEFAULT_OUT, stage

if TYPE_CHECKING:
    from fewskin.protocols import ImageTable

__all__ = ["adapt"]


@stage(version=1, inputs=("manifest", "splits", "fit"), plugins={"generator": "generators"})
def adapt(
    manifest: Path,
    splits: Path,
    fit: Path | None = None,
    *,
    generator: Mapping[str, Any],  # Any: JSON values, the generator's hyper-parameters
    task: str,
    shots: int,
    draw: int,
    role: Literal["support", "base"] = "support",
    fold: int = 0,
    image_size: int = 64,
    max_per_class: int = 100,
    seed: int = 0,
    out: Path = DEFAULT_OUT,
) -> None:
    """Adapt a generator to the support images of one draw, or to base images.

    Args:
        manifest: folder of `fewskin check`.
        splits: folder of `fewskin split`.
        fit: folder of `fewskin fit` of the same generator; none when it needs no base data.
        generator: name and hyper-parameters, e.g. name=mixup.
        task: novel, generalised or an N-way task of the splits table.
        shots: patients per rare class (K); 0 for role=base.
        draw: which support set; -1 for role=base.
        role: support, or base for the common classes of task=generalised.
        fold: which fold of the splits table.
        image_size: side in pixels of what is generated.
        max_per_class: base images a class at most, chosen by seed; support is never cut.
        seed: of everything random.
    """
    from fewskin.data.images import open_table
    from fewskin.data.leakage import guard
    from fewskin.data.splits import select
    from fewskin.data.support_images import SUPPORT
    from fewskin.plugins import make, save_object
    from fewskin.tables import SPLITS, read_table, write_table

    if role not in ("support", "base"):
        raise ConfigError(f"role={role!r}: expected support or base.")
    table = open_table(manifest, image_size)
    roles = read_table(splits / "splits.csv", SPLITS)
    ids = select(roles, task=task, shots=shots, draw=draw, fold=fold)[role]
    chosen = table.with_ids(ids)
    if not len(chosen):
        raise DataError(f"no {role} images for task={task} shots={shots} draw={draw}; split again.")
    if role == "base":
        chosen = _at_most(chosen, max_per_class, seed)
    guard(roles, table.rows, task=task, fold=fold, used=chosen.rows["image_id"].tolist())
    made = make("generators", generator)
    if fit is not None:
        made = made.load(fit / "state")
    save_object(made.adapt(chosen, seed=seed, out=out), out / "sampler")
    write_table(chosen.rows[list(SUPPORT.required)], out / "support.csv", SUPPORT)


def _at_most(table: "ImageTable", n: int, seed: int) -> "ImageTable":
    from fewskin.seeding import rng_for

    keep: list[int] = []
    for label in table.classes:
        rows = [i for i, own in enumerate(table.labels) if own == label]
        order = rng_for(seed, "base rows", label).permutation(len(rows))[:n]
        keep += [rows[i] for i in order]
    return table.take(sorted(keep))
