import pytest
import torch

from fewskin.errors import ConfigError
from fewskin.functional import episodes, prototypes

GENERATOR = torch.Generator().manual_seed(0)
FEATURES = torch.randn(60, 8, generator=GENERATOR) + 5.0
N_TASKS, WAY = 7, 3
SUPPORT = torch.stack([torch.randperm(60, generator=GENERATOR)[:12] for _ in range(N_TASKS)])
QUERY = torch.randint(0, 60, (N_TASKS, 9), generator=GENERATOR)
# Every class at least once, then at random: the classes of a task are of unequal size.
LABELS = torch.cat(
    [
        torch.arange(WAY).expand(N_TASKS, -1),
        torch.randint(0, WAY, (N_TASKS, 9), generator=GENERATOR),
    ],
    dim=1,
)
WEIGHTS = torch.rand(N_TASKS, 12, generator=GENERATOR)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["equal", "weighted"])
def test_many_episodes_at_once_equal_one_after_the_other(
    metric: prototypes.Metric, weights: torch.Tensor | None
) -> None:
    together = episodes.classify(
        FEATURES, SUPPORT, LABELS, QUERY, WAY, weights=weights, metric=metric, scale=2.0
    )
    for t in range(N_TASKS):
        own = None if weights is None else weights[t]
        middle = prototypes.centres(FEATURES[SUPPORT[t]], LABELS[t], WAY, own)
        alone = prototypes.logits(FEATURES[QUERY[t]], middle, metric=metric, scale=2.0)
        torch.testing.assert_close(together[t], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_centres_and_logits_of_tensors_equal_those_of_a_table(metric: prototypes.Metric) -> None:
    middle = episodes.centres(FEATURES[SUPPORT], LABELS, WAY)
    made = episodes.logits(FEATURES[QUERY], middle, metric=metric)
    expected = episodes.classify(FEATURES, SUPPORT, LABELS, QUERY, WAY, metric=metric)
    torch.testing.assert_close(made, expected, atol=1e-5, rtol=1e-5)


def test_chunks_of_tasks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = episodes.classify(FEATURES, SUPPORT, LABELS, QUERY, WAY)
    monkeypatch.setattr(episodes, "_CHUNK", 2 * 21 * 8)  # two tasks of 12 + 9 rows of 8 features
    chunked = episodes.classify(FEATURES, SUPPORT, LABELS, QUERY, WAY)
    torch.testing.assert_close(chunked, whole, atol=1e-5, rtol=1e-6)


def test_features_far_from_zero_keep_their_digits() -> None:
    # Without the shift |a|^2 is 8e6 here, and float32 keeps 7 digits: errors of about 1.
    far = FEATURES + 1000.0
    near = episodes.classify(FEATURES, SUPPORT, LABELS, QUERY, WAY)
    torch.testing.assert_close(
        episodes.classify(far, SUPPORT, LABELS, QUERY, WAY), near, atol=1e-2, rtol=1e-3
    )
    middle = episodes.centres(far[SUPPORT], LABELS, WAY)
    torch.testing.assert_close(episodes.logits(far[QUERY], middle), near, atol=1e-2, rtol=1e-3)


def test_padding_and_absent_classes_do_not_count() -> None:
    labels, weights = LABELS.clone(), torch.ones(N_TASKS, 12)
    weights[0, 3:] = 0.0  # task 0 is one row of each class
    middle = episodes.centres(FEATURES[SUPPORT], labels, 4, weights)
    assert torch.equal(middle[0, :3], FEATURES[SUPPORT[0, :3]])
    assert not middle[:, 3].any()
    near = episodes.logits(FEATURES[QUERY], middle, torch.full((N_TASKS,), WAY))
    assert torch.isneginf(near[..., 3]).all()
    assert near[..., :3].isfinite().all()
    assert not near.softmax(2)[..., 3].any()


def test_gradients_reach_support_and_query() -> None:
    support = FEATURES[SUPPORT].requires_grad_()
    query = FEATURES[QUERY].requires_grad_()
    near = episodes.logits(query, episodes.centres(support, LABELS, WAY), torch.full((7,), WAY))
    near.softmax(2).square().sum().backward()
    assert support.grad is not None
    assert query.grad is not None
    assert bool(support.grad.isfinite().all())
    assert bool((query.grad != 0).any())


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected euclidean or cosine"):
        episodes.classify(FEATURES, SUPPORT, LABELS, QUERY, WAY, metric="manhattan")
    with pytest.raises(ConfigError, match="expected euclidean or cosine"):
        episodes.logits(FEATURES[QUERY], FEATURES[SUPPORT[:, :3]], metric="manhattan")
