"""Every YAML composes, and every key in it is a keyword that exists."""

from pathlib import Path

import pytest
import yaml

from fewskin.catalogue import config_groups, examples, spoken, typed, verbs
from fewskin.cli import compose_config, experiment_settings, stage_keys
from fewskin.experiment import experiment_from
from fewskin.paths import configs_dir
from fewskin.planning import plan_experiment
from fewskin.plugins import check_keywords, list_plugins

KINDS = {"source": "sources", "generator": "generators", "learner": "learners"}
EXPERIMENTS = config_groups()["experiment"]
# What a config leaves to the user.
NEEDED = {
    "rare": ["data.path=somewhere", "data.rare=[a,b]"],
    "ham10000_rare": ["data.path=somewhere"],
    "ham10000_gan": ["data.path=somewhere"],
    "rosacea_faces": ["data.path=somewhere"],
    "isic_2way": ["data.path=somewhere"],
    "isic_2way_meta": ["data.path=somewhere"],
    "derm7pt_2way": ["data.path=somewhere"],
    **{
        name: ["data.path=somewhere", "data.rare=[a,b,c,d,e,f]"]
        for name in ("sd198_2way", "omniglot", "mini_imagenet", "cifar_fs")
    },
}


@pytest.fixture
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "somewhere").mkdir()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_plans_and_its_keys_are_real(name: str, somewhere: None) -> None:
    settings, _ = experiment_settings([f"experiment={name}", *NEEDED.get(name, [])])
    made = experiment_from(settings)
    plan = plan_experiment(made)
    stages = {request.stage for request in plan.requests}
    assert {"ingest", "check", "split", "fit", "assess", "evaluate", "report"} <= stages
    assert made.name == name
    assert len({request.key for request in plan.requests}) == len(plan.requests)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_file_opens_with_command_cost_and_primary(name: str) -> None:
    head = (configs_dir() / "experiment" / f"{name}.yaml").read_text().splitlines()[:6]
    assert head[1].startswith(f"# fewskin run experiment={name}")
    assert any(line.startswith("# Cost:") for line in head)
    assert any(line.startswith("# Primary:") for line in head)


@pytest.mark.parametrize(
    ("group", "name"), [(g, n) for g, names in config_groups().items() for n in names if g in KINDS]
)
def test_a_plugin_config_names_a_plugin_and_real_keywords(group: str, name: str) -> None:
    text = (configs_dir() / group / f"{name}.yaml").read_text()
    assert text.startswith("# fewskin ")
    assert len(text.splitlines()) <= 15
    check_keywords(KINDS[group], yaml.safe_load(text))


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_plugin_has_a_config(kind: str) -> None:
    assert set(list_plugins(KINDS[kind])) <= set(config_groups()[kind])


@pytest.mark.parametrize("verb", sorted(set(verbs()) - {"run", "list", "doctor"}))
def test_a_verb_composes_and_shows_examples(verb: str) -> None:
    config = compose_config(verb, ["data.path=somewhere"], stage_keys(verb))
    assert config["data"] == {"path": "somewhere"}
    assert all(line.startswith(f"fewskin {spoken(verb)} ") for line in examples(verb))
    assert examples(verb)


@pytest.mark.parametrize("verb", sorted(set(verbs()) - {"run", "list", "doctor"}))
def test_the_examples_of_a_verb_use_keys_it_has(verb: str) -> None:
    for line in examples(verb):
        named, words = typed(line.split(" (")[0].split()[1:])
        assert named == verb
        compose_config(verb, words, stage_keys(verb))
