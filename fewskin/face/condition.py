"""Draw a skin condition on a face model, by name."""

import importlib
import pkgutil

import numpy as np

import fewskin.face.conditions
from fewskin.errors import ConfigError
from fewskin.face.anatomy import Anatomy
from fewskin.face.canvas import canvas_of
from fewskin.face.model import FaceModel
from fewskin.face.per_model import per_model
from fewskin.face.presentation import Drawn, Presentation, Severity

__all__ = ["condition_names", "draw_condition", "present"]


def condition_names() -> tuple[str, ...]:
    """Return the keys of all conditions, sorted.

    Example:
        >>> "rosacea" in condition_names()
        True
    """
    return tuple(sorted(one.name for one in pkgutil.iter_modules(fewskin.face.conditions.__path__)))


@per_model
def _anatomy(model: FaceModel, side: int) -> Anatomy:
    return Anatomy(canvas_of(model, side))


def present(
    name: str, model: FaceModel, *, rng: np.random.Generator, side: int = 1024, extent: float = 1.0
) -> Presentation:
    """Return a condition as one person has it, to be shown at any severity.

    Args:
        name: of `condition_names`.
        model: face model.
        rng: of the person's lesions; the same generator gives the same lesions.
        side: texels of the layers; 1024 shows vessels in pictures of 512 pixels.
        extent: area relative to the usual, 0.5 to 1.5.

    Raises:
        ConfigError: an unknown condition, or an extent outside [0.5, 1.5].
        DataError: the model has no landmarks.
    """
    known = condition_names()
    if name not in known:
        raise ConfigError(f"no condition {name!r}; there are: {', '.join(known)}.")
    if not 0.5 <= extent <= 1.5:
        raise ConfigError(f"extent={extent}: expected 0.5 to 1.5, where 1 is usual.")
    file = importlib.import_module(f"fewskin.face.conditions.{name}")
    face = _anatomy(model, side)
    return Presentation(name, face.canvas, file.USUAL, tuple(file.parts(face, rng, extent)))


def draw_condition(
    name: str,
    model: FaceModel,
    *,
    severity: Severity,
    rng: np.random.Generator,
    side: int = 1024,
    extent: float = 1.0,
) -> Drawn:
    """Return a condition at one severity, see `present`; severity is 0 (clear) to 4 (severe)."""
    return present(name, model, rng=rng, side=side, extent=extent).at(severity)
