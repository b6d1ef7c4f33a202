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
from fewskin.face.people import People, Person
from fewskin.face.pictures import save_png
from fewskin.face.subject import Subject, subject_of
from fewskin.paths import atomic_write
from fewskin.tables import FINDINGS, write_table

__all__ = ["each_person"]

log = logging.getLogger(__name__)

Pixels = npt.NDArray[np.uint8]
Row = dict[str, Any]  # Any: a cell of a table
Make = Callable[[Person, Subject], tuple[Sequence[Row], Sequence[Pixels]]]

_MOST_SHOWN = 60


def each_person(people: People, out: Path, make: Make, *, side: int = 512) -> list[Row]:
    """Make something of every person and return the rows of all; write findings and a sheet.

    Args:
        people: of `read_people`.
        out: folder of the result; gets `findings.csv` and `contact.png`.
        make: person and subject -> rows of a table, and pictures to show beside the photograph.
            It writes its files itself; a person whose files are complete is not made again.
        side: texels of the textures.
    """
    import pandas as pd

    geometry = people.geometry()
    done = out / "done"
    rows, findings = list[Row](), list[Mapping[str, str]]()
    shown = list[tuple[str, Pixels]]()
    for i, person in enumerate(people):
        record, sheet = done / f"{person.image_id}.json", done / f"{person.image_id}.png"
        if not record.is_file():
            try:
                subject = subject_of(person.linear, person.landmarks, geometry, side=side)
                made, pictures = make(person, subject)
                known = {"rows": list(made), "problem": ""}
            except DataError as error:
                known, pictures = {"rows": [], "problem": str(error)}, []
            save_png(sheet, strip([person.pixels, *pictures]))
            atomic_write(record, json.dumps(known))
        found = json.loads(record.read_text())
        rows += found["rows"]
        if found["problem"]:
            row = finding("no_texture", found["problem"], image_id=person.image_id)
            findings.append(row)
        if len(shown) < _MOST_SHOWN:
            shown.append((f"{person.image_id} {found['problem']}", np.asarray(Image.open(sheet))))
        if i % 10 == 9:
            log.info("%d of %d faces", i + 1, len(people.faces))
    table = pd.DataFrame(findings, columns=list(FINDINGS.required))
    write_table(table, out / "findings.csv", FINDINGS)
    atomic_write(out / "contact.png", contact_sheet(shown))
    shutil.rmtree(done)
    return rows
