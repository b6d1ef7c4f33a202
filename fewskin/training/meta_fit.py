"""Meta-training: batches of tasks from the base classes improve where adapting starts."""

import copy
from pathlib import Path

from fewskin.data.episodes import EpisodeSampler
from fewskin.nets.backbones import Backbone
from fewskin.protocols import ImageTable
from fewskin.seeding import seed_for
from fewskin.training.engine import run_steps
from fewskin.training.episodic import episode_batches
from fewskin.training.fitted import seen
from fewskin.training.meta import Inner, TaskNet
from fewskin.training.meta_adapt import MetaFitted
from fewskin.training.meta_steps import HeadTraining, MetaTraining, Outer, ReptileTraining
from fewskin.training.pretrain import fit_classifier

__all__ = ["meta_fit"]


def meta_fit(
    backbone: Backbone,
    base: ImageTable,
    inner: Inner,
    outer: Outer,
    *,
    training: type[HeadTraining] | type[MetaTraining] | type[ReptileTraining] = MetaTraining,
    seed: int,
    out: Path,
) -> MetaFitted:
    """Meta-train on tasks of the base classes, after classifying them if wanted.

    Continues from checkpoints under `out`.

    Args:
        backbone: the first net; not changed.
        base: rows of two or more classes of two patients.
        inner: how the net adapts.
        outer: how meta-training goes.
        training: the rule.
        seed: of everything random.
        out: folder of checkpoints.

    Raises:
        DataError: fewer than two base classes have two patients.
    """
    before = backbone.pretrained_on
    if outer.pretrain_steps:
        backbone = fit_classifier(
            backbone, base, steps=outer.pretrain_steps, seed=seed_for(seed, "pretrain"), out=out
        )
    net = TaskNet(copy.deepcopy(backbone), inner)
    if outer.steps:
        sampler = EpisodeSampler(
            base.labels,
            base.groups,
            way=outer.way,
            shot=outer.shot,
            query=outer.query,
            seed=seed,
        )
        batches = episode_batches(base, sampler, tasks=outer.tasks, seed=seed)
        run_steps(
            training(net, outer), batches, steps=outer.steps, out=out, label="meta", seed=seed
        )
    made = copy.deepcopy(backbone)
    made.load_state_dict({name: value.cpu() for name, value in net.backbone.state_dict().items()})
    if outer.steps or outer.pretrain_steps:
        made.pretrained_on = seen(before, base)
    rates = {
        name: value.detach().cpu().contiguous() for name, value in net.rates.state_dict().items()
    }
    return MetaFitted(made.eval(), rates, seed)
