"""Conditions on three face models: the right places, the right dial, the same lesions each time."""

import functools
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from fewskin.errors import ConfigError, DataError
from fewskin.face.analytic import analytic_head
from fewskin.face.anatomy import Anatomy
from fewskin.face.canvas import canvas_of
from fewskin.face.condition import condition_names, draw_condition, present
from fewskin.face.landmark_model import landmark_model
from fewskin.face.model import FaceModel
from fewskin.face.presentation import Presentation
from fewskin.face.skin_layers import DELTA_A_PER_GRADE, apply
from fewskin.functional.colour import linear_to_lab
from fewskin.functional.pigment import light, tone_density

SIDE = 256
CONDITIONS = condition_names()
INFLAMED = ("acne", "perioral", "rosacea")


@functools.cache
def shrunken_turned_copy() -> FaceModel:
    """Our own head with another texture layout, size and place: what another topology is like."""
    head = analytic_head()
    return replace(
        head,
        name="other",
        vertices=(0.8 * head.vertices + np.float32([0.0, 3.0, -2.0])).astype(np.float32),
        uv=np.stack([head.uv[:, 1], 1.0 - head.uv[:, 0]], axis=1),
    )


MODELS = {"analytic": analytic_head, "landmark": landmark_model, "other": shrunken_turned_copy}


@functools.cache
def shown(name: str, model: str = "analytic", seed: int = 0) -> Presentation:
    return present(name, MODELS[model](), rng=np.random.default_rng(seed), side=SIDE)


@functools.cache
def face(model: str = "analytic") -> Anatomy:
    return Anatomy(canvas_of(MODELS[model](), SIDE))


def blood(name: str, model: str, severity: float = 3.0) -> np.ndarray:
    """Haemoglobin at the canvas's texels."""
    layers = shown(name, model).at(severity).layers
    return layers.haemoglobin.ravel()[face(model).canvas.texel]


@pytest.mark.parametrize("name", CONDITIONS)
def test_severity_0_changes_nothing_at_all(name: str) -> None:
    drawn = shown(name).at(0.0)
    assert not any(values.any() for _, values in drawn.layers)
    assert not drawn.mask.any()
    assert drawn.instances == ()
    albedo = np.random.default_rng(0).random((SIDE, SIDE, 3)).astype(np.float32)
    assert apply(albedo, drawn.layers).tobytes() == albedo.tobytes()


@pytest.mark.parametrize("name", CONDITIONS)
def test_layers_grow_with_severity_and_lesions_never_leave(name: str) -> None:
    steps = [shown(name).at(severity) for severity in (0.5, 1.5, 2.5, 4.0)]
    sums = [float(sum(np.abs(values).sum() for _, values in one.layers)) for one in steps]
    assert sums == sorted(sums)
    assert sums[0] > 0.0
    places = [{one.texel for one in step.instances} for step in steps]
    assert all(small <= large for small, large in pairwise(places))


@pytest.mark.parametrize("name", ["acne", "lupus", "rosacea"])
def test_the_same_generator_gives_the_same_bytes(name: str) -> None:
    model = landmark_model()
    first, again, other = (
        draw_condition(name, model, severity=2.0, rng=np.random.default_rng(seed), side=128)
        for seed in (3, 3, 4)
    )
    bytes_of = [[values.tobytes() for _, values in one.layers] for one in (first, again, other)]
    assert bytes_of[0] == bytes_of[1]
    assert bytes_of[0] != bytes_of[2]


@pytest.mark.parametrize("name", CONDITIONS)
def test_nothing_changes_where_the_mask_is_0(name: str) -> None:
    drawn = shown(name).at(4.0)
    outside = drawn.mask == 0.0
    assert outside.any()
    assert not any(values[outside].any() for _, values in drawn.layers)


@pytest.mark.parametrize("name", CONDITIONS)
@pytest.mark.parametrize("model", MODELS)
def test_every_usual_feature_is_drawn_on_every_model(name: str, model: str) -> None:
    drawn = shown(name, model).at(4.0)
    for feature in shown(name, model).usual:
        assert drawn.masks[feature].max() > 0.5, feature


@pytest.mark.parametrize("tone", [0.15, 0.5, 0.9])
def test_erythema_is_linear_in_severity_on_light_medium_and_dark_skin(tone: float) -> None:
    skin = np.broadcast_to(light(tone_density(tone)), (SIDE, SIDE, 3)).astype(np.float32)
    severities = np.linspace(0.0, 4.0, 9)
    core = shown("rosacea").at({"erythema": 4.0}).masks["erythema"] >= 1.0
    outside = shown("rosacea").at({"erythema": 4.0}).masks["erythema"] == 0.0
    rest = linear_to_lab(skin)[..., 1]
    rises = []
    for severity in severities:
        drawn = shown("rosacea").at({"erythema": float(severity)})
        rise = linear_to_lab(apply(skin, drawn.layers))[..., 1] - rest
        rises.append(rise[core].mean())
        assert np.abs(rise[outside]).max() <= 0.01
    assert np.corrcoef(severities, rises)[0, 1] >= 0.999


def test_the_mean_redness_of_rosaceas_core_is_what_the_grade_says() -> None:
    skin = np.broadcast_to(light(tone_density(0.2)), (SIDE, SIDE, 3)).astype(np.float32)
    drawn = shown("rosacea").at({"erythema": 3.0})
    core = drawn.layers.haemoglobin > 0.5 * np.quantile(drawn.layers.haemoglobin, 0.999)
    rise = linear_to_lab(apply(skin, drawn.layers))[core, 1].mean() - linear_to_lab(skin)[0, 0, 1]
    assert rise == pytest.approx(3.0 * DELTA_A_PER_GRADE, rel=0.1)


@pytest.mark.parametrize("model", MODELS)
def test_rosacea_spares_lids_and_mouth_and_prefers_cheeks_and_nose(model: str) -> None:
    where, amount = face(model), blood("rosacea", model)
    cheeks = amount[where.cheeks > 0.8].mean()
    assert amount[where.nose > 0.5].mean() > 0.6 * cheeks
    assert amount[(where.eyes > -0.5) & (where.eyes < 0.0)].mean() < 0.15 * cheeks
    assert amount[(where.mouth > -0.5) & (where.mouth < 0.0)].mean() < 0.15 * cheeks
    assert amount[where.jaws > 0.8].mean() < 0.3 * cheeks


@pytest.mark.parametrize("model", MODELS)
def test_lupus_spares_the_nasolabial_folds_and_rosacea_less(model: str) -> None:
    where = face(model)
    fold = (where.folds < 0.3) & (where.canvas.place[:, 1] > -2.5)
    ratio = {
        name: blood(name, model)[fold].mean() / blood(name, model)[where.malar > 0.6].mean()
        for name in ("lupus", "rosacea")
    }
    assert ratio["lupus"] < 0.15
    assert ratio["rosacea"] > 2.0 * ratio["lupus"]


@pytest.mark.parametrize("model", MODELS)
def test_seborrhoeic_dermatitis_keeps_to_folds_and_brows(model: str) -> None:
    where, amount = face(model), blood("seborrhoeic_dermatitis", model)
    fold = amount[(where.folds < 0.2) & (where.canvas.place[:, 1] > -2.0)].mean()
    assert fold > 0.1
    assert amount[where.malar > 0.8].mean() < 0.15 * fold
    assert amount[where.glabella > 0.2].mean() > 0.3 * fold


@pytest.mark.parametrize("model", MODELS)
def test_perioral_dermatitis_leaves_a_rim_by_the_lips(model: str) -> None:
    where, amount = face(model), blood("perioral", model)
    ring = amount[(where.mouth < -0.8) & (where.mouth > -1.4) & (where.chin > 0.0)].mean()
    assert ring > 0.05
    assert amount[(where.mouth > -0.25) & (where.mouth < 0.0)].mean() < 0.15 * ring
    assert amount[where.malar > 0.8].mean() < 0.15 * ring


def test_melasma_and_make_up_are_no_redness_of_the_cheek_alone() -> None:
    assert shown("melasma").at(4.0).layers.melanin.max() > 0.1
    lips = face().canvas.lips
    assert blood("make_up", "analytic")[lips].mean() > 0.1


@pytest.mark.parametrize("name", INFLAMED)
def test_counts_rise_with_severity_and_are_those_of_the_instances(name: str) -> None:
    counts = []
    for severity in (0.0, 1.0, 2.0, 3.0, 4.0):
        drawn = shown(name).at(severity)
        kinds = {one.kind for one in drawn.instances}
        assert sum(drawn.count(kind) for kind in kinds) == len(drawn.instances)
        counts.append(sum(one.feature == "papules" for one in drawn.instances))
    assert counts[0] == 0
    assert all(small < large for small, large in pairwise(counts))


def test_rosaceas_papules_and_pustules_are_as_many_as_the_grade_says() -> None:
    counts = [len(shown("rosacea").at({"papules": float(s)}).instances) for s in range(5)]
    assert counts == [0, 3, 10, 24, 46]


def test_only_acne_has_comedones() -> None:
    having = [name for name in CONDITIONS if shown(name).at(4.0).count("comedone")]
    assert having == ["acne"]


def test_an_instance_lies_inside_its_features_mask() -> None:
    drawn = shown("rosacea").at(3.0)
    for one in drawn.instances:
        mask = drawn.masks[one.feature].ravel()[one.at]
        assert mask.min() > 0.0
        assert mask[one.share > 0.5].min(initial=1.0) > 0.5


def test_features_can_be_set_one_by_one() -> None:
    drawn = shown("rosacea").at({"phyma": 3.0})
    assert drawn.layers.displacement.max() > 1.5
    assert not drawn.masks["erythema"].any()
    assert drawn.severity["papules"] == 0.0
    assert not shown("rosacea").at(3.0).layers.displacement.any()


def test_a_larger_extent_covers_more_skin() -> None:
    model = analytic_head()
    areas = [
        draw_condition(
            "lupus", model, severity=3.0, rng=np.random.default_rng(0), side=SIDE, extent=extent
        ).mask.sum()
        for extent in (0.6, 1.0, 1.4)
    ]
    assert areas == sorted(areas)
    assert areas[2] > 1.2 * areas[0]


def test_lesions_under_hair_are_not_counted() -> None:
    drawn = shown("rosacea").at(4.0)
    hidden = drawn.on(np.zeros((SIDE, SIDE), np.float32))
    assert hidden.instances == ()
    assert not hidden.mask.any()
    assert len(drawn.on(np.ones((SIDE, SIDE), np.float32)).instances) == len(drawn.instances)


def test_what_is_not_known_is_named() -> None:
    with pytest.raises(ConfigError, match="there are: acne"):
        present("measles", analytic_head(), rng=np.random.default_rng(0))
    with pytest.raises(ConfigError, match="no feature 'scales'"):
        shown("rosacea").at({"scales": 1.0})
    with pytest.raises(ConfigError, match=r"expected 0 \(clear\) to 4"):
        shown("rosacea").at(4.5)
    with pytest.raises(ConfigError, match="extent"):
        present("rosacea", analytic_head(), rng=np.random.default_rng(0), extent=3.0)


def test_a_model_without_landmarks_is_an_error() -> None:
    bare = replace(
        analytic_head(),
        landmark_triangles=np.full(468, -1, np.int32),
    )
    with pytest.raises(DataError, match="landmarks"):
        present("rosacea", bare, rng=np.random.default_rng(0), side=64)
