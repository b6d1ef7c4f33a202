"""With the real easyfsl: these tests fail, not skip, where it is absent."""

import functools
from types import ModuleType

import pytest
import torch
from torch import Tensor

from fewskin.compat import import_torchvision
from fewskin.functional import episodes, prototypes

WAY, SHOT = 5, 4


@functools.cache
def easyfsl_methods() -> ModuleType:
    import_torchvision()
    import easyfsl.methods

    return easyfsl.methods


@pytest.fixture(params=[32, 640])
def task(request: pytest.FixtureRequest) -> tuple[Tensor, Tensor, Tensor]:
    """Return support features, labels and query features."""
    generator = torch.Generator().manual_seed(request.param)
    labels = torch.arange(WAY).repeat(SHOT)[torch.randperm(WAY * SHOT, generator=generator)]
    features = torch.randn(WAY * SHOT + 15, request.param, generator=generator).relu() + 0.1
    return features[: WAY * SHOT], labels, features[WAY * SHOT :]


def scores(model: torch.nn.Module, task: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    model.eval().process_support_set(task[0], task[1])
    return model(task[2])


def test_protonet_logits_are_minus_the_square_of_easyfsls_distance(
    task: tuple[Tensor, Tensor, Tensor],
) -> None:
    # easyfsl takes the distance, the paper (equation 2 and its section 2.7) the squared one.
    distance = -scores(easyfsl_methods().PrototypicalNetworks(), task)
    middle = prototypes.centres(task[0], task[1], WAY)
    ours = prototypes.logits(task[2], middle)
    torch.testing.assert_close((-ours).sqrt(), distance, atol=1e-5, rtol=1e-5)
    assert torch.equal(ours.argmax(1), (-distance).argmax(1))


def test_cosine_logits_are_those_of_easyfsls_simpleshot(
    task: tuple[Tensor, Tensor, Tensor],
) -> None:
    expected = scores(easyfsl_methods().SimpleShot(), task)
    middle = prototypes.centres(task[0], task[1], WAY)
    ours = prototypes.logits(task[2], middle, metric="cosine")
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)


def test_centred_and_normalised_features_give_easyfsls_simpleshot(
    task: tuple[Tensor, Tensor, Tensor],
) -> None:
    # CL2N of the SimpleShot paper: subtract the mean of base features, divide by the length.
    mean = torch.full((task[0].shape[1],), 0.4)
    model = easyfsl_methods().SimpleShot(feature_centering=mean, feature_normalization=2.0)
    expected = scores(model, task)
    support, query = (
        torch.nn.functional.normalize(rows - mean, dim=1) for rows in (task[0], task[2])
    )
    middle = prototypes.centres(support, task[1], WAY)
    ours = prototypes.logits(query, middle, metric="cosine")
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_many_tasks_at_once_equal_easyfsl_task_by_task(metric: prototypes.Metric) -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(200, 64, generator=generator)
    support = torch.stack([torch.randperm(200, generator=generator)[:20] for _ in range(40)])
    labels = torch.arange(WAY).repeat(SHOT).expand(40, -1)
    query = torch.randint(0, 200, (40, 30), generator=generator)
    ours = episodes.classify(features, support, labels, query, WAY, metric=metric)
    methods = easyfsl_methods()
    model = methods.SimpleShot() if metric == "cosine" else methods.PrototypicalNetworks()
    for t in range(40):
        expected = scores(model, (features[support[t]], labels[t], features[query[t]]))
        own = ours[t] if metric == "cosine" else -(-ours[t]).sqrt()
        torch.testing.assert_close(own, expected, atol=1e-5, rtol=1e-5)
