from pathlib import Path

import numpy as np
import pytest
import torch

from fewskin.errors import ConfigError
from fewskin.generators.copies import Copies
from fewskin.generators.flat import Flat
from fewskin.generators.mixup import Mixup
from fewskin.seeding import seed_for
from fewskin.testing import RARE, synthetic_table

RED = RARE[1]
SEEDS = [seed_for(0, RED, i) for i in range(200)]


def images_of(table, ids):
    where = {name: i for i, name in enumerate(table.rows["image_id"])}
    return table.images([where[name] for name in ids])


def test_copies_are_the_parents_unchanged_and_use_every_one(tmp_path: Path) -> None:
    table = synthetic_table()
    made = Copies().adapt(table, seed=0, out=tmp_path).sample(RED, SEEDS)
    assert torch.equal(made.images, images_of(table, [ids[0] for ids in made.parents]))
    counts = np.unique([ids[0] for ids in made.parents], return_counts=True)[1]
    assert len(counts) == 5
    assert counts.min() > 20  # expected 40 each, sd 5.7


def test_controls_choose_the_same_parent_for_the_same_seed(tmp_path: Path) -> None:
    makers = [Copies(), Flat(), Mixup()]
    made = [g.adapt(synthetic_table(), seed=0, out=tmp_path).sample(RED, SEEDS) for g in makers]
    first = [[ids[0] for ids in samples.parents] for samples in made]
    assert first[0] == first[1] == first[2]


def test_a_view_does_not_depend_on_its_parent_number(tmp_path: Path) -> None:
    # Parent and flip come from separate streams of the seed: each parent is flipped half the time.
    made = Flat().adapt(synthetic_table(n=2), seed=0, out=tmp_path).sample(RED, SEEDS)
    mirrored = np.array([params["mirror"] < 0 for params in made.params])
    second = np.array([ids[0].endswith("1") for ids in made.parents])
    assert abs(np.corrcoef(mirrored, second)[0, 1]) < 0.25  # 3.5 x 1 / sqrt(200)


def test_strength_zero_without_flips_returns_the_parents(tmp_path: Path) -> None:
    table = synthetic_table()
    sampler = Flat(flip=False, rot90=False).adapt(table, seed=0, out=tmp_path)
    made = sampler.sample(RED, SEEDS, knobs={"strength": 0.0})
    assert torch.equal(made.images, images_of(table, [ids[0] for ids in made.parents]))


def test_mixup_has_two_parents_and_at_most_half_of_the_second(tmp_path: Path) -> None:
    table = synthetic_table()
    made = Mixup(augment=False).adapt(table, seed=0, out=tmp_path).sample(RED, SEEDS)
    assert all(len(set(ids)) == 2 for ids in made.parents)
    share = torch.tensor([params["share"] for params in made.params])[:, None, None, None]
    assert 0 <= share.min() < 0.05
    assert 0.45 < share.max() <= 0.5
    a, b = (images_of(table, [ids[k] for ids in made.parents]).float() for k in (0, 1))
    assert (made.images.float() - (a * (1 - share) + b * share)).abs().max() <= 0.5 + 0.01


def test_mixup_of_one_image_mixes_two_views_of_it(tmp_path: Path) -> None:
    table = synthetic_table(n=1)
    made = Mixup().adapt(table, seed=0, out=tmp_path).sample(RED, SEEDS[:20])
    assert set(made.parents) == {(table.rows["image_id"].iloc[1],)}
    assert len({image.numpy().tobytes() for image in made.images}) == 20


def test_every_second_parent_is_used(tmp_path: Path) -> None:
    made = Mixup().adapt(synthetic_table(n=3), seed=0, out=tmp_path).sample(RED, SEEDS)
    assert len(set(made.parents)) == 6  # ordered pairs of three


def test_an_unknown_knob_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    sampler = Flat().adapt(synthetic_table(), seed=0, out=tmp_path)
    with pytest.raises(ConfigError, match="did you mean 'strength'"):
        sampler.sample(RED, [1], knobs={"strenght": 1.0})
    with pytest.raises(ConfigError, match="expected 0 to 2"):
        sampler.sample(RED, [1], knobs={"strength": 3.0})


def test_mixup_refuses_alpha_zero(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="alpha=0"):
        Mixup(alpha=0).adapt(synthetic_table(), seed=0, out=tmp_path)
