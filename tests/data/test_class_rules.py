import pandas as pd
import pytest

from fewskin.data.class_rules import ClassRules, class_rules
from fewskin.errors import ConfigError, DataError


def rows() -> pd.DataFrame:
    counts = {"big": 60, "middle": 30, "small": 12, "tiny": 2}
    made = [(label, f"{label}{i}") for label, n in counts.items() for i in range(n)]
    table = pd.DataFrame(made, columns=["label", "group_id"])
    return table.assign(split=table["label"].map(lambda x: "train" if x == "big" else "test"))


def test_classes_follow_their_number_of_patients() -> None:
    rules = ClassRules(rare_at_most=30, rare_at_least=10, common_at_least=60)
    assert rules.classes(rows()) == (["middle", "small"], ["big"])


def test_classes_follow_a_column() -> None:
    rules = ClassRules(rare_where={"split": "test"}, common_where={"split": "train"})
    assert rules.classes(rows()) == (["middle", "small", "tiny"], ["big"])


def test_without_a_rule_for_common_classes_all_others_are() -> None:
    assert ClassRules(rare_at_most=12).classes(rows()) == (["small", "tiny"], None)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (ClassRules(rare_at_most=1), r"no class is rare by data\.rare_at_most=1"),
        (ClassRules(rare_at_most=60, common_at_least=30), "'big' is rare by"),
        (ClassRules(rare_where={"fold": "test"}), "unknown column in a class rule 'fold'"),
    ],
)
def test_rules_that_do_not_fit_the_data_are_explained(rules: ClassRules, message: str) -> None:
    with pytest.raises(DataError, match=message):
        rules.classes(rows())


def test_a_rule_for_common_classes_alone_is_refused() -> None:
    with pytest.raises(ConfigError, match="common_at_least needs a rule for the rare"):
        class_rules({"common_at_least": 3})
