from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.special import logsumexp, softmax

from fewskin.functional.transduction import (
    affinity,
    bdcspn,
    laplacian_energy,
    laplacianshot,
    membership,
    propagate,
    soft_kmeans,
    tim,
    tim_loss,
)

TIM = {"temperature": 15.0, "supervision": 0.1, "marginal": 1.0, "conditional": 0.1}


def episode(n_query: int = 30, d: int = 6) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Three classes of four, two and one support rows, the last of them weighing half."""
    made = torch.Generator().manual_seed(0)
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 2])
    middle = torch.randn(3, d, generator=made)
    support = middle[labels] + torch.randn(7, d, generator=made)
    query = middle[torch.arange(n_query) % 3] + torch.randn(n_query, d, generator=made)
    weights = torch.tensor([1.0, 1, 1, 1, 1, 1, 0.5])
    return support / 4, membership(labels, 3, weights), query / 4  # about unit length


METHODS = {
    "bdcspn": bdcspn,
    "soft_kmeans": soft_kmeans,
    "soft_kmeans x 5": partial(soft_kmeans, refinements=5),
    "laplacianshot": laplacianshot,
    "tim": tim,
}


@pytest.mark.parametrize("name", METHODS)
def test_the_order_of_the_query_rows_changes_nothing(name: str) -> None:
    support, member, query = episode()
    order = torch.randperm(len(query), generator=torch.Generator().manual_seed(1))
    expected = METHODS[name](support, member, query)[order]
    torch.testing.assert_close(METHODS[name](support, member, query[order]), expected)


@pytest.mark.parametrize("name", METHODS)
def test_the_order_of_the_support_rows_changes_nothing(name: str) -> None:
    support, member, query = episode()
    turned = METHODS[name](support.flip(0), member.flip(0), query)
    torch.testing.assert_close(turned, METHODS[name](support, member, query))


@pytest.mark.parametrize("name", METHODS)
def test_rows_are_probabilities_and_other_queries_change_them(name: str) -> None:
    support, member, query = episode()
    prob = METHODS[name](support, member, query)
    assert prob.shape == (30, 3)
    assert prob.dtype == torch.float32
    torch.testing.assert_close(prob.sum(1), torch.ones(30))
    assert (METHODS[name](support, member, query[:7]) - prob[:7]).abs().max() > 1e-4


def numpy_means(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.stack([np.average(rows, axis=0, weights=column) for column in weights.T])


def test_bdcspn_is_what_the_paper_says_in_numpy() -> None:
    support, member, query = (value.double().numpy() for value in episode())
    first = numpy_means(support, member)
    moved = query + first.mean(0) - query.mean(0)

    def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T) / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)

    taken = np.eye(3)[cosine(moved, first).argmax(1)]
    rows = np.concatenate([support, moved])
    weights = np.concatenate([member, taken]) * np.exp(10 * cosine(rows, first))
    unit = rows / np.linalg.norm(rows, axis=1)[:, None]
    expected = softmax(10 * cosine(moved, numpy_means(unit, weights)), axis=1)
    np.testing.assert_allclose(bdcspn(*episode()), expected, atol=1e-6)


def test_soft_kmeans_is_what_the_paper_says_in_numpy() -> None:
    support, member, query = (value.double().numpy() for value in episode())
    middle = numpy_means(support, member)
    for _ in range(2):
        prob = softmax(-5 * ((query[:, None] - middle) ** 2).sum(2), axis=1)
        total = np.concatenate([member, prob])
        middle = numpy_means(np.concatenate([support, query]), total)
    expected = softmax(-5 * ((query[:, None] - middle) ** 2).sum(2), axis=1)
    np.testing.assert_allclose(soft_kmeans(*episode(), refinements=2), expected, atol=1e-6)


def test_without_refinement_soft_kmeans_is_nearest_prototype() -> None:
    support, member, query = episode()
    middle = torch.stack([support[:4].mean(0), support[4:6].mean(0), support[6]])
    expected = (-5 * torch.cdist(query, middle) ** 2).softmax(1)
    torch.testing.assert_close(soft_kmeans(support, member, query, refinements=0), expected)


def test_affinities_are_symmetric_and_count_each_nearest_row_once() -> None:
    _, _, query = episode()
    weights = affinity(query, 3)
    assert torch.equal(weights, weights.T)
    assert weights.diagonal().eq(0).all()
    assert float(weights.sum()) == 3 * len(query)  # each row names three, half on either side
    assert affinity(query[:3], 9).sum() == 6  # all others, where there are fewer


def test_bound_updates_never_raise_the_energy_of_a_semidefinite_graph() -> None:
    made = torch.Generator().manual_seed(2)
    half = torch.rand(20, 4, generator=made)
    unary, weights = torch.randn(20, 3, generator=made), half @ half.T
    energies = [
        float(laplacian_energy(propagate(unary, weights, 0.7, steps), unary, weights, 0.7))
        for steps in range(12)
    ]
    assert all(b <= a + 1e-4 for a, b in pairwise(energies))
    assert energies[-1] < energies[0] - 1


def test_the_fixed_point_of_the_updates_has_no_gradient_on_the_simplex() -> None:
    made = torch.Generator().manual_seed(3)
    half = torch.rand(10, 3, generator=made).double()
    unary, weights = torch.randn(10, 3, generator=made).double(), half @ half.T
    prob = propagate(unary, weights, 0.3, 500).requires_grad_()
    laplacian_energy(prob, unary, weights, 0.3).backward()
    assert prob.grad is not None
    # On the simplex a stationary point has the same derivative for every class of a row.
    np.testing.assert_allclose(prob.grad - prob.grad.mean(1, keepdim=True), 0, atol=1e-8)


def test_neighbours_decide_a_query_between_two_prototypes() -> None:
    support, member = torch.tensor([[0.0], [1.0]]), torch.eye(2)
    # 0.52 is nearer to 1 by itself, but its neighbours lie on the side of 0.
    query = torch.tensor([[0.52], [0.4], [0.38], [0.36], [0.95], [0.97], [0.99]])
    alone = laplacianshot(support, member, query, strength=0.0, shift=False)
    smooth = laplacianshot(support, member, query, strength=1.0, neighbours=2, shift=False)
    assert alone.argmax(1).tolist() == [1, 0, 0, 0, 1, 1, 1]
    assert smooth.argmax(1).tolist() == [0, 0, 0, 0, 1, 1, 1]


def tim_arguments() -> tuple[torch.Tensor, ...]:
    support, member, query = (value.double() for value in episode())
    return (member / member.sum(0)).T @ support, support, member, query


def test_tim_is_supervision_minus_weighted_mutual_information() -> None:
    centres, support, _, query = (value.numpy() for value in tim_arguments())

    def log_prob(rows: np.ndarray) -> np.ndarray:
        logits = -7.5 * ((rows[:, None] - centres) ** 2).sum(2)
        return logits - logsumexp(logits, axis=1, keepdims=True)

    # Every class weighs a third: four rows, two rows, and one of half the weight.
    share = np.array([1 / 12] * 4 + [1 / 6] * 2 + [1 / 3])
    crossed = -(share * log_prob(support)[np.arange(7), [0, 0, 0, 0, 1, 1, 2]]).sum()
    log_p = log_prob(query)
    given = -(np.exp(log_p) * log_p).sum(1).mean()
    mean = np.exp(log_p).mean(0)
    expected = 0.1 * crossed + (mean * np.log(mean)).sum() + 0.1 * given
    loss, _ = tim_loss(*tim_arguments(), **TIM)
    assert float(loss) == pytest.approx(expected, abs=1e-10)


def test_the_gradient_of_tim_is_that_of_automatic_differentiation() -> None:
    centres, *rest = tim_arguments()
    centres.requires_grad_()
    loss, gradient = tim_loss(centres, *rest, **TIM)
    loss.backward()
    torch.testing.assert_close(gradient.detach(), centres.grad, atol=1e-10, rtol=1e-8)


def test_tim_raises_information_and_balances_predictions() -> None:
    support, member, query = episode()
    query = query[[i for i in range(30) if i % 3 != 2 or i < 6]]  # few of the third class
    before, after = (tim(support, member, query, steps=steps) for steps in (0, 200))

    def entropy(prob: torch.Tensor) -> float:
        return float(-torch.xlogy(prob, prob).sum(-1).mean())

    assert entropy(after.mean(0)) > entropy(before.mean(0))
    unbalanced = tim(support, member, query, steps=200, marginal=0.0)
    assert entropy(unbalanced) < entropy(before)
    assert entropy(after.mean(0)) > entropy(unbalanced.mean(0))


def test_the_loss_of_tim_falls() -> None:
    centres, support, member, query = tim_arguments()
    first, gradient = tim_loss(centres, support, member, query, **TIM)
    second, _ = tim_loss(centres - 1e-4 * gradient, support, member, query, **TIM)
    # A short step down the gradient falls by its squared length.
    assert float(first - second) == pytest.approx(1e-4 * float(gradient.square().sum()), rel=0.05)
