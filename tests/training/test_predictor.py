from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from fewskin.errors import DataError, PluginError
from fewskin.nets.backbones import make_backbone, normalise
from fewskin.testing import synthetic_table
from fewskin.training.predictor import Centres, NetPredictor

IMAGES = synthetic_table(n=3).images()


def linear(frozen: str = "none") -> NetPredictor:
    return NetPredictor(make_backbone("conv4"), nn.Linear(64, 2), ("a", "b"), 32, frozen=frozen)


def centred(metric: str) -> NetPredictor:
    head = Centres(torch.randn(2, 64), metric, 3.0)
    return NetPredictor(make_backbone("conv4"), head, ("a", "b"), 32)


def test_probabilities_are_the_softmax_of_the_module() -> None:
    predictor = linear()
    with torch.inference_mode():
        expected = predictor.module(normalise(IMAGES)).softmax(1)
        logits = predictor.head(predictor.features(IMAGES))
    torch.testing.assert_close(predictor.predict(IMAGES), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(logits.softmax(1), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("make", [linear, lambda: centred("cosine"), lambda: centred("euclidean")])
def test_a_loaded_predictor_predicts_the_same(make, tmp_path: Path) -> None:
    predictor = make()
    predictor.backbone.pretrained_on = "something"
    predictor.save(tmp_path)
    loaded = NetPredictor.load(tmp_path)
    assert torch.equal(loaded.predict(IMAGES), predictor.predict(IMAGES))
    assert (loaded.classes, loaded.image_size) == (("a", "b"), 32)
    assert loaded.backbone.pretrained_on == "something"
    assert {file.suffix for file in tmp_path.iterdir()} == {".safetensors", ".json"}


@pytest.mark.parametrize("frozen", ["none", "trunk", "all"])
def test_a_table_is_predicted_as_its_images_are(frozen: str) -> None:
    table = replace(synthetic_table(n=5), pixels_key="of this test").take([8, 1, 4])
    predictor = linear(frozen)
    expected = predictor.predict(table.images())
    torch.testing.assert_close(predictor.predict_table(table), expected, atol=1e-5, rtol=1e-5)


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(DataError, match="16 px for a model trained at 32 px"):
        linear().predict(IMAGES[:, :, :16, :16])


def test_a_folder_without_a_predictor_is_named(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="holds no saved net"):
        NetPredictor.load(tmp_path)
    linear().save(tmp_path)
    (tmp_path / "predictor.safetensors").write_bytes(b"cut off")
    with pytest.raises(PluginError, match="does not hold the weights"):
        NetPredictor.load(tmp_path)
