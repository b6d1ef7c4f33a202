from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from fewskin.errors import PluginError
from fewskin.learners.colour import Colour
from fewskin.plugins import load_object, save_object
from fewskin.testing import BASE, RARE, synthetic_table

TEST = synthetic_table(RARE, 10, seed=7)


def adapt(learner: Colour, tmp_path: Path, n: int = 3):
    support = synthetic_table(RARE, n)
    return learner.adapt(support, extra=None, base=None, seed=2, out=tmp_path)


def test_features_are_the_moments_of_cielab_as_scikit_image_has_them(tmp_path: Path) -> None:
    images = TEST.images()
    lab = rgb2lab(images.permute(0, 2, 3, 1).numpy() / 255.0).reshape(len(images), -1, 3)
    expected = np.concatenate([lab.mean(1), lab.std(1)], axis=1)
    # scikit-image rounds its matrix and its white to a few digits.
    np.testing.assert_allclose(adapt(Colour(), tmp_path).features(images), expected, atol=0.05)


def test_probabilities_are_those_of_the_nearest_colour_in_deviations_of_base(tmp_path) -> None:
    base, support = synthetic_table(BASE, 8), synthetic_table(RARE, 3)
    predictor = adapt(Colour(scale=0.5).fit(base, seed=1, out=tmp_path), tmp_path)
    moments = [predictor.features(table.images()) for table in (base, support, TEST)]
    std = moments[0].std(0, correction=0)
    std = std.clamp_min(0.1 * float(std.mean()))
    means = torch.stack([(moments[1] / std)[:3].mean(0), (moments[1] / std)[3:].mean(0)])
    expected = (-0.5 * torch.cdist(moments[2] / std, means) ** 2).softmax(1)
    torch.testing.assert_close(predictor.predict(TEST.images()), expected, atol=1e-5, rtol=1e-4)


def test_a_turned_image_has_the_same_colours(tmp_path: Path) -> None:
    predictor, images = adapt(Colour(), tmp_path), TEST.images()
    turned = predictor.predict(images.rot90(1, (2, 3)).contiguous())
    torch.testing.assert_close(turned, predictor.predict(images), atol=1e-5, rtol=1e-4)


def test_colours_of_named_pixels_are_kept(tmp_path: Path, runs: Path) -> None:
    predictor = adapt(Colour(), tmp_path)
    named = replace(TEST, pixels_key="of this test")
    expected = predictor.predict(TEST.images())
    torch.testing.assert_close(predictor.predict_table(named), expected, atol=1e-6, rtol=1e-5)
    assert len(list((runs / "features").glob("*.npy"))) == 1


def test_a_saved_predictor_is_found_by_its_class(tmp_path: Path) -> None:
    predictor = adapt(Colour(), tmp_path)
    save_object(predictor, tmp_path / "model")
    loaded = load_object(tmp_path / "model")
    assert torch.equal(loaded.predict(TEST.images()), predictor.predict(TEST.images()))
    with pytest.raises(PluginError, match="holds no saved colours"):
        Colour().load(tmp_path / "nowhere")
