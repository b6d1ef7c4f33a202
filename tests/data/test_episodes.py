import hashlib
import re

import numpy as np
import pytest

from fewskin.data.episodes import EpisodeSampler
from fewskin.errors import ConfigError, DataError

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


def test_fixed_sizes_give_the_rows_of_the_first_release() -> None:
    digest = hashlib.sha256()
    for step in range(50):
        episode = sampler().at(step)
        for rows in (episode.support, episode.support_labels, episode.query, episode.query_labels):
            digest.update(rows.tobytes())
    # Printed by the code before way and shot could vary: commit 64a646a.
    assert digest.hexdigest().startswith("0da7946b680896c1bb6033247abff053")


def test_way_and_shot_are_drawn_from_their_range() -> None:
    episodes = [sampler(way=(2, 4), shot=(1, 3)).at(step) for step in range(60)]
    assert {episode.way for episode in episodes} == {2, 3, 4}
    shots = [np.bincount(episode.support_labels) for episode in episodes]
    assert {tuple(set(own.tolist())) for own in shots} == {(1,), (2,), (3,)}
    assert all(len(own) == e.way for own, e in zip(shots, episodes, strict=True))


def test_imbalanced_classes_each_have_their_own_shot() -> None:
    shots = [np.bincount(sampler(imbalance=True).at(t).support_labels) for t in range(60)]
    assert {int(n) for own in shots for n in own} == {1, 2, 3, 4}
    assert any(len(set(own.tolist())) > 1 for own in shots)
    assert all(len(own) == 3 for own in shots)


def test_a_class_of_one_patient_shrinks_the_way_and_is_named_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    labels = ["a"] * 4 + ["b"] * 4 + ["c"] * 3
    made = EpisodeSampler(labels, [*"pqrstuvwxxx"], way=3, shot=2, query=1, seed=0)
    assert {made.at(step).way for step in range(9)} == {2}
    assert made.classes == ("a", "b")
    assert [r.message for r in caplog.records] == [
        "episodes leave out classes of one patient: c 1; 2 classes stay, 3 asked for"
    ]


def test_a_way_above_the_number_of_classes_is_said(caplog: pytest.LogCaptureFixture) -> None:
    assert sampler(way=9).at(0).way == 5
    assert "episodes have 5 classes, not 9" in caplog.text
    assert "class 0 " in caplog.text


def test_a_smaller_support_is_said_with_the_counts(caplog: pytest.LogCaptureFixture) -> None:
    EpisodeSampler(["a"] * 2 + ["b"] * 9, [*"pqrstuvwxyz"], way=2, shot=5, query=5, seed=0)
    assert "classes of fewer than shot + 1 = 6 patients give a smaller support: a 2" in caplog.text


def test_an_episode_always_asks_something() -> None:
    # Both classes have the same two patients: half of the first draws leave nobody to ask.
    made = EpisodeSampler([*"aabb"], [*"pqpq"], way=2, shot=1, query=1, seed=0)
    assert all(len(made.at(step).query) for step in range(40))


def test_patients_shared_by_all_classes_are_an_error_with_the_counts() -> None:
    # Four classes of the same 60 patients and 59 of them a support: a query is left only where
    # all four leave the same patient out, 1 draw in 60 ** 3.
    labels, groups = [c for c in "abcd" for _ in range(60)], [f"p{i}" for i in range(60)] * 4
    made = EpisodeSampler(labels, groups, way=4, shot=59, query=1, seed=0)
    with pytest.raises(DataError, match="patients per class: a 60, b 60, c 60, d 60"):
        made.at(0)


@pytest.mark.parametrize(
    "wrong", [{"way": 1}, {"shot": 0}, {"shot": (3, 2)}, {"query": 0}, {"way": (1, 3)}]
)
def test_sizes_that_make_no_episode_are_refused(wrong: dict[str, object]) -> None:
    name, value = next(iter(wrong.items()))
    with pytest.raises(ConfigError, match=rf"^{name}={re.escape(str(value))}: expected"):
        sampler(**wrong)
