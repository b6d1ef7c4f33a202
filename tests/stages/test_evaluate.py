"""`evaluate` on synthetic prediction tables: the tables it writes and what it refuses."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fewskin.data.evidence_tables import CALIBRATION, CONFUSION, DRAWS, VERDICTS
from fewskin.errors import ConfigError, TableError
from fewskin.seeding import rng_for
from fewskin.stages.evaluate import evaluate
from fewskin.tables import GAINS, PREDICTIONS, read_table, write_manifest, write_table

SIZES = {"akiec": 20, "df": 15, "vasc": 12}
ARMS = {"real_only": 0.0, "real_copies": 0.0, "flat": 0.6}
Write = Callable[..., list[Path]]


def cell(
    task: str, learner: str, arm: str, shots: int, draw: int, sizes: Mapping[str, int], skill: float
) -> pd.DataFrame:
    """Return one cell's predictions: a patient part, a draw part and an arm part."""
    classes = sorted(sizes)
    label = np.repeat(np.arange(len(classes)), [sizes[name] for name in classes])
    score = rng_for(0, "patient", task).normal(size=(len(label), len(classes)))
    score += 0.3 * rng_for(0, "draw", task, shots, draw).normal(size=len(classes))
    score += 0.3 * rng_for(0, "arm", task, learner, arm, shots, draw).normal(size=score.shape)
    score[np.arange(len(label)), label] += skill + 0.1 * shots
    prob = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
    ids = [f"{task}_{i:03d}" for i in range(len(label))]
    frame = pd.DataFrame({"image_id": ids, "group_id": ids, "label": [classes[k] for k in label]})
    frame = frame.assign(task=task, fold=0, learner=learner, arm=arm, shots=shots, draw=draw)
    frame = frame.assign(role="test", ratio=0.0 if arm == "real_only" else 1.0)
    return frame.assign(**{f"p:{name}": prob[:, k] for k, name in enumerate(classes)})


@pytest.fixture
def predictions(tmp_path: Path) -> Write:
    """Return a function that writes predict folders."""

    def write(
        *,
        arms: Mapping[str, float] = ARMS,
        learners: Sequence[str] = ("probe",),
        tasks: Mapping[str, Mapping[str, int]] = {"novel": SIZES},
        shots: Sequence[int] = (5,),
        draws: int = 3,
        change: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame,
        name: str = "cells",
    ) -> list[Path]:
        folders = []
        for task, sizes in tasks.items():
            for learner in learners:
                for arm, gain in arms.items():
                    for k in shots:
                        for draw in range(draws):
                            frame = cell(task, learner, arm, k, draw, sizes, 0.5 + gain)
                            out = tmp_path / name / f"{task}-{learner}-{arm}-{k}-{draw}"
                            out.mkdir(parents=True)
                            write_table(change(frame), out / "predictions.csv", PREDICTIONS)
                            folders.append(out)
        return folders

    return write


def _gains(folder: Path) -> pd.DataFrame:
    return read_table(folder / "gains.csv", GAINS)


def test_every_table_is_there_and_valid(predictions: Write) -> None:
    tasks = {"novel": SIZES, "generalised": {**SIZES, "nv": 30}}
    out = evaluate(predictions(tasks=tasks, shots=(1, 5), learners=("probe", "protonet")))
    gains = _gains(out)
    assert set(gains["baseline"]) == {"", "real_only", "real_copies"}
    assert {"all", "rare", "class:df", "pair:akiec|vasc"} <= set(gains["stratum"])
    for name, schema in (
        ("draws", DRAWS),
        ("confusion", CONFUSION),
        ("calibration", CALIBRATION),
        ("verdicts", VERDICTS),
    ):
        assert len(read_table(out / f"{name}.csv", schema))


def test_the_value_is_the_mean_of_the_draws_and_the_gain_their_mean_difference(
    predictions: Write,
) -> None:
    out = evaluate(predictions())
    draws = read_table(out / "draws.csv", DRAWS)
    mean = draws.groupby(["arm", "metric", "stratum"])["value"].mean()
    gains = _gains(out).set_index(["arm", "metric", "stratum", "baseline"])
    for metric, sign in (("balanced_accuracy", 1), ("macro_auc", 1), ("brier", -1), ("ece", -1)):
        value = gains.loc[("flat", metric, "all", ""), "value"]
        assert value == pytest.approx(mean["flat", metric, "all"], abs=2e-6)
        gain = gains.loc[("flat", metric, "all", "real_only"), "gain"]
        want = sign * (mean["flat", metric, "all"] - mean["real_only", metric, "all"])
        assert gain == pytest.approx(want, abs=2e-6)


def test_identical_arms_gain_exactly_nothing(predictions: Write) -> None:
    same = dict.fromkeys(("real_only", "real_copies", "flat"), 0.0)

    def without_arm(frame: pd.DataFrame) -> pd.DataFrame:
        shots, draw = frame["shots"].iloc[0], frame["draw"].iloc[0]
        twin = cell("novel", "probe", "real_only", shots, draw, SIZES, 0.5)
        probs = [name for name in twin if name.startswith("p:")]
        return frame.assign(**{name: twin[name] for name in probs})

    out = evaluate(predictions(arms=same, change=without_arm))
    paired = _gains(out).query("baseline != ''")
    assert len(paired)
    assert (paired[["gain", "gain_low", "gain_high"]] == 0).all(axis=None)
    verdicts = read_table(out / "verdicts.csv", VERDICTS)
    assert verdicts["verdict"].str.contains("no measured gain").all()
    assert set(verdicts["claimed"]) == {"False"}


def test_a_gain_is_claimed_only_over_both_controls(predictions: Write) -> None:
    arms = {"real_only": 0.0, "real_copies": 2.0, "flat": 2.0}
    out = evaluate(predictions(arms=arms, draws=5))
    row = read_table(out / "verdicts.csv", VERDICTS).query("metric == 'balanced_accuracy'").iloc[0]
    gains = _gains(out).query(
        "arm == 'flat' and metric == 'balanced_accuracy' and stratum == 'all'"
    )
    assert gains.query("baseline == 'real_only'")["gain_low"].iloc[0] > 0
    assert (row["claimed"], row["against"]) == ("False", "real_copies")
    assert "no measured gain" in row["verdict"]


def test_a_large_gain_is_a_sentence_with_its_numbers(predictions: Write) -> None:
    out = evaluate(predictions(arms={"real_only": 0.0, "real_copies": 0.0, "flat": 2.5}, draws=5))
    row = read_table(out / "verdicts.csv", VERDICTS).query("metric == 'balanced_accuracy'").iloc[0]
    assert row["claimed"] == "True"
    assert row["verdict"].startswith("flat with probe at K = 5 (novel): balanced accuracy +")
    assert row["verdict"].endswith("47 groups, 5 draws: a measured gain (exploratory).")
    assert row["detectable"] > 0


def test_without_real_copies_nothing_is_claimed(predictions: Write) -> None:
    out = evaluate(predictions(arms={"real_only": 0.0, "flat": 2.5}))
    verdicts = read_table(out / "verdicts.csv", VERDICTS)
    assert set(verdicts["claimed"]) == {"False"}
    assert verdicts["verdict"].str.contains("no real_copies arm to compare with").any()


def test_the_primary_comparison_has_wider_simultaneous_intervals(predictions: Write) -> None:
    folders = predictions(arms={**ARMS, "mixup": 0.3})
    primary = {"task": "novel", "metric": "macro_auc", "shots": 5, "learner": "probe"}
    with_primary, without = _gains(evaluate(folders, primary=primary)), _gains(evaluate(folders))
    wider = (with_primary["gain_high"] - with_primary["gain_low"]) > (
        without["gain_high"] - without["gain_low"] + 1e-9
    )
    rows = with_primary[wider]
    assert set(rows["arm"]) == {"flat", "mixup"}
    assert set(rows["metric"]) == {"macro_auc"}
    assert rows["method"].str.startswith("max-T over 4 comparisons").all()


def test_primary_rows_are_marked(predictions: Write) -> None:
    primary = {"task": "novel", "metric": "macro_auc", "shots": 5, "learner": "probe"}
    verdicts = read_table(evaluate(predictions(), primary=primary) / "verdicts.csv", VERDICTS)
    assert verdicts.query("primary == 'True'")["metric"].tolist() == ["macro_auc"]


def test_a_learner_is_compared_with_the_baseline_learner(predictions: Write) -> None:
    out = evaluate(predictions(learners=("probe", "protonet")), learner_baseline="probe")
    rows = _gains(out).query("baseline == 'learner:probe'")
    assert set(zip(rows["learner"], rows["arm"], strict=True)) == {("protonet", "real_only")}


def test_few_groups_of_a_class_get_a_value_but_no_interval(predictions: Write) -> None:
    out = evaluate(predictions(tasks={"novel": {"akiec": 20, "df": 9, "vasc": 12}}))
    gains = _gains(out).set_index(["arm", "metric", "stratum", "baseline"])
    few = gains.loc[("flat", "balanced_accuracy", "all", "real_only")]
    assert np.isfinite(few["gain"])
    assert np.isnan(few["gain_low"])
    assert few["method"] == "no interval: 9 groups in the smallest class, 10 needed"
    assert np.isfinite(gains.loc[("flat", "auc", "pair:akiec|vasc", "real_only"), "gain_low"])
    verdicts = read_table(out / "verdicts.csv", VERDICTS)
    assert verdicts["verdict"].str.contains("no interval, 9 groups in the smallest class").all()


def test_one_draw_says_that_it_knows_no_draw_variance(predictions: Write) -> None:
    gains = _gains(evaluate(predictions(draws=1)))
    rows = gains.query("metric == 'balanced_accuracy' and stratum == 'all'")
    assert rows["method"].str.startswith("one draw, so no draw variance").all()
    assert (rows["n_draws"] == 1).all()


def test_a_missing_test_row_is_named(predictions: Write) -> None:
    def drop(frame: pd.DataFrame) -> pd.DataFrame:
        flat = (frame["arm"] == "flat") & (frame["draw"] == 1)
        return frame[~(flat & frame["image_id"].isin(["novel_007", "novel_011"]))]

    with pytest.raises(TableError, match=r"novel_0\d\d \(2 missing\), which .* has") as caught:
        evaluate(predictions(change=drop))
    assert "flat (ratio 1) with probe at K = 5, draw 1" in str(caught.value)
    assert "novel_007" in str(caught.value)


def test_predictions_of_no_test_row_are_refused(predictions: Write) -> None:
    with pytest.raises(TableError, match="role 'test'"):
        evaluate(predictions(change=lambda frame: frame.assign(role="oof")))


def test_unknown_settings_name_the_known_ones(predictions: Write) -> None:
    folders = predictions()
    with pytest.raises(ConfigError, match="did you mean 'probe'"):
        evaluate(folders, learner_baseline="prob")
    with pytest.raises(ConfigError, match="expected task, metric, shots, learner"):
        evaluate(folders, primary={"task": "novel"})
    with pytest.raises(ConfigError, match="select_on"):
        evaluate(folders, select_on="test")


def _manifest(tmp_path: Path, **columns: str) -> Path:
    n = sum(SIZES.values())
    label = np.repeat(sorted(SIZES), [SIZES[name] for name in sorted(SIZES)])
    ids = [f"novel_{i:03d}" for i in range(n)]
    rows = pd.DataFrame({"image_id": ids, "path": ids, "label": label})
    folder = tmp_path / "manifest"
    folder.mkdir()
    values = {name: ids if value == "*" else value for name, value in columns.items()}
    write_manifest(rows.assign(**values), folder)
    return folder


@pytest.mark.parametrize(
    ("columns", "word"), [({"patient_id": "*"}, "patients"), ({"lesion_id": "*"}, "lesions")]
)
def test_groups_are_called_what_they_are(
    predictions: Write, tmp_path: Path, columns: dict[str, str], word: str
) -> None:
    out = evaluate(predictions(), _manifest(tmp_path, **columns))
    verdicts = read_table(out / "verdicts.csv", VERDICTS)
    assert verdicts["verdict"].str.contains(f"47 {word}, 3 draws").all()


def test_simulated_patients_are_named_in_every_verdict(predictions: Write, tmp_path: Path) -> None:
    manifest = _manifest(tmp_path, source="simulated", patient_id="*")
    verdicts = read_table(evaluate(predictions(), manifest) / "verdicts.csv", VERDICTS)
    assert verdicts["verdict"].str.contains("on simulated patients").all()


def test_a_generated_test_row_is_refused(predictions: Write, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="is generated"):
        evaluate(predictions(), _manifest(tmp_path, source="generated"))


def test_confusion_counts_every_row_of_every_draw(predictions: Write) -> None:
    table = read_table(evaluate(predictions()) / "confusion.csv", CONFUSION)
    counts = table.query("arm == 'flat'").groupby("label")["count"].sum()
    assert counts.to_dict() == {name: 3 * size for name, size in SIZES.items()}


def test_photos_of_one_patient_count_as_one(predictions: Write) -> None:
    # Repeating every row as a second photograph of the same patient changes no number.
    def twice(frame: pd.DataFrame) -> pd.DataFrame:
        again = frame.assign(image_id=frame["image_id"] + "b")
        return pd.concat([frame, again], ignore_index=True)

    once = _gains(evaluate(predictions()))
    numbers = ["value", "low", "high", "gain", "gain_low", "gain_high", "n_groups"]
    again = _gains(evaluate(predictions(change=twice, name="twice")))
    pd.testing.assert_frame_equal(again[numbers], once[numbers], atol=2e-6)


PAIRS = {
    f"nway:{a}|{b}": {a: SIZES[a], b: SIZES[b]}
    for a, b in (("akiec", "df"), ("akiec", "vasc"), ("df", "vasc"))
}


def one_patient_one_name(frame: pd.DataFrame) -> pd.DataFrame:
    # The pairs share their test patients.
    number = frame.groupby("label").cumcount().astype(str)
    return frame.assign(image_id=frame["label"] + number, group_id=frame["label"] + number)


def test_the_mean_over_pairs_is_the_mean_of_their_values(predictions: Write) -> None:
    folders = predictions(tasks=PAIRS, arms={"real_only": 0.0}, change=one_patient_one_name)
    gains = _gains(evaluate(folders))
    rows = gains[(gains["metric"] == "macro_auc") & (gains["stratum"] == "all")]
    pairs, mean = rows[rows["task"] != "nway"], rows[rows["task"] == "nway"].iloc[0]
    assert mean["value"] == pytest.approx(pairs["value"].mean(), abs=1e-6)
    assert mean["n_groups"] == 47  # 20 + 15 + 12 patients, each in two pairs
    assert mean["low"] < mean["value"] < mean["high"]
    # Three pairs of shared patients: narrower than one pair, wider than three independent ones.
    width = (mean["high"] - mean["low"]) / (pairs["high"] - pairs["low"]).mean()
    assert 3**-0.5 < width < 1


def test_a_pair_that_lacks_a_learner_is_named(predictions: Write) -> None:
    folders = predictions(tasks=PAIRS, arms={"real_only": 0.0}, change=one_patient_one_name)
    more = predictions(
        tasks={"nway:akiec|df": PAIRS["nway:akiec|df"]},
        arms={"real_only": 0.0},
        learners=("protonet",),
        change=one_patient_one_name,
        name="more",
    )
    with pytest.raises(TableError, match=r"protonet .* has no predictions for nway:akiec\|vasc"):
        evaluate([*folders, *more])


def test_two_learners_can_be_the_primary_comparison(predictions: Write) -> None:
    folders = predictions(
        tasks=PAIRS,
        arms={"real_only": 0.0},
        learners=("probe", "protonet"),
        change=one_patient_one_name,
    )
    primary = {"task": "nway", "metric": "macro_auc", "shots": 5, "learner": "protonet"}
    out = evaluate(folders, learner_baseline=["probe"], primary={**primary, "against": "probe"})
    (verdict,) = read_table(out / "verdicts.csv", VERDICTS).to_dict("records")
    assert verdict["against"] == "learner:probe"
    assert verdict["primary"] == "True"
    assert verdict["verdict"].startswith("protonet at K = 5 (nway): macro AUC ")
    assert " over probe, 47 groups, 3 draws: " in verdict["verdict"]


def test_a_primary_comparison_with_a_learner_that_is_no_baseline_is_refused(
    predictions: Write,
) -> None:
    folders = predictions(learners=("probe", "protonet"), arms={"real_only": 0.0})
    primary = {"task": "novel", "metric": "macro_auc", "shots": 5, "learner": "protonet"}
    with pytest.raises(ConfigError, match="against"):
        evaluate(folders, primary={**primary, "against": "probe"})
