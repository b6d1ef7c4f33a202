import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fewskin.errors import ConfigError
from fewskin.nets.gan_generator import GanShape
from fewskin.testing import synthetic_table
from fewskin.training.engine import run_steps
from fewskin.training.gan import GanRecipe, GanTraining, Watch
from fewskin.training.gan_fit import adapt_gan, gan_batches, train_gan
from fewskin.training.gan_nets import GanNets
from fewskin.training.gan_watch import Progress, reference

TABLE = synthetic_table(("common_pale", "common_ring"), 8)
SHAPE = GanShape("light", 32, channel_base=128, channel_max=8, latent=8)
Batch = tuple[Tensor, Tensor]


def nets(variant: str = "light") -> GanNets:
    shape = GanShape(variant, 32, channel_base=128, channel_max=8, latent=8)
    return GanNets.new(shape, TABLE.classes, 0)


def recipe(**settings) -> GanRecipe:
    return GanRecipe(4, **{"r1_every": 3, "ada_kimg": 0.05, "ema_kimg": 0.05, **settings})


def training(made: GanNets | None = None, watch: Watch | None = None, **settings) -> GanTraining:
    return GanTraining(made or nets(), recipe(**settings), watch=watch or Watch(every=5))


def batches(made: GanNets | None = None) -> Callable[[int], Batch]:
    return gan_batches(TABLE, made or nets(), batch_size=4, symmetry="square", seed=0)


def run(module: GanTraining, steps: int, out: Path | None = None, **settings) -> GanTraining:
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


def assert_same(one: nn.Module, other: nn.Module) -> None:
    for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert name.endswith("extra_state") or torch.equal(a, b), name


@pytest.mark.parametrize(
    "settings", [{"ada_p": 0.5, "ada_kimg": 0.5}, {"augment": "diff", "path_every": 2}]
)
def test_a_run_killed_between_checkpoints_ends_with_the_same_bytes(
    settings: dict, tmp_path: Path
) -> None:
    whole = run(training(**settings), 11)
    with pytest.raises(_KilledError):
        run(training(**settings), 11, tmp_path, batches=killed_at(8))
    resumed = run(training(**settings), 11, tmp_path)
    assert_same(whole, resumed)
    one, other = whole.progress.state(), resumed.progress.state()
    assert one == other
    assert one["step"] == 11
    if "ada_p" in settings:
        assert 0 < one["p"] != 0.5


def test_the_average_follows_its_decay(tmp_path: Path) -> None:
    made = nets()
    module = training(made, augment="none")
    start = [one.detach().clone() for one in made.average.parameters()]
    run(module, 1)
    # Nothing had been seen before the first step, so the average is the net after it.
    for old, new, ours in zip(
        start, made.average.parameters(), made.generator.parameters(), strict=True
    ):
        torch.testing.assert_close(new, ours)
        assert new.shape == old.shape
    run(module, 1)
    kept = 0.5 ** (4 / (0.05 * 4))
    assert kept < 1e-5  # so it is still nearly the net itself
    for new, ours in zip(made.average.parameters(), made.generator.parameters(), strict=True):
        torch.testing.assert_close(new, ours, rtol=1e-3, atol=1e-3)


def test_r1_is_taken_every_so_many_steps_and_only_then() -> None:
    asked: list[int] = []
    module = training()
    judge = module.discriminator.judge

    def counted(images: Tensor, labels: Tensor):
        if images.requires_grad and images.is_leaf:
            asked.append(module.progress.step)
        return judge(images, labels)

    module.discriminator.judge = counted
    run(module, 8)
    assert asked == [0, 3, 6]


def test_p_moves_every_four_steps_by_the_sign_of_the_logits_of_real_images() -> None:
    module = training()
    module.discriminator.real.bias.data.fill_(100.0)  # sure that all is real
    run(module, 4)
    # 16 images of 50 that take p from 0 to 1.
    assert module.progress.p == pytest.approx(0.32)
    module.discriminator.real.bias.data.fill_(-100.0)
    run(module, 4)
    assert module.progress.p == pytest.approx(0.0)


def test_a_loss_that_is_not_a_number_leads_back_to_the_last_good_state(tmp_path: Path) -> None:
    broken = batches()

    def sometimes(step: int) -> Batch:
        images, labels = broken(step)
        if step == 7:
            module.generator.mapping.embedding.data.fill_(float("nan"))
        return images, labels

    module = training(watch=Watch(every=5, out=tmp_path))
    run(module, 12, batches=sometimes)
    for name, value in module.generator.state_dict().items():
        assert bool(value.isfinite().all()), name
    assert module.progress.rate == 0.5
    assert module.progress.step == 12
    (event,) = (tmp_path / "gan.log").read_text().splitlines()
    assert "step 8: a loss is not a number; back to the state of step 5" in event


def test_a_run_that_keeps_failing_stops_at_its_last_good_state() -> None:
    module = training()
    made = batches()

    def broken(step: int) -> Batch:
        if step >= 7:
            module.generator.mapping.embedding.data.fill_(float("nan"))
        return made(step)

    run(module, 7)
    good = [value.clone() for value in module.good["nets"]["g"].values()]
    run_steps(module, lambda step: broken(step + 7), steps=12, out=None)
    assert module.progress.stopped
    assert len(module.progress.events) == 3
    assert "stopped there" in module.progress.events[-1]
    now = [one for one in module.progress.events if "back to the state of step 5" in one]
    assert len(now) == 3
    assert len(good) == len(module.generator.state_dict())


def test_a_discriminator_that_wins_outright_is_noticed() -> None:
    progress = Progress()
    real, fake = torch.full((4,), 20.0), torch.full((4,), -20.0)
    for _ in range(90):
        progress.note(20.0, 0.0, real, fake)
    assert progress.trouble() == ""  # not yet for long
    for _ in range(100):
        progress.note(20.0, 0.0, real, fake)
    assert "discriminator has won" in progress.trouble()
    # Sure of itself, as on any small set, but the generator still learns: no trouble.
    calm = Progress()
    for _ in range(500):
        calm.note(3.0, 0.1, real, fake)
    assert calm.trouble() == ""


def test_a_look_writes_figures_and_a_sheet_of_samples(tmp_path: Path) -> None:
    scored = reference(TABLE, TABLE.classes, seed=0)
    run(training(watch=Watch(every=4, out=tmp_path, reference=scored)), 8)
    with open(tmp_path / "gan.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["step"]) for row in rows] == [4, 8]
    assert {"loss_g", "loss_d", "p", "r1", "kid", "diversity"} <= set(rows[0])
    from PIL import Image

    sheets = sorted((tmp_path / "samples").iterdir())
    assert [file.name for file in sheets] == ["step-000004.png", "step-000008.png"]
    assert Image.open(sheets[0]).size == (8 * 32, 2 * 32)


def test_the_reference_finds_its_own_images_near_and_others_far() -> None:
    scored = reference(TABLE, TABLE.classes, seed=0)
    again = synthetic_table(TABLE.classes, 8, seed=1)
    other = synthetic_table(("rare_brown", "rare_red"), 8)
    assert abs(scored.score(again.images())[0]) < 0.2 * scored.score(other.images())[0]
    flat = again.images()[:1].expand(16, -1, -1, -1)
    assert scored.score(flat)[1] == pytest.approx(0.0, abs=1e-5)


def test_batches_are_a_function_of_the_step_and_hold_every_class_alike() -> None:
    one, other = batches()(3), batches()(3)
    assert torch.equal(one[0], other[0])
    assert np.bincount(one[1].numpy()).tolist() == [2, 2]
    with pytest.raises(ConfigError, match="symmetry='odd'"):
        gan_batches(TABLE, nets(), batch_size=4, symmetry="odd", seed=0)  # type: ignore[arg-type]


@pytest.mark.parametrize("moves", ["embedding", "modulation", "all"])
def test_adapting_moves_what_it_says_and_nothing_else(moves: str) -> None:
    fitted = nets()
    train_gan(fitted, TABLE, recipe(), steps=3, seed=0, out=None)
    before = {name: value.clone() for name, value in fitted.average.state_dict().items()}
    support = synthetic_table(("rare_brown", "rare_red"), 1)
    made = adapt_gan(
        fitted,
        support,
        recipe(),
        steps=3,
        moves=moves,  # type: ignore[arg-type]
        rank=2,
        freeze_d=2,
        symmetry="none",
        seed=0,
        out=None,
    )
    assert made.classes == ("rare_brown", "rare_red")
    assert all(torch.equal(value, before[n]) for n, value in fitted.average.state_dict().items())
    changed = {
        name
        for name, value in made.average.state_dict().items()
        if name != "mapping.embedding" and not torch.equal(value, before[name])
    }
    filters = {name for name in changed if "affine" not in name}
    assert bool(changed) == (moves != "embedding")
    assert bool(filters) == (moves == "all")
    for ours, old in zip(made.discriminator.layers(), fitted.discriminator.layers(), strict=True):
        frozen = ours in made.discriminator.layers()[:2]
        assert torch.equal(ours.weight, old.weight) == frozen


def test_a_new_label_starts_from_the_mean_of_the_old_ones_and_an_old_one_stays() -> None:
    fitted = nets()
    made = fitted.with_classes(("common_ring", "new"))
    old = fitted.average.mapping.embedding
    assert torch.equal(made.average.mapping.embedding[0], old[1])
    torch.testing.assert_close(made.average.mapping.embedding[1], old.mean(0))


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(ConfigError, match="augment='often': expected ada, diff or none"):
        GanRecipe(4, augment="often")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="batch_size=0"):
        GanRecipe(0)
