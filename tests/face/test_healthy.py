import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from fewskin.errors import DataError, StageError
from fewskin.face.analytic import analytic_head
from fewskin.face.canvas import canvas_of
from fewskin.face.healthy import (
    HealthyModel,
    bare_skin,
    cell_colours,
    healthy_model,
    network_inputs,
    read_healthy_model,
    smoothed,
    unusual_blood,
)
from fewskin.face.texture import Texture, atlas_of
from fewskin.face.topology import topology
from fewskin.functional.pigment import HAEMOGLOBIN, MELANIN, light, tone_density
from fewskin.paths import assets_dir

SIDE = 256
HEAD = analytic_head()
BARE = bare_skin(HEAD, SIDE)
ROOT = Path(__file__).resolve().parents[2]


def skin_of(tone: float, blood: np.ndarray | float = 0.0) -> Texture:
    od = tone_density(tone) + np.multiply.outer(np.broadcast_to(blood, (SIDE,) * 2), HAEMOGLOBIN)
    whole = atlas_of(HEAD, SIDE).covered.astype(np.float32)
    return Texture(light(od).astype(np.float32), whole, BARE, whole)


def cheek(sign: float) -> np.ndarray:
    canvas = canvas_of(HEAD, SIDE)
    middle = topology().mean[280 if sign > 0 else 50]
    apart = np.linalg.norm(canvas.place - middle, axis=1)
    return canvas.image(np.exp(-0.5 * (apart / 1.5) ** 2))


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "learn_healthy_skin", ROOT / "scripts" / "learn_healthy_skin.py"
    )
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_the_shipped_model_is_small_and_measures_blood() -> None:
    prior = healthy_model()
    assert prior.filter @ HAEMOGLOBIN == pytest.approx(1.0, abs=1e-3)
    assert all(np.isfinite(one).all() for one in prior.weights.values())
    assert (assets_dir() / "face" / "healthy_skin.npz").stat().st_size <= 60_000


def test_a_missing_or_damaged_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="cannot read"):
        read_healthy_model(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", filter=np.ones(3))
    with pytest.raises(StageError, match="cells"):
        read_healthy_model(tmp_path / "other.npz")


@pytest.mark.parametrize("tone", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_red_cheek_is_found_on_its_own_side(tone: float, sign: float) -> None:
    put = 0.25 * cheek(sign) * BARE
    found = unusual_blood(skin_of(tone, put), HEAD)
    inside = BARE > 0.5
    assert np.corrcoef(found[inside], put[inside])[0, 1] > 0.6
    assert (found * cheek(sign)).sum() > 2.0 * (found * cheek(-sign)).sum()


def test_a_mirrored_face_gives_the_mirrored_answer() -> None:
    od, weight = cell_colours(skin_of(0.4, 0.2 * cheek(1.0)), HEAD)
    prior = healthy_model()
    one = prior.blood(od, weight)
    other = prior.blood(od[:, :, ::-1], weight[:, ::-1])
    np.testing.assert_allclose(one, other[:, ::-1], atol=1e-5)


def test_pigment_looks_less_like_blood_than_blood_does() -> None:
    amount = 0.25 * cheek(1.0) * BARE
    bare = skin_of(0.3)
    brown = bare.colour * light(np.multiply.outer(amount, MELANIN)).astype(np.float32)
    mark = unusual_blood(replace(bare, colour=brown), HEAD)
    assert mark.sum() < 0.8 * unusual_blood(skin_of(0.3, amount), HEAD).sum()


def test_too_little_skin_is_refused() -> None:
    whole = skin_of(0.3)
    with pytest.raises(DataError, match="give a healthy photograph"):
        unusual_blood(replace(whole, confidence=np.zeros_like(whole.confidence)), HEAD)


def test_exposure_changes_what_is_told_of_tone_alone() -> None:
    od, weight = cell_colours(skin_of(0.4, 0.2 * cheek(1.0)), HEAD)
    one, other = network_inputs(od, weight), network_inputs(od + np.float32(0.1), weight)
    np.testing.assert_allclose(other[:3], one[:3], atol=1e-4)
    np.testing.assert_allclose(other[3:6] - one[3:6], 0.15, atol=1e-4)
    np.testing.assert_array_equal(other[6], one[6])


def test_the_network_run_in_numpy_is_the_one_that_torch_trains() -> None:
    torch = pytest.importorskip("torch")
    cells = np.sort(np.random.default_rng(0).choice(256, 180, replace=False))
    torch.manual_seed(3)
    network = script().Network(cells).eval()
    weights = {name: one.numpy() for name, one in network.state_dict().items()}
    inputs = np.random.default_rng(1).normal(size=(7, 16, 16)).astype(np.float32)
    inputs[3:6] = inputs[3:6, :1, :1]
    with torch.no_grad():
        expected = network(torch.from_numpy(inputs[None]))[0].numpy()
    made = HealthyModel(np.ones(3, np.float32), weights)._run(inputs)
    np.testing.assert_allclose(made.ravel()[cells], expected, atol=1e-5)
    assert not np.delete(made.ravel(), cells).any()


def test_smoothing_leaves_an_even_image_and_ignores_what_has_no_weight() -> None:
    weight = BARE * (np.random.default_rng(0).random(BARE.shape) > 0.3)
    image = np.where(weight > 0, 0.4, 77.0).astype(np.float32)
    np.testing.assert_allclose(smoothed(image, weight, HEAD)[weight > 0], 0.4, atol=1e-4)
