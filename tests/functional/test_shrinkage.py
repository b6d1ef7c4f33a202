import numpy as np
import torch

from fewskin.functional.shrinkage import Spread, shrunk, spread


def test_one_image_and_equal_variances_meet_half_way() -> None:
    known = Spread(torch.zeros(2), torch.ones(2), torch.ones(2))
    got = shrunk(torch.tensor([[2.0, -4.0]]), torch.tensor([1.0]), known, torch.tensor([0.0, 2.0]))
    torch.testing.assert_close(got, torch.tensor([[1.0, -1.0]]))


def test_many_images_are_believed_and_no_spread_between_classes_is_not() -> None:
    means, target = torch.tensor([[5.0], [5.0]]), torch.zeros(1)
    between = Spread(target, torch.ones(1), torch.tensor([1.0]))
    got = shrunk(means, torch.tensor([1e6, 0.0]), between, target)
    torch.testing.assert_close(got, torch.tensor([[5.0], [0.0]]), atol=1e-4, rtol=0)
    nothing = shrunk(means, torch.ones(2), between._replace(between=torch.zeros(1)), target)
    torch.testing.assert_close(nothing, torch.zeros(2, 1))


def test_shrinking_is_the_posterior_mean_of_simulated_classes() -> None:
    # 200 000 classes N(0, 4) seen through two images of variance 9 each: regressing the true mean
    # on the seen one has slope 4 / (4 + 9 / 2).
    rng = np.random.default_rng(0)
    true = 2 * rng.standard_normal(200_000)
    seen = true + 3 * rng.standard_normal((2, 200_000)).mean(0)
    slope = (true @ seen) / (seen @ seen)
    known = Spread(torch.zeros(1), torch.tensor([9.0]), torch.tensor([4.0]))
    got = shrunk(torch.ones(1, 1), torch.tensor([2.0]), known, torch.zeros(1))
    assert abs(float(got) - slope) < 0.01


def test_spread_recovers_the_variances_it_was_drawn_with() -> None:
    rng = np.random.default_rng(1)
    means = rng.standard_normal((300, 3)) * 2
    rows = (means[:, None] + rng.standard_normal((300, 5, 3)) * 3).reshape(-1, 3)
    labels = torch.arange(300).repeat_interleave(5)
    made = spread(torch.from_numpy(rows), labels, 300)
    np.testing.assert_allclose(made.within, 9, rtol=0.1)
    np.testing.assert_allclose(made.between, 4, rtol=0.2)
    np.testing.assert_allclose(made.middle, rows.mean(0))
