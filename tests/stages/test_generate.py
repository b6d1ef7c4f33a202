import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from fewskin.errors import ConfigError, DataError, LeakageError, StageError
from fewskin.generators.copies import CopiesSampler
from fewskin.seeding import seed_for
from fewskin.stages.adapt import adapt
from fewskin.stages.generate import generate
from fewskin.tables import MANIFEST, SPLITS, read_manifest, read_table, write_table
from fewskin.testing import BASE, RARE


def adapted(tiny_data: tuple[Path, Path], **settings) -> Path:
    cell = {"task": "novel", "shots": 3, "draw": 1, "image_size": 32, **settings}
    return adapt(*tiny_data, **{"generator": {"name": "flat"}, **cell})


def support_ids(tiny_data: tuple[Path, Path], shots: int, draw: int) -> set[str]:
    table = read_table(tiny_data[1] / "splits.csv", SPLITS)
    own = table[(table["shots"] == shots) & (table["draw"] == draw) & (table["task"] == "novel")]
    return set(own.loc[own["role"] == "support", "image_id"])


def test_adapt_uses_the_support_of_its_draw(tiny_data) -> None:
    support = pd.read_csv(adapted(tiny_data) / "support.csv", dtype=str)
    assert set(support["image_id"]) == support_ids(tiny_data, 3, 1)
    assert set(support["label"]) == set(RARE)


def test_adapt_to_base_takes_at_most_max_per_class(tiny_data) -> None:
    task = {"task": "generalised", "shots": 0, "draw": -1, "role": "base", "max_per_class": 4}
    support = pd.read_csv(adapted(tiny_data, **task) / "support.csv", dtype=str)
    assert support["label"].value_counts().to_dict() == dict.fromkeys(BASE, 4)


def test_adapt_refuses_a_planted_test_image(tiny_data) -> None:
    table = read_table(tiny_data[1] / "splits.csv", SPLITS)
    test = table.loc[(table["role"] == "test") & (table["task"] == "novel"), "image_id"].iloc[0]
    planted = (table["role"] == "support") & (table["draw"] == 1) & (table["shots"] == 3)
    planted &= table["task"] == "novel"
    table.loc[table.index[planted][0], "image_id"] = test
    write_table(table, tiny_data[1] / "splits.csv", SPLITS)
    with pytest.raises(LeakageError, match=test):
        adapted(tiny_data)


def test_adapt_to_an_unknown_draw_is_refused(tiny_data) -> None:
    with pytest.raises(DataError, match="draw=7"):
        adapted(tiny_data, draw=7)


def test_generate_writes_valid_rows_with_existing_parents(tiny_data) -> None:
    made = generate(adapted(tiny_data), ratio=2.0, seed=5)
    rows = read_table(made / "manifest.csv", MANIFEST)
    assert rows["label"].value_counts().to_dict() == dict.fromkeys(RARE, 6)
    assert set(rows["source"]) == {"generated"}
    assert set(rows["made_by"]) == {"flat"}
    assert set(rows["parent_ids"]) <= support_ids(tiny_data, 3, 1)
    assert (rows["group_id"] == rows["parent_ids"]).all()  # one photograph a patient, id = group
    for row in rows.itertuples():
        number = int(row.image_id.rpartition("-")[2])
        assert row.seed == str(seed_for(5, row.label, number))
        assert Image.open(made / row.path).size == (32, 32)


def test_generated_pixels_are_those_of_the_sampler(tiny_data) -> None:
    folder = adapted(tiny_data)
    made = read_manifest(generate(folder, seed=5))
    from fewskin.plugins import load_object

    row = made.rows.iloc[0]
    image = load_object(folder / "sampler").sample(row["label"], [int(row["seed"])]).images[0]
    stored = np.array(Image.open(made.path(0))).transpose(2, 0, 1)
    assert (stored == image.numpy()).all()


def test_ratio_one_is_the_first_half_of_ratio_two(tiny_data) -> None:
    folder = adapted(tiny_data)
    one, two = (read_manifest(generate(folder, ratio=ratio)).rows for ratio in (1.0, 2.0))
    both = one.merge(two, on="image_id")
    assert len(both) == len(one) == len(two) / 2
    assert (both["pixel_sha_x"] == both["pixel_sha_y"]).all()


def test_another_seed_or_knob_gives_other_ids(tiny_data) -> None:
    folder = adapted(tiny_data)
    sets = [generate(folder), generate(folder, seed=1), generate(folder, knobs={"strength": 0.5})]
    ids = [set(read_manifest(made).rows["image_id"]) for made in sets]
    assert len(set.union(*ids)) == sum(map(len, ids))


def test_a_fraction_of_an_image_is_rounded_up(tiny_data) -> None:
    rows = read_manifest(generate(adapted(tiny_data), ratio=0.4)).rows
    assert rows["label"].value_counts().to_dict() == dict.fromkeys(RARE, 2)  # ceil(1.2)


def test_samples_json_records_what_was_drawn(tiny_data) -> None:
    log = json.loads((generate(adapted(tiny_data)) / "samples.json").read_text())
    assert len(log) == 6
    assert set(log[0]["params"]) == {"mirror", "angle_deg", "zoom", "shift_x", "shift_y", "light"}


def test_labels_choose_the_classes(tiny_data) -> None:
    folder = adapted(tiny_data)
    assert set(read_manifest(generate(folder, labels=[RARE[1]])).rows["label"]) == {RARE[1]}
    with pytest.raises(ConfigError, match="did you mean 'rare_red'"):
        generate(folder, labels=["rare_rad"])


def test_generate_refuses_a_folder_that_is_not_of_adapt(tiny_data) -> None:
    with pytest.raises(StageError, match="not a finished result"):
        generate(tiny_data[0])


def test_a_ratio_of_zero_is_refused(tiny_data) -> None:
    with pytest.raises(ConfigError, match="ratio=0"):
        generate(adapted(tiny_data), ratio=0)


def test_masks_of_a_sampler_are_written_and_that_of_the_condition_is_a_column(
    tiny_data, monkeypatch
) -> None:
    plain = CopiesSampler.sample

    def with_masks(self, label, seeds, *, knobs=None):
        made = plain(self, label, seeds, knobs=knobs)
        whole = torch.full((len(seeds), 32, 32), 255, dtype=torch.uint8)
        half = whole.clone()
        half[:, 16:] = 0
        return replace(made, masks={"condition": half, "face": whole})

    monkeypatch.setattr(CopiesSampler, "sample", with_masks)
    folder = adapted(tiny_data, generator={"name": "copies"})
    made = read_manifest(generate(folder))
    for path in made.rows["mask_path"]:
        assert np.asarray(Image.open(made.root / path)).mean() == 127.5
        face = (made.root / path).with_name(Path(path).stem + "_face.png")
        assert np.asarray(Image.open(face)).min() == 255


def test_labels_that_are_no_file_names_are_written(tiny_data) -> None:
    folder = adapted(tiny_data)
    table = pd.read_csv(folder / "support.csv")
    strange = {RARE[0]: "a/b ä", RARE[1]: "a b ä"}
    table.assign(label=table["label"].replace(strange)).to_csv(folder / "support.csv", index=False)
    sampler = json.loads((folder / "sampler" / "support.json").read_text())
    sampler["labels"] = [strange[label] for label in sampler["labels"]]
    (folder / "sampler" / "support.json").write_text(json.dumps(sampler))
    made = read_manifest(generate(folder))
    assert len({made.path(i) for i in range(6) if made.path(i).is_file()}) == 6
