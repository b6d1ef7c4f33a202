from pathlib import Path

import numpy as np

from fewskin.face.background import Backgrounds
from fewskin.face.gallery import Faces, Gallery
from fewskin.face.landmarks import Reason
from fewskin.face.pictures import as_pixels
from fewskin.face.portrait import Portrait
from tests.face.mean_face import mean_face

SIZE = 64


def faces() -> Faces:
    made = mean_face(SIZE)
    pixels = np.stack([as_pixels(made.image), np.zeros((SIZE, SIZE, 3), np.uint8)])
    none = Reason("no_face", "no face was found.")
    return Faces.of(pixels, ["a", "b"], ["x", "y"], ["ann", "bob"], [made.landmarks, none])


def test_faces_are_read_back_as_they_were(tmp_path: Path) -> None:
    own = faces()
    own.save(tmp_path)
    read = Faces.load(tmp_path)
    assert (read.pixels == own.pixels).all()
    assert np.array_equal(read.points, own.points, equal_nan=True)
    names = ("image_ids", "labels", "people", "reasons")
    assert [getattr(read, name) for name in names] == [getattr(own, name) for name in names]
    assert read.take([1]).reasons == ("no_face",)


def test_a_photograph_without_a_face_has_the_reason_everywhere() -> None:
    gallery = Gallery(faces(), "landmark", 64, Backgrounds())
    assert gallery.usable == [0]
    assert isinstance(gallery.portrait(0), Portrait)
    assert gallery.portrait(0) is gallery.portrait(0)
    for found in (gallery.subject(1), gallery.portrait(1), gallery.sitter(1), gallery.donor(1)):
        assert found == "no_face in b"
