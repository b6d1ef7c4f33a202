import numpy as np
import torch

from fewskin.functional.whitening import (
    block_whitener,
    shrink,
    to_unit_blocks,
    whitener,
    within_covariance,
)


def rows(n: int = 60, d: int = 5) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randn(n, d, generator=rng) @ torch.randn(d, d, generator=rng)


def test_the_covariance_within_classes_is_the_mean_of_numpys() -> None:
    x, codes = rows(), torch.arange(60) % 3
    expected = np.mean([np.cov(x[codes == k].numpy().T) for k in range(3)], axis=0)
    np.testing.assert_allclose(within_covariance(x, codes, 3), expected, rtol=1e-4, atol=1e-6)


def test_a_class_of_one_row_says_nothing() -> None:
    x, codes = rows(5), torch.tensor([0, 0, 0, 0, 1])
    torch.testing.assert_close(within_covariance(x, codes, 2), torch.cov(x[:4].T))


def test_whitened_rows_have_the_identity_as_covariance() -> None:
    x = rows(400)
    made = x @ whitener(torch.cov(x.T))
    torch.testing.assert_close(torch.cov(made.T), torch.eye(5), atol=1e-3, rtol=0)


def test_shrinking_keeps_the_total_variance() -> None:
    covariance = torch.cov(rows().T)
    torch.testing.assert_close(shrink(covariance, 0.7).trace(), covariance.trace())


def test_blocks_are_whitened_apart() -> None:
    covariance = torch.cov(rows().T)
    made = block_whitener(covariance, [2, 3], 0.5)
    torch.testing.assert_close(made[:2, :2], whitener(shrink(covariance[:2, :2], 0.5)))
    assert (made[:2, 2:] == 0).all()


def test_every_block_has_unit_length() -> None:
    made = to_unit_blocks(rows(4), [2, 3])
    torch.testing.assert_close(made[:, :2].norm(dim=1), torch.ones(4))
    torch.testing.assert_close(made[:, 2:].norm(dim=1), torch.ones(4))
