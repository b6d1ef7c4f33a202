"""Base seeds, shared fits, and which cells run together."""

import pytest

from fewskin.errors import ConfigError
from fewskin.experiment import experiment_from
from fewskin.planning import plan_experiment
from fewskin.provenance import Request

CONFIG = {
    "name": "small",
    "source": {"name": "phantom"},
    "split": {"rare": ["rosacea", "lupus", "perioral"], "tasks": ["nway"], "draws": 5},
    "learners": {
        "probe": {"backbone": "conv4", "fit_steps": 9},
        "stiff": {"name": "probe", "backbone": "conv4", "fit_steps": 9, "c": 1.0},
        "tuned": {"name": "finetune", "backbone": "conv4", "fit_steps": 9, "fit_batch_size": 32},
        "protonet": {"fit_steps": 9},
    },
    "arms": {"real_only": {}},
}


def requests(stage: str, **changed: object) -> list[Request]:
    plan = plan_experiment(experiment_from({**CONFIG, **changed}))
    return [request for request in plan.requests if request.stage == stage]


def test_learners_with_the_same_base_fit_share_it() -> None:
    fits = requests("fit")
    assert sorted(str(fit.params["learner"]["name"]) for fit in fits) == ["probe", "protonet"]


def test_another_base_fit_is_not_shared() -> None:
    learners = {**CONFIG["learners"], "tuned": {"name": "finetune", "backbone": "conv4"}}
    assert len(requests("fit", learners=learners)) == 3


def test_base_fits_take_turns_over_the_draws() -> None:
    assert len(requests("fit", base_seeds=2)) == 4
    cells = [r for r in requests("assess", base_seeds=2) if r.params["label"] == "probe"]
    by_fit = {str(cell.inputs["fit"].key): cell.params["draws"] for cell in cells}
    assert sorted(by_fit.values()) == [[0, 2, 4], [1, 3]]


def test_every_pair_of_rare_classes_is_a_task() -> None:
    tasks = {str(cell.params["task"]) for cell in requests("assess")}
    assert tasks == {"nway:lupus|perioral", "nway:lupus|rosacea", "nway:perioral|rosacea"}


def test_kept_models_are_trained_one_by_one() -> None:
    assert not requests("assess", keep_models=True)
    assert len(requests("train", keep_models=True)) == 4 * 3 * 2 * 5  # learners, pairs, K, draws


def test_an_arm_can_train_on_its_generated_images_alone() -> None:
    made = {"generator": {"name": "flat"}, "ratio": 2, "generated_only": True}
    cells = requests("train", arms={"real_only": {}, "made": made})
    assert cells
    assert all(cell.params["generated_only"] for cell in cells)
    with pytest.raises(ConfigError, match="arm made: generated_only=true without a generator"):
        requests("train", arms={"real_only": {}, "made": {"generated_only": True}})


def test_a_generator_can_work_at_a_larger_size_than_the_learners() -> None:
    arms = {"real_only": {}, "flat": {"generator": "flat", "image_size": 128}}
    assert {r.params["image_size"] for r in requests("adapt", arms=arms)} == {128}
    assert {r.params["image_size"] for r in requests("train", arms=arms)} == {64}


def test_more_base_seeds_than_draws_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"base_seeds=9: expected 1 to split\.draws=5"):
        experiment_from({**CONFIG, "base_seeds": 9})


def test_the_root_seed_alone_decides_the_tasks() -> None:
    split = {**CONFIG["split"], "n_tasks": 1}

    def tasks(seed: int) -> set[str]:
        return {str(cell.params["task"]) for cell in requests("assess", split=split, seed=seed)}

    assert tasks(1) == tasks(1)
    assert len(set.union(*map(tasks, range(6)))) > 1  # by chance all equal: 1 in 243
