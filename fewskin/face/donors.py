"""Conditions taken off a folder of photographs."""

from collections.abc import Mapping
from pathlib import Path

from fewskin.data.source import finding
from fewskin.errors import DataError
from fewskin.face.extract import Extracted, extract
from fewskin.face.people import People
from fewskin.face.subject import skin_of
from fewskin.tables import FINDINGS, write_table

__all__ = ["donors_of"]


def donors_of(people: People, out: Path, *, side: int = 512) -> dict[str, Extracted]:
    """Return image_id -> what was taken off each photograph, without a healthy one to compare with.

    Args:
        people: with a condition.
        out: folder of the result; gets `donors.csv`, why some photographs gave nothing.
        side: texels.

    Raises:
        DataError: no photograph gave anything.
    """
    import pandas as pd

    made = dict[str, Extracted]()
    findings = list[Mapping[str, str]]()
    geometry = people.geometry()
    for person in people:
        try:
            skin = skin_of(person.linear, person.landmarks, geometry, side=side)
            made[person.image_id] = extract(*skin)
        except DataError as error:
            findings.append(finding("no_donor", str(error), image_id=person.image_id))
    table = pd.DataFrame(findings, columns=list(FINDINGS.required))
    write_table(table, out / "donors.csv", FINDINGS)
    if not made:
        raise DataError(f"no donor in {people.root}; {out / 'donors.csv'} says why.")
    return made
