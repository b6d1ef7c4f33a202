from pathlib import Path

import pytest

from fewskin.errors import PluginError
from fewskin.learners.protonet import ProtoNet
from fewskin.plugins import find, keywords, list_plugins, make
from fewskin.testing import check_learner
from fewskin.training.on_base import OnBaseFit
from fewskin.training.predictor import NetPredictor

# Whatever a learner is called, these keywords mean the same and are small in a test.
TINY = {
    "backbone": "conv4",
    "fit_steps": 20,
    "steps": 30,
    "batch_size": 8,
    "fit_batch_size": 8,
    "query": 3,
    "shot": 3,
    "tasks": 2,
    "inner_steps": 2,
}


@pytest.mark.parametrize("name", list_plugins("learners"))
def test_learner_keeps_the_contract(name: str, tmp_path: Path) -> None:
    known = keywords(find("learners", name))
    tiny = {key: value for key, value in TINY.items() if key in known}
    if issubclass(find("learners", name), OnBaseFit):
        # Nothing but its features is learnt, and 20 steps of 8 images teach little.
        tiny["fit_steps"] = 50
    if name == "anil":
        # Its features are meta-trained, and 20 batches of 2 tasks teach little.
        tiny["fit_steps"] = 60
    if name == "protonet":
        # As many episodes in more steps: 20 steps do not yet beat the first weights.
        tiny |= {"fit_steps": 40, "tasks": 1}
    check_learner(make("learners", {"name": name, **tiny}), tmp_path)


class _SeesItsBatch(NetPredictor):
    def predict(self, images):
        probs = super().predict(images)
        return (probs.log() - probs.log().mean(0)).softmax(1)


class _Joined(ProtoNet):
    def adapt(self, support, **given):
        made = super().adapt(support, **given)
        return _SeesItsBatch(made.backbone, made.head, made.classes, made.image_size)


class _Drifting(ProtoNet):
    def adapt(self, support, **given):
        self._seed += 1
        return super().adapt(support, **given)


class _Guessing(ProtoNet):
    def adapt(self, support, **given):
        made = super().adapt(support, **given)
        made.head.centres[:] = 0.0
        return made


@pytest.mark.parametrize(
    ("broken", "contract"),
    [
        (_Joined, "does not depend on its batch"),
        (_Drifting, "adapt leaves the learner as it was"),
        (_Guessing, "accuracy >= 0.75"),
    ],
)
def test_a_broken_learner_is_named(broken: type, contract: str, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=contract):
        check_learner(broken(fit_steps=0), tmp_path)
