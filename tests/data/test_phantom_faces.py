from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fewskin.data.phantom import make_patient
from fewskin.data.phantom_faces import take_face
from fewskin.data.sources.phantom import phantom
from fewskin.errors import ConfigError
from fewskin.face.landmark_files import read_landmarks
from fewskin.face.topology import LEFT_EYE_CORNERS, RIGHT_EYE_CORNERS

SIZE = 96


def test_a_photograph_depends_on_the_seed_the_patient_and_its_number_only() -> None:
    patient = make_patient("rosacea", 1, seed=0)
    first = take_face(patient, 0, size=SIZE, seed=0).pixels
    take_face(make_patient("acne", 2, seed=0), 0, size=SIZE, seed=0)
    assert (take_face(patient, 0, size=SIZE, seed=0).pixels == first).all()
    assert (take_face(patient, 1, size=SIZE, seed=0).pixels != first).any()
    assert (take_face(patient, 0, size=SIZE, seed=1).pixels != first).any()


def test_redness_lies_where_the_mask_says() -> None:
    apart = []
    for number in range(4):
        made = take_face(make_patient("rosacea", number, seed=0), 0, size=192, seed=0)
        inside, face = made.condition > 0, made.face > 0
        assert (face[inside]).mean() > 0.95
        od = -np.log10(np.maximum(made.pixels.astype(float) / 255.0, 0.02) ** 2.2)
        redness = od[..., 1] - od[..., 0]
        if inside.sum() > 50:
            apart.append(np.median(redness[inside]) - np.median(redness[face & ~inside]))
    assert len(apart) >= 3
    assert min(apart) > 0.02


def test_landmarks_are_drawn_with_the_face() -> None:
    made = take_face(make_patient("healthy", 0, seed=3), 1, size=192, seed=3)
    eyes = [made.landmarks[list(pair)].mean(0) for pair in (RIGHT_EYE_CORNERS, LEFT_EYE_CORNERS)]
    assert eyes[0][0] < eyes[1][0]  # the subject's right is on the left of the picture
    nose = np.round(made.landmarks[4, :2]).astype(int)
    assert made.face[nose[1], nose[0]] == 255
    assert made.landmarks[4, 2] < 0  # towards the camera


def test_tones_span_light_and_dark() -> None:
    light = []
    for number in range(6):
        made = take_face(make_patient("healthy", number, seed=0), 0, size=SIZE, seed=0)
        light.append(made.pixels[made.face > 0].mean())
    assert max(light) > 1.3 * min(light)


def test_the_source_writes_faces_with_masks_and_landmarks(tmp_path: Path) -> None:
    read = phantom(None, out=tmp_path, n_common=1, n_rare=1, photographs=1, size=64, view="face")
    assert len(read.rows) == 7
    row = read.rows[read.rows["label"] == "rosacea"].iloc[0]
    assert row["view"] == "face"
    assert row["source"] == "simulated"
    mask = np.asarray(Image.open(tmp_path / row["mask_path"]))
    assert mask.shape == (64, 64)
    assert set(np.unique(mask)) <= {0, 255}
    face = read_landmarks(tmp_path / "landmarks" / f"{row['image_id']}.npz")
    assert np.isfinite(face.points).all()
    with pytest.raises(ConfigError, match="expected close-up or face"):
        phantom(None, out=tmp_path, view="profile")  # type: ignore[arg-type]
