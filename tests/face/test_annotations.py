"""Lesions in pictures: boxes hold their masks, what is hidden is not there, the file reads back."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest

from fewskin.errors import DataError
from fewskin.face.affected import affected, counterfactual, progression
from fewskin.face.analytic import analytic_head
from fewskin.face.annotations import (
    AnnotatedImage,
    append_annotations,
    mask_of,
    read_annotations,
    run_lengths,
    seen_instances,
)
from fewskin.face.condition import present
from fewskin.face.painted import Painted, paint_person
from fewskin.face.presentation import Drawn, Presentation
from fewskin.face.subject import Subject, subject_of
from fewskin.face.texture import atlas_of
from fewskin.functional.colour import linear_to_lab
from fewskin.functional.lighting import ambient
from fewskin.functional.pose import View, frontal_view
from tests.face.mean_face import mean_face

SIDE, SIZE = 512, 192


@functools.cache
def person() -> Painted:
    return paint_person(np.random.default_rng(1), 0.2, SIDE)


@functools.cache
def rosacea() -> Presentation:
    return present("rosacea", person().model, rng=np.random.default_rng(2), side=SIDE)


def view(yaw_deg: float = 0.0) -> View:
    return frontal_view((SIZE, SIZE), span_cm=20.0).posed(yaw_deg, 0.0, 0.0)


def papules() -> Drawn:
    return rosacea().at({"papules": 4.0})


def test_a_box_is_the_tightest_around_its_mask() -> None:
    found = seen_instances(papules(), person().model, person().vertices, view())
    assert len(found) > 20
    for one in found:
        x, y, width, height = one.box
        rows, columns = np.nonzero(one.mask)
        assert (columns.min(), rows.min()) == (x, y)
        assert (columns.max() - x + 1, rows.max() - y + 1) == (width, height)
        assert one.area_px >= 1.0


def test_a_lesion_is_where_its_place_on_the_mesh_is_projected() -> None:
    drawn, model = papules(), person().model
    atlas = atlas_of(model, SIDE)
    by_place = {}
    for one in drawn.instances:
        at = np.searchsorted(atlas.texel, one.texel[0] * SIDE + one.texel[1])
        place = atlas.bary[at] @ person().vertices[atlas.corners[at]]
        by_place[tuple(view().project(place)[:2])] = one.kind
    places = np.array(list(by_place))
    apart = []
    for one in seen_instances(drawn, model, person().vertices, view()):
        x, y, width, height = one.box
        off = np.abs(places - [x + width / 2, y + height / 2]).max(1)
        apart.append(off.min())
        assert list(by_place.values())[int(off.argmin())] == one.kind
    assert np.median(apart) < 0.7
    assert max(apart) < 2.0


def test_lesions_on_the_far_side_are_left_out() -> None:
    drawn, model, vertices = papules(), person().model, person().vertices
    atlas = atlas_of(model, SIDE)
    at = [np.searchsorted(atlas.texel, r * SIDE + c) for r, c in (i.texel for i in drawn.instances)]
    right = sum(float((atlas.bary[a] @ vertices[atlas.corners[a]])[0]) < -3.0 for a in at)
    front = seen_instances(drawn, model, vertices, view())
    turned = seen_instances(drawn, model, vertices, view(-75.0))  # shows the left side
    assert right >= 3
    assert len(turned) <= len(front) - right
    assert len(turned) > 0
    assert seen_instances(drawn, model, vertices, view(180.0)) == ()


def test_only_triangles_that_are_drawn_show_lesions() -> None:
    model = person().model
    none = np.zeros(len(model.triangles), bool)
    assert seen_instances(papules(), model, person().vertices, view(), only=none) == ()


def test_instances_lie_in_the_drawn_mask_of_their_feature() -> None:
    made = affected(person(), rosacea(), 3.0, view())
    mask = made.render.masks["papules"]
    for one in made.instances:
        assert mask[one.mask].mean() > 0.5


def test_a_pair_differs_inside_the_masks_alone() -> None:
    light = ambient(0.9)
    clear, ill = counterfactual(person(), rosacea(), 4.0, view(), light=light)
    assert clear.instances == ()
    changed = np.abs(linear_to_lab(ill.render.image) - linear_to_lab(clear.render.image)).max(-1)
    outside = np.max(list(ill.render.masks.values()), axis=0) == 0.0
    assert outside.mean() > 0.5
    assert changed[outside].max() <= 0.01
    assert changed[~outside].max() > 5.0


def test_a_progression_shows_more_and_more_lesions() -> None:
    made = progression(person(), rosacea(), [0.0, 1.0, 2.0, 4.0], view())
    counts = [len(one.instances) for one in made]
    assert counts == sorted(counts)
    assert counts[0] == 0 < counts[-1]
    again = progression(person(), rosacea(), [4.0], view())[0]
    assert again.render.image.tobytes() == made[-1].render.image.tobytes()


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (7, 2)])
def test_run_lengths_read_back(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    for mask in (rng.random(shape) < 0.5, np.zeros(shape, bool), np.ones(shape, bool)):
        coded = run_lengths(mask)
        assert sum(coded["counts"]) == mask.size
        np.testing.assert_array_equal(mask_of(coded), mask)


def annotated(image_id: str) -> AnnotatedImage:
    made = affected(person(), rosacea(), 2.0, view())
    return AnnotatedImage(
        image_id,
        f"images/{image_id}.png",
        "rosacea",
        made.drawn.severity,
        made.render.masks,
        made.instances,
    )


def test_the_file_holds_features_instances_and_counts(tmp_path: Path) -> None:
    file, one = tmp_path / "annotations.json", annotated("a")
    append_annotations(file, [one])
    append_annotations(file, [annotated("b")])
    table = read_annotations(file)
    assert table["info"]["source"] == "simulated"
    assert [image["image_id"] for image in table["images"]] == ["a", "b"]
    names = {c["id"]: (c["supercategory"], c["name"]) for c in table["categories"]}
    assert len(set(names.values())) == len(names)
    own = [a for a in table["annotations"] if a["image_id"] == 1]
    lesions = [a for a in own if names[a["category_id"]][0] == "instance"]
    assert len(lesions) == len(one.instances) == sum(table["images"][0]["counts"].values())
    assert [a["bbox"] for a in lesions] == [list(i.box) for i in one.instances]
    assert all(a["iscrowd"] == 0 for a in own)
    for a in own:
        mask = mask_of(a["segmentation"])
        assert mask.sum() == a["area"]
        x, y, width, height = a["bbox"]
        assert mask[y : y + height, x : x + width].sum() == a["area"]
    red = next(a for a in own if names[a["category_id"]] == ("feature", "erythema"))
    np.testing.assert_array_equal(mask_of(red["segmentation"]), one.masks["erythema"] >= 0.5)
    assert len({a["id"] for a in table["annotations"]}) == len(table["annotations"])


def test_an_image_is_annotated_once(tmp_path: Path) -> None:
    file = tmp_path / "annotations.json"
    append_annotations(file, [annotated("a")])
    before = file.read_bytes()
    with pytest.raises(DataError, match="'a' already"):
        append_annotations(file, [annotated("a")])
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        '{"images": []}',
        json.dumps(
            {"images": [], "categories": [], "annotations": [{"image_id": 1, "category_id": 1}]}
        ),
    ],
)
def test_other_files_are_errors(tmp_path: Path, text: str) -> None:
    file = tmp_path / "annotations.json"
    file.write_text(text)
    with pytest.raises(DataError, match=r"annotations\.json"):
        read_annotations(file)


def test_compressed_run_lengths_are_an_error() -> None:
    with pytest.raises(DataError, match="Compressed"):
        mask_of({"size": [2, 2], "counts": "abc"})


def test_our_head_has_room_for_every_lesion() -> None:
    assert len(papules().instances) == 46
    assert analytic_head() is person().model


@functools.cache
def photographed() -> Subject:
    made = mean_face(160)
    return subject_of(made.image, made.landmarks, side=128)


def test_a_photographed_person_has_the_condition_in_the_masks_alone() -> None:
    subject = photographed()
    shown = present("rosacea", subject.model, rng=np.random.default_rng(0), side=256)
    clear, ill = counterfactual(subject, shown, 4.0, subject.fit.view)
    changed = np.abs(linear_to_lab(ill.render.image) - linear_to_lab(clear.render.image))[..., 1]
    outside = np.max(list(ill.render.masks.values()), axis=0) == 0.0
    assert changed[outside].max() <= 0.01
    assert changed[ill.render.masks["erythema"] > 0.9].mean() > 3.0
    assert len(ill.instances) > 10


def test_tone_and_condition_go_together() -> None:
    subject = photographed()
    shown = present("rosacea", subject.model, rng=np.random.default_rng(0), side=256)
    light_skin, dark_skin = (
        affected(subject, shown, 2.0, subject.fit.view, melanin=melanin).render.image
        for melanin in (0.0, 0.15)
    )
    assert dark_skin.mean() < light_skin.mean()
