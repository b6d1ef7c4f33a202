from dataclasses import replace

import numpy as np
import torch
from torch import nn

from fewskin.functional.augment import Policy, augment
from fewskin.nets.backbones import normalise
from fewskin.seeding import seed_for
from fewskin.testing import BASE, RARE, synthetic_table
from fewskin.training.batches import mixed
from fewskin.training.inputs import by_id, image_batches, map_batches

CLASSES = tuple(sorted((*BASE, *RARE)))
PLAIN = mixed("none", 0.4, 0)


def tables():
    support, extra = synthetic_table(RARE, 2), synthetic_table(CLASSES, 3, seed=1)
    return [support, replace(extra, weights=np.full(len(extra), 0.5))]


def test_rows_come_in_the_order_of_their_ids() -> None:
    table = synthetic_table(RARE, 3)
    turned = by_id(table.take([4, 0, 5, 2, 1, 3]))
    assert turned.rows.equals(table.rows)
    assert torch.equal(turned.images(), table.images())


def test_image_batches_hold_every_class_in_equal_number() -> None:
    base = synthetic_table(BASE, 5)
    batch = image_batches([*tables(), base], CLASSES, batch_size=8, mixer=PLAIN, seed=1)
    images, targets = batch(0)
    assert images.shape == (8, 3, 32, 32)
    assert targets.sum(0).tolist() == [2.0] * 4
    assert torch.equal(batch(0)[0], images)


def test_maps_are_those_of_augmented_images_of_the_right_class() -> None:
    support, extra = tables()
    base = replace(synthetic_table(BASE, 5), pixels_key="base of this test")
    batch = map_batches(
        nn.Identity(),
        [support, extra],
        base,
        CLASSES,
        views=2,
        steps=10,
        batch_size=8,
        mixer=PLAIN,
        seed=1,
    )
    known = {}
    for table in (support, extra, base):
        for i, (name, label) in enumerate(zip(table.rows["image_id"], table.labels, strict=True)):
            for view in range(2):
                image = table.images([i]).float() / 255
                made = normalise(augment(image, [seed_for(0, "view", name, view)], Policy()))
                known[made.numpy().tobytes()] = label
    for step in range(10):
        maps, targets = batch(step)
        assert targets.sum(0).tolist() == [2.0] * 4
        for one, target in zip(maps, targets, strict=True):
            assert known[one[None].numpy().tobytes()] == CLASSES[int(target.argmax())]


def test_weights_hold_over_views() -> None:
    real, made = tables()
    real, made = real.where([name == RARE[0] for name in real.labels]), made.take([6])
    two = replace(made, weights=np.array([2.0]))
    batch = map_batches(
        nn.Identity(),
        [real, two],
        None,
        [RARE[0]],
        views=4,
        steps=50,
        batch_size=20,
        mixer=PLAIN,
        seed=1,
    )
    seeds = [seed_for(0, "view", two.rows["image_id"][0], view) for view in range(4)]
    views = normalise(augment(two.images([0, 0, 0, 0]).float() / 255, seeds, Policy()))
    generated = {view.numpy().tobytes() for view in views}
    hits = [row.numpy().tobytes() in generated for t in range(50) for row in batch(t)[0]]
    # Two real rows of weight 1 and one generated row of weight 2; sd of 1000 draws .016.
    assert abs(np.mean(hits) - 0.5) < 0.06


def test_more_base_rows_than_slots_are_not_computed() -> None:
    seen: list[int] = []

    class Counted(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(len(images))
            return images.mean((1, 2, 3))

    base = synthetic_table(BASE, 30)
    map_batches(
        Counted(),
        [synthetic_table(RARE, 1)],
        base,
        CLASSES,
        views=4,
        steps=5,
        batch_size=8,
        mixer=PLAIN,
        seed=1,
    )
    # 10 slots a class: 10 of the 30 base images each, and at most 4 views of each rare one.
    assert sum(seen) <= 2 * 10 + 2 * 4
