"""Pickles of arrays, read without running anything that the file names.

Some published sets are pickles of dictionaries of arrays. `pickle.load` would call whatever the
file asks for; here only the few functions that rebuild NumPy arrays can be named.
"""

import pickle
from pathlib import Path
from typing import Any

from fewskin.errors import DataError

__all__ = ["load_arrays"]

_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
    ("collections", "OrderedDict"),
    *(
        (f"numpy.{core}.multiarray", name)
        for core in ("core", "_core")
        for name in ("_reconstruct",)
    ),
    *((f"numpy.{core}.multiarray", "scalar") for core in ("core", "_core")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:  # Any: the pickle protocol's own type
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is no array")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def load_arrays(file: Path) -> dict[str, Any]:
    """Return the dictionary of arrays, lists and text of a pickle.

    Args:
        file: the pickle; Python 2's are read too.

    Raises:
        DataError: no such file, not a dictionary, damaged, or it names anything but arrays.
    """
    try:
        with file.open("rb") as stream:
            loaded = _ArraysOnly(stream, encoding="latin1").load()
    except Exception as error:  # damaged bytes raise almost anything
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(f"{file}: not a pickle of arrays ({reason[0]}).") from error
    if not isinstance(loaded, dict):
        raise DataError(f"{file}: holds a {type(loaded).__name__}; expected a dictionary.")
    return loaded
