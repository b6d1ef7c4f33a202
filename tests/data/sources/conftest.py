"""Small trees as data sets are published, and the first rows of the real tables."""

import csv as tables
from pathlib import Path

import pytest


@pytest.fixture
def tree(tmp_path):
    """Return a function that makes empty images and tables below one folder."""

    def make(*images, texts=None):
        root = tmp_path / "data"
        root.mkdir(exist_ok=True)
        for name in images:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()
        for name, text in (texts or {}).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        return root

    return make


@pytest.fixture
def real_tree(realdata, tree):
    """Return a function that lays real rows out with an empty file for each image they name."""

    def make(copies, name_image):
        texts = {to: (realdata / "metadata" / name).read_text() for name, to in copies.items()}
        rows = list(tables.DictReader(next(iter(texts.values())).splitlines()))
        return tree(*(name for row in rows for name in name_image(row) if name), texts=texts)

    return make


@pytest.fixture
def details():
    """Return a function that lists the details of one kind of finding."""
    return lambda read, kind: read.findings.loc[read.findings["kind"] == kind, "detail"].tolist()


@pytest.fixture
def of():
    """Return a function that gives the row of one image as a dictionary."""
    return lambda read, image_id: read.rows.set_index("image_id").loc[image_id].to_dict()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and "real_tree" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.realdata)
