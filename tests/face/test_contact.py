import io

import numpy as np
from PIL import Image

from fewskin.face.contact import contact_sheet, fitted_to, strip


def test_a_strip_keeps_each_pictures_shape() -> None:
    tall = np.full((40, 20, 3), 200, np.uint8)
    made = strip([tall, tall], cell=32)
    assert made.shape == (32, 2 * 32 + 4, 3)
    assert (made[:, :16] == 200).all()
    assert (made[:, 17:32] == 60).all()
    assert fitted_to(tall, 10).shape == (10, 5, 3)


def test_a_sheet_holds_every_strip_whatever_its_name() -> None:
    strips = [(f"имя-{i}", np.full((10, 30, 3), 10 * i, np.uint8)) for i in range(7)]
    sheet = np.asarray(Image.open(io.BytesIO(contact_sheet(strips))))
    for i in range(7):
        assert ((sheet == 10 * i).all(-1)).sum() >= 300
    assert contact_sheet([])[:4] == b"\x89PNG"
