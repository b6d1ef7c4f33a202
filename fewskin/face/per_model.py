"""What depends on a face model's topology alone is made once for each model."""

import functools
from collections.abc import Callable, Hashable
from typing import Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from fewskin.face.model import FaceModel

__all__ = ["per_model"]

P = ParamSpec("P")
T = TypeVar("T")


def per_model(
    make: Callable[Concatenate[FaceModel, P], T],
) -> Callable[Concatenate[FaceModel, P], T]:
    """Remember what a function of a model returns, as long as the model lives; not to be changed.

    Args:
        make: takes a model and hashable arguments.
    """
    known: WeakKeyDictionary[FaceModel, dict[Hashable, T]] = WeakKeyDictionary()

    @functools.wraps(make)
    def remembered(model: FaceModel, *args: P.args, **kwargs: P.kwargs) -> T:
        mine = known.setdefault(model, {})
        key = (args, tuple(sorted(kwargs.items())))
        if key not in mine:
            mine[key] = make(model, *args, **kwargs)
        return mine[key]

    return remembered
