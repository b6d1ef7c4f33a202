import gc
import weakref
from dataclasses import replace

from fewskin.face.per_model import per_model
from tests.face.mean_face import mean_face


def test_each_model_and_argument_is_made_once_and_forgotten_with_the_model() -> None:
    made = []

    @per_model
    def parts(model, side, name="a"):
        made.append((side, name))
        return [side]

    one = mean_face(64).model
    other = replace(one)
    assert parts(one, 1) is parts(one, 1)
    assert parts(other, 1) is not parts(one, 1)
    parts(one, 2)
    parts(one, 1, name="b")
    assert made == [(1, "a"), (1, "a"), (2, "a"), (1, "b")]
    gone = weakref.ref(other)
    del other
    gc.collect()
    assert gone() is None
