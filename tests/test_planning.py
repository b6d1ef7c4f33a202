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


def test_a_learner_can_be_kept_to_some_arms() -> None:
    arms = {"real_only": {}, "flat": {"generator": "flat"}}
    learners = {"probe": {"backbone": "conv4"}, "trivial": {"arms": "real_only"}}
    assert {r.params["label"] for r in requests("train", arms=arms, learners=learners)} == {"probe"}
    assert {r.params["label"] for r in requests("assess", arms=arms, learners=learners)} == set(
        learners
    )
    with pytest.raises(ConfigError, match="unknown arm of learner trivial 'real_onyl'"):
        requests("train", arms=arms, learners={"trivial": {"arms": "real_onyl"}})


def test_more_base_seeds_than_draws_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"base_seeds=9: expected 1 to split\.draws=5"):
        experiment_from({**CONFIG, "base_seeds": 9})


def test_the_root_seed_alone_decides_the_tasks() -> None:
    split = {**CONFIG["split"], "n_tasks": 1}

    def tasks(seed: int) -> set[str]:
        return {str(cell.params["task"]) for cell in requests("assess", split=split, seed=seed)}

    assert tasks(1) == tasks(1)
    assert len(set.union(*map(tasks, range(6)))) > 1  # by chance all equal: 1 in 243


def test_learners_read_crops_and_generators_the_photographs() -> None:
    arms = {"real_only": {}, "flat": {"generator": "flat"}}
    small = {"arms": arms, "split": {**CONFIG["split"], "draws": 1}, "image_size": 96}
    plain = {stage: requests(stage, **small) for stage in ("split", "adapt", "generate", "audit")}
    cropped = {**small, "inputs": "patches"}
    for stage, wanted in plain.items():  # untouched: the same keys
        assert [r.key for r in requests(stage, **cropped)] == [r.key for r in wanted]
    crops = requests("face_crop", **cropped)
    assert {r.inputs["path"].stage for r in crops} == {"check", "generate"}
    assert {(r.params["layout"], r.params["side"]) for r in crops} == {("patches", 96)}
    assert len(crops) == 1 + len(plain["generate"])
    for stage in ("train", "predict", "assess"):
        for request in requests(stage, **cropped):
            assert request.inputs["manifest"].stage == "face_crop"
            assert request.inputs["splits"].key == plain["split"][0].key
    for request in requests("train", **cropped):
        assert {made.stage for made in request.inputs["generated"]} == {"face_crop"}
    read = {
        "learner" if request.params["learner"] else "generator": request.inputs["manifest"].stage
        for request in requests("fit", **cropped)
    }
    assert read == {"learner": "face_crop", "generator": "check"}
    assert {r.inputs["manifest"].stage for r in requests("evaluate", **cropped)} == {"check"}
    assert requests("report", **cropped)[0].params["experiment"]["inputs"] == "patches"
    assert not requests("face_crop", **small)


def test_a_learner_can_have_inputs_of_its_own() -> None:
    own = {"name": "probe", "backbone": "conv4", "fit_steps": 9}
    learners = {
        "photo": own,
        "alone": {**own, "inputs": "face"},
        "patches": {**own, "backbone": "patches:conv4", "inputs": "patches", "image_size": 96},
    }
    crops = requests("face_crop", learners=learners)
    assert sorted((r.params["layout"], r.params["side"]) for r in crops) == [
        ("face", 64),
        ("patches", 96),
    ]
    read = {
        r.params["label"]: getattr(r.inputs["manifest"], "params", {}).get("layout")
        for r in requests("assess", learners=learners)
    }
    assert read == {"photo": None, "alone": "face", "patches": "patches"}
    for request in requests("fit", learners=learners):
        assert "inputs" not in request.params["learner"]


def test_inputs_that_do_not_exist_or_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="unknown inputs 'patch', did you mean 'patches'"):
        experiment_from({**CONFIG, "inputs": "patch"})
    with pytest.raises(ConfigError, match="3 x 3 tiles cannot have a side of 64 pixels"):
        experiment_from({**CONFIG, "inputs": "masked"})
    with pytest.raises(ConfigError, match="unknown experiment key 'inputs_of'"):
        experiment_from({**CONFIG, "inputs_of": {}})
    assert experiment_from({**CONFIG, "inputs": "face"}).inputs == "face"
