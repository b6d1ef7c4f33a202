"""Splits: prefixes, fixed test rows, one role a group, clear refusals, and the leakage guard."""

from dataclasses import replace

import pandas as pd
import pytest

from fewskin.data.leakage import guard
from fewskin.data.splits import Design, make_splits, select
from fewskin.errors import ConfigError, DataError, LeakageError
from fewskin.tables import MANIFEST, SPLITS, validate

DESIGN = Design(
    tasks=("novel", "generalised"),
    rare=("r1", "r2"),
    shots=(1, 3),
    draws=4,
    pool=5,
    test_share=0.25,
)


def manifest(n_rare: int = 20, n_common: int = 12, photographs: int = 2) -> pd.DataFrame:
    rows = []
    for label, n in {"r1": n_rare, "r2": n_rare, "c1": n_common, "c2": n_common}.items():
        for patient in range(n):
            for photo in range(photographs):
                name = f"{label}-{patient:02d}-{photo}"
                group = f"{label}-{patient:02d}"
                rows.append({"image_id": name, "path": f"{name}.png", "label": label})
                rows[-1] |= {"group_id": group, "pixel_sha": name, "device": "ab"[patient % 2]}
    return validate(pd.DataFrame(rows), MANIFEST)


def test_the_support_of_fewer_shots_begins_the_support_of_more() -> None:
    splits = make_splits(manifest(), DESIGN, seed=0)
    for draw in range(4):
        few = set(select(splits, task="novel", shots=1, draw=draw)["support"])
        many = set(select(splits, task="novel", shots=3, draw=draw)["support"])
        assert len(few) == 2
        assert len(many) == 6
        assert few < many


def test_draws_differ_and_the_same_seed_repeats() -> None:
    splits = make_splits(manifest(), DESIGN, seed=0)
    supports = {tuple(select(splits, task="novel", shots=3, draw=d)["support"]) for d in range(4)}
    assert len(supports) > 1
    pd.testing.assert_frame_equal(splits, make_splits(manifest(), DESIGN, seed=0))
    assert not splits.equals(make_splits(manifest(), DESIGN, seed=1))


def test_no_group_is_on_both_sides_of_any_task() -> None:
    rows = manifest()
    splits = make_splits(rows, DESIGN, seed=0).merge(rows[["image_id", "group_id"]])
    for _, task in splits.groupby("task"):
        test = set(task.loc[task["role"] == "test", "group_id"])
        assert test
        assert not test & set(task.loc[task["role"] != "test", "group_id"])


def test_both_tasks_share_their_base_rows_so_that_one_fit_serves_both() -> None:
    splits = make_splits(manifest(), DESIGN, seed=0)
    base = [select(splits, task=t, shots=1, draw=0)["base"] for t in ("novel", "generalised")]
    assert base[0] == base[1]
    # 12 patients, a quarter held out, two photographs each, two classes: 9 * 2 * 2.
    assert len(base[0]) == 36


def test_novel_tests_rare_classes_only_and_generalised_all() -> None:
    splits = make_splits(manifest(), DESIGN, seed=0)
    novel = select(splits, task="novel", shots=1, draw=0)["test"]
    everything = select(splits, task="generalised", shots=1, draw=0)["test"]
    assert {name[:2] for name in novel} == {"r1", "r2"}
    assert {name[:2] for name in everything} == {"r1", "r2", "c1", "c2"}
    assert set(novel) < set(everything)


def test_one_photograph_of_a_patient_or_all() -> None:
    one = make_splits(manifest(), DESIGN, seed=0)
    every = make_splits(manifest(), replace(DESIGN, photos_per_patient="all"), seed=0)
    assert len(select(one, task="novel", shots=3, draw=0)["support"]) == 6
    assert len(select(every, task="novel", shots=3, draw=0)["support"]) == 12


def test_test_where_holds_a_device_out() -> None:
    rows = manifest().set_index("image_id")
    splits = make_splits(rows.reset_index(), replace(DESIGN, test_where={"device": "b"}), seed=0)
    roles = splits.assign(device=rows.loc[splits["image_id"], "device"].to_numpy())
    assert set(roles.loc[roles["role"] == "test", "device"]) == {"b"}
    assert set(roles.loc[roles["role"] != "test", "device"]) == {"a"}


def test_too_few_patients_names_the_class_and_the_numbers() -> None:
    with pytest.raises(DataError, match=r"'r1' has 4 patients.*3 shots need at least 6"):
        make_splits(manifest(n_rare=4), DESIGN, seed=0)


def test_wrong_requests_are_refused_with_a_suggestion() -> None:
    with pytest.raises(DataError, match="did you mean 'r1'"):
        make_splits(manifest(), replace(DESIGN, rare=("r11", "r2")), seed=0)
    with pytest.raises(DataError, match="only 'r1' is rare"):
        make_splits(manifest(), replace(DESIGN, rare=("r1",)), seed=0)
    with pytest.raises(ConfigError, match="unknown task 'novle'"):
        make_splits(manifest(), replace(DESIGN, tasks=("novle",)), seed=0)
    with pytest.raises(DataError, match="both rare and common"):
        make_splits(manifest(), replace(DESIGN, common=("r1", "c1")), seed=0)
    with pytest.raises(DataError, match="run `fewskin check` first"):
        make_splits(manifest().assign(group_id=""), DESIGN, seed=0)


def test_a_split_is_a_valid_splits_table() -> None:
    assert len(validate(make_splits(manifest(), DESIGN, seed=0), SPLITS))


def test_a_patient_with_a_rare_and_a_common_photograph_trains_no_base_class() -> None:
    rows = manifest()
    rows.loc[rows["image_id"] == "c1-00-0", "group_id"] = "r1-00"
    splits = make_splits(rows, DESIGN, seed=0).merge(rows[["image_id", "group_id"]])
    mixed = splits[splits["image_id"] == "c1-00-0"]
    assert "base" not in set(mixed["role"])
    for _, task in splits.groupby("task"):
        test = set(task.loc[task["role"] == "test", "group_id"])
        assert not test & set(task.loc[task["role"] != "test", "group_id"])


def test_a_planted_test_image_or_group_raises_a_leakage_error() -> None:
    rows = manifest()
    splits = make_splits(rows, DESIGN, seed=0)
    roles = select(splits, task="novel", shots=3, draw=0)
    guard(splits, rows, task="novel", used=[*roles["support"], *roles["base"]])
    with pytest.raises(LeakageError, match="is a test image"):
        guard(splits, rows, task="novel", used=roles["test"][:1])
    group = rows.loc[rows["image_id"] == roles["test"][0], "group_id"].iloc[0]
    planted = rows.assign(
        group_id=rows["group_id"].where(rows["image_id"] != roles["support"][0], group)
    )
    with pytest.raises(LeakageError, match=f"shares group_id='{group}'"):
        guard(splits, planted, task="novel", used=roles["support"])
    with pytest.raises(LeakageError, match="not in the manifest"):
        guard(splits, rows, task="novel", used=["stranger"])


def test_a_generated_image_with_a_test_parent_raises_a_leakage_error() -> None:
    rows = manifest()
    splits = make_splits(rows, DESIGN, seed=0)
    roles = select(splits, task="generalised", shots=3, draw=0)
    fine = pd.DataFrame({"image_id": ["g0"], "parent_ids": [";".join(roles["support"][:2])]})
    guard(splits, rows, task="generalised", generated=[fine])
    bad = fine.assign(parent_ids=f"{roles['support'][0]};{roles['test'][0]}")
    with pytest.raises(LeakageError, match="as parent of 'g0'"):
        guard(splits, rows, task="generalised", generated=[bad])


def three_rare() -> pd.DataFrame:
    rows = manifest()
    third = rows[rows["label"] == "r1"].copy()
    for column in ("image_id", "path", "label", "group_id", "pixel_sha"):
        third[column] = third[column].str.replace("r1", "r3")
    return validate(pd.concat([rows, third], ignore_index=True), MANIFEST)


NWAY = replace(DESIGN, tasks=("nway",), rare=("r1", "r2", "r3"))


def test_nway_makes_a_task_of_every_pair_with_its_own_classes_only() -> None:
    rows = three_rare()
    splits = make_splits(rows, NWAY, seed=0).merge(rows[["image_id", "label"]])
    assert sorted(set(splits["task"])) == ["nway:r1|r2", "nway:r1|r3", "nway:r2|r3"]
    pair = splits[splits["task"] == "nway:r1|r3"]
    for role in ("support", "pool", "test"):
        assert set(pair.loc[pair["role"] == role, "label"]) == {"r1", "r3"}
    assert set(pair.loc[pair["role"] == "base", "label"]) == {"c1", "c2"}


def test_pairs_share_the_support_images_of_a_class() -> None:
    splits = make_splits(three_rare(), NWAY, seed=0)
    first, second = (
        set(select(splits, task=task, shots=3, draw=2)["support"])
        for task in ("nway:r1|r2", "nway:r1|r3")
    )
    assert {name for name in first if name.startswith("r1")} == {
        name for name in second if name.startswith("r1")
    }


def test_without_a_generalised_task_every_common_patient_is_base() -> None:
    rows = three_rare()
    splits = make_splits(rows, NWAY, seed=0).merge(rows[["image_id", "group_id"]])
    base = splits[(splits["task"] == "nway:r1|r2") & (splits["role"] == "base")]
    assert base["group_id"].nunique() == 24  # 12 patients of each of two common classes


def test_nway_tasks_can_be_fewer_and_their_test_smaller() -> None:
    rows = three_rare()
    design = replace(NWAY, n_tasks=2, test_per_class=4)
    splits = make_splits(rows, design, seed=0).merge(rows[["image_id", "group_id", "label"]])
    assert splits["task"].nunique() == 2
    test = splits[splits["role"] == "test"]
    assert set(test.groupby(["task", "label"])["group_id"].nunique()) == {4}


def test_nway_refuses_more_ways_than_rare_classes() -> None:
    with pytest.raises(DataError, match="4-way tasks need 4 rare classes, got 3"):
        make_splits(three_rare(), replace(NWAY, way=4), seed=0)
