import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from fewskin.functional.near_copies import MOST, copy_limit
from fewskin.functional.resemblance import nearest_correlation


def blobs(n: int, seed: int) -> np.ndarray:
    """Blurred noise: alike to some degree, like photographs of skin."""
    noise = np.random.default_rng(seed).normal(size=(n, 3, 16, 16))
    soft = gaussian_filter(noise, (0, 0, 6, 6))
    return (128 + 60 * soft / np.abs(soft).max()).astype(np.uint8)


def test_the_limit_is_what_real_images_of_other_patients_stay_below() -> None:
    images, rng = blobs(200, 0), np.random.default_rng(1)
    limit = copy_limit(images, [str(i) for i in range(200)], rng)
    assert 0.9 < limit < MOST
    near = nearest_correlation(blobs(200, 2), images[:20])
    assert (near >= limit).mean() < 0.05
    assert (nearest_correlation(images[:20], images[:20]) >= limit).all()


def test_photographs_of_one_patient_do_not_raise_it() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (20, 3, 16, 16)).astype(np.uint8)
    twice = np.concatenate([noise, noise])
    groups = [str(i % 20) for i in range(40)]
    assert copy_limit(twice, groups, np.random.default_rng(0)) == pytest.approx(0.9)


def test_few_patients_give_the_limit_of_near_duplicates() -> None:
    assert copy_limit(blobs(7, 0), list("abcdefg"), np.random.default_rng(0)) == MOST
