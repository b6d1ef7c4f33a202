from pathlib import Path

import numpy as np
import pytest
import torch

from fewskin.errors import ConfigError, DataError
from fewskin.learners.protonet import ProtoNet
from fewskin.protocols import ImageTable
from fewskin.testing import BASE, RARE, synthetic_table
from fewskin.training.predictor import Centres


def fitted(tmp_path: Path, **settings) -> ProtoNet:
    tiny = {"fit_steps": 6, "shot": 2, "query": 2, **settings}
    return ProtoNet(**tiny).fit(synthetic_table(BASE, 5), seed=1, out=tmp_path)


def adapt(learner: ProtoNet, support: ImageTable, tmp_path: Path, extra=None, base=None):
    return learner.adapt(support, extra=extra, base=base, seed=2, out=tmp_path)


def weighted(table: ImageTable, weight: float) -> ImageTable:
    weights = np.full(len(table), weight)
    return ImageTable(table.rows, table.pixels, table.index, weights=weights)


def test_probabilities_are_the_softmax_of_distances_to_class_means(tmp_path: Path) -> None:
    support, images = synthetic_table(RARE, 3), synthetic_table(RARE, 4, seed=7).images()
    predictor = adapt(fitted(tmp_path), support, tmp_path)
    known, asked = predictor.features(support.images()), predictor.features(images)
    labels = np.array(support.labels)
    means = torch.stack([known[labels == label].mean(0) for label in RARE])
    expected = (-(torch.cdist(asked, means) ** 2)).softmax(1)
    torch.testing.assert_close(predictor.predict(images), expected, atol=1e-5, rtol=1e-4)


def test_copies_of_the_support_change_nothing(tmp_path: Path) -> None:
    learner, support = fitted(tmp_path), synthetic_table(RARE, 3)
    plain = adapt(learner, support, tmp_path).head
    doubled = adapt(learner, support, tmp_path, extra=weighted(support, 1.0)).head
    assert isinstance(plain, Centres)
    torch.testing.assert_close(doubled.centres, plain.centres)


def test_a_generated_image_counts_by_its_weight(tmp_path: Path) -> None:
    learner = fitted(tmp_path)
    support, other = synthetic_table(RARE, 1), synthetic_table(RARE, 1, seed=3)
    alone = [adapt(learner, table, tmp_path).head.centres for table in (support, other)]
    mixed = adapt(learner, support, tmp_path, extra=weighted(other, 0.5)).head.centres
    torch.testing.assert_close(mixed, (alone[0] + 0.5 * alone[1]) / 1.5)


def test_generalised_adds_prototypes_of_the_base_classes(tmp_path: Path) -> None:
    base = synthetic_table(BASE, 5)
    predictor = adapt(fitted(tmp_path), synthetic_table(RARE, 2), tmp_path, base=base)
    assert predictor.classes == tuple(sorted((*BASE, *RARE)))
    mean = predictor.features(base.where([label == BASE[0] for label in base.labels]).images())
    torch.testing.assert_close(predictor.head.centres[0], mean.mean(0), atol=1e-5, rtol=1e-4)


def test_training_on_episodes_lowers_the_loss_on_new_patients(tmp_path: Path) -> None:
    test, support = synthetic_table(BASE, 20, seed=4), synthetic_table(BASE, 5, seed=5)

    def loss(steps: int) -> float:
        learner = fitted(tmp_path, fit_steps=steps, shot=3, query=3)
        probs = adapt(learner, support, tmp_path).predict(test.images())
        codes = torch.tensor([BASE.index(label) for label in test.labels])
        return float(torch.nn.functional.nll_loss(probs.log(), codes))

    assert loss(40) < loss(0) - 0.1


def test_a_killed_fit_goes_on_to_the_same_bits(tmp_path: Path, monkeypatch) -> None:
    from fewskin.learners import protonet

    base, whole = synthetic_table(BASE, 5), fitted(tmp_path / "whole")
    run = protonet.run_steps

    def killed(module, batches, **settings):
        def until_three(step):
            if step == 3:
                raise KeyboardInterrupt
            return batches(step)

        run(module, until_three, **{**settings, "checkpoint_every": 2})

    learner = ProtoNet(fit_steps=6, shot=2, query=2)
    monkeypatch.setattr(protonet, "run_steps", killed)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        learner.fit(base, seed=1, out=tmp_path / "part")
    monkeypatch.setattr(protonet, "run_steps", run)
    resumed = learner.fit(base, seed=1, out=tmp_path / "part")
    images = synthetic_table(RARE, 3).images()
    support = synthetic_table(RARE, 2)
    one, two = (adapt(made, support, tmp_path).predict(images) for made in (whole, resumed))
    assert torch.equal(one, two)


def test_one_base_class_is_refused_with_its_numbers(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="common_pale 5"):
        ProtoNet(fit_steps=1).fit(synthetic_table(BASE[:1], 5), seed=0, out=tmp_path)


def test_without_base_the_seed_of_fit_decides_the_net(tmp_path: Path) -> None:
    support, images = synthetic_table(RARE, 2), synthetic_table(RARE, 2, seed=3).images()
    made = [ProtoNet().fit(None, seed=seed, out=tmp_path) for seed in (1, 1, 2)]
    one, same, other = (adapt(learner, support, tmp_path).predict(images) for learner in made)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_the_logits_of_a_cosine_protonet_are_scaled_cosines(tmp_path: Path) -> None:
    support, images = synthetic_table(RARE, 1), synthetic_table(RARE, 4, seed=7).images()
    predictor = adapt(fitted(tmp_path, metric="cosine", scale=7.0), support, tmp_path)
    known, asked = predictor.features(support.images()), predictor.features(images)
    expected = (7.0 * torch.cosine_similarity(asked[:, None], known[None], dim=2)).softmax(1)
    torch.testing.assert_close(predictor.predict(images), expected, atol=1e-5, rtol=1e-4)


def test_a_learnt_scale_moves_and_is_kept(tmp_path: Path) -> None:
    settings = {"fit_steps": 12, "shot": 2, "query": 2, "metric": "cosine", "scale": 10.0}
    learner = fitted(tmp_path / "fit", learn_scale=True, **settings)
    support = synthetic_table(RARE, 1)
    scale = adapt(learner, support, tmp_path).head.scale
    assert 5 < scale < 20
    assert scale != 10.0
    learner.save(tmp_path / "state")
    loaded = ProtoNet(learn_scale=True, **settings).load(tmp_path / "state")
    assert adapt(loaded, support, tmp_path).head.scale == scale
    assert adapt(fitted(tmp_path, **settings), support, tmp_path).head.scale == 10.0


def test_several_prototypes_a_class_are_found_and_predict(tmp_path: Path) -> None:
    learner = fitted(tmp_path / "fit", clusters=2, fit_steps=3, shot=3)
    support, images = synthetic_table(RARE, 4), synthetic_table(RARE, 4, seed=7).images()
    predictor = adapt(learner, support, tmp_path)
    assert predictor.head.owners.tolist() == [0, 0, 1, 1]
    asked = predictor.features(images)
    middle = predictor.head.centres.reshape(2, 2, -1)  # (class, cluster, d)
    share = (-(torch.cdist(asked, middle.flatten(0, 1)) ** 2)).unflatten(1, (2, 2)).softmax(2)
    mixed = torch.einsum("ncm,cmd->ncd", share, middle)
    expected = (-(asked[:, None] - mixed).square().sum(2)).softmax(1)
    torch.testing.assert_close(predictor.predict(images), expected, atol=1e-5, rtol=1e-4)
    one = adapt(learner, synthetic_table(RARE, 1), tmp_path).head
    assert one.owners.tolist() == [0, 1]


def test_shrinking_moves_a_lone_image_towards_the_base_and_many_images_hardly(
    tmp_path: Path,
) -> None:
    base = synthetic_table(BASE, 6)
    plain, moved = (
        ProtoNet(fit_steps=0, shrink=shrink).fit(base, seed=1, out=tmp_path)
        for shrink in ("none", "base")
    )
    known = adapt(plain, synthetic_table(RARE, 1), tmp_path).features(base.images())
    labels = np.array(base.labels)
    middle = torch.stack([known[labels == label].mean(0) for label in BASE]).mean(0)

    def kept(n: int) -> float:
        a, b = (adapt(made, synthetic_table(RARE, n), tmp_path).head for made in (plain, moved))
        return float((b.centres - middle).norm() / (a.centres - middle).norm())

    assert kept(1) < kept(4) < kept(16) < 1
    moved.save(tmp_path / "state")
    loaded = ProtoNet(fit_steps=0, shrink="base").load(tmp_path / "state")
    one = synthetic_table(RARE, 1)
    heads = [adapt(made, one, tmp_path).head.centres for made in (moved, loaded)]
    assert torch.equal(*heads)


def test_copies_do_not_make_a_lone_image_more_believable(tmp_path: Path) -> None:
    learner = ProtoNet(fit_steps=0, shrink="base")
    learner = learner.fit(synthetic_table(BASE, 6), seed=1, out=tmp_path)
    support = synthetic_table(RARE, 1)
    plain = adapt(learner, support, tmp_path).head.centres
    doubled = adapt(learner, support, tmp_path, extra=weighted(support, 1.0)).head.centres
    torch.testing.assert_close(doubled, plain)


def test_several_episodes_a_step_give_the_mean_of_their_losses(tmp_path: Path) -> None:
    from fewskin.data.episodes import EpisodeSampler
    from fewskin.learners.protonet import _Episodic
    from fewskin.nets.backbones import make_backbone
    from fewskin.training.episodic import episode_batches

    base = synthetic_table(BASE, 6)
    sampler = EpisodeSampler(base.labels, base.groups, way=2, shot=2, query=2, seed=3)
    for clusters in (1, 2):
        # In eval mode episodes of one batch do not meet in BatchNorm.
        module = _Episodic(make_backbone("conv4", seed=1).eval(), ProtoNet(clusters=clusters))
        both = module.training_step(episode_batches(base, sampler, tasks=2, seed=5)(0), 0)
        single = episode_batches(base, sampler, tasks=1, seed=5)
        alone = torch.stack([module.training_step(single(step), 0) for step in (0, 1)])
        torch.testing.assert_close(both, alone.mean(), atol=1e-5, rtol=1e-4)


def test_clusters_and_shrinking_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="only one mean a class can be shrunk"):
        fitted(tmp_path, clusters=2, shrink="base")
