from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fewskin.errors import ConfigError, DataError, PluginError
from fewskin.learners.finetune import Finetune
from fewskin.nets.backbones import make_backbone
from fewskin.testing import BASE, RARE, synthetic_table
from fewskin.training.features import state_hash
from fewskin.training.predictor import save_tensors

IMAGES = synthetic_table(RARE, 4, seed=9).images()
TINY = {"backbone": "conv4", "fit_steps": 3, "fit_batch_size": 8, "steps": 4, "batch_size": 8}


def fitted(tmp_path: Path, **settings) -> Finetune:
    return Finetune(**(TINY | settings)).fit(synthetic_table(BASE, 6), seed=1, out=tmp_path / "fit")


def adapt(learner: Finetune, tmp_path: Path, n: int = 3, extra=None, base=None):
    support = synthetic_table(RARE, n)
    return learner.adapt(support, extra=extra, base=base, seed=2, out=tmp_path / "adapt")


@pytest.mark.parametrize(
    ("freeze", "trunk_moves", "last_moves"),
    [("none", True, True), ("trunk", False, True), ("all", False, False)],
)
def test_freeze_says_which_part_moves(
    freeze: str, trunk_moves: bool, last_moves: bool, tmp_path: Path
) -> None:
    learner = fitted(tmp_path, freeze=freeze)
    start, end = learner._fitted.net, adapt(learner, tmp_path).backbone
    assert (state_hash(start.trunk) != state_hash(end.trunk)) == trunk_moves
    assert (state_hash(start.last_block) != state_hash(end.last_block)) == last_moves


@pytest.mark.parametrize("freeze", ["none", "trunk"])
def test_batchnorm_keeps_the_statistics_of_the_base(freeze: str, tmp_path: Path) -> None:
    learner = fitted(tmp_path, freeze=freeze)
    start, end = learner._fitted.net.state_dict(), adapt(learner, tmp_path).backbone.state_dict()
    kept = [name for name in start if "running" in name]
    assert len(kept) == 8
    assert all(torch.equal(start[name], end[name]) for name in kept)


def test_from_scratch_batchnorm_takes_its_own_statistics(tmp_path: Path) -> None:
    learner = Finetune(**TINY).fit(None, seed=1, out=tmp_path)
    state = adapt(learner, tmp_path).backbone.state_dict()
    assert float(state["last_block.1.running_mean"].abs().sum()) > 0


@pytest.mark.parametrize(
    "settings",
    [
        {"mix": "mixup"},
        {"mix": "cutmix"},
        {"ema": 0.9},
        {"label_smoothing": 0.2},
        {"optimizer": "rmsprop"},
        {"optimizer": "sgd", "lr": 0.01},
    ],
)
@pytest.mark.parametrize("freeze", ["none", "trunk"])
def test_every_option_gives_another_predictor(freeze: str, settings, tmp_path: Path) -> None:
    plain = adapt(fitted(tmp_path, freeze=freeze), tmp_path).predict(IMAGES)
    other = adapt(fitted(tmp_path, freeze=freeze, **settings), tmp_path).predict(IMAGES)
    assert torch.isfinite(other).all()
    assert not torch.equal(plain, other)


def test_a_resnet_adapts_at_its_last_residual_block(tmp_path: Path) -> None:
    learner = fitted(tmp_path, backbone="resnet18", freeze="trunk", fit_steps=0)
    start = learner._fitted.net.state_dict()
    end = adapt(learner, tmp_path, n=1).backbone.state_dict()
    moved = {name.split(".")[0] for name in start if not torch.equal(start[name], end[name])}
    assert moved == {"last_block"}


def test_more_steps_fit_the_support_better(tmp_path: Path) -> None:
    support = synthetic_table(RARE, 3)
    loss = []
    for steps in (1, 60):
        predictor = adapt(fitted(tmp_path, freeze="trunk", steps=steps), tmp_path)
        prob = predictor.predict(support.images())
        own = [predictor.classes.index(label) for label in support.labels]
        loss.append(-float(prob[range(6), own].log().mean()))
    # ln 2 is what the zero head says.
    assert loss[1] < loss[0] < 0.70


@pytest.mark.parametrize("freeze", ["none", "trunk", "all"])
def test_generalised_predicts_all_classes(freeze: str, tmp_path: Path) -> None:
    base = replace(synthetic_table(BASE, 6), pixels_key="base of this test")
    extra = synthetic_table((*BASE, *RARE), 2, seed=4)
    extra = replace(extra, weights=np.full(len(extra), 0.5))
    predictor = adapt(fitted(tmp_path, freeze=freeze), tmp_path, extra=extra, base=base)
    assert predictor.classes == tuple(sorted((*BASE, *RARE)))
    assert predictor.predict(IMAGES).shape == (8, 4)


def test_the_frozen_parts_are_shared_only_after_a_base_fit(tmp_path: Path) -> None:
    assert adapt(fitted(tmp_path, freeze="trunk"), tmp_path).frozen == "trunk"
    alone = Finetune(**TINY, freeze="trunk").fit(None, seed=1, out=tmp_path)
    assert adapt(alone, tmp_path).frozen == "none"


def test_local_weights_are_the_start(tmp_path: Path) -> None:
    file = tmp_path / "mine.safetensors"
    save_tensors(make_backbone("conv4", seed=7), file)
    learner = Finetune(**(TINY | {"weights": str(file), "freeze": "all"}))
    predictor = adapt(learner.fit(None, seed=1, out=tmp_path), tmp_path)
    assert state_hash(predictor.backbone) == state_hash(make_backbone("conv4", seed=7))
    assert predictor.backbone.pretrained_on == "unknown"


def test_fit_says_what_it_has_seen(tmp_path: Path) -> None:
    assert Finetune(**TINY).fit(None, seed=1, out=tmp_path).pretrained_on == ""
    assert fitted(tmp_path).pretrained_on == "12 base images"


def test_a_saved_fit_of_another_backbone_is_refused(tmp_path: Path) -> None:
    fitted(tmp_path).save(tmp_path / "state")
    with pytest.raises(PluginError, match="holds backbone conv4, expected conv6"):
        Finetune(backbone="conv6").load(tmp_path / "state")
    with pytest.raises(PluginError, match="holds no fitted learner"):
        Finetune().load(tmp_path / "absent")


def test_settings_are_checked_when_they_are_used(tmp_path: Path) -> None:
    for settings, said in [
        ({"freeze": "half"}, "none, trunk or all"),
        ({"steps": 0}, "steps=0"),
        ({"mix": "blend"}, "none, mixup or cutmix"),
    ]:
        with pytest.raises(ConfigError, match=said):
            fitted(tmp_path, **settings)


def test_one_class_cannot_be_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="two classes or more, got rare_red"):
        fitted(tmp_path).adapt(
            synthetic_table(RARE[1:], 2), extra=None, base=None, seed=0, out=tmp_path
        )
