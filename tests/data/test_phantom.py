"""The simulated data set: what it promises of patients, photographs, tones and trivial cues."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.ndimage import laplace
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fewskin.data.phantom import COMMON, RARE, make_patient, take_photograph
from fewskin.data.phantom_conditions import CONDITIONS
from fewskin.data.phantom_faces import COMMON_FACES, RARE_FACES, take_face
from fewskin.data.sources.phantom import phantom
from fewskin.errors import ConfigError
from fewskin.functional.colour import ITA_CATEGORIES, linear_to_lab, srgb_to_linear
from fewskin.tables import MANIFEST, validate

SIZE = 64


def pictures(label, numbers, photos=(0,), seed=0, size=SIZE):
    patients = [make_patient(label, number, seed=seed) for number in numbers]
    return np.stack([take_photograph(p, k, size=size, seed=seed) for p in patients for k in photos])


def test_there_are_four_common_and_three_rare_conditions():
    assert (len(COMMON), len(RARE)) == (4, 3)
    assert {*COMMON, *RARE} == set(CONDITIONS)


def test_a_photograph_depends_only_on_seed_patient_and_number():
    alone = take_photograph(make_patient("acne", 3, seed=0), 1, size=SIZE, seed=0)
    after_others = pictures("acne", range(4), photos=(0, 1))[-1]
    assert (alone == after_others).all()


def test_seed_patient_and_photograph_each_change_the_picture():
    first = take_photograph(make_patient("acne", 3, seed=0), 0, size=SIZE, seed=0)
    assert (first != take_photograph(make_patient("acne", 3, seed=1), 0, size=SIZE, seed=1)).any()
    assert (first != take_photograph(make_patient("acne", 4, seed=0), 0, size=SIZE, seed=0)).any()
    assert (first != take_photograph(make_patient("acne", 3, seed=0), 1, size=SIZE, seed=0)).any()


@pytest.mark.parametrize("label", CONDITIONS)
def test_every_run_of_twenty_patients_covers_tones_strengths_and_both_cameras(label):
    for first in (0, 20, 40):
        patients = [make_patient(label, first + i, seed=0) for i in range(20)]
        assert len({patient.skin_tone for patient in patients}) >= len(ITA_CATEGORIES) - 1
        assert np.ptp([patient.strength for patient in patients]) > 0.6
        assert {patient.device for patient in patients} == {"camera_a", "camera_b"}


def test_severity_is_zero_for_healthy_skin_and_follows_strength_elsewhere():
    patients = [make_patient("rosacea", i, seed=0) for i in range(60)]
    assert {make_patient("healthy", i, seed=0).severity for i in range(20)} == {0}
    assert {patient.severity for patient in patients} == {1, 2, 3, 4}
    pairs = np.array([(patient.severity, patient.strength) for patient in patients])
    # Noisy grades: far above chance, below certainty (CEA's inter-rater ICC is .6).
    assert 0.6 < np.corrcoef(pairs.T)[0, 1] < 0.98


def test_darker_tones_give_darker_photographs():
    # For one tone the exposure scatters by .2 stops; over 20 patients the order must show.
    patients = [make_patient("healthy", i, seed=0) for i in range(20)]
    light = [
        linear_to_lab(srgb_to_linear(picture / 255))[..., 0].mean()
        for picture in pictures("healthy", range(20))
    ]
    assert np.corrcoef([patient.tone for patient in patients], light)[0, 1] < -0.6


def test_photographs_of_one_patient_resemble_each_other_more_than_those_of_two():
    first, second = (
        pictures("psoriasis", range(12), photos=(k,)).astype(float).mean((1, 2)) for k in (0, 1)
    )
    distance = np.linalg.norm(first[:, None] - second[None], axis=-1)
    assert np.diag(distance).mean() < 0.75 * distance.mean()


def test_camera_b_is_softer_and_warmer():
    redness, detail = {}, {}
    for device in ("camera_a", "camera_b"):
        numbers = [i for i in range(36) if make_patient("healthy", i, seed=0).device == device]
        seen = pictures("healthy", numbers).astype(float)
        redness[device] = (seen[..., 0] - seen[..., 2]).mean()
        detail[device] = np.mean([laplace(picture.mean(-1)).std() for picture in seen])
    assert redness["camera_b"] > redness["camera_a"] + 2
    assert detail["camera_b"] < detail["camera_a"]


def cues(picture):
    """Mean colour, colour spread, border (frame minus middle, spread of the frame), sharpness."""
    rgb = picture.astype(float) / 255
    frame = np.ones(rgb.shape[:2], dtype=bool)
    frame[8:-8, 8:-8] = False
    grey = rgb.mean(-1)
    sharp = [np.log(laplace(grey).var()), np.log((np.gradient(grey)[0] ** 2).mean())]
    border = [*(rgb[frame].mean(0) - rgb[~frame].mean(0)), *rgb[frame].std(0)]
    return np.array([*rgb.mean((0, 1)), *rgb.std((0, 1)), *border, *sharp])


def face(patient, photo, *, size, seed):
    return take_face(patient, photo, size=size, seed=seed).pixels


@pytest.mark.parametrize(
    ("take", "classes", "n"),
    [(take_photograph, CONDITIONS, 40), (face, COMMON_FACES + RARE_FACES, 12)],
)
def test_trivial_cues_do_not_give_the_class_away(take, classes, n):
    # The bound: <= .70, macro one-vs-rest AUC over seven classes, patients kept together.
    patients = [make_patient(label, i, seed=0) for label in classes for i in range(n)]
    features = np.stack([cues(take(p, 0, size=SIZE, seed=0)) for p in patients])
    labels, groups = [p.label for p in patients], [p.patient_id for p in patients]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000))
    prob = cross_val_predict(
        model, features, labels, groups=groups, cv=GroupKFold(5), method="predict_proba"
    )
    assert roc_auc_score(labels, prob, multi_class="ovr", average="macro") <= 0.70


def test_the_source_writes_what_its_rows_say(tmp_path):
    read = phantom(None, out=tmp_path, n_common=2, n_rare=3, photographs=2, size=48)
    rows = validate(read.rows, MANIFEST)
    assert len(rows) == (4 * 2 + 3 * 3) * 2
    assert set(rows["source"]) == {"simulated"}
    assert rows.groupby("patient_id").size().eq(2).all()
    assert rows.groupby("patient_id")["label"].nunique().eq(1).all()
    for path in rows["path"]:
        assert Image.open(read.root / path).size == (48, 48)
    filled = ["device", "skin_tone", "severity", "age", "sex", "dataset", "licence"]
    assert not (rows[filled] == "").any().any()


def test_neither_the_number_of_patients_nor_of_threads_changes_an_image(tmp_path):
    phantom(None, out=tmp_path / "few", n_common=1, n_rare=1, photographs=1, size=32, workers=1)
    many = phantom(
        None, out=tmp_path / "many", n_common=2, n_rare=2, photographs=2, size=32, workers=3
    )
    assert isinstance(many.rows, pd.DataFrame)
    for file in (tmp_path / "few" / "images").iterdir():
        assert file.read_bytes() == (tmp_path / "many" / "images" / file.name).read_bytes()


@pytest.mark.parametrize("option", [{"n_rare": 0}, {"size": 8}, {"photographs": 0}])
def test_an_option_out_of_range_is_named(tmp_path, option):
    (name,) = option
    with pytest.raises(ConfigError, match=name):
        phantom(None, out=tmp_path, **option)
