"""A condition as it was drawn for one person: parts that a severity dial brings out.

All of a person's parts are drawn once, whatever the severity. So two severities show the same
places, a lesion that is there at grade 2 is there at grade 3, and severity 0 is the healthy skin.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from fewskin.errors import ConfigError
from fewskin.face.canvas import Canvas
from fewskin.face.skin_layers import Layers, blank, resized

__all__ = ["SEVERITY", "Drawn", "Field", "Instance", "Presentation", "Severity", "Spot"]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Severity = float | Mapping[str, float]
"""0 to 4 for every usual feature, or feature -> 0 to 4 (a feature that is not named is absent)."""

SEVERITY: Final = (0.0, 4.0)
_YOUNG: Final = 0.35  # size of a lesion when it appears
_GROWS_OVER: Final = 0.7  # grades until it is full
# A layer's amount that is plainly seen: a mask is 1 from there on, and 0 where nothing is.
_PLAIN: Final = {
    "haemoglobin": 0.06,
    "melanin": 0.06,
    "bump": 0.06,
    "displacement": 0.6,
    "specular": 0.15,
    "pus": 0.15,
    "scale": 0.12,
}
_MIN_OPEN: Final = 0.5  # share of bare skin at a lesion's middle without which it is hidden


@dataclass(frozen=True, eq=False)
class Field:
    """A feature that spreads over a zone.

    Attributes:
        feature: name.
        maps: layer -> (n,) values at the canvas's texels at amount 1.
        curve: amount at severity 0, 1, 2, 3 and 4, straight between.
    """

    feature: str
    maps: Mapping[str, Floats]
    curve: tuple[float, float, float, float, float]


@dataclass(frozen=True, eq=False)
class Spot:
    """One lesion.

    Attributes:
        feature: name.
        kind: of instance, such as "papule"; "" for lesions that are not counted one by one.
        place: (3,) of its middle on the mean face, cm.
        radius_mm: of the lesion.
        onset: severity at which it appears.
        at: (k,) positions in the canvas.
        core: (k,) in [0, 1], the lesion itself, without a halo.
        maps: layer -> (k,) values of the grown lesion.
    """

    feature: str
    kind: str
    place: Floats
    radius_mm: float
    onset: float
    at: Ints
    core: Floats
    maps: Mapping[str, Floats]


@dataclass(frozen=True, eq=False)
class Instance:
    """A lesion that is there.

    Attributes:
        kind: such as "papule".
        feature: whose mask it is in.
        texel: (row, column) of its middle on the texture.
        radius_mm: of it, without a halo.
        at: (k,) flat positions of its texels.
        share: (k,) in (0, 1], how much of each is the lesion, without a halo.
    """

    kind: str
    feature: str
    texel: tuple[int, int]
    radius_mm: float
    at: Ints
    share: Floats


@dataclass(frozen=True, eq=False)
class Drawn:
    """A condition at one severity.

    Attributes:
        condition: key.
        severity: feature -> 0 to 4.
        layers: what changes on the skin.
        masks: feature -> (S, S) in [0, 1]: 0 where the feature changes nothing, 1 where it is plain
            to see; absent features are all 0.
        instances: lesions that are counted.
    """

    condition: str
    severity: Mapping[str, float]
    layers: Layers
    masks: Mapping[str, Floats]
    instances: tuple[Instance, ...]

    @property
    def mask(self) -> Floats:
        """(S, S): the most of all features."""
        return np.asarray(np.maximum.reduce(list(self.masks.values())))

    def count(self, kind: str) -> int:
        """Return how many instances of a kind there are."""
        return sum(one.kind == kind for one in self.instances)

    def on(self, skin: Floats) -> "Drawn":
        """Return the condition where there is bare skin; hidden lesions are left out.

        Args:
            skin: (h, w) in [0, 1], of any size.
        """
        share = resized(skin, self.layers.side)
        flat = share.ravel()
        kept = tuple(
            replace(one, share=one.share * flat[one.at])
            for one in self.instances
            if share[one.texel] >= _MIN_OPEN
        )
        masks = {name: mask * share for name, mask in self.masks.items()}
        return replace(self, layers=self.layers.on(share), masks=masks, instances=kept)


@dataclass(frozen=True, eq=False)
class Presentation:
    """A condition drawn for one person.

    Attributes:
        condition: key.
        canvas: that it is drawn on.
        usual: features that a single severity stands for.
        parts: of all features.
    """

    condition: str
    canvas: Canvas
    usual: tuple[str, ...]
    parts: tuple[Field | Spot, ...]

    @cached_property
    def features(self) -> tuple[str, ...]:
        """All features, usual or not, in the order they were drawn."""
        return tuple(dict.fromkeys(part.feature for part in self.parts))

    def at(self, severity: Severity) -> Drawn:
        """Return the condition at a severity.

        Args:
            severity: 0 to 4, see `Severity`.

        Raises:
            ConfigError: an unknown feature, or a severity outside [0, 4].
        """
        dial = self._dial(severity)
        total = _Sum(self.canvas)
        masks = {}
        instances: list[Instance] = []
        for feature in self.features:
            own = _Sum(self.canvas)
            if dial[feature] > 0.0:
                instances += own.add(
                    (part for part in self.parts if part.feature == feature), dial[feature]
                )
                total.plus(own)
            masks[feature] = self.canvas.image(own.seen())
        return Drawn(self.condition, dial, total.layers(), masks, tuple(instances))

    def _dial(self, severity: Severity) -> dict[str, float]:
        if isinstance(severity, Mapping):
            unknown = sorted(set(severity) - set(self.features))
            if unknown:
                known = ", ".join(self.features)
                raise ConfigError(
                    f"{self.condition} has no feature {unknown[0]!r}; it has: {known}."
                )
            dial = {name: float(severity.get(name, 0.0)) for name in self.features}
        else:
            dial = {name: float(severity) * (name in self.usual) for name in self.features}
        for name, value in dial.items():
            if not SEVERITY[0] <= value <= SEVERITY[1]:
                raise ConfigError(f"severity {value} of {name}: expected 0 (clear) to 4 (severe).")
        return dial


class _Sum:
    """Layers at the canvas's texels while parts are added."""

    def __init__(self, canvas: Canvas) -> None:
        self._canvas = canvas
        self.maps: dict[str, Floats] = {}

    def _map(self, name: str) -> Floats:
        if name not in self.maps:
            self.maps[name] = np.zeros(len(self._canvas.texel), np.float32)
        return self.maps[name]

    def plus(self, other: "_Sum") -> None:
        for name, values in other.maps.items():
            self._map(name)[:] += values

    def add(self, parts: Iterable[Field | Spot], severity: float) -> list[Instance]:
        """Add parts of one feature; lesions that overlap do not add up, the stronger is seen."""
        spots, found = _Sum(self._canvas), []
        for part in parts:
            if isinstance(part, Field):
                amount = np.float32(np.interp(severity, range(5), part.curve))
                for name, values in part.maps.items():
                    self._map(name)[:] += amount * values
            elif severity > part.onset:
                grown = _YOUNG + (1.0 - _YOUNG) * min(1.0, (severity - part.onset) / _GROWS_OVER)
                for name, values in part.maps.items():
                    there = spots._map(name)
                    new, old = np.float32(grown) * values, there[part.at]
                    there[part.at] = np.where(np.abs(new) > np.abs(old), new, old)
                if part.kind:
                    found.append(self._instance(part))
        self.plus(spots)
        return found

    def _instance(self, part: Spot) -> Instance:
        at = self._canvas.texel[part.at]
        nearest = int(np.argmin(((self._canvas.place[part.at] - part.place) ** 2).sum(1)))
        row, column = divmod(int(at[nearest]), self._canvas.side)
        there = part.core > 0.0
        texel, share = (row, column), part.core[there]
        return Instance(part.kind, part.feature, texel, part.radius_mm, at[there], share)

    def seen(self) -> Floats:
        """Return (n,) in [0, 1]: how plain the layers are to see."""
        if not self.maps:
            return np.zeros(len(self._canvas.texel), np.float32)
        return _plain(self.maps)

    def layers(self) -> Layers:
        none = blank(self._canvas.side)
        made = {name: self._canvas.image(values) for name, values in self.maps.items()}
        for name in ("pus", "scale"):
            if name in made:
                made[name] = np.clip(made[name], 0.0, 1.0)
        return replace(none, **made)


def _plain(maps: Mapping[str, Floats]) -> Floats:
    shares = [np.abs(values) / np.float32(_PLAIN[name]) for name, values in maps.items()]
    return np.asarray(np.minimum(np.maximum.reduce(shares), 1.0), np.float32)
