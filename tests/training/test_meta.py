from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fewskin.compat import import_learn2learn
from fewskin.errors import ConfigError, DataError
from fewskin.functional.inner_loop import balanced, difficult
from fewskin.nets.backbones import Backbone
from fewskin.nets.support_norm import SupportNorm, norm_role, set_twice, with_support_norm
from fewskin.testing import BASE, RARE, synthetic_table
from fewskin.training.episodic import EpisodeBatch
from fewskin.training.meta import Inner, Task, TaskNet
from fewskin.training.meta_adapt import table_rows, task_tables
from fewskin.training.meta_steps import HeadTraining, MetaTraining, Outer

WAY, SHOT, QUERY, SIDE = 3, 2, 4, 8


def small_net() -> Backbone:
    """Two layers with BatchNorm, in float64: central differences of both orders are exact."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        trunk = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU())
        last = nn.Sequential(nn.Conv2d(5, 6, 3, stride=2), nn.BatchNorm2d(6), nn.ReLU())
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Backbone("small", (trunk, last, pool), 6, SIDE).double()


def episodes(tasks: int = 2) -> EpisodeBatch:
    rng = torch.Generator().manual_seed(1)

    def side(n: int) -> tuple[Tensor, Tensor]:
        labels = torch.arange(WAY).repeat_interleave(n).repeat(tasks, 1)
        noise = torch.randn(*labels.shape, 3, SIDE, SIDE, generator=rng, dtype=torch.float64)
        return noise + labels[..., None, None, None], labels

    support, support_labels = side(SHOT)
    query, query_labels = side(QUERY)
    seeds = [torch.zeros_like(labels) for labels in (support_labels, query_labels)]
    weights = torch.ones(support_labels.shape, dtype=torch.float64)
    parts = (support, support_labels, weights, query, query_labels)
    return EpisodeBatch(*parts, *seeds, way=torch.full((tasks,), WAY))


def gradients(net: TaskNet, tasks: EpisodeBatch, kind=MetaTraining, **outer) -> list[Tensor]:
    module = kind(net, Outer(steps=10, tasks=len(tasks.way), **outer))
    module.manual_backward = lambda loss: loss.backward()
    module.backward_tasks(tasks)
    return [torch.zeros_like(p) if p.grad is None else p.grad for p in net.parameters()]


class _Peer(nn.Module):
    """The same net for learn2learn: a backbone in eval mode and a head of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.head = small_net().eval(), nn.Linear(6, WAY).double()
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images))


def peer_gradients(wrapped, tasks: EpisodeBatch, steps: int) -> None:
    """Accumulate learn2learn's meta-gradients, by its documented loop."""
    for i in range(len(tasks.way)):
        clone = wrapped.clone()
        for _ in range(steps):
            clone.adapt(cross_entropy(clone(tasks.support[i]), tasks.support_labels[i]))
        loss = cross_entropy(clone(tasks.query[i]), tasks.query_labels[i])
        (loss / len(tasks.way)).backward()


def same(one: list[Tensor], other: list[Tensor]) -> None:
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("order", ["second", "first"])
def test_maml_has_the_meta_gradients_of_learn2learn(order) -> None:
    tasks, inner = episodes(), Inner(steps=3, lr=0.2, order=order, norm="base", head="zero")
    net = TaskNet(small_net(), inner)
    peer = _Peer()
    l2l = import_learn2learn()
    peer_gradients(l2l.algorithms.MAML(peer, lr=0.2, first_order=order == "first"), tasks, 3)
    same(gradients(net, tasks), [p.grad for p in peer.backbone.parameters()])


def test_metasgd_has_the_meta_gradients_of_learn2learn() -> None:
    inner = Inner(steps=2, lr=0.1, order="second", norm="base", head="zero", rates="parameter")
    net, tasks = TaskNet(small_net(), inner), episodes()
    net.double()
    peer, l2l = _Peer(), import_learn2learn()
    wrapped = l2l.algorithms.MetaSGD(peer, lr=0.1)
    peer_gradients(wrapped, tasks, 2)
    theirs = [rate.grad for rate in wrapped.lrs]
    # Ours are shared by the classes of the head, so their gradient is the sum over the classes.
    theirs[-2:] = [theirs[-2].sum(0, keepdim=True), theirs[-1].sum(0, keepdim=True)]
    found = gradients(net, tasks)
    n_body = len(list(net.backbone.parameters()))
    same(found[:n_body], [p.grad for p in peer.backbone.parameters()])
    same(found[n_body:], theirs)


@pytest.mark.parametrize("order", ["second", "first"])
def test_anil_has_the_meta_gradients_of_learn2learn(order, monkeypatch) -> None:
    tasks = episodes()
    inner = Inner(steps=3, lr=0.3, order=order, moving="head", norm="base", head="zero")
    net = TaskNet(small_net(), inner)
    # In training BatchNorm sees all images; learn2learn's clones can only agree in eval mode.
    monkeypatch.setattr(net.backbone, "train", lambda mode=True: net.backbone)
    peer, l2l = _Peer(), import_learn2learn()
    maml = l2l.algorithms.MAML(peer.head, lr=0.3, first_order=order == "first")
    for i in range(len(tasks.way)):
        head = maml.clone()
        known, asked = peer.backbone(tasks.support[i]), peer.backbone(tasks.query[i])
        for _ in range(3):
            head.adapt(cross_entropy(head(known), tasks.support_labels[i]))
        (cross_entropy(head(asked), tasks.query_labels[i]) / len(tasks.way)).backward()
    same(gradients(net, tasks, HeadTraining), [p.grad for p in peer.backbone.parameters()])


@pytest.mark.parametrize("norm", ["base", "support"])
@pytest.mark.parametrize("head", ["zero", "prototype"])
@pytest.mark.parametrize("order", ["second", "first"])
def test_vmap_over_tasks_has_the_gradients_of_the_loop(norm, head, order) -> None:
    inner = Inner(steps=2, lr=0.2, order=order, norm=norm, head=head, rates="layer")
    found = []
    for batching in ("loop", "vmap"):
        net = TaskNet(small_net(), inner).double()
        found.append(gradients(net, episodes(), batching=batching, multi_step=0.5))
    same(*found)


def test_a_padded_task_has_the_gradients_of_its_own_rows() -> None:
    tasks, inner = episodes(1), Inner(steps=2, norm="support", head="prototype")
    padded = tasks._replace(
        support=torch.cat([tasks.support, tasks.support[:, :1]], 1),
        support_labels=torch.cat([tasks.support_labels, tasks.support_labels[:, :1]], 1),
        support_weights=torch.cat([tasks.support_weights, torch.zeros(1, 1)], 1),
        query=torch.cat([tasks.query, tasks.query[:, :1]], 1),
        query_labels=torch.cat([tasks.query_labels, torch.tensor([[-1]])], 1),
    )
    for batching in ("loop", "vmap"):
        one, other = (
            gradients(TaskNet(small_net(), inner), given, batching=batching)
            for given in (tasks, padded)
        )
        same(one, other)


def test_difficulty_scales_the_gradient_of_each_task() -> None:
    tasks, inner = episodes(1), Inner(steps=2, norm="base")
    plain, hard = (
        gradients(TaskNet(small_net(), inner), tasks, difficulty=exponent) for exponent in (0, 2.0)
    )
    task = Task(tasks.support[0], tasks.support_labels[0], torch.full((WAY * SHOT,), 1 / 6))
    net = TaskNet(small_net(), inner)
    asked = tasks.query[0], tasks.query_labels[0]
    loss = net.query_losses(task, *asked, WAY, order="first").detach().requires_grad_()
    (factor,) = torch.autograd.grad(difficult(loss, 2.0).sum(), loss)
    same(hard, [gradient * factor for gradient in plain])


@pytest.mark.parametrize("twice", [False, True])
def test_support_norm_equals_batch_norm_on_the_support_alone(twice: bool) -> None:
    plain, ours = small_net().train(), with_support_norm(small_net().eval())
    set_twice(ours, twice)
    images = episodes(1).support[0]
    with norm_role(ours) as say:
        say("support")
        torch.testing.assert_close(ours(images), plain(images))
        say("first")
        torch.testing.assert_close(ours(images), plain(images))
        say("query")
        torch.testing.assert_close(ours(images[:1]), plain(images)[:1])
    norms = [part for part in ours.modules() if isinstance(part, SupportNorm)]
    assert norms
    assert all(norm.role == "plain" and norm._left is None for norm in norms)


def test_query_images_do_not_see_each_other() -> None:
    tasks, inner = episodes(1), Inner(norm="support")
    net = TaskNet(small_net(), inner)
    labels = tasks.support_labels[0]
    weights = balanced(labels, tasks.support_weights[0], WAY)
    task = Task(tasks.support[0], labels, weights)
    end = net.adapted(task, net.start(task, WAY))[-1]
    together, alone = (net.logits(end, task, tasks.query[0][:n]) for n in (5, 1))
    torch.testing.assert_close(together[:1], alone)


def test_kept_statistics_predict_as_the_support_did() -> None:
    tasks = episodes(1)
    net = TaskNet(small_net(), Inner(norm="support"))
    task = Task(tasks.support[0], tasks.support_labels[0], torch.full((WAY * SHOT,), 1 / 6))
    end = net.adapted(task, net.start(task, WAY))[-1]
    expected = net.logits(end, task, tasks.query[0])
    net.keep_statistics(end, task.images)
    plain = small_net().eval()
    plain.load_state_dict(net.body_state(end))
    made = plain(tasks.query[0]) @ end["head.weight"].T + end["head.bias"]
    torch.testing.assert_close(made, expected)


@pytest.mark.parametrize("wrong", [{"norm": "batch"}, {"steps": 0}, {"lr": 0.0}, {"head": "one"}])
def test_a_wrong_inner_loop_is_named(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=str(next(iter(wrong.values())))):
        Inner(**wrong)


@pytest.mark.parametrize("wrong", [{"batching": "all"}, {"tasks": 0}, {"difficulty": -1.0}])
def test_a_wrong_meta_training_is_named(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Outer(**wrong)


def test_base_rows_are_balanced_and_the_same_for_a_seed() -> None:
    base = synthetic_table(BASE, 9)
    one, two = (
        task_tables(synthetic_table(RARE, 1), None, base, base_rows=4, seed=5)[1] for _ in range(2)
    )
    assert sorted(one.labels) == sorted([BASE[0]] * 4 + [BASE[1]] * 4)
    assert list(one.rows["image_id"]) == list(two.rows["image_id"])


def test_every_class_counts_the_same_and_a_generated_image_by_its_weight(tmp_path: Path) -> None:
    extra = synthetic_table(RARE[:1], 1, seed=2)
    weighted = type(extra)(extra.rows, extra.pixels, extra.index, weights=np.array([0.5]))
    rows = table_rows(task_tables(synthetic_table(RARE, 1), weighted, None, base_rows=1, seed=0))
    # Class 0 has 1 and 0.5 of its half, class 1 one row.
    torch.testing.assert_close(rows.task.weights, torch.tensor([1 / 3, 1 / 2, 1 / 6]))


def test_one_class_is_refused_by_name() -> None:
    with pytest.raises(DataError, match=RARE[0]):
        table_rows([synthetic_table(RARE[:1], 2)])
