"""Who is in a picture and what is on their skin: the same person, or a healthy one made ill.

The galleries hold the people; a picture draws a scene, a camera and a condition from streams of its
own, so that one does not move the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from fewskin.errors import DataError
from fewskin.face.affected_portrait import Sitter, nothing
from fewskin.face.condition import condition_names
from fewskin.face.extract import Extracted, Mixing
from fewskin.face.gallery import Gallery
from fewskin.face.portrait import Portrait
from fewskin.face.recipes import Recipe, painted, transplanted
from fewskin.face.scene import draw_scene

__all__ = ["Casting", "Made", "Streams"]

Pixels = npt.NDArray[np.uint8]
Found = TypeVar("Found", Portrait, Sitter)


class Streams(NamedTuple):
    """Random numbers of one picture: of its scene, its camera and its condition."""

    scene: np.random.Generator
    camera: np.random.Generator
    condition: np.random.Generator


class Made(NamedTuple):
    """One picture.

    Attributes:
        pixels: (H, W, 3) uint8 sRGB.
        masks: name -> (H, W) uint8, 255 where it is.
        parents: image_ids that it is from.
        params: what was drawn, for the record.
    """

    pixels: Pixels
    masks: Mapping[str, Pixels]
    parents: tuple[str, ...]
    params: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Casting:
    """The people of a generator, and how conditions come on them.

    Attributes:
        people: of the support images; donors of their conditions.
        targets: healthy people; None where only views are made.
        healthy: label of pictures without a condition.
        presets: label -> preset, "" without one; None transplants instead.
        mixing: of donors, see `extract.mixture`.
    """

    people: Gallery
    targets: Gallery | None
    healthy: str
    presets: Mapping[str, str] | None
    mixing: Mixing

    def viewed(self, row: int, knobs: Mapping[str, float], streams: Streams) -> Made:
        """Return another picture of the person in a support image.

        Raises:
            DataError: there is none.
        """
        portrait = _or_raise(self.people.portrait(row))
        scene = draw_scene(streams.scene, knobs, portrait.subject.model)
        render, pixels = portrait.picture(scene, streams.camera)
        face = np.where(render.region("face") * render.coverage >= 0.5, 255, 0).astype(np.uint8)
        others = [k for k in self.people.together(row) if k != row]
        parents = tuple(self.people.faces.image_ids[k] for k in (row, *others))
        return Made(pixels, {"face": face}, parents, scene.params)

    def affected(
        self, label: str, spot: float, knobs: Mapping[str, float], streams: Streams
    ) -> Made:
        """Return a healthy person with the label's condition; with none for the healthy label.

        Args:
            label: of the picture.
            spot: in [0, 1), which healthy person.
            knobs: values of the sampler's knobs.
            streams: of the picture.

        Raises:
            DataError: no face, no preset, no donor, or a condition too faint for its label.
        """
        targets = self.people if self.targets is None else self.targets
        rows = targets.usable or range(len(targets.faces.image_ids))
        target = rows[int(spot * len(rows))]
        sitter = _or_raise(targets.sitter(target))
        scene = draw_scene(streams.scene, knobs, sitter.person.model)
        recipe, donors = self._recipe(label, sitter, knobs, streams.condition)
        taken = sitter.picture(scene, recipe.drawn, streams.camera)
        # A donor first: the picture counts as its patient's where one is asked for.
        parents = (*(donors[k] for k in recipe.used), targets.faces.image_ids[target])
        params = {**recipe.params, **scene.params}
        return Made(taken.pixels, taken.masks, tuple(dict.fromkeys(parents)), params)

    def _recipe(
        self, label: str, sitter: Sitter, knobs: Mapping[str, float], rng: np.random.Generator
    ) -> tuple[Recipe, list[str]]:
        model, side = sitter.person.model, sitter.person.albedo.side
        if label == self.healthy:
            return Recipe(nothing(side), {}), []
        if self.presets is None:
            donors = self._donors(label)
            return transplanted(list(donors.values()), model, knobs, rng, self.mixing), list(donors)
        preset = self.presets.get(label, "")
        if not preset:
            known = ", ".join(condition_names())
            raise DataError(f"no preset for {label!r}; give conditions= with one of {known}.")
        return painted(preset, model, knobs, rng, side), []

    def _donors(self, label: str) -> dict[str, Extracted]:
        """Return image_id -> what was taken off each photograph of a label."""
        rows = [k for k, own in enumerate(self.people.faces.labels) if own == label]
        found = {self.people.faces.image_ids[k]: self.people.donor(k) for k in rows}
        good = {name: one for name, one in found.items() if isinstance(one, Extracted)}
        if not good:
            why = next((one for one in found.values() if isinstance(one, str)), "no photograph")
            raise DataError(f"no donor of {label!r}: {why}")
        return good


def _or_raise(found: Found | str) -> Found:
    if isinstance(found, str):
        raise DataError(found)
    return found
