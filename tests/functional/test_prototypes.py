import pytest
import torch

from fewskin.errors import ConfigError
from fewskin.functional.prototypes import centres, logits


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
