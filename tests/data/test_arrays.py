from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from fewskin.data.arrays import table_from_arrays, table_from_files
from fewskin.data.images import open_table
from fewskin.errors import DataError, ImageError
from fewskin.learners.protonet import ProtoNet
from fewskin.tables import MANIFEST

RED, BLUE = (np.full((3, 32, 32), 30, np.uint8) for _ in range(2))
RED[0], BLUE[2] = 220, 220


def support_and_query() -> tuple[np.ndarray, list[str], np.ndarray]:
    noise = np.random.default_rng(0).integers(0, 30, (8, 3, 32, 32), dtype=np.uint8)
    images = np.stack([RED, RED, RED, RED, BLUE, BLUE, BLUE, BLUE]) + noise
    return images[[0, 1, 4, 5]], ["red"] * 2 + ["blue"] * 2, images[[2, 3, 6, 7]]


def test_one_image_is_classified_after_adapting_to_arrays(tmp_path: Path) -> None:
    images, labels, query = support_and_query()
    support = table_from_arrays(images, labels)
    learner = ProtoNet(backbone="conv4").fit(None, seed=0, out=tmp_path)
    model = learner.adapt(support, extra=None, base=None, seed=0, out=tmp_path)
    assert model.classes == ("blue", "red")
    one_by_one = [model.predict(torch.from_numpy(image[None])) for image in query]
    assert [model.classes[int(prob.argmax())] for prob in one_by_one] == ["red"] * 2 + ["blue"] * 2
    whole = model.predict(torch.from_numpy(query))
    torch.testing.assert_close(torch.cat(one_by_one), whole, atol=1e-5, rtol=0)


def test_a_separate_query_set_is_a_table_too(tmp_path: Path) -> None:
    images, labels, query = support_and_query()
    learner = ProtoNet(backbone="conv4").fit(None, seed=0, out=tmp_path)
    support = table_from_arrays(images, labels)
    model = learner.adapt(support, extra=None, base=None, seed=0, out=tmp_path)
    asked = table_from_arrays(query, ["unknown"] * 4)
    torch.testing.assert_close(
        model.predict_table(asked), model.predict(torch.from_numpy(query)), atol=1e-6, rtol=0
    )


def test_both_orders_of_axes_and_tensors_give_one_table() -> None:
    images, labels, _ = support_and_query()
    made = [
        table_from_arrays(images, labels),
        table_from_arrays(images.transpose(0, 2, 3, 1), labels),
        table_from_arrays(torch.from_numpy(images), labels),
    ]
    assert all(torch.equal(table.images(), torch.from_numpy(images)) for table in made)
    assert all(table.rows.equals(made[0].rows) for table in made)


def test_rows_have_the_columns_of_a_manifest_and_ids_of_the_pixels() -> None:
    images, labels, _ = support_and_query()
    images[1] = images[0]
    table = table_from_arrays(images, labels, groups=["p", "p", "q", "r"])
    assert set(MANIFEST.required + MANIFEST.optional) == set(table.rows.columns)
    assert table.groups == ["p", "p", "q", "r"]
    ids = table.rows["image_id"].tolist()
    assert [ids[0].split("-")[1], ids[1].split("-")[1]] == ["0", "1"]
    assert ids[0].split("-")[0] == ids[1].split("-")[0] != ids[2].split("-")[0]
    turned = table_from_arrays(images[::-1], labels[::-1])
    assert set(turned.rows["image_id"]) == set(ids)
    assert table_from_arrays(images, labels).groups == ids


def test_files_give_the_pixels_of_an_ingested_folder(
    synthetic_manifest: Callable[..., Path],
) -> None:
    folder = synthetic_manifest(2)
    expected = open_table(folder, 16)
    files = [folder / path for path in expected.rows["path"]]
    table = table_from_files(files, expected.labels, expected.groups, image_size=16)
    assert torch.equal(table.images(), expected.images())
    assert table.labels == expected.labels


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("hello")
    with pytest.raises(ImageError, match=r"a\.png"):
        table_from_files([tmp_path / "a.png"], ["x"])
    with pytest.raises(DataError, match="no image files"):
        table_from_files([], [])


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (np.zeros((2, 3, 8, 8)), ["a", "b"], "images are float64"),
        (np.zeros((3, 8, 8), np.uint8), ["a"], r"pass images\[None\]"),
        (np.zeros((2, 3, 8, 9), np.uint8), ["a", "b"], "8 x 9 pixels"),
        (np.zeros((2, 1, 8, 8), np.uint8), ["a", "b"], r"images of shape \(2, 1, 8, 8\)"),
        (np.zeros((0, 3, 8, 8), np.uint8), [], r"images of shape \(0, 3, 8, 8\)"),
        (np.zeros((2, 3, 8, 8), np.uint8), ["a"], "1 labels for 2 images"),
        (np.zeros((2, 3, 8, 8), np.uint8), "ab", "'ab' for 2 images"),
        (np.zeros((2, 3, 8, 8), np.uint8), ["a", ""], "labels hold ''"),
        (np.zeros((2, 3, 8, 8), np.uint8), ["a", 3], "labels hold 3"),
    ],
)
def test_arrays_that_make_no_table_are_refused(images: object, labels: list, said: str) -> None:
    with pytest.raises(DataError, match=said):
        table_from_arrays(images, labels)
