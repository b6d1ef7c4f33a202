"""Contract checks for generators and learners, for your own as for ours.

    from fewskin.testing import check_generator, check_learner

    def test_my_generator_keeps_the_contract(tmp_path):
        check_generator(MyGenerator(steps=5), tmp_path)

Give small hyper-parameters: each check fits and adapts several times on tiny made-up images.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fewskin.errors import ConfigError, PluginError
from fewskin.protocols import Generator, ImageTable, Learner, Predictor, Sampler, Samples
from fewskin.seeding import rng_for

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["check_generator", "check_learner", "synthetic_table"]

_LOOKS = {  # erythema, pigment and radius of the lesion; two are common, two rare
    "common_pale": (0.02, 0.02, 0.5),
    "common_ring": (0.10, 0.20, 0.7),
    "rare_brown": (0.0, 0.45, 0.6),
    "rare_red": (0.35, 0.0, 0.6),
}
BASE, RARE = ("common_pale", "common_ring"), ("rare_brown", "rare_red")


def synthetic_table(
    labels: Sequence[str] = RARE,
    n: int = 5,
    *,
    image_size: int = 32,
    seed: int = 0,
) -> ImageTable:
    """Return `n` made-up skin images of each label, one patient each.

    Args:
        labels: of "common_pale", "common_ring", "rare_brown" and "rare_red".
        n: images per label.
        image_size: side in pixels.
        seed: another seed gives other patients.
    """
    import pandas as pd

    names = [(label, i) for label in labels for i in range(n)]
    ids = [f"{label}-{seed}-{i}" for label, i in names]
    rows = pd.DataFrame({"image_id": ids, "label": [label for label, _ in names]})
    rows = rows.assign(
        path=rows["image_id"] + ".png", group_id=rows["image_id"], source="simulated"
    )
    pixels = [_patch(*_LOOKS[label], image_size, rng_for(seed, label, i)) for label, i in names]
    return ImageTable(rows, np.stack(pixels), np.arange(len(rows), dtype=np.int64))


def _patch(
    erythema: float, pigment: float, radius: float, size: int, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j] - rng.uniform(-0.3, 0.3, (2, 1, 1))
    lesion = 1 / (1 + np.exp(12 * (np.hypot(x, y) - radius * rng.uniform(0.8, 1.2))))
    skin = np.array([0.85, 0.68, 0.58]) * rng.uniform(0.75, 1.05)
    # Blood takes green and blue, melanin takes all, blue most.
    taken = erythema * np.array([0.1, 0.9, 0.8]) + pigment * np.array([0.6, 0.8, 0.9])
    image = skin[:, None, None] * (1 - taken[:, None, None] * lesion)
    image = image + rng.normal(0, 0.02, (3, size, size))
    return np.asarray((image * 255).round().clip(0, 255), dtype=np.uint8)


def _require(kept: bool, contract: str, made: object) -> None:
    if not kept:
        raise PluginError(f"{type(made).__name__} breaks its contract: {contract}.")


def _state(saves: Callable[[Path], None], folder: Path) -> dict[str, bytes]:
    saves(folder)
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def check_generator(generator: Generator, folder: Path) -> None:
    """Raise unless `generator` keeps the contract of a generator.

    Args:
        generator: not fitted, with hyper-parameters small enough for a test.
        folder: an empty folder to write in.

    Raises:
        PluginError: names the part of the contract that is broken.
    """
    base, support = synthetic_table(BASE, 8), synthetic_table(RARE, 3)
    _require(isinstance(generator, Generator), "it has fit, adapt, save and load", generator)
    fitted = generator.fit(base, seed=1, out=folder / "fit")
    _require(fitted is not generator, "fit returns a new object", generator)
    before = _state(fitted.save, folder / "before")
    sampler = fitted.adapt(support, seed=2, out=folder / "adapt")
    after = _state(fitted.save, folder / "after")
    _require(before == after, "adapt leaves the generator as it was", generator)
    _require(isinstance(sampler, Sampler), "adapt returns a sampler", generator)
    _check_samples(sampler, support, base)
    _check_same_bytes(sampler, folder)
    _check_refusals(sampler)
    again = generator.load(folder / "before").adapt(support, seed=2, out=folder / "again")
    _same(sampler, again, "a saved and loaded generator adapts to the same sampler")
    one = fitted.adapt(synthetic_table(RARE, 1), seed=3, out=folder / "one")
    _require(len(one.sample(RARE[0], [1, 2]).images) == 2, "one image per class works", one)


_SEEDS = [11, 2**61 + 7, 13, 14, 15]


def _check_samples(sampler: Sampler, support: ImageTable, base: ImageTable) -> None:
    known = set(support.rows["image_id"]) | set(base.rows["image_id"])
    for label in support.classes:
        made = sampler.sample(label, _SEEDS)
        _check_form(made, len(_SEEDS), support.image_size, sampler)
        parents = {parent for ids in made.parents for parent in ids}
        _require(parents <= known, "parents are rows it was given", sampler)
        single = [sampler.sample(label, [seed]).images[0] for seed in _SEEDS]
        apart = max(_distance(a, b) for a, b in zip(made.images, single, strict=True))
        _require(apart <= 2, f"an image does not depend on its batch (off by {apart}/255)", sampler)


def _check_form(made: Samples, n: int, size: int, sampler: Sampler) -> None:
    shape, kind = tuple(made.images.shape), str(made.images.dtype)
    expected = f"images are ({n}, 3, {size}, {size}) uint8, got {shape} {kind}"
    _require(shape == (n, 3, size, size) and kind == "torch.uint8", expected, sampler)
    _require(len(made.parents) == n == len(made.params), "parents and params per image", sampler)
    _require(all(0 <= i < n for i in made.rejected), "rejected holds positions", sampler)
    flat = [(tuple(mask.shape), str(mask.dtype)) for mask in made.masks.values()]
    expected = f"masks are ({n}, {size}, {size}) uint8, got {flat}"
    _require(all(one == ((n, size, size), "torch.uint8") for one in flat), expected, sampler)


def _distance(a: "Tensor", b: "Tensor") -> int:
    return int((a.int() - b.int()).abs().max())


def _same(one: Sampler, other: Sampler, contract: str) -> None:
    for label in RARE:
        apart = _distance(one.sample(label, _SEEDS).images, other.sample(label, _SEEDS).images)
        _require(apart == 0, contract, one)


def _check_same_bytes(sampler: Sampler, folder: Path) -> None:
    _same(sampler, sampler, "the same call twice gives the same bytes")
    sampler.save(folder / "sampler")
    loaded = type(sampler).load(folder / "sampler")
    _same(sampler, loaded, "a saved and loaded sampler gives the same bytes")
    _require(dict(loaded.knobs) == dict(sampler.knobs), "loading keeps the knobs", sampler)


def _check_refusals(sampler: Sampler) -> None:
    _refuses(partial(sampler.sample, "no such label", [1]), "an unknown label", sampler)
    stray = partial(sampler.sample, RARE[0], [1], knobs={"no such knob": 1.0})
    _refuses(stray, "an unknown knob", sampler)
    for name, knob in sampler.knobs.items():
        for value in (knob.low, knob.high):
            made = sampler.sample(RARE[0], [1], knobs={name: value})
            _require(len(made.images) == 1, f"knob {name}={value} works", sampler)
        beyond = partial(sampler.sample, RARE[0], [1], knobs={name: knob.high + 1.0})
        _refuses(beyond, f"knob {name} beyond its range", sampler)


def _refuses(call: Callable[[], object], what: str, made: object) -> None:
    try:
        call()
    except ConfigError:
        return
    raise PluginError(f"{type(made).__name__} breaks its contract: {what} raises ConfigError.")


def check_learner(learner: Learner, folder: Path, *, min_accuracy: float = 0.75) -> None:
    """Raise unless `learner` keeps the contract of a learner.

    Args:
        learner: not fitted, with hyper-parameters small enough for a test.
        folder: an empty folder to write in.
        min_accuracy: what it must reach on 40 test images of two classes told apart by colour,
            from five images each; chance is 0.5.

    Raises:
        PluginError: names the part of the contract that is broken.
    """
    base, support = synthetic_table(BASE, 8), synthetic_table(RARE, 5)
    _require(isinstance(learner, Learner), "it has fit, adapt, save and load", learner)
    _require(
        learner.output in ("class", "mask", "boxes"), "output is class, mask or boxes", learner
    )
    fitted = learner.fit(base, seed=1, out=folder / "fit")
    _require(fitted is not learner, "fit returns a new object", learner)
    before = _state(fitted.save, folder / "before")
    adapted = _adapt(fitted, support, folder / "adapt")
    after = _state(fitted.save, folder / "after")
    _require(before == after, "adapt leaves the learner as it was", learner)
    _check_predictor(adapted, learner, min_accuracy)
    images = synthetic_table(RARE, 10, seed=5).images()
    turned = support.take(range(len(support))[::-1])
    others = {
        "adapt gives the same with the same seed": _adapt(fitted, support, folder / "twice"),
        "adapt does not depend on the order of support": _adapt(fitted, turned, folder / "turned"),
        "a saved and loaded learner adapts to the same": _adapt(
            learner.load(folder / "before"), support, folder / "loaded"
        ),
        "a saved and loaded predictor predicts the same": _reload(adapted, folder / "predictor"),
    }
    for contract, other in others.items():
        _require(_apart(adapted.predict(images), other.predict(images)) < 1e-4, contract, learner)
    _check_forms_of_adapt(fitted, base, folder)


def _adapt(
    learner: Learner,
    support: ImageTable,
    out: Path,
    extra: ImageTable | None = None,
    base: ImageTable | None = None,
) -> Predictor:
    return learner.adapt(support, extra=extra, base=base, seed=2, out=out)


def _reload(predictor: Predictor, folder: Path) -> Predictor:
    predictor.save(folder)
    return type(predictor).load(folder)


def _apart(a: "Tensor", b: "Tensor") -> float:
    return float((a - b).abs().max())


def _check_predictor(predictor: Predictor, learner: Learner, min_accuracy: float) -> None:
    test = synthetic_table(RARE, 20, seed=9)
    _require(isinstance(predictor, Predictor), "adapt returns a predictor", learner)
    _require(tuple(predictor.classes) == RARE, "classes are those of support, sorted", learner)
    probs = predictor.predict(test.images())
    _check_probs(probs, len(test), 2, learner)
    hit = [predictor.classes[i] for i in probs.argmax(1).tolist()]
    accuracy = float(np.mean([a == b for a, b in zip(hit, test.labels, strict=True)]))
    reached = f"accuracy >= {min_accuracy} on easy images, got {accuracy:.3f}"
    _require(accuracy >= min_accuracy, reached, learner)
    if not learner.transductive:
        single = [predictor.predict(test.images([i])) for i in range(0, len(test), 7)]
        apart = max(_apart(p[0], probs[7 * i]) for i, p in enumerate(single))
        _require(apart < 1e-4, f"an image does not depend on its batch (off by {apart})", learner)


def _check_probs(probs: "Tensor", n: int, n_classes: int, learner: Learner) -> None:
    shape, kind = tuple(probs.shape), str(probs.dtype)
    expected = f"probabilities are ({n}, {n_classes}) float32, got {shape} {kind}"
    _require(shape == (n, n_classes) and kind == "torch.float32", expected, learner)
    good = bool((probs >= 0).all()) and float((probs.sum(1) - 1).abs().max()) <= 1e-4
    _require(good, "rows of probabilities sum to 1", learner)


def _check_forms_of_adapt(learner: Learner, base: ImageTable, folder: Path) -> None:
    one = synthetic_table(RARE, 1)
    images = synthetic_table(RARE, 2, seed=5).images()
    _check_probs(_adapt(learner, one, folder / "one").predict(images), 4, 2, learner)
    generated = synthetic_table((*BASE, *RARE), 2, seed=6)
    extra = ImageTable(
        generated.rows, generated.pixels, generated.index, weights=np.full(len(generated), 0.5)
    )
    rare = extra.where([label in RARE for label in extra.labels])
    _check_probs(_adapt(learner, one, folder / "extra", rare).predict(images), 4, 2, learner)
    every = _adapt(learner, one, folder / "generalised", extra, base)
    _require(
        tuple(every.classes) == tuple(sorted((*BASE, *RARE))), "with base: all classes", learner
    )
    _check_probs(every.predict(images), 4, 4, learner)
