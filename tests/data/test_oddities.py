import numpy as np
import pandas as pd

from fewskin.data.cues import CUE_TABLE
from fewskin.data.oddities import odd_photographs


def usual(n: int = 30) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    cues = pd.DataFrame(0.0, index=range(n), columns=list(CUE_TABLE.floats))
    near = {"log2_pixels": 18.0, "aspect": np.log2(1.5), "sharpness": rng.normal(2, 0.2, n)}
    return cues.assign(lightness=60.0, **near)


def kinds(cues: pd.DataFrame) -> list[tuple[int, str]]:
    return [(i, kind) for i, kind, _ in odd_photographs(cues)]


def test_like_photographs_are_not_odd() -> None:
    assert kinds(usual()) == []


def test_each_oddity_is_named_with_its_row() -> None:
    cues = usual()
    cues.loc[2, "log2_pixels"] = 12.0
    cues.loc[3, "aspect"] = np.log2(4)
    cues.loc[4, "sharpness"] = 0.5
    cues.loc[5, "clipped_bright"] = 0.5
    cues.loc[6, "lightness"] = 5.0
    found = kinds(cues)
    assert found == [
        (2, "odd_size"),
        (3, "odd_size"),
        (4, "blurred"),
        *[(5, "exposure"), (6, "exposure")],
    ]


def test_sizes_are_written_as_they_are_known() -> None:
    cues = usual()
    cues.loc[0, ["log2_pixels", "aspect"]] = np.log2(60 * 40), np.log2(1.5)
    ((_, _, detail),) = odd_photographs(cues)
    assert detail == "60 x 40 pixels; usual are 627 x 418"
