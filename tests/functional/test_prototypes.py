import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from fewskin.errors import ConfigError
from fewskin.functional.prototypes import centres, clusters, logits, mixture_logits


def features(n: int = 12, d: int = 5) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(0))


LABELS = torch.arange(12) % 3


def test_centres_without_weights_are_class_means() -> None:
    expected = torch.stack([features()[c == LABELS].mean(0) for c in range(3)])
    torch.testing.assert_close(centres(features(), LABELS, 3), expected)


def test_a_weight_of_two_is_a_row_given_twice() -> None:
    weights = torch.ones(12)
    weights[4] = 2.0
    twice = centres(torch.cat([features(), features()[4:5]]), torch.cat([LABELS, LABELS[4:5]]), 3)
    torch.testing.assert_close(centres(features(), LABELS, 3, weights), twice)


def test_centres_do_not_depend_on_row_order() -> None:
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    shuffled = centres(features()[order], LABELS[order], 3)
    torch.testing.assert_close(centres(features(), LABELS, 3), shuffled)


def test_euclidean_logits_are_minus_squared_distances() -> None:
    got = logits(features(), features()[:3], scale=0.5)
    torch.testing.assert_close(got, -0.5 * torch.cdist(features(), features()[:3]) ** 2)


def test_cosine_logits_are_scaled_cosines_whatever_the_length() -> None:
    got = logits(3 * features(), features()[:3], metric="cosine", scale=10.0)
    expected = torch.nn.functional.cosine_similarity(
        features()[:, None], features()[None, :3], dim=2
    )
    torch.testing.assert_close(got, 10 * expected)


def test_one_image_per_class_gives_that_image_as_centre() -> None:
    assert torch.equal(centres(features(2), torch.tensor([1, 0]), 2), features(2).flip(0))


def test_gradients_flow_through_centres_and_logits() -> None:
    leaf = features().requires_grad_()
    logits(leaf, centres(leaf, LABELS, 3))[0, 1].backward()
    assert leaf.grad is not None
    assert (leaf.grad[LABELS == 1] != 0).all()


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected euclidean or cosine"):
        logits(features(), features()[:3], metric="manhattan")  # type: ignore[arg-type]


def test_clusters_are_those_of_scikit_learn_on_separate_blobs() -> None:
    made = torch.Generator().manual_seed(5)
    middle = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0], [50.0, 50.0]])
    rows = middle.repeat_interleave(6, 0) + torch.randn(24, 2, generator=made)
    labels = torch.tensor([0] * 18 + [1] * 6)
    got, owners = clusters(rows, labels, 2, 3)
    assert owners.tolist() == [0, 0, 0, 1, 1, 1]
    expected = KMeans(3, n_init=10, random_state=0).fit(rows[:18].numpy()).cluster_centers_
    order = np.lexsort(got[:3].numpy().round(3).T)
    wanted = np.lexsort(expected.round(3).T)
    np.testing.assert_allclose(got[:3].numpy()[order], expected[wanted], atol=1e-4)


def test_clusters_do_not_depend_on_row_order_and_are_never_more_than_distinct_rows() -> None:
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    got, _ = clusters(features(), LABELS, 3, 2)
    shuffled, _ = clusters(features()[order], LABELS[order], 3, 2)
    torch.testing.assert_close(got.sum(0), shuffled.sum(0))
    twice, owners = clusters(features(2).repeat(3, 1), torch.tensor([0, 1] * 3), 2, 4)
    torch.testing.assert_close(twice, features(2))
    assert owners.tolist() == [0, 1]


def test_rows_of_weight_zero_are_left_out_of_clusters() -> None:
    weights = (torch.arange(12) < 9).float()
    got, owners = clusters(features(), LABELS, 3, 2, weights)
    expected, wanted = clusters(features()[:9], LABELS[:9], 3, 2)
    torch.testing.assert_close(got, expected)
    assert torch.equal(owners, wanted)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_one_cluster_a_class_is_a_plain_prototype(metric: str) -> None:
    middle, owners = clusters(features(), LABELS, 3, 1)
    got = mixture_logits(features(), middle, owners, 3, metric=metric, scale=2.0)
    expected = logits(features(), centres(features(), LABELS, 3), metric=metric, scale=2.0)
    torch.testing.assert_close(got, expected)


def test_a_mixture_is_the_distance_to_the_responsibility_weighted_mean() -> None:
    middle = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    got = mixture_logits(torch.tensor([[1.0, 1.0]]), middle, torch.tensor([0, 0, 1]), 2)
    # Both centres of class 0 are equally near: their mean (1, 0) is at squared distance 1.
    torch.testing.assert_close(got, torch.tensor([[-1.0, -1.0]]))


def test_gradients_flow_through_clusters() -> None:
    leaf = features().requires_grad_()
    middle, owners = clusters(leaf, LABELS, 3, 2)
    mixture_logits(leaf, middle, owners, 3)[0, 1].backward()
    assert leaf.grad is not None
    assert (leaf.grad[LABELS == 1] != 0).any()
