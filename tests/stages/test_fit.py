import json

import pandas as pd
import pytest

from fewskin.errors import ConfigError, DataError, LeakageError
from fewskin.stages.fit import fit
from fewskin.testing import BASE

TINY = {"name": "finetune", "backbone": "conv4", "fit_steps": 2, "fit_batch_size": 4}


def test_a_learner_is_fitted_on_the_base_rows_once(tiny_data) -> None:
    manifest, splits = tiny_data
    made = fit(manifest, splits, learner=TINY, image_size=32)
    about = json.loads((made / "fit.json").read_text())
    # 8 patients a class, a fifth of them (2) for test: 6 base rows of each of the two classes.
    assert about["n_rows"] == 12
    assert about["classes"] == sorted(BASE)
    assert about["pretrained_on"] == "12 base images"
    assert (made / "state" / "backbone.safetensors").is_file()
    before = (made / "stage.json").stat().st_mtime_ns
    assert fit(manifest, splits, learner=TINY, image_size=32) == made
    assert (made / "stage.json").stat().st_mtime_ns == before


def test_a_generator_is_fitted_the_same_way(tiny_data) -> None:
    made = fit(*tiny_data, generator={"name": "copies"}, image_size=32)
    assert (made / "state").is_dir()


def test_the_key_holds_neither_draw_nor_task_but_the_seed(tiny_data) -> None:
    one = fit.request(*tiny_data, learner=TINY)
    assert one.key == fit.request(*tiny_data, learner=dict(reversed(TINY.items()))).key
    assert one.key != fit.request(*tiny_data, learner=TINY, seed=1).key
    assert one.key != fit.request(*tiny_data, learner={**TINY, "fit_steps": 3}).key


def test_one_of_learner_and_generator_is_needed(tiny_data) -> None:
    with pytest.raises(ConfigError, match="one of learner= and generator="):
        fit(*tiny_data)
    with pytest.raises(ConfigError, match="one of learner= and generator="):
        fit(*tiny_data, learner=TINY, generator={"name": "copies"})


def test_an_unknown_fold_is_named(tiny_data) -> None:
    with pytest.raises(DataError, match="no fold 3"):
        fit(*tiny_data, learner=TINY, image_size=32, fold=3)


def test_tasks_with_different_base_rows_are_refused(tiny_data, edited) -> None:
    def drop_one(table: pd.DataFrame) -> pd.DataFrame:
        base = table.index[(table["role"] == "base") & (table["task"] == "novel")]
        return table.drop(base[:1])

    with pytest.raises(DataError, match="different base rows"):
        fit(tiny_data[0], edited(drop_one), learner=TINY, image_size=32)


def test_a_test_image_among_the_base_rows_is_a_leak(tiny_data, edited) -> None:
    def plant(table: pd.DataFrame) -> pd.DataFrame:
        common = (table["role"] == "test") & table["image_id"].str.startswith("common")
        leaked = table.loc[common, "image_id"].iloc[0]
        rows = [
            {"task": task, "fold": 0, "shots": 0, "draw": -1, "image_id": leaked, "role": "base"}
            for task in ("novel", "generalised")
        ]
        return pd.concat([table, pd.DataFrame(rows)], ignore_index=True)

    with pytest.raises(LeakageError, match="is a test image"):
        fit(tiny_data[0], edited(plant), learner=TINY, image_size=32)
