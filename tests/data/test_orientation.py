from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fewskin.data.episodes import EpisodeSampler
from fewskin.data.orientation import is_upright, policy_of, tiles_of
from fewskin.errors import DataError
from fewskin.functional.augment import UPRIGHT, Policy
from fewskin.generators.flat import Flat
from fewskin.generators.mixup import Mixup
from fewskin.protocols import ImageTable
from fewskin.testing import synthetic_table
from fewskin.training.episodic import episode_batches, prepared
from fewskin.training.inputs import image_batches

RED = "rare_red"


def seen_as(view: str) -> ImageTable:
    """Images whose upper half is white and whose lower half is black."""
    table = synthetic_table(n=6)
    pixels = np.zeros_like(table.pixels)
    pixels[:, :, : table.image_size // 2] = 255
    return replace(table, rows=table.rows.assign(view=view), pixels=pixels)


def upright_share(images: torch.Tensor) -> float:
    """Share of images that are lighter above than below."""
    half = images.shape[-1] // 2
    above, below = images[..., :half, :], images[..., half:, :]
    lead = above.float().mean((1, 2, 3)) - below.float().mean((1, 2, 3))
    return float((lead > 0.5 * lead.abs().max()).float().mean())


def test_faces_are_upright_and_generated_rows_follow_the_real_ones() -> None:
    face, lesion = seen_as("face"), seen_as("close-up")
    made = synthetic_table(n=2)  # says no view
    assert policy_of(face) == policy_of(face, made) == UPRIGHT
    assert policy_of(lesion) == policy_of(face, lesion) == policy_of(made) == Policy()
    assert not is_upright(made)


@pytest.mark.parametrize("maker", [Flat(), Mixup()])
def test_the_controls_never_turn_a_face_upside_down(maker: Flat | Mixup, tmp_path: Path) -> None:
    seeds = list(range(40))
    face = maker.adapt(seen_as("face"), seed=0, out=tmp_path)
    assert upright_share(face.sample(RED, seeds).images) == 1.0
    lesion = maker.adapt(seen_as("close-up"), seed=0, out=tmp_path)
    assert upright_share(lesion.sample(RED, seeds).images) < 0.6
    face.save(tmp_path / "saved")
    again = type(face).load(tmp_path / "saved").sample(RED, seeds).images
    assert torch.equal(again, face.sample(RED, seeds).images)


def test_training_never_turns_a_face_upside_down() -> None:
    for view, most in (("face", 1.0), ("close-up", 0.6)):
        table = seen_as(view)
        batches = image_batches(
            [table],
            table.classes,
            batch_size=32,
            mixer=lambda step, images, targets: (images, targets),
            seed=0,
        )
        assert upright_share(batches(0)[0]) <= most
        if view == "face":
            assert upright_share(batches(0)[0]) == 1.0


def test_episodes_never_turn_a_face_upside_down() -> None:
    table = seen_as("face")
    sampler = EpisodeSampler(table.labels, table.groups, way=2, shot=2, query=3, seed=0)
    batch = prepared(episode_batches(table, sampler, tasks=4, seed=0)(0))
    assert upright_share(batch.query.flatten(0, 1)) == 1.0


def test_sheets_of_tiles_are_upright_and_augmented_tile_by_tile() -> None:
    table = synthetic_table(n=4)
    sheets = replace(table, rows=table.rows.assign(layout="patches"))
    alone = replace(table, rows=table.rows.assign(layout="face"))
    assert policy_of(sheets) == policy_of(sheets, sheets) == replace(UPRIGHT, tiles=3)
    assert policy_of(alone) == UPRIGHT
    assert tiles_of(table) == tiles_of() == 1
    with pytest.raises(DataError, match="several layouts in one training: '', 'patches'"):
        policy_of(sheets, table)


def test_episodes_of_sheets_are_augmented_tile_by_tile() -> None:
    table = synthetic_table(n=6, image_size=24)
    pixels = np.zeros_like(table.pixels)
    pixels[:, :, 8:16, 8:16] = 200  # only the tile in the middle is light
    table = replace(table, rows=table.rows.assign(layout="patches"), pixels=pixels)
    sampler = EpisodeSampler(table.labels, table.groups, way=2, shot=2, query=3, seed=0)
    batch = episode_batches(table, sampler, tasks=2, seed=0)(0)
    made = prepared(batch, Policy(brightness=0.0)).query.flatten(0, 1)
    assert (made[:, :, 8:16, 8:16] > 1).all()
    made[:, :, 8:16, 8:16] = -2.0
    assert (made == -2.0).all()
