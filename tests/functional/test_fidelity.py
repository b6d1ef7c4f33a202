import itertools

import numpy as np
import pytest

from fewskin.errors import DataError
from fewskin.functional.fidelity import Fidelity, diversity, fidelity, kid, kid_jackknife


def points(n: int, d: int = 6, *, shift: float = 0.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1.0, (n, d))


def test_kid_is_the_double_sum_of_its_definition() -> None:
    real, made = points(7), points(5, shift=0.5, seed=1)

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 6 + 1) ** 3)

    within = sum(k(a, b) for a, b in itertools.permutations(real, 2)) / (7 * 6)
    within += sum(k(a, b) for a, b in itertools.permutations(made, 2)) / (5 * 4)
    across = sum(k(a, b) for a in real for b in made) / 35
    assert kid(real, made) == pytest.approx(within - 2 * across, rel=1e-12)


def test_kid_is_zero_on_average_for_images_of_one_kind() -> None:
    values = [kid(points(20, seed=2 * i), points(20, seed=2 * i + 1)) for i in range(400)]
    assert abs(np.mean(values)) < 3 * np.std(values) / 20


def test_the_jackknife_is_that_of_leaving_each_image_out() -> None:
    real, made = points(6), points(5, shift=0.5, seed=1)
    value, error = kid_jackknife(real, made)
    without_real = [kid(np.delete(real, i, 0), made) for i in range(6)]
    without_made = [kid(real, np.delete(made, i, 0)) for i in range(5)]
    by_hand = 5 * np.var(without_real) + 4 * np.var(without_made)
    assert value == pytest.approx(kid(real, made))
    assert error == pytest.approx(np.sqrt(by_hand))


def test_the_jackknife_error_is_the_spread_over_samples() -> None:
    pairs = [
        kid_jackknife(points(60, seed=2 * i), points(60, shift=0.7, seed=2 * i + 1))
        for i in range(150)
    ]
    values, errors = np.transpose(pairs)
    assert errors.mean() == pytest.approx(values.std(), rel=0.25)


def test_equal_sets_are_precise_and_cover_each_other() -> None:
    real = points(40)
    made = fidelity(real, real, k=3)
    assert made[:2] == (1.0, 1.0)
    assert made.coverage == 1.0
    # Each ball of the third neighbour holds itself and three: four in three.
    assert made.density == pytest.approx(4 / 3)


def test_figures_on_a_line_are_those_counted_by_hand() -> None:
    real = np.array([[0.0], [1.0], [2.0], [10.0]])
    made = np.array([[0.4], [1.5], [50.0]])
    # k = 1: balls of radius 1, 1, 1, 8 around 0, 1, 2, 10, and 1.1, 1.1, 48.5 around the made.
    # 0.4 lies in the balls of 0 and 1; 1.5 in those of 1 and 2; 50 in none.
    # 0 lies within 0.4; 1 within 0.4 and 1.5; 2 within 1.5 and 50 (48 < 48.5); 10 within 50.
    assert fidelity(real, made, k=1) == Fidelity(
        precision=pytest.approx(2 / 3),
        recall=1.0,
        density=pytest.approx(4 / 3),
        coverage=0.75,
    )


def test_a_collapsed_sample_covers_little_and_has_no_diversity() -> None:
    real = points(200)
    made = real[:1] + 1e-3 * points(200, seed=1)
    assert fidelity(real, made).coverage < 0.2
    assert diversity(made) < 0.01 * diversity(real)


@pytest.mark.parametrize("call", [kid, fidelity, kid_jackknife])
def test_too_few_images_are_refused(call: object) -> None:
    with pytest.raises(DataError, match="1 real and 9 generated images"):
        call(points(1), points(9))  # type: ignore[operator]
