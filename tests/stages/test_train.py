import json
from pathlib import Path

import numpy as np
import pytest

from fewskin.data.images import open_table
from fewskin.errors import ConfigError, DataError, LeakageError
from fewskin.learners.finetune import Finetune
from fewskin.plugins import load_object
from fewskin.stages.adapt import adapt
from fewskin.stages.fit import fit
from fewskin.stages.generate import generate
from fewskin.stages.train import _extra, train
from fewskin.tables import SPLITS, read_table
from fewskin.testing import BASE, RARE

TINY = {
    **{"name": "finetune", "backbone": "conv4", "fit_steps": 2, "fit_batch_size": 4},
    **{"steps": 3, "batch_size": 4, "freeze": "trunk"},
}
CELL = {"learner": TINY, "label": "tuned", "shots": 1, "draw": 0, "image_size": 32}


def copies(data: tuple[Path, Path], task: str, ratio: float = 1.0) -> tuple[Path, ...]:
    given = {"generator": {"name": "copies"}, "task": task, "image_size": 32}
    sources = [adapt(*data, **given, shots=1, draw=0)]
    if task == "generalised":
        sources.append(adapt(*data, **given, shots=0, draw=-1, role="base"))
    return tuple(generate(source, ratio=ratio) for source in sources)


def test_a_cell_records_what_it_is(tiny_data) -> None:
    base = fit(*tiny_data, learner=TINY, image_size=32)
    made = train(*tiny_data, base, task="novel", **CELL)
    cell = json.loads((made / "cell.json").read_text())
    assert (cell["task"], cell["learner"], cell["arm"]) == ("novel", "tuned", "real_only")
    assert (cell["shots"], cell["draw"], cell["ratio"]) == (1, 0, 0.0)
    assert cell["classes"] == list(RARE)
    assert load_object(made / "model").classes == RARE


def test_the_generalised_task_knows_all_classes(tiny_data) -> None:
    base = fit(*tiny_data, learner=TINY, image_size=32)
    arm = {"arm": "copies", "ratio": 1.0}
    made = train(
        *tiny_data, base, copies(tiny_data, "generalised"), task="generalised", **arm, **CELL
    )
    assert load_object(made / "model").classes == tuple(sorted((*BASE, *RARE)))


def test_generated_rows_weigh_ratio_times_the_real_ones(tiny_data) -> None:
    made = [open_table(folder, 32) for folder in copies(tiny_data, "generalised", 2.0)]
    real = [*RARE, *([BASE[0]] * 6), *([BASE[1]] * 6)]
    table = _extra(made, real, 2.0)
    totals = {
        label: float(table.weights[np.array(table.labels) == label].sum())
        for label in table.classes
    }
    assert totals == pytest.approx({RARE[0]: 2, RARE[1]: 2, BASE[0]: 12, BASE[1]: 12})


def test_a_class_without_generated_images_is_refused(tiny_data) -> None:
    with pytest.raises(DataError, match="only real or only generated"):
        train(*tiny_data, None, copies(tiny_data, "novel"), task="generalised", **CELL)


def test_generated_images_alone_train_without_the_real_ones(tiny_data, monkeypatch) -> None:
    seen = {}

    def watched(self, support, *, extra, base, **given):
        seen.update(sources=set(support.rows["source"]), extra=extra, base=base)
        return adapted(self, support, extra=extra, base=base, **given)

    adapted = Finetune.adapt
    monkeypatch.setattr(Finetune, "adapt", watched)
    given = {"task": "generalised", "ratio": 1.0, "arm": "made", "generated_only": True}
    made = train(*tiny_data, None, copies(tiny_data, "generalised"), **given, **CELL)
    assert seen == {"sources": {"generated"}, "extra": None, "base": None}
    assert load_object(made / "model").classes == tuple(sorted((*BASE, *RARE)))


def test_generated_images_alone_need_generated_images(tiny_data) -> None:
    with pytest.raises(ConfigError, match="generated_only=true without generated="):
        train(*tiny_data, None, task="novel", generated_only=True, **CELL)


def test_a_planted_test_image_in_support_is_a_leak(tiny_data, edited) -> None:
    table = read_table(tiny_data[1] / "splits.csv", SPLITS)
    leaked = table.loc[(table["role"] == "test") & (table["task"] == "novel"), "image_id"].iloc[0]

    def plant(rows):
        mine = (rows["role"] == "support") & (rows["shots"] == 1) & (rows["draw"] == 0)
        first = rows.index[mine & (rows["task"] == "novel")][0]
        return rows.assign(image_id=rows["image_id"].where(rows.index != first, leaked))

    with pytest.raises(LeakageError, match=leaked):
        train(tiny_data[0], edited(plant), task="novel", **CELL)


def test_the_same_request_trains_the_same_bytes(tiny_data, tmp_path: Path) -> None:
    made = [
        train(*tiny_data, None, task="novel", **CELL, out=tmp_path / name) for name in ("a", "b")
    ]
    one, other = [(folder / "model" / "predictor.safetensors").read_bytes() for folder in made]
    assert one == other
