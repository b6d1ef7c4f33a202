from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from fewskin.errors import ConfigError, PluginError
from fewskin.functional.cues import CUES, MEASURES, UNITS, picture_cues
from fewskin.learners.trivial import Trivial
from fewskin.plugins import load_object, save_object
from fewskin.testing import BASE, RARE, synthetic_table

COLOUR = ("mean colour", "spread of colour")
TEST = synthetic_table(RARE, 10, seed=7)


def adapt(learner: Trivial, tmp_path: Path, n: int = 3):
    support = synthetic_table(RARE, n)
    return learner.adapt(support, extra=None, base=None, seed=2, out=tmp_path)


def test_features_are_the_moments_of_cielab_as_scikit_image_has_them(tmp_path: Path) -> None:
    images = TEST.images()
    lab = rgb2lab(images.permute(0, 2, 3, 1).numpy() / 255.0).reshape(len(images), -1, 3)
    expected = np.concatenate([lab.mean(1), lab.std(1)], axis=1)
    # scikit-image rounds its matrix and its white to a few digits.
    found = adapt(Trivial(cues=COLOUR), tmp_path).features(images)
    np.testing.assert_allclose(10 * found, expected, atol=0.05)


def test_probabilities_are_those_of_the_nearest_colour_in_deviations_of_base(tmp_path) -> None:
    base, support = synthetic_table(BASE, 8), synthetic_table(RARE, 3)
    predictor = adapt(Trivial(scale=3.0, cues=COLOUR).fit(base, seed=1, out=tmp_path), tmp_path)
    moments = [predictor.features(table.images()) for table in (base, support, TEST)]
    std = moments[0].std(0, correction=0)
    std = std.clamp_min(0.1 * float(std.mean()))
    means = torch.stack([(moments[1] / std)[:3].mean(0), (moments[1] / std)[3:].mean(0)])
    expected = (-0.5 * torch.cdist(moments[2] / std, means) ** 2).softmax(1)
    torch.testing.assert_close(predictor.predict(TEST.images()), expected, atol=1e-5, rtol=1e-4)


def test_a_turned_image_has_the_same_colours(tmp_path: Path) -> None:
    predictor, images = adapt(Trivial(cues=COLOUR), tmp_path), TEST.images()
    turned = predictor.predict(images.rot90(1, (2, 3)).contiguous())
    torch.testing.assert_close(turned, predictor.predict(images), atol=1e-5, rtol=1e-4)


def test_cues_of_named_pixels_are_kept(tmp_path: Path, runs: Path) -> None:
    predictor = adapt(Trivial(cues=COLOUR), tmp_path)
    named = replace(TEST, pixels_key="of this test")
    expected = predictor.predict(TEST.images())
    torch.testing.assert_close(predictor.predict_table(named), expected, atol=1e-6, rtol=1e-5)
    assert len(list((runs / "features").glob("*.npy"))) == 1


def test_a_saved_predictor_is_found_by_its_class(tmp_path: Path) -> None:
    predictor = adapt(Trivial(cues=COLOUR), tmp_path)
    save_object(predictor, tmp_path / "model")
    loaded = load_object(tmp_path / "model")
    assert torch.equal(loaded.predict(TEST.images()), predictor.predict(TEST.images()))
    with pytest.raises(PluginError, match="holds no saved trivial cues"):
        Trivial().load(tmp_path / "nowhere")


def test_features_are_the_cues_of_each_picture(tmp_path: Path) -> None:
    images = TEST.images()
    expected = [picture_cues(image.permute(1, 2, 0).numpy()) / UNITS for image in images]
    found = adapt(Trivial(), tmp_path).features(images)
    assert found.shape == (len(images), len(MEASURES))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_frame_is_enough_to_be_told_by(tmp_path: Path) -> None:
    table = synthetic_table(RARE, 12)
    pixels = np.full(table.images().shape, 150, np.uint8)
    pixels += np.random.default_rng(0).integers(0, 40, pixels.shape, dtype=np.uint8)
    framed = np.array([label == RARE[0] for label in table.labels])
    pixels[framed, :, :3] = 0
    known = replace(table, pixels=pixels, pixels_key="", index=np.arange(len(pixels)))
    made = Trivial(cues=["border"]).adapt(known, extra=None, base=None, seed=0, out=tmp_path)
    said = np.array(made.classes)[made.predict(known.images()).argmax(1)]
    assert said.tolist() == list(table.labels)


@pytest.mark.parametrize("cues", [["hue"], []])
def test_cues_that_there_are_not_are_refused(cues: list[str]) -> None:
    with pytest.raises(ConfigError, match="expected some of " + next(iter(CUES))):
        Trivial(cues=cues)
