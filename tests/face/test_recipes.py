from dataclasses import replace

import numpy as np
import pytest

from fewskin.errors import DataError
from fewskin.face.extract import Extracted
from fewskin.face.landmark_model import landmark_model
from fewskin.face.recipes import amount, painted, transplanted
from fewskin.face.skin_layers import blank
from fewskin.face.zones import zones_of

SIDE = 32
MODEL = landmark_model()


def donor(blood: float) -> Extracted:
    face = zones_of(MODEL, SIDE).of("face").astype(np.float32)
    layers = replace(blank(SIDE), haemoglobin=np.float32(blood) * face)
    return Extracted(layers, np.full((SIDE, SIDE), 0.5, np.float32), "prior")


def test_severities_are_drawn_from_one_to_the_dial() -> None:
    knobs = {"severity": 3.0, "extent": 1.0}
    drawn = [
        painted("flush", MODEL, knobs, np.random.default_rng(i), SIDE).params["severity"]
        for i in range(12)
    ]
    assert 1.0 <= min(drawn) < 1.7
    assert 2.3 < max(drawn) <= 3.0
    exact = painted("flush", MODEL, {**knobs, "severity": 0.8}, np.random.default_rng(0), SIDE)
    assert exact.params["severity"] == pytest.approx(0.8)
    with pytest.raises(DataError, match="is clear skin"):
        painted("flush", MODEL, {**knobs, "severity": 0.2}, np.random.default_rng(0), SIDE)


def test_a_transplant_is_the_donors_blood_times_the_strength() -> None:
    rng = np.random.default_rng(0)
    made = transplanted([donor(0.2)], MODEL, {"strength": 1.5}, rng, "one")
    assert amount(made.drawn.layers.haemoglobin, MODEL) == pytest.approx(0.3, rel=1e-5)
    assert made.used == (0,)
    assert made.params["confidence"] == pytest.approx(0.5)
    assert made.drawn.masks["redness"].max() == 1.0
    assert not made.drawn.masks["pigment"].any()


def test_a_mixture_of_two_lies_between_and_names_both() -> None:
    pair = [donor(0.1), donor(0.3)]
    for seed in range(8):
        made = transplanted(pair, MODEL, {"strength": 1.0}, np.random.default_rng(seed), "mixup")
        red = amount(made.drawn.layers.haemoglobin, MODEL)
        assert 0.1 - 1e-6 <= red <= 0.3 + 1e-6
        heavier = made.used[0]
        assert abs(red - (0.1, 0.3)[heavier]) <= 0.1 + 1e-6


def test_donors_without_redness_give_nothing() -> None:
    with pytest.raises(DataError, match="show no redness to move"):
        transplanted([donor(0.01)], MODEL, {"strength": 1.0}, np.random.default_rng(0), "one")
