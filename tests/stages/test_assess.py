import json
from pathlib import Path

import pandas as pd
import pytest

from fewskin.errors import ConfigError, LeakageError
from fewskin.provenance import load_stage
from fewskin.seeding import seed_for
from fewskin.stages.assess import assess
from fewskin.stages.fit import fit
from fewskin.stages.predict import predict
from fewskin.stages.train import train
from fewskin.tables import PREDICTIONS, read_table

LEARNER = {
    **{"name": "finetune", "backbone": "conv4", "fit_steps": 2, "fit_batch_size": 4},
    **{"steps": 3, "batch_size": 4, "freeze": "trunk"},
}
CELL = {"learner": LEARNER, "label": "tuned", "shots": 1, "image_size": 32}


def table(folder: Path) -> pd.DataFrame:
    return read_table(folder / "predictions.csv", PREDICTIONS)


@pytest.mark.parametrize("task", ["novel", "generalised"])
def test_predictions_are_those_of_train_and_predict(tiny_data, task: str) -> None:
    base = fit(*tiny_data, learner=LEARNER, image_size=32)
    together = table(assess(*tiny_data, base, task=task, draws=[0, 1], seed=7, **CELL))
    for draw in (0, 1):
        seed = seed_for(7, "train", 1, draw)
        trained = train(*tiny_data, base, task=task, draw=draw, seed=seed, **CELL)
        alone = table(predict(trained, *tiny_data, image_size=32))
        mine = together[together["draw"] == draw].reset_index(drop=True)
        pd.testing.assert_frame_equal(mine[alone.columns], alone, atol=1e-6)


def test_a_cell_says_what_its_weights_have_seen(tiny_data) -> None:
    base = fit(*tiny_data, learner=LEARNER, image_size=32)
    made = assess(*tiny_data, base, task="novel", draws=[0], **CELL)
    cell = json.loads((made / "cell.json").read_text())
    assert (cell["learner"], cell["draws"], cell["transductive"]) == ("tuned", [0], False)
    assert cell["pretrained_on"] == "12 base images"  # 2 of 8 patients a class are for test
    assert sorted(file.name for file in made.iterdir()) == [
        "cell.json",
        "predictions.csv",
        "stage.json",
    ]


def test_a_killed_run_goes_on_with_the_draw_it_was_at(tiny_data, tmp_path, monkeypatch) -> None:
    from fewskin.stages import assess as module

    base = fit(*tiny_data, learner=LEARNER, image_size=32)
    body = load_stage("assess").body
    whole, out = tmp_path / "whole", tmp_path / "part"
    given = {"task": "novel", "draws": [0, 1], "seed": 7, **CELL}
    body(*tiny_data, base, **given, out=whole)
    one_draw, done = module._draw, []

    def killed(*args):
        if done:
            raise KeyboardInterrupt
        done.append(args[3]["draw"])
        return one_draw(*args)

    monkeypatch.setattr(module, "_draw", killed)
    with pytest.raises(KeyboardInterrupt):
        body(*tiny_data, base, **given, out=out)

    def counted(*args):
        done.append(args[3]["draw"])
        return one_draw(*args)

    monkeypatch.setattr(module, "_draw", counted)
    body(*tiny_data, base, **given, out=out)
    assert done == [0, 1]
    assert (out / "predictions.csv").read_bytes() == (whole / "predictions.csv").read_bytes()


def test_a_test_image_in_support_is_refused(tiny_data, edited) -> None:
    def leak(roles: pd.DataFrame) -> pd.DataFrame:
        test = roles.loc[(roles["task"] == "novel") & (roles["role"] == "test"), "image_id"].iloc[0]
        wanted = (roles["role"] == "support") & (roles["task"] == "novel") & (roles["draw"] == 0)
        first = roles.index[wanted & (roles["shots"] == 1)][0]
        return roles.assign(image_id=roles["image_id"].where(roles.index != first, test))

    manifest, _ = tiny_data
    with pytest.raises(LeakageError, match="is a test image"):
        assess(manifest, edited(leak), task="novel", draws=[0], **CELL)


def test_no_draws_are_refused(tiny_data) -> None:
    with pytest.raises(ConfigError, match="draws is empty"):
        assess(*tiny_data, task="novel", draws=[], **CELL)
