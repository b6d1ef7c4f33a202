from pathlib import Path

import pytest
import torch

from fewskin.errors import DataError
from fewskin.nets.backbones import make_backbone
from fewskin.testing import BASE, synthetic_table
from fewskin.training import pretrain
from fewskin.training.features import features, state_hash


def fit(tmp_path: Path | None, steps: int = 12, name: str = "conv4"):
    return pretrain.fit_classifier(
        make_backbone(name, image_size=32),
        synthetic_table(BASE, 8),
        steps=steps,
        batch_size=8,
        seed=1,
        out=tmp_path,
    )


def test_the_given_backbone_is_not_changed() -> None:
    net = make_backbone("conv4")
    before = state_hash(net)
    fitted = pretrain.fit_classifier(
        net, synthetic_table(BASE, 8), steps=2, batch_size=4, seed=1, out=None
    )
    assert state_hash(net) == before != state_hash(fitted)
    assert not fitted.training
    assert fitted.pretrained_on == "16 base images"


@pytest.mark.parametrize("name", ["conv4", "resnet18"])
def test_a_killed_fit_continues_to_the_same_bits(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit(None, 6, name)
    run_steps = pretrain.run_steps

    def killed(module, batches, **settings):
        def until(step: int):
            if step == 4:
                raise KeyError("killed")
            return batches(step)

        run_steps(module, until, **settings, checkpoint_every=3)

    monkeypatch.setattr(pretrain, "run_steps", killed)
    with pytest.raises(KeyError):
        fit(tmp_path, 6, name)
    monkeypatch.setattr(pretrain, "run_steps", run_steps)
    assert (tmp_path / "checkpoint" / "base.pt").is_file()
    assert state_hash(fit(tmp_path, 6, name)) == state_hash(whole)


def test_the_base_classes_come_apart_in_the_features() -> None:
    fitted, test = fit(None, 40), synthetic_table(BASE, 10, seed=3)
    rows = features(fitted, test)
    first, second = rows[:10], rows[10:]
    # The nearer of two class means, of patients that were not trained on.
    nearer = torch.cdist(rows, torch.stack([first.mean(0), second.mean(0)])).argmin(1)
    assert float((nearer == torch.arange(20) // 10).float().mean()) >= 0.9


def test_one_base_class_is_too_few() -> None:
    with pytest.raises(DataError, match="two or more, got common_pale"):
        pretrain.fit_classifier(
            make_backbone("conv4"), synthetic_table(BASE[:1], 3), steps=1, seed=0, out=None
        )
