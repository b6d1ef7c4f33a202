"""Make images: a manifest of generated rows with their parents, seeds and parameters."""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fewskin.errors import ConfigError, DataError, StageError
from fewskin.provenance import DEFAULT_OUT, stage, stage_record, unknown

if TYPE_CHECKING:
    import pandas as pd

    from fewskin.protocols import Samples

__all__ = ["generate"]

Row = dict[str, object]


@stage(version=1, inputs=("adapted",))
def generate(
    adapted: Path,
    *,
    ratio: float = 1.0,
    labels: Sequence[str] | None = None,
    knobs: Mapping[str, float] | None = None,
    seed: int = 0,
    out: Path = DEFAULT_OUT,
) -> None:
    """Sample images from an adapted generator, the same share of every class.

    The images at ratio 1 are the first half of those at ratio 2. Masks that the sampler gives go to
    `masks/`, that of the condition into the column `mask_path` too.

    Args:
        adapted: folder of `fewskin adapt`.
        ratio: generated images per real image of the class, e.g. 0.5 or 2.
        labels: classes to generate; all that were adapted to by default.
        knobs: settings of the sampler, e.g. {strength: 0.5}.
        seed: of the images; image i of a class depends on seed, class and i.
    """
    from fewskin.data.support_images import SUPPORT
    from fewskin.paths import atomic_write
    from fewskin.plugins import load_object
    from fewskin.seeding import seed_for
    from fewskin.tables import read_table, write_manifest

    record = stage_record(adapted)
    if record is None or record["stage"] != "adapt":
        raise StageError(f"{adapted} is not a finished result of `fewskin adapt`.")
    support = read_table(adapted / "support.csv", SUPPORT)
    sampler = load_object(adapted / "sampler")
    key = _set_key(record["key"], labels, knobs, seed)
    rows: list[Row] = []
    log: list[Row] = []
    for position, label, n in _wanted(support, labels, ratio):
        seeds = [seed_for(seed, label, i) for i in range(n)]
        samples = sampler.sample(label, seeds, knobs=knobs)
        made = _rows(samples, label, seeds, key, f"images/{position}-{_slug(label)}")
        log += [_record(row, samples, i) for i, row in enumerate(made)]
        kept = [i for i in range(n) if i not in samples.rejected]
        _write_images(samples, kept, made, out)
        _write_masks(samples, kept, made, out)
        rows += [made[i] for i in kept]
    atomic_write(out / "samples.json", json.dumps(log, indent=0) + "\n")
    write_manifest(_manifest(rows, log, support, record), out)


def _set_key(adapted_key: str, *settings: object) -> str:
    # Without the ratio: the images of a smaller ratio keep their ids in a larger one.
    text = json.dumps([adapted_key, *settings], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _wanted(
    support: "pd.DataFrame", labels: Sequence[str] | None, ratio: float
) -> list[tuple[int, str, int]]:
    if not ratio > 0:
        raise ConfigError(f"ratio={ratio}: expected more than 0; no image at all is arm real_only.")
    known = sorted(set(support["label"]))
    for label in labels or ():
        if label not in known:
            raise ConfigError(unknown("label", label, known))
    counts = support["label"].value_counts()
    # Rounded first: 1.1 x 10 is 11.000000000000002 in floating point.
    numbers = {label: math.ceil(round(ratio * int(counts[label]), 9)) for label in known}
    return [
        (position, label, numbers[label])
        for position, label in enumerate(known)
        if labels is None or label in labels
    ]


def _slug(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", label)[:40]


def _rows(samples: "Samples", label: str, seeds: Sequence[int], key: str, prefix: str) -> list[Row]:
    return [
        {
            "image_id": f"{key}-{label}-{i}",
            "path": f"{prefix}-{i}.png",
            "label": label,
            "source": "generated",
            "parent_ids": ";".join(samples.parents[i]),
            "seed": str(seed),
        }
        for i, seed in enumerate(seeds)
    ]


def _record(row: Row, samples: "Samples", i: int) -> Row:
    rejected = samples.rejected.get(i, "")
    return {"image_id": row["image_id"], "params": dict(samples.params[i]), "rejected": rejected}


def _write_images(samples: "Samples", kept: Sequence[int], rows: list[Row], out: Path) -> None:
    from PIL import Image

    from fewskin.data.images import pixel_sha

    (out / "images").mkdir(exist_ok=True)
    images = samples.images.permute(0, 2, 3, 1).numpy()  # (n, 3, h, w) -> (n, h, w, 3)
    for i in kept:
        rows[i]["pixel_sha"] = pixel_sha(images[i])
        # Small images, read once: time counts more than size.
        Image.fromarray(images[i]).save(out / str(rows[i]["path"]), compress_level=1)


def _write_masks(samples: "Samples", kept: Sequence[int], rows: list[Row], out: Path) -> None:
    from PIL import Image

    for name, masks in samples.masks.items():
        (out / "masks").mkdir(exist_ok=True)
        tail = "" if name == "condition" else f"_{_slug(name)}"
        for i in kept:
            file = f"masks/{Path(str(rows[i]['path'])).stem}{tail}.png"
            Image.fromarray(masks[i].numpy()).save(out / file)
            if name == "condition":
                rows[i]["mask_path"] = file


def _manifest(
    rows: list[Row], log: list[Row], support: "pd.DataFrame", record: Mapping[str, object]
) -> "pd.DataFrame":
    import pandas as pd

    if not rows:
        raise DataError(f"all {len(log)} images were rejected; the first: {log[0]['rejected']}.")
    table = pd.DataFrame(rows)
    groups = support.set_index("image_id")["group_id"]
    first = table["parent_ids"].str.partition(";")[0]
    # An image without a parent (sampled from a model of all patients) is its own group.
    table["group_id"] = first.map(groups).fillna(table["image_id"])
    table["made_by"] = record["params"]["generator"]["name"]  # type: ignore[index] # JSON
    return table
