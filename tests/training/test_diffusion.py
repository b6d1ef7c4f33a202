import csv
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fewskin.errors import ConfigError
from fewskin.functional.augment import Policy
from fewskin.nets.diffusion_unet import DiffusionShape
from fewskin.testing import synthetic_table
from fewskin.training.diffusion import DiffusionRecipe, DiffusionTraining
from fewskin.training.diffusion_fit import adapt_diffusion, batch_size_for, train_diffusion
from fewskin.training.diffusion_nets import DiffusionNets
from fewskin.training.diffusion_watch import DiffusionProgress, DiffusionWatch
from fewskin.training.engine import run_steps
from fewskin.training.gan_fit import gan_batches
from fewskin.training.gan_watch import reference

TABLE = synthetic_table(("common_pale", "common_ring"), 8)
Batch = tuple[Tensor, Tensor]


def nets(prediction: str = "edm") -> DiffusionNets:
    made = DiffusionNets.new(
        DiffusionShape(32, (8, 16), 4, prediction=prediction), TABLE.classes, 0
    )
    for net in (made.net, made.average):
        net.measure(TABLE.images())
    return made


def recipe(steps: int = 11, **settings) -> DiffusionRecipe:
    return DiffusionRecipe(steps, 4, **{"ema_kimg": 0.05, **settings})


def training(
    made: DiffusionNets | None = None, watch: DiffusionWatch | None = None, **settings
) -> DiffusionTraining:
    given = watch or DiffusionWatch(every=5)
    return DiffusionTraining(made or nets(), recipe(**settings), watch=given)


def batches() -> Callable[[int], Batch]:
    return gan_batches(TABLE, nets(), batch_size=4, symmetry="square", seed=0)  # type: ignore[arg-type]


def run(
    module: DiffusionTraining, steps: int, out: Path | None = None, **settings
) -> DiffusionTraining:
    given = settings.pop("batches", batches())
    run_steps(module, given, steps=steps, out=out, checkpoint_every=5, **settings)
    return module


class _KilledError(Exception):
    pass


def killed_at(last: int) -> Callable[[int], Batch]:
    whole = batches()

    def until(step: int) -> Batch:
        if step == last:
            raise _KilledError
        return whole(step)

    return until


@pytest.mark.parametrize("prediction", ["edm", "v"])
def test_a_run_killed_between_checkpoints_ends_with_the_same_bytes(
    prediction: str, tmp_path: Path
) -> None:
    whole = run(training(nets(prediction)), 11)
    with pytest.raises(_KilledError):
        run(training(nets(prediction)), 11, tmp_path, batches=killed_at(8))
    resumed = run(training(nets(prediction)), 11, tmp_path)
    for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert name.endswith("extra_state") or torch.equal(a, b), name
    assert whole.progress.state() == resumed.progress.state()
    assert whole.progress.step == 11


def test_the_loss_falls_and_the_average_follows() -> None:
    module = training(steps=120, lr=3e-3)
    run(module, 120)
    # A net that says nothing loses 1. Little noise on noisy images cannot be told from them.
    assert module.progress.loss < 0.9
    assert module.progress.bands[2] < 0.8
    for ours, average in zip(module.net.parameters(), module.average.parameters(), strict=True):
        assert torch.allclose(ours, average, atol=0.1)


def test_the_average_follows_its_decay() -> None:
    module = training(steps=2, ema_kimg=0.004, ema_ramp=1.0)
    run(module, 1)
    one = [value.detach().clone() for value in module.average.parameters()]
    # Nothing had been seen before the first step, so the average is the net after it.
    for ours, average in zip(module.net.parameters(), one, strict=True):
        assert torch.equal(ours, average)
    module.progress.step = 1
    module._after(torch.ones(4), torch.ones(4))
    moved = [value.data.add_(1.0) for value in module.net.parameters()]
    module._after(torch.ones(4), torch.ones(4))
    # Half-life 4 images, batch of 4: half of the way.
    for before, ours, average in zip(one, moved, module.average.parameters(), strict=True):
        torch.testing.assert_close(average, (before + ours) / 2, rtol=1e-4, atol=1e-4)


def test_labels_are_left_out_at_their_rate_and_the_net_is_told_of_augmentations() -> None:
    module = training(label_dropout=0.25, augment_p=0.5)
    told: list[Tensor] = []
    moved: list[Tensor] = []

    def heard(x: Tensor, level: Tensor, labels: Tensor, how: Tensor) -> Tensor:
        told.append(labels)
        moved.append(how)
        return torch.zeros_like(x)

    module.net.predict = heard  # type: ignore[method-assign]
    torch.manual_seed(0)
    images = TABLE.images()[:4].repeat(500, 1, 1, 1)
    module.losses(images, torch.ones(2000, dtype=torch.int64))
    untold = (told[0] == module.net.no_label).float().mean()
    assert float(untold) == pytest.approx(0.25, abs=0.03)
    assert set(told[0].tolist()) == {1, 2}
    # A quarter turn, a small turn, zoom, shift or light at p = 1/2 each; mirror at 1/4.
    still = (moved[0] == 0).all(1).float().mean()
    assert 0.0 < float(still) < 0.1


def test_the_loss_of_a_net_that_says_nothing_is_1() -> None:
    module = training(augment_p=0.0)
    torch.manual_seed(0)
    losses, sigma = module.losses(TABLE.images().repeat(40, 1, 1, 1), torch.zeros(640).long())
    assert losses.shape == sigma.shape == (640,)
    # The noise in the target has variance 1 at once, the images have it on the whole.
    assert float(losses.detach().mean()) == pytest.approx(1.0, abs=0.1)


def test_augmented_images_are_those_that_the_net_is_told_of() -> None:
    module = training(augment_p=1.0, policy=Policy(rot90=False, brightness=0.0))
    seen: list[Tensor] = []
    module.net.predict = lambda x, level, labels, how: (seen.append(how), 0 * x)[1]  # type: ignore[method-assign]
    torch.manual_seed(0)
    module.losses(TABLE.images()[:8], torch.zeros(8).long())
    assert bool((seen[0][:, 1:6] != 0).all())
    assert bool((seen[0][:, 6] == 0).all())


def test_a_loss_that_is_not_a_number_leads_back_to_the_last_good_state(tmp_path: Path) -> None:
    made = batches()
    module = training(steps=20, watch=DiffusionWatch(every=5, out=tmp_path))

    def sometimes(step: int) -> Batch:
        if step == 7:
            module.net.labels.data.fill_(float("nan"))
        return made(step)

    run(module, 12, batches=sometimes)
    assert all(bool(value.isfinite().all()) for value in module.net.state_dict().values())
    assert module.progress.rate == 0.5
    assert module.progress.step == 12
    (event,) = (tmp_path / "diffusion.log").read_text().splitlines()
    assert "step 8: the loss is not a number; back to the state of step 5" in event


def test_a_loss_worse_than_saying_nothing_is_trouble() -> None:
    progress = DiffusionProgress()
    for _ in range(50):
        progress.note(torch.full((4,), 0.2), torch.tensor([0.1, 0.5, 2.0, math.inf]))
    assert progress.trouble() == ""
    assert max(progress.bands) < 0.6
    for _ in range(50):
        progress.note(torch.full((4,), 9.0), torch.ones(4))
    assert "more than a net that says nothing" in progress.trouble()


def test_a_run_that_keeps_failing_stops_at_its_last_good_state() -> None:
    module, made = training(steps=30), batches()

    def broken(step: int) -> Batch:
        if step >= 7:
            module.net.labels.data.fill_(float("nan"))
        return made(step)

    run(module, 15, batches=broken)
    assert module.progress.stopped
    assert len(module.progress.events) == 3
    assert "stopped there" in module.progress.events[-1]


def test_a_look_writes_figures_and_a_sheet_of_samples(tmp_path: Path) -> None:
    scored = reference(TABLE, TABLE.classes, seed=0)
    run(training(watch=DiffusionWatch(every=4, out=tmp_path, reference=scored)), 8)
    with open(tmp_path / "diffusion.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["step"]) for row in rows] == [4, 8]
    assert {"loss", "loss_little_noise", "loss_much_noise", "kid", "diversity"} <= set(rows[0])
    from PIL import Image

    sheets = sorted((tmp_path / "samples").iterdir())
    assert [file.name for file in sheets] == ["step-000004.png", "step-000008.png"]
    assert Image.open(sheets[0]).size == (8 * 32, 2 * 32)


@pytest.mark.parametrize("moves", ["embedding", "lora", "all"])
def test_adapting_moves_what_it_says_and_nothing_else(moves: str) -> None:
    fitted = nets()
    train_diffusion(fitted, TABLE, recipe(3, lr=0.01), seed=0, out=None)
    before = {name: value.clone() for name, value in fitted.average.state_dict().items()}
    made = adapt_diffusion(
        fitted,
        synthetic_table(("rare_brown", "rare_red"), 1),
        recipe(4, lr=0.01, label_dropout=0.5),
        moves=moves,  # type: ignore[arg-type]
        rank=2,
        symmetry="none",
        seed=0,
        out=None,
    )
    assert made.classes == ("rare_brown", "rare_red")
    assert all(torch.equal(value, before[n]) for n, value in fitted.average.state_dict().items())
    state = made.average.state_dict()
    assert set(state) == set(before)
    changed = {
        n for n, value in state.items() if n != "labels" and not torch.equal(value, before[n])
    }
    norms = {n for n in changed if n.endswith("bias") or "norm" in n}
    assert bool(changed) == (moves != "embedding")
    assert bool(norms) == (moves == "all")
    # Without a label it stays what it was, where only the labels move.
    untold = torch.equal(state["labels"][-1], before["labels"][-1])
    assert untold == (moves == "embedding")
    assert not any(
        isinstance(one, nn.Module) and "LowRank" in str(type(one)) for one in made.net.modules()
    )


def test_a_new_label_starts_from_the_mean_of_the_old_ones_and_an_old_one_stays() -> None:
    fitted = nets()
    made = fitted.with_classes(("common_ring", "new"))
    old = fitted.average.labels
    assert torch.equal(made.average.labels[0], old[1])
    torch.testing.assert_close(made.average.labels[1], old[:2].mean(0))
    assert torch.equal(made.average.labels[2], old[2])


def test_a_batch_size_that_was_chosen_is_kept(tmp_path: Path) -> None:
    net = nets().net
    assert batch_size_for(net, 7, tmp_path) == 7
    assert not (tmp_path / "batch.json").is_file()
    chosen = batch_size_for(net, 0, tmp_path)
    assert json.loads((tmp_path / "batch.json").read_text()) == {"batch_size": chosen}
    (tmp_path / "batch.json").write_text('{"batch_size": 64}')
    assert batch_size_for(net, 0, tmp_path) == 64
    with pytest.raises(ConfigError, match="batch_size=-1"):
        batch_size_for(net, -1, None)


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(ConfigError, match=r"label_dropout=1\.5: expected 0 to 1"):
        recipe(label_dropout=1.5)
    with pytest.raises(ConfigError, match="lr=0"):
        recipe(lr=0)
