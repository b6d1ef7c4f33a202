from pathlib import Path

import pytest

from fewskin.data.images import open_table
from fewskin.errors import DataError
from fewskin.plugins import load_object
from fewskin.stages.fit import fit
from fewskin.stages.predict import predict
from fewskin.stages.train import train
from fewskin.tables import PREDICTIONS, SPLITS, prob_columns, read_table
from fewskin.testing import BASE, RARE

LEARNER = {
    **{"name": "finetune", "backbone": "conv4", "fit_steps": 2, "fit_batch_size": 4},
    **{"steps": 3, "batch_size": 4, "freeze": "trunk"},
}


def cell(data: tuple[Path, Path], task: str) -> Path:
    base = fit(*data, learner=LEARNER, image_size=32)
    given = {"label": "tuned", "shots": 1, "draw": 0, "image_size": 32}
    return train(*data, base, learner=LEARNER, task=task, **given)


@pytest.mark.parametrize(
    ("task", "classes"), [("novel", RARE), ("generalised", tuple(sorted((*BASE, *RARE))))]
)
def test_the_test_rows_of_the_task_are_predicted(tiny_data, task: str, classes) -> None:
    made = predict(cell(tiny_data, task), *tiny_data, image_size=32)
    table = read_table(made / "predictions.csv", PREDICTIONS)
    roles = read_table(tiny_data[1] / "splits.csv", SPLITS)
    test = roles[(roles["task"] == task) & (roles["role"] == "test")]
    assert sorted(table["image_id"]) == sorted(test["image_id"])
    assert prob_columns(table) == [f"p:{name}" for name in classes]
    assert set(table["learner"]) == {"tuned"}
    assert set(table["role"]) == {"test"}


def test_predictions_are_those_of_the_model_on_the_images(tiny_data) -> None:
    trained = cell(tiny_data, "novel")
    table = read_table(predict(trained, *tiny_data, image_size=32) / "predictions.csv", PREDICTIONS)
    images = open_table(tiny_data[0], 32)
    position = {name: i for i, name in enumerate(images.rows["image_id"])}
    chosen = images.take([position[name] for name in table["image_id"]])
    expected = load_object(trained / "model").predict(chosen.images())
    assert table[prob_columns(table)].to_numpy() == pytest.approx(expected.numpy(), abs=1e-5)


def test_another_image_size_is_refused(tiny_data) -> None:
    with pytest.raises(DataError, match="trained at 32 px"):
        predict(cell(tiny_data, "novel"), *tiny_data, image_size=64)
