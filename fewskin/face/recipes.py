"""What goes on a healthy face: a condition's preset, or what was taken off donors' photographs."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fewskin.errors import DataError
from fewskin.face.condition import present
from fewskin.face.extract import Extracted, Mixing, blended, mixture
from fewskin.face.model import FaceModel
from fewskin.face.presentation import Drawn
from fewskin.face.zones import zones_of
from fewskin.protocols import Knob

__all__ = ["PAINT", "TRANSPLANT", "Recipe", "amount", "painted", "transplanted"]

Floats = npt.NDArray[np.float32]

PAINT: Final[Mapping[str, Knob]] = {
    "severity": Knob(0.0, 4.0, 4.0, "grade, most; drawn from 1 (almost clear) to this"),
    "extent": Knob(0.5, 1.5, 1.0, "area relative to the usual"),
}
TRANSPLANT: Final[Mapping[str, Knob]] = {
    "strength": Knob(0.0, 2.0, 1.0, "times what was taken off the donors"),
}

_FAINTEST_GRADE: Final = 0.5  # below, a rater would write 0: clear
_FAINTEST: Final = 0.03  # haemoglobin of the reddest twentieth of the face that can be seen at all
_PLAIN: Final = 0.06  # density that is plainly seen, as in `face.presentation`


class Recipe(NamedTuple):
    """A condition for one picture.

    Attributes:
        drawn: on the texture.
        params: what was drawn, for the record.
        used: positions of the donors that it is from, the heaviest first.
    """

    drawn: Drawn
    params: Mapping[str, float]
    used: tuple[int, ...] = ()


def painted(
    name: str, model: FaceModel, knobs: Mapping[str, float], rng: np.random.Generator, side: int
) -> Recipe:
    """Return a condition's preset at a drawn severity.

    Args:
        name: of `condition.condition_names`.
        model: face model.
        knobs: values of `PAINT`.
        rng: of this picture.
        side: texels of the layers.

    Raises:
        DataError: the severity is too low for the picture to deserve the condition's name.
        ConfigError: an unknown condition.
    """
    most, share = knobs["severity"], float(rng.uniform())
    severity = min(1.0, most) + share * (most - min(1.0, most))
    if severity < _FAINTEST_GRADE:
        raise DataError(f"severity {severity:.2f} is clear skin; expected {_FAINTEST_GRADE} on.")
    made = present(name, model, rng=rng, side=side, extent=knobs["extent"])
    return Recipe(made.at(severity), {"severity": severity, "extent": knobs["extent"]})


def amount(layers_haemoglobin: Floats, model: FaceModel) -> float:
    """Return how red the reddest twentieth of the face's skin is, haemoglobin density.

    Args:
        layers_haemoglobin: (S, S).
        model: face model.
    """
    side = layers_haemoglobin.shape[0]
    return float(np.quantile(layers_haemoglobin[zones_of(model, side).of("face")], 0.95))


def transplanted(
    donors: Sequence[Extracted],
    model: FaceModel,
    knobs: Mapping[str, float],
    rng: np.random.Generator,
    mixing: Mixing,
) -> Recipe:
    """Return what was taken off donors, mixed.

    Args:
        donors: on this model's texture, of one size.
        model: face model.
        knobs: values of `TRANSPLANT`.
        rng: of this picture.
        mixing: of `extract.mixture`.

    Raises:
        DataError: so little is left that the picture would not deserve its label.
        ConfigError: an unknown mixing, or no donor.
    """
    weights, strength = mixture(rng, len(donors), mixing), knobs["strength"]
    mixed = blended(donors, weights)
    layers = mixed.layers.scaled(strength)
    red = amount(layers.haemoglobin, model)
    if red < _FAINTEST and float(np.abs(layers.melanin).max()) < _PLAIN:
        raise DataError(
            f"the donors show no redness to move (density {red:.3f}, expected {_FAINTEST} on)."
        )
    masks = {"redness": layers.haemoglobin, "pigment": np.abs(layers.melanin)}
    plain = {
        name: np.clip(one / np.float32(_PLAIN), 0.0, 1.0).astype(np.float32)
        for name, one in masks.items()
    }
    drawn = Drawn("transplant", {"strength": strength}, layers, plain, ())
    under = plain["redness"] * mixed.confidence
    sure = float(under.sum() / max(float(plain["redness"].sum()), 1e-6))
    order = sorted(np.flatnonzero(weights).tolist(), key=lambda k: (-abs(weights[k]), k))
    return Recipe(drawn, {"strength": strength, "confidence": sure, "redness": red}, tuple(order))
