"""One face after another: what is finished stays, also when the run is killed in between."""

import json
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from fewskin.data.source import finding
from fewskin.errors import DataError
from fewskin.face.contact import contact_sheet, strip
from fewskin.face.model import FaceModel
from fewskin.face.people import People, Person
from fewskin.face.pictures import save_png
from fewskin.face.shared_skin import share_skin
from fewskin.face.subject import Subject, subject_of
from fewskin.paths import atomic_write
from fewskin.tables import FINDINGS, write_table

__all__ = ["each_person"]

log = logging.getLogger(__name__)

Pixels = npt.NDArray[np.uint8]
Row = dict[str, Any]  # Any: a cell of a table
Parents = tuple[str, ...]
Make = Callable[[Person, Subject, Parents], tuple[Sequence[Row], Sequence[Pixels]]]
Tried = tuple[Person, Subject | str]  # or why there is none

_MOST_SHOWN = 60


def each_person(
    people: People, out: Path, make: Make, *, side: int = 512, patients: Path | None = None
) -> list[Row]:
    """Make something of every face and return the rows of all; write findings and a sheet.

    Args:
        people: of `read_people`.
        out: folder of the result; gets `findings.csv` and `contact.png`.
        make: person, subject and the photographs that its skin is from, its own first -> rows of a
            table, and pictures to show beside the photograph. It writes its files itself; a face
            whose files are complete is not made again.
        side: texels of the textures.
        patients: CSV that says which photographs are of one person, see `People.grouped`: they
            share one skin. None takes every photograph on its own.

    Raises:
        TableError, DataError: `patients` is no such table.
    """
    import pandas as pd

    geometry = people.geometry()
    done, n_done = out / "done", 0
    rows, findings = list[Row](), list[Mapping[str, str]]()
    shown = list[tuple[str, Pixels]]()
    for ids in people.grouped(patients):
        if not all((done / f"{image_id}.json").is_file() for image_id in ids):
            tried = _shared([_tried(people.person(one), geometry, side) for one in ids])
            parents = tuple(person.image_id for person, one in tried if isinstance(one, Subject))
            for person, subject in tried:
                if not (done / f"{person.image_id}.json").is_file():
                    _finish(person, subject, parents, make, done)
        for image_id in ids:
            found = json.loads((done / f"{image_id}.json").read_text())
            rows += found["rows"]
            if found["problem"]:
                findings.append(finding("no_texture", found["problem"], image_id=image_id))
            if len(shown) < _MOST_SHOWN:
                sheet = np.asarray(Image.open(done / f"{image_id}.png"))
                shown.append((f"{image_id} {found['problem']}", sheet))
        n_done += len(ids)
        if n_done // 10 > (n_done - len(ids)) // 10:
            log.info("%d of %d faces", n_done, len(people.faces))
    table = pd.DataFrame(findings, columns=list(FINDINGS.required))
    write_table(table, out / "findings.csv", FINDINGS)
    atomic_write(out / "contact.png", contact_sheet(shown))
    shutil.rmtree(done)
    return rows


def _tried(person: Person, geometry: FaceModel | None, side: int) -> Tried:
    try:
        return person, subject_of(person.linear, person.landmarks, geometry, side=side)
    except DataError as error:
        return person, str(error)


def _shared(tried: list[Tried]) -> list[Tried]:
    """Return the photographs of one person with one skin, or with why they have none."""
    good = [(person, one) for person, one in tried if isinstance(one, Subject)]
    if len(good) < 2:
        return tried
    try:
        made = share_skin([one for _, one in good], [person.linear for person, _ in good])
    except DataError as error:
        return [(person, one if isinstance(one, str) else str(error)) for person, one in tried]
    new = {person.image_id: one for (person, _), one in zip(good, made, strict=True)}
    return [(person, new.get(person.image_id, one)) for person, one in tried]


def _finish(
    person: Person, subject: Subject | str, parents: Parents, make: Make, done: Path
) -> None:
    """Make what is to be made of a face, then record that it is."""
    known: dict[str, Any] = {"rows": [], "problem": subject}
    pictures: Sequence[Pixels] = []
    if isinstance(subject, Subject):
        own = person.image_id
        try:
            made, pictures = make(person, subject, (own, *(i for i in parents if i != own)))
            known = {"rows": list(made), "problem": ""}
        except DataError as error:
            known = {"rows": [], "problem": str(error)}
    save_png(done / f"{person.image_id}.png", strip([person.pixels, *pictures]))
    atomic_write(done / f"{person.image_id}.json", json.dumps(known))
