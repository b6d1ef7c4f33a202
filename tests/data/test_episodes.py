import numpy as np
import pytest

from fewskin.data.episodes import EpisodeSampler
from fewskin.errors import DataError

RNG = np.random.default_rng(0)
GROUPS = [f"p{i}" for i in RNG.integers(0, 60, 200)]
LABELS = [f"class {i}" for i in RNG.integers(0, 5, 200)]  # patients have several diseases


def sampler(**settings) -> EpisodeSampler:
    cell = {"way": 3, "shot": 4, "query": 5, "seed": 0, **settings}
    return EpisodeSampler(LABELS, GROUPS, **cell)


def test_an_episode_has_the_asked_form() -> None:
    episode = sampler().at(0)
    assert np.bincount(episode.support_labels).tolist() == [4, 4, 4]
    assert np.bincount(episode.query_labels).tolist() == [5, 5, 5]
    assert episode.way == 3


def test_no_patient_is_on_both_sides() -> None:
    for step in range(200):
        episode = sampler().at(step)
        assert not {GROUPS[i] for i in episode.support} & {GROUPS[i] for i in episode.query}


def test_codes_stand_for_one_label_each() -> None:
    episode = sampler().at(3)
    for code in range(3):
        rows = [*episode.support[episode.support_labels == code]]
        rows += [*episode.query[episode.query_labels == code]]
        assert len({LABELS[i] for i in rows}) == 1


def test_an_episode_is_a_function_of_seed_and_step() -> None:
    one, two = sampler(), sampler()
    one.at(7)
    assert (one.at(4).support == two.at(4).support).all()
    assert (one.at(4).query == two.at(4).query).all()
    assert set(one.at(4).support) != set(one.at(5).support)
    assert set(one.at(4).support) != set(sampler(seed=1).at(4).support)


def test_small_classes_give_what_they_have() -> None:
    made = EpisodeSampler(["a"] * 2 + ["b"] * 9, [*"pqrstuvwxyz"], way=4, shot=5, query=5, seed=0)
    episode = made.at(0)
    assert sorted(np.bincount(episode.support_labels).tolist()) == [1, 5]
    assert sorted(np.bincount(episode.query_labels).tolist()) == [1, 4]


def test_every_class_and_row_comes_up() -> None:
    seen = {int(row) for step in range(400) for row in sampler().at(step).query}
    assert len(seen) == 200


def test_too_few_patients_are_refused_with_the_numbers() -> None:
    with pytest.raises(DataError, match="a 1, b 2"):
        EpisodeSampler(["a", "a", "b", "b"], [*"ppqr"], way=2, shot=1, query=1, seed=0)
