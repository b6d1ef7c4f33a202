import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from fewskin.data import shortcuts
from fewskin.data.cues import CUE_TABLE
from fewskin.data.shortcut_examples import EXAMPLES, choose_examples
from fewskin.data.shortcuts import SHORTCUTS, TOGETHER, audit_cues
from fewskin.tables import MANIFEST, validate


def data(sizes: dict[str, int], photos: int = 1, seed: int = 0):
    """Rows of so many groups a class, and cues that tell nothing."""
    rng = np.random.default_rng(seed)
    names = [
        (label, f"{label}{i}", f"{label}{i}-{k}")
        for label, n in sizes.items()
        for i in range(n)
        for k in range(photos)
    ]
    rows = pd.DataFrame(names, columns=["label", "group_id", "image_id"])
    rows = validate(rows.assign(path=rows["image_id"], source="real"), MANIFEST)
    numbers = pd.DataFrame(
        rng.normal(0, 1, (len(rows), len(CUE_TABLE.floats))), columns=list(CUE_TABLE.floats)
    )
    places = {"extension": ".png", "folder": ".", "dataset": "", "device": ""}
    return rows, pd.concat([rows[["image_id"]], numbers.assign(**places)], axis=1)


def row(audited, cue: str, stratum: str = "all") -> pd.Series:
    table = audited.table
    return table[(table["cue"] == cue) & (table["stratum"] == stratum)].iloc[0]


def test_cues_that_tell_nothing_come_out_near_a_half() -> None:
    audited = audit_cues(*data({"a": 150, "b": 150, "c": 150}))
    means = audited.table[audited.table["stratum"] == "all"]
    assert ((means["auc"] - 0.5).abs() < 0.1).all()
    assert abs(means["auc"].mean() - 0.5) < 0.05
    assert (means["low"] < 0.52).all()
    assert means["cue"].tolist()[0] == TOGETHER
    validate(audited.table, SHORTCUTS)


def test_a_planted_border_of_one_class_in_seven_is_found_first() -> None:
    rows, cues = data(dict.fromkeys("abcdefg", 30))
    cues["black_border"] = np.where(rows["label"] == "c", 0.2, 0.0)
    audited = audit_cues(rows, cues)
    assert audited.worst == "border"
    assert row(audited, "border")["rank"] == 1
    assert row(audited, "border", "class:c")["auc"] > 0.99
    assert row(audited, TOGETHER, "class:c")["auc"] > 0.99


def test_a_device_of_one_class_is_found() -> None:
    rows, cues = data({"a": 40, "b": 40})
    cues["device"] = np.where(rows["label"] == "a", "old camera", "new camera")
    assert audit_cues(rows, cues).worst == "device"


def test_folders_count_only_where_they_are_not_the_labels() -> None:
    rows, cues = data({"a": 40, "b": 40})
    cues["folder"] = rows["label"]
    assert "folder" not in set(audit_cues(rows, cues).table["cue"])
    cues.loc[[0, 79], "folder"] = ["b", "a"]
    assert audit_cues(rows, cues).worst == "folder"


def test_what_marks_a_patient_tells_nothing_of_other_patients() -> None:
    rows, cues = data({"a": 30, "b": 30}, photos=6)
    marks = rows["group_id"].map({g: i for i, g in enumerate(rows["group_id"].unique())})
    cues["noise"] = np.random.default_rng(1).permutation(60)[marks].astype(float)
    found = row(audit_cues(rows, cues), "noise")
    assert found["auc"] < 0.6
    assert found["low"] < 0.5


def test_the_auc_is_that_of_scikit_learn_on_the_out_of_fold_scores() -> None:
    rows, cues = data({"a": 40, "b": 60, "c": 30})
    cues["lightness"] += rows["label"].map({"a": 0.0, "b": 0.8, "c": 1.5})
    audited = audit_cues(rows, cues)
    assert audited.worst == "mean colour"
    each = [
        roc_auc_score(rows["label"] == label, audited.scores[:, k])
        for k, label in enumerate(audited.classes)
    ]
    values = [row(audited, "mean colour", f"class:{label}")["auc"] for label in audited.classes]
    np.testing.assert_allclose(values, each)
    assert row(audited, "mean colour")["auc"] == pytest.approx(np.mean(each))


def test_under_ten_groups_there_is_no_interval_and_the_mean_is_over_the_others() -> None:
    audited = audit_cues(*data({"a": 20, "b": 30, "few": 4}))
    few = row(audited, "noise", "class:few")
    assert (few["n_groups"], few["n_images"]) == (4, 4)
    assert np.isnan(few["low"])
    assert np.isfinite(few["auc"])
    mean = row(audited, "noise")
    pair = [row(audited, "noise", f"class:{label}")["auc"] for label in "ab"]
    assert mean["auc"] == pytest.approx(np.mean(pair))
    assert mean["n_groups"] == 50
    assert np.isfinite(mean["low"])


def test_generated_images_are_not_asked() -> None:
    rows, cues = data({"a": 20, "b": 20})
    rows.loc[rows["label"] == "b", "source"] = "generated"
    audited = audit_cues(rows, cues)
    assert audited.worst == ""
    assert len(audited.table) == 0
    assert len(choose_examples(rows, audited)) == 0


def test_intervals_cover_the_truth_as_often_as_they_say(monkeypatch) -> None:
    monkeypatch.setattr(shortcuts, "ALL_CUES", {"noise": ("noise",)})
    # Two normal classes 1 apart: AUC = Phi(1 / sqrt 2) = .760; 120 groups leave little fold bias.
    hits = 0
    for seed in range(60):
        rows, cues = data({"a": 60, "b": 60}, seed=seed)
        cues["noise"] += 1.0 * (rows["label"] == "b")
        found = row(audit_cues(rows, cues, seed=seed), "noise", "class:b")
        hits += found["low"] <= 0.760 <= found["high"]
    assert hits >= 52  # of 60: under .95, fewer has a chance below 1 %


def test_examples_are_one_a_group_and_on_one_side_only() -> None:
    rows, cues = data({"a": 15, "b": 3}, photos=2)
    cues["black_border"] = np.where(rows["label"] == "a", 0.3, 0.0)
    audited = audit_cues(rows, cues)
    made = validate(choose_examples(rows, audited), EXAMPLES)
    assert made.groupby(["label", "side"]).size().to_dict() == {
        ("a", "least"): 4,
        ("a", "most"): 4,
        ("b", "least"): 1,
        ("b", "most"): 2,
    }
    groups = rows.set_index("image_id")["group_id"]
    assert groups[made["image_id"]].is_unique
