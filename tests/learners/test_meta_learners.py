"""What MAML, ANIL, Reptile, Meta-SGD and learn2learn have in common."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fewskin.errors import ConfigError, DataError, PluginError
from fewskin.learners.learn2learn import Learn2Learn
from fewskin.plugins import make
from fewskin.protocols import ImageTable
from fewskin.testing import BASE, RARE, synthetic_table
from fewskin.training import meta_fit

TINY = {"backbone": "conv6", "fit_steps": 4, "way": 2, "shot": 2, "query": 2, "tasks": 1}
SETTINGS = {
    "maml": {"inner_steps": 2, "learn_rates": True, "multi_step": 0.5, "first_order": 0.5},
    "anil": {"inner_steps": 2},
    "reptile": {"inner_steps": 2},
    "metasgd": {"inner_steps": 1},
}


def learner(name: str, **settings):
    return make("learners", {"name": name, **TINY, **SETTINGS.get(name, {}), **settings})


def adapt(made, support: ImageTable, tmp_path: Path, extra=None, base=None):
    return made.adapt(support, extra=extra, base=base, seed=2, out=tmp_path)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_killed_fit_goes_on_to_the_same_bits(name: str, tmp_path: Path, monkeypatch) -> None:
    base = synthetic_table(BASE, 5)
    whole = learner(name).fit(base, seed=1, out=tmp_path / "whole")
    run = meta_fit.run_steps

    def killed(module, batches, **settings):
        def until_three(step):
            if step == 3:
                raise KeyboardInterrupt
            return batches(step)

        run(module, until_three, **{**settings, "checkpoint_every": 2})

    monkeypatch.setattr(meta_fit, "run_steps", killed)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        learner(name).fit(base, seed=1, out=tmp_path / "part")
    assert (tmp_path / "part" / "checkpoint").is_dir()
    monkeypatch.setattr(meta_fit, "run_steps", run)
    resumed = learner(name).fit(base, seed=1, out=tmp_path / "part")
    images, support = synthetic_table(RARE, 2).images(), synthetic_table(RARE, 1)
    one, two = (adapt(made, support, tmp_path).predict(images) for made in (whole, resumed))
    assert torch.equal(one, two)


@pytest.mark.parametrize("name", [*SETTINGS, "learn2learn"])
def test_any_number_of_classes_fits_and_copies_of_the_support_change_nothing(
    name: str, tmp_path: Path
) -> None:
    made = learner(name, fit_steps=0, steps=3).fit(synthetic_table(BASE, 3), seed=1, out=tmp_path)
    support = synthetic_table((*BASE, *RARE), 2)
    copies = ImageTable(support.rows, support.pixels, support.index, weights=np.full(8, 0.5))
    images = synthetic_table(RARE, 2, seed=7).images()
    plain = adapt(made, support, tmp_path)
    doubled = adapt(made, support, tmp_path, extra=copies)
    assert plain.classes == tuple(sorted((*BASE, *RARE)))
    torch.testing.assert_close(plain.predict(images), doubled.predict(images), atol=1e-4, rtol=1e-3)


def test_learnt_rates_are_saved_and_refused_by_another_inner_loop(tmp_path: Path) -> None:
    made = learner("maml", fit_steps=1).fit(synthetic_table(BASE, 4), seed=1, out=tmp_path)
    made.save(tmp_path / "saved")
    assert learner("maml").load(tmp_path / "saved")._fitted.rates["0"].shape[0] == 2
    with pytest.raises(PluginError, match="another inner loop"):
        learner("maml", learn_rates=False).load(tmp_path / "saved")


@pytest.mark.parametrize("name", [*SETTINGS, "learn2learn"])
def test_one_base_class_is_refused_with_its_numbers(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="common_pale 5"):
        learner(name).fit(synthetic_table(BASE[:1], 5), seed=0, out=tmp_path)


@pytest.mark.parametrize("algorithm", ["metasgd", "metacurvature"])
def test_an_algorithm_of_learn2learn_trains_saves_and_predicts_the_same(
    algorithm: str, tmp_path: Path
) -> None:
    made = learner("learn2learn", algorithm=algorithm, fit_steps=1, inner_steps=2, steps=2)
    fitted = made.fit(synthetic_table(BASE, 4), seed=1, out=tmp_path)
    fitted.save(tmp_path / "saved")
    support, images = synthetic_table(RARE, 2), synthetic_table(RARE, 2, seed=3).images()
    one = adapt(fitted, support, tmp_path).predict(images)
    two = adapt(made.load(tmp_path / "saved"), support, tmp_path).predict(images)
    assert torch.equal(one, two)
    # What the algorithm learnt beside the net took part in the meta-training.
    first = made._wrapped(fitted._fitted.net).state_dict()
    rates = fitted._fitted.rates
    assert rates
    assert any(not torch.equal(value, first[name]) for name, value in rates.items())


def test_an_unknown_algorithm_of_learn2learn_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="leo"):
        Learn2Learn(algorithm="leo").fit(  # type: ignore[arg-type]
            synthetic_table(BASE, 3), seed=0, out=tmp_path
        )


def test_a_missing_learn2learn_names_the_command(tmp_path: Path, monkeypatch) -> None:
    import sys

    from fewskin import compat
    from fewskin.errors import MissingExtra

    monkeypatch.setitem(sys.modules, "learn2learn", None)
    compat.import_learn2learn.cache_clear()
    try:
        with pytest.raises(MissingExtra, match="scripts/setup"):
            Learn2Learn().fit(synthetic_table(BASE, 3), seed=0, out=tmp_path)
    finally:
        compat.import_learn2learn.cache_clear()
