from fewskin.reporting.methods import _crops


def test_the_report_says_what_learners_read() -> None:
    assert _crops({"inputs": "face"}) == "the face alone, set upright"
    own = {"inputs": None, "inputs_of": {"probe": "masked"}}
    assert _crops(own) == (
        "the photographs as they are; probe: patches of bare skin, without eyes, brows, lips and "
        "surroundings"
    )
    assert _crops({**own, "learners": {"probe": {}}}).startswith("probe: patches of bare skin")
